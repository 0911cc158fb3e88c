"""End-to-end encryption as the rest of the package sees it: the seam behind which the library can be replaced.

`Encryption` is the bot's device: it appears on the homeserver cross-signed, decrypts what members write, encrypts for
those who are in the room, and takes in what `/sync` brings. libolm is at the end of its life; nothing outside this
module and `appservice.device` knows of it.

Concurrency: used from the event loop only. Per room one message is encrypted at a time. `_generation` counts, per room,
what makes a shared key stale (somebody left, a new device): a key that was being shared meanwhile is thrown away.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

import structlog
from mautrix.api import Method, Path
from mautrix.crypto import OlmAccount
from mautrix.crypto.store import PgCryptoStore
from mautrix.errors import EncryptionError, GroupSessionWithheldError, MatrixError
from mautrix.types import (
    DeviceID,
    DeviceIdentity,
    DeviceLists,
    DeviceOTKCount,
    EventID,
    EventType,
    IdentityKey,
    RoomID,
    SerializerError,
    SessionID,
    SyncToken,
    ToDeviceEvent,
    TrustState,
    UserID,
)
from olm.group_session import OlmGroupSessionError
from olm.session import OlmSessionError

from appservice.api import HomeserverApi
from appservice.device import CryptoRooms, DeviceClient, Machine, start_over
from appservice.events import RoomEvent, as_int, as_object, as_text, as_texts, decode_json
from appservice.roomstore import RoomStore
from appservice.seams import DeviceTrust
from palabre.base.database import Database, transaction
from palabre.base.errors import CallerError
from palabre.base.ids import random_id
from palabre.base.metrics import counter

ALGORITHM = "m.megolm.v1.aes-sha2"
SHARING_ATTEMPTS = 4  # times that a room's members may change under our hands while one message is encrypted

log = structlog.get_logger("matrix")
to_device_dropped = counter("matrix_to_device_dropped", "Messages to the bot's device that could not be read")

# What the library raises on other people's data; all else is ours.
_PEER = (MatrixError, SerializerError, ValueError, KeyError, TypeError, AttributeError, OlmSessionError)


NO_SESSION = "device"  # in place of a session id: the key is here, its sender's device is not known yet


class MissingKeyError(Exception):
    """The room key of a message isn't here, or (`NO_SESSION`) not its sender's device; either may still come."""

    def __init__(self, session_id: str) -> None:
        super().__init__("the room key is missing")
        self.session_id = session_id


class UndecryptableError(Exception):
    """A message that no key will make readable or trustworthy. `reason` is a word for a metric's label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Decrypted:
    """What was inside an `m.room.encrypted` event."""

    type: str
    content: dict[str, Any]
    device_id: str  # of the sender, proven by its keys


