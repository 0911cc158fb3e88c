"""The bot's device on top of mautrix's `OlmMachine`: the only module that touches the library's private names.

What it changes is what would lose keys or let a stranger disturb us: keys are stored before they are uploaded, foreign
key lists are cleaned, nothing runs in the background, and there is a fallback key. `appservice.crypto` is what the rest
of the package uses.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection
from typing import Any, cast

from mautrix.api import Method, Path
from mautrix.client import Client, ClientAPI
from mautrix.crypto import OlmAccount, OlmMachine
from mautrix.crypto.cross_signing_key import CrossSigningSeeds
from mautrix.crypto.signature import sign_olm
from mautrix.crypto.ssss.key import Key
from mautrix.crypto.store import PgCryptoStore, StateStore
from mautrix.types import (
    ClaimKeysResponse,
    DeviceID,
    EncryptionAlgorithm,
    EncryptionKeyAlgorithm,
    QueryKeysResponse,
    RoomEncryptionStateEventContent,
    RoomID,
    SessionID,
    UserID,
)

from appservice.api import HomeserverApi
from appservice.events import as_int
from appservice.foreign_keys import clean_claim, clean_query
from appservice.roomstore import RoomStore
from palabre.base.ids import loggable

KEY_QUERY_MILLISECONDS = 10_000  # how long our homeserver asks remote ones
MIN_ROTATION_MESSAGES = 1
MIN_ROTATION_MILLISECONDS = (
    60_000  # a room asking for a new key with every message would keep us busy with nothing else
)


class DeviceClient(ClientAPI):
    """The client API as the machine uses it, without a sync loop: events that it decrypts wait in `decrypted`."""

    def __init__(self, user_id: str, api: HomeserverApi) -> None:
        super().__init__(mxid=UserID(user_id), api=api)
        self.decrypted: list[Any] = []

    def add_event_handler(self, *_args: Any, **_options: Any) -> None:
        """The machine subscribes to a sync loop that we don't have."""

    def dispatch_event(self, event: Any, source: Any = None) -> list[Any]:
        """To-device events that aren't room keys."""
        self.decrypted.append(event)
        return []

    async def query_keys(
        self,
        device_keys: list[UserID] | set[UserID] | dict[UserID, list[DeviceID]],
        token: str = "",
        timeout: int = KEY_QUERY_MILLISECONDS,
    ) -> QueryKeysResponse:
        wanted = device_keys if isinstance(device_keys, dict) else {user: [] for user in device_keys}
        body = {"timeout": timeout, "device_keys": wanted}
        answer = await self.api.request(Method.POST, Path.v3.keys.query, body)
        return QueryKeysResponse.deserialize(cast(Any, clean_query(answer, wanted)))

    async def claim_keys(
        self,
        one_time_keys: dict[UserID, dict[DeviceID, EncryptionKeyAlgorithm]],
        timeout: int = KEY_QUERY_MILLISECONDS,
    ) -> ClaimKeysResponse:
        wanted: dict[str, Any] = {
            user: {device: algorithm.serialize() for device, algorithm in devices.items()}
            for user, devices in one_time_keys.items()
        }
        body = {"timeout": timeout, "one_time_keys": wanted}
        answer = await self.api.request(Method.POST, Path.v3.keys.claim, body)
        return ClaimKeysResponse.deserialize(cast(Any, clean_claim(answer, wanted)))