class Encryption:
    """The bot's device. `start` before anything else."""

    def __init__(self, user_id: str, pickle_key: str, api: HomeserverApi, database: Database, rooms: RoomStore) -> None:
        self._database = database
        self._store = PgCryptoStore("", pickle_key, database)
        self._client = DeviceClient(user_id, api)
        self._generation: defaultdict[str, int] = defaultdict(int)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._arrived: list[str] = []
        self._since: SyncToken | None = None
        self._rooms = rooms
        self.machine = Machine(self._client, self._store, CryptoRooms(rooms), self._arrived.append, self._rooms_changed)

    @property
    def device_id(self) -> str:
        return str(self._client.device_id)

    async def start(self, display_name: str, *, spare: str) -> None:
        """Make the device known to the homeserver with its keys, or find it there.

        A device that somebody deleted, or whose keys there are not ours (a restored backup), is followed by a new one.
        Other devices of the bot but `spare`, the recorder's, are deleted: there is one bot process, so they are left
        over.
        """
        self._client.api.as_device_id = None  # the homeserver refuses requests in the name of a device that is gone
        await PgCryptoStore.upgrade_table.upgrade(self._database)
        account = await self._store.get_account()
        if account is None or (account.shared and not await self._is_published(account)):
            await start_over(self._store)
        self._since = await self._store.get_next_batch() or None  # before put_account, which would empty it
        await self.machine.load()
        device_id = await self._store.get_device_id() or await self._choose_device()
        await self._client.create_device_msc4190(device_id, display_name)
        if not self.machine.own_account.shared:
            await self.machine.share_keys()
            await self.machine.upload_fallback_key()
        await self._delete_other_devices({self.device_id, spare})

    async def decrypt(self, event: RoomEvent) -> Decrypted:
        """Raises `MissingKeyError` or `UndecryptableError`. The same event decrypts again, another one with its
        ciphertext doesn't.
        """
        session_id = as_text(event.content.get("session_id"))
        ciphertext = as_text(event.content.get("ciphertext"))
        if event.content.get("algorithm") != ALGORITHM or not session_id or not ciphertext:
            raise UndecryptableError("malformed")
        try:
            session = await self._store.get_group_session(RoomID(event.room_id), SessionID(session_id))
        except GroupSessionWithheldError:
            raise UndecryptableError("withheld") from None
        if session is None:
            raise MissingKeyError(session_id)
        try:
            plaintext, index = session.decrypt(ciphertext)
        except (OlmGroupSessionError, ValueError):
            raise UndecryptableError("ciphertext") from None
        first_time = await self._store.validate_message_index(
            session.sender_key, SessionID(session_id), EventID(event.event_id), index, event.timestamp
        )
        if not first_time:
            raise UndecryptableError("replayed")
        device_id = await self._check_sender(event.sender, session.sender_key, session.signing_key)
        return _payload(event, plaintext, device_id)

    async def fingerprint(self, user_id: str, device_id: str) -> str:
        """The Ed25519 key of somebody's device that `decrypt` has named."""
        return (await self._device(user_id, device_id)).signing_key

    async def trust(self, user_id: str, device_id: str) -> DeviceTrust:
        """What the owner's cross-signing identity says of a device that `decrypt` has named."""
        state = await self.machine.resolve_trust(await self._device(user_id, device_id))
        if state >= TrustState.CROSS_SIGNED_UNTRUSTED:  # also by an identity that was made anew: people lose theirs
            return DeviceTrust.SIGNED
        known = await self._store.get_cross_signing_keys(UserID(user_id))
        return DeviceTrust.UNSIGNED if known else DeviceTrust.NO_IDENTITY

    async def encrypt(self, room_id: str, event_type: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """The content of an `m.room.encrypted` event for the room's present members."""
        room = RoomID(room_id)
        async with self._locks[room_id]:
            for _ in range(SHARING_ATTEMPTS):
                generation = self._generation[room_id]
                try:
                    await self._share_if_needed(room)
                    if generation != self._generation[room_id]:
                        await self._store.remove_outbound_group_session(room)
                        continue
                    encrypted = await self.machine.encrypt_megolm_event(
                        room, EventType.find(event_type, EventType.Class.MESSAGE), dict(content)
                    )
                except EncryptionError:
                    continue
                sealed = dict(as_object(encrypted.serialize()))
                if "m.relates_to" in content:  # in clear, so that servers can count threads
                    sealed["m.relates_to"] = content["m.relates_to"]
                return sealed
        raise CallerError("not_encrypted", "The message could not be encrypted, so it was not sent.", status=503)

    async def forget_session(self, room_id: str) -> None:
        """Somebody left or came: the next message uses a new room key."""
        self._generation[room_id] += 1
        await self._store.remove_outbound_group_session(RoomID(room_id))

    async def has_session(self, room_id: str, session_id: str) -> bool:
        return bool(await self._store.has_group_session(RoomID(room_id), SessionID(session_id)))

    @property
    def since(self) -> str | None:
        """Where the next sync begins."""
        return self._since

    async def take_in(self, sync: object) -> list[str]:
        """Handle one answer of `/sync`, then remember its `next_batch`. Returns the room keys that came (session ids).

        A crash in the middle repeats it: what was handled is known then, and nothing is lost.
        """
        answer = as_object(sync)
        events = as_object(answer.get("to_device")).get("events")
        for raw in events if isinstance(events, list) else []:
            await self._take_to_device(raw)
        changed = as_texts(as_object(answer.get("device_lists")).get("changed"))
        if changed:
            await self.machine.handle_device_lists(DeviceLists(changed=[UserID(user) for user in changed]))
        await self._replenish(answer)
        await self.machine.mend_sessions()
        next_batch = as_text(answer.get("next_batch"))
        if next_batch:
            self._since = SyncToken(next_batch)
            await self._store.put_next_batch(self._since)
        arrived, self._arrived[:] = list(self._arrived), []
        return arrived

    async def _take_to_device(self, raw: object) -> None:
        """One transaction: the Olm session moves on and the room key is stored, or neither."""
        if as_object(raw).get("type") != "m.room.encrypted":
            return  # requests for keys, which we give to nobody, and verification, which a service can't do
        async with transaction(self._database):
            try:
                await self.machine.handle_to_device_event(ToDeviceEvent.deserialize(cast(Any, raw)))
            except _PEER as problem:
                to_device_dropped.inc()
                log.debug("to-device message dropped", problem=type(problem).__name__)

    async def _replenish(self, answer: Mapping[str, Any]) -> None:
        """Upload one-time keys and the fallback key when they run out."""
        counts = as_object(answer.get("device_one_time_keys_count"))
        if counts:
            left = as_int(counts.get("signed_curve25519"), 0)
            await self.machine.handle_otk_count(DeviceOTKCount(signed_curve25519=left, curve25519=0))
        unused = answer.get("device_unused_fallback_key_types")
        if isinstance(unused, list) and "signed_curve25519" not in unused:
            await self.machine.upload_fallback_key()

    async def _share_if_needed(self, room: RoomID) -> None:
        session = await self._store.get_outbound_group_session(room)
        if session is not None and session.shared and not session.expired:
            return
        users = await self._rooms.user_ids(room)
        await self.machine.track(users)
        await self.machine.share_group_session(room, [UserID(user) for user in users])

    async def _device(self, user_id: str, device_id: str) -> DeviceIdentity:
        device = await self.machine.get_or_fetch_device(UserID(user_id), DeviceID(device_id))
        if device is None:  # it was deleted since
            raise MissingKeyError(NO_SESSION)
        return device

    async def _check_sender(self, sender: str, identity_key: IdentityKey, signing_key: str) -> str:
        """The key must be of a device of the one who is said to have sent it: the homeserver could claim anybody.

        Returns that device's id.
        """
        device = await self.machine.get_or_fetch_device_by_key(UserID(sender), identity_key)
        if device is None:
            raise MissingKeyError(NO_SESSION)
        if device.signing_key != signing_key:
            raise UndecryptableError("device_mismatch")
        return str(device.device_id)

    async def _choose_device(self) -> DeviceID:
        """Stored before it is used, so that a crash doesn't leave a device that nobody remembers."""
        device_id = DeviceID(random_id("PALABRE_", 10))
        await self._store.put_device_id(device_id)
        return device_id

    async def _is_published(self, account: OlmAccount) -> bool:
        """Whether the homeserver shows our device with the account's keys."""
        user, device_id = self._client.mxid, await self._store.get_device_id()
        published = await self._client.query_keys([user])
        device = published.device_keys.get(user, {}).get(device_id or DeviceID(""))
        return device is not None and (device.ed25519, device.curve25519) == (account.signing_key, account.identity_key)

    async def _delete_other_devices(self, ours: Collection[str]) -> None:
        answer = as_object(await self._client.api.request(Method.GET, Path.v3.devices))
        devices = answer.get("devices")
        for device in devices if isinstance(devices, list) else []:
            name = as_text(as_object(device).get("device_id"))
            if name and name not in ours:
                await self._client.api.request(Method.DELETE, Path.v3.devices[name])

    def _rooms_changed(self, rooms: Collection[str]) -> None:
        for room_id in rooms:
            self._generation[room_id] += 1


def _payload(event: RoomEvent, plaintext: str, device_id: str) -> Decrypted:
    """https://spec.matrix.org/v1.16/client-server-api/#mmegolmv1aes-sha2: the room is repeated inside."""
    try:
        payload = as_object(decode_json(plaintext))
    except ValueError:
        raise UndecryptableError("payload") from None
    content = payload.get("content")
    event_type = as_text(payload.get("type"), 255)
    if not event_type or not isinstance(content, dict):
        raise UndecryptableError("payload")
    if payload.get("room_id") != event.room_id:
        raise UndecryptableError("other_room")
    if "m.relates_to" in event.content and "m.relates_to" not in content:
        content["m.relates_to"] = event.content["m.relates_to"]
    return Decrypted(event_type, content, device_id)