class Machine(OlmMachine):
    """See the module. `session_received` and `rooms_changed` are called inside a database transaction: only take note.

    `session_received(session_id)`: a room key is stored. `rooms_changed(rooms)`: someone's devices changed, the rooms'
    outbound session is gone.
    """

    def __init__(
        self,
        client: DeviceClient,
        store: PgCryptoStore,
        rooms: CryptoRooms,
        session_received: Callable[[str], None],
        rooms_changed: Callable[[Collection[str]], None],
    ) -> None:
        super().__init__(cast(Client, client), store, rooms, log=_quiet_log())
        self._session_received = session_received
        self._rooms_changed = rooms_changed
        self._wedged: list[tuple[UserID, Any]] = []

    @property
    def own_account(self) -> OlmAccount:
        """The account, after `load()`."""
        assert self.account is not None
        return self.account

    async def track(self, users: Collection[str]) -> None:
        """Fetch the devices of users that we don't follow yet, so that sharing a key need not stop for it."""
        unknown = [UserID(user) for user in users if await self.crypto_store.get_devices(UserID(user)) is None]
        if unknown:
            async with self._fetch_keys_lock:
                await self._fetch_keys(unknown, include_untracked=True)

    async def upload_fallback_key(self) -> None:
        """For senders who find no one-time key left; mautrix has none, libolm does.

        https://spec.matrix.org/v1.16/client-server-api/#one-time-and-fallback-keys
        """
        account = self.own_account
        account.generate_fallback_key()
        await self.crypto_store.put_account(account)
        ((key_id, key),) = account.fallback_key["curve25519"].items()
        signed: dict[str, Any] = {"key": key, "fallback": True}
        signature = sign_olm(dict(signed), account)
        signed["signatures"] = {self.client.mxid: {f"ed25519:{self.client.device_id}": signature}}
        body = {"fallback_keys": {f"signed_curve25519:{key_id}": signed}}
        await self.client.api.request(Method.POST, Path.v3.keys.upload, body)
        account.mark_keys_as_published()
        await self.crypto_store.put_account(account)

    async def publish_identity(self, seeds: CrossSigningSeeds, key: Key) -> None:
        """Put a cross-signing identity and its backup (encrypted with `key`) on the homeserver, and sign our device.

        Each part can be repeated: a crash in the middle is made good by doing it again.
        """
        await self.ssss.set_key_data(key.id, key.metadata)
        await self._upload_cross_signing_keys_to_ssss(key, seeds)
        await self.ssss.set_default_key_id(key.id)
        await self._publish_cross_signing_keys(seeds.to_keys())
        await self.sign_own_device(self.own_identity)

    async def fetch_identity(self, key: Key) -> CrossSigningSeeds:
        """The identity from its backup on the homeserver."""
        return await self._fetch_cross_signing_keys_from_ssss(key)

    async def adopt_identity(self, seeds: CrossSigningSeeds) -> None:
        """Sign our device with an identity that the homeserver knows."""
        self._import_cross_signing_keys(seeds)
        await self.sign_own_device(self.own_identity)

    async def mend_sessions(self) -> None:
        """Make new Olm sessions with devices whose messages could not be decrypted: they use them from then on."""
        wedged, self._wedged = self._wedged, []
        for sender, sender_key in wedged:
            await super()._unwedge_session(sender, sender_key)

    async def on_devices_changed(self, user_id: UserID) -> None:
        rooms = await self.state_store.find_shared_rooms(user_id)
        if rooms:
            await self.crypto_store.remove_outbound_group_sessions(rooms)
            self._rooms_changed(rooms)

    async def _share_keys(self, current_otk_count: int | None) -> None:
        """mautrix's, but a crash in the middle leaves no published key whose private half is lost."""
        account = self.own_account
        if current_otk_count is None:
            counts = await self.client.upload_keys()
            current_otk_count = counts.get(EncryptionKeyAlgorithm.SIGNED_CURVE25519, 0)
        mine = (self.client.mxid, self.client.device_id)
        device_keys = None if account.shared else account.get_device_keys(*mine)
        one_time_keys = account.get_one_time_keys(*mine, current_otk_count)
        if not device_keys and not one_time_keys:
            return
        await self.crypto_store.put_account(account)
        await self.client.upload_keys(one_time_keys=one_time_keys, device_keys=device_keys)
        account.shared = True
        account.mark_keys_as_published()
        await self.crypto_store.put_account(account)

    async def _unwedge_session(self, sender: UserID, sender_key: Any) -> None:
        """mautrix starts this in the background, where it would use the database transaction of its parent."""
        self._wedged.append((sender, sender_key))

    def _mark_session_received(self, session_id: SessionID) -> None:
        super()._mark_session_received(session_id)
        self._session_received(session_id)


class CryptoRooms(StateStore):
    """What the machine asks about rooms, answered from the bot's room state; never from the network."""

    def __init__(self, rooms: RoomStore) -> None:
        self._rooms = rooms

    async def is_encrypted(self, room_id: RoomID) -> bool:
        return await self._rooms.content(room_id, "m.room.encryption") is not None

    async def get_encryption_info(self, room_id: RoomID) -> RoomEncryptionStateEventContent:
        content = await self._rooms.content(room_id, "m.room.encryption") or {}
        defaults = RoomEncryptionStateEventContent(algorithm=EncryptionAlgorithm.MEGOLM_V1)
        messages = as_int(content.get("rotation_period_msgs"), defaults.rotation_period_msgs)
        milliseconds = as_int(content.get("rotation_period_ms"), defaults.rotation_period_ms)
        defaults.rotation_period_msgs = min(max(messages, MIN_ROTATION_MESSAGES), defaults.rotation_period_msgs)
        defaults.rotation_period_ms = min(max(milliseconds, MIN_ROTATION_MILLISECONDS), defaults.rotation_period_ms)
        return defaults

    async def find_shared_rooms(self, user_id: UserID) -> list[RoomID]:
        return [RoomID(room) for room in await self._rooms.rooms_of(user_id)]


async def start_over(store: PgCryptoStore) -> None:
    """Forget the account and its sessions, which would encrypt for nobody; room keys that were received stay."""
    await store.delete()
    store._account = None
    store._device_id = DeviceID("")
    store._sync_token = None
    store._olm_cache.clear()


class _HideUsers(logging.Filter):
    """mautrix names users in its warnings; our logs don't."""

    _USER = re.compile(r"@[^\s:/']+:[A-Za-z0-9.:\[\]-]+")

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = self._USER.sub(lambda user: loggable(user.group()), record.getMessage())
        record.args = ()
        return True


_HIDE_USERS = _HideUsers()


def _quiet_log() -> Any:
    log = logging.getLogger("mau.crypto")
    log.setLevel(logging.ERROR)  # it warns of every device that is not cross-signed, again and again
    log.addFilter(_HIDE_USERS)
    return log
