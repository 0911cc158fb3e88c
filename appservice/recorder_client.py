"""The recorder's device on the homeserver: makes it known, keeps its keys there, takes in what is sent to it.

Runs in the recorder's process. Concurrency: one task, `run`; `prepare` before it. What the device knows is stored
before the homeserver hears of it, so that a crash repeats a step and loses none; only media keys are never stored.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Collection

import structlog
from mautrix.api import Method, Path
from mautrix.errors import MatrixRequestError
from mautrix.types import DeviceID, UserID

from appservice.api import HomeserverApi
from appservice.call_keys import ENCRYPTION_KEYS, KeyMessageError, MediaKey, media_key
from appservice.device_keys import PublishedDevice, proven_device, published_devices
from appservice.events import as_int, as_object, as_text, as_texts
from appservice.recorder_device import OlmError, OlmMessage, RecorderDevice
from appservice.seams import DeviceTrust

WAIT_MILLISECONDS = 30_000
QUERY_MILLISECONDS = 10_000  # how long our homeserver asks remote ones for keys
MAX_KNOWN = 1000  # users whose devices are remembered
PAUSE_AFTER_REFUSAL = 5.0  # seconds

log = structlog.get_logger("recorder")

# Rooms are the bot's business: only what is sent to the device is asked for, and whose devices changed.
_NOTHING = {"types": [], "limit": 0}
_FILTER = json.dumps({"presence": _NOTHING, "account_data": _NOTHING, "room": {"rooms": []}})


class StaleDeviceError(Exception):
    """The homeserver shows this device with other keys: its store was lost or is an old copy. Another one is needed."""


class RecorderClient:
    """`store` puts the device away; `on_key` takes a key whose sender is proven. `dropped` counts what was not used.

    `trusted`: devices of which people say this are believed.
    """

    def __init__(
        self,
        api: HomeserverApi,
        device: RecorderDevice,
        *,
        store: Callable[[RecorderDevice], Awaitable[None]],
        on_key: Callable[[MediaKey], None],
        trusted: Collection[DeviceTrust],
    ) -> None:
        self._api = api
        self._device = device
        self._store = store
        self._on_key = on_key
        self._trusted = trusted
        self._known: dict[str, tuple[PublishedDevice, ...]] = {}  # by user, latest asked last
        self.dropped: Counter[str] = Counter()
        api.as_user_id = UserID(device.user_id)

    async def prepare(self, display_name: str) -> None:
        """The device exists with its keys and can be sent to. Raises `StaleDeviceError`."""
        device = self._device
        self._api.as_device_id = None  # the homeserver refuses requests in the name of a device that is not there yet
        await self._api.request(Method.PUT, Path.v3.devices[device.device_id], {"display_name": display_name})
        self._api.as_device_id = DeviceID(device.device_id)
        mine = (device.curve25519, device.ed25519)
        published = [one for one in await self._ask(device.user_id) if one.device_id == device.device_id]
        if published and (published[0].curve25519, published[0].ed25519) != mine:
            raise StaleDeviceError
        counts = as_object(as_object(await self._upload({})).get("one_time_key_counts"))
        await self._replenish(as_int(counts.get("signed_curve25519"), 0), fallback=not published)
        if not published:
            await self._upload({"device_keys": device.device_keys()})
        await self._store_changes()

    async def run(self) -> None:
        """Take in what comes, until cancelled. Raises `StaleDeviceError`."""
        while True:
            try:
                await self._sync_once()
            except StaleDeviceError:
                raise
            except MatrixRequestError as problem:
                log.warning("the homeserver refused to sync", errcode=problem.errcode, status=problem.http_status)
                await asyncio.sleep(PAUSE_AFTER_REFUSAL)
            except Exception:
                log.exception("syncing the recorder's device failed, trying again")
                await asyncio.sleep(PAUSE_AFTER_REFUSAL)

    async def _sync_once(self) -> None:
        device = self._device
        query = {"filter": _FILTER, "set_presence": "offline", "timeout": "0"}
        if device.since:
            query |= {"since": device.since, "timeout": str(WAIT_MILLISECONDS)}
        answer = as_object(await self._api.request(Method.GET, Path.v3.sync, query_params=query))
        lists = as_object(answer.get("device_lists"))
        for user in (*as_texts(lists.get("changed")), *as_texts(lists.get("left"))):
            self._known.pop(user, None)
        events = as_object(answer.get("to_device")).get("events")
        for event in events if isinstance(events, list) else []:
            await self._take(event)
        counts = as_object(answer.get("device_one_time_keys_count"))
        unused = answer.get("device_unused_fallback_key_types")
        await self._replenish(
            as_int(counts.get("signed_curve25519"), 0),
            fallback=isinstance(unused, list) and "signed_curve25519" not in unused,
        )
        device.since = as_text(answer.get("next_batch")) or device.since
        await self._store_changes()

    async def _take(self, event: object) -> None:
        """A message to the device. Keys that come in the clear, or from nobody we can prove, are not used."""
        kind = as_object(event).get("type")
        if kind != "m.room.encrypted":
            if kind == ENCRYPTION_KEYS:
                self.dropped["in_clear"] += 1
            return
        try:
            message = self._device.decrypt(event)
            if message.type == ENCRYPTION_KEYS:
                key = media_key(message, await self._prove(message))
                self._on_key(key)
        except (OlmError, KeyMessageError) as problem:
            self.dropped[problem.reason] += 1
            log.info("message to the recorder not used", reason=problem.reason)

    async def _prove(self, message: OlmMessage) -> str:
        """The device that sent it. Raises `KeyMessageError`."""
        found = self._find(message)
        if found is None:
            await self._ask(message.sender)
            found = self._find(message)
        if found is None:
            raise KeyMessageError("unproven_device")
        return found.device_id

    def _find(self, message: OlmMessage) -> PublishedDevice | None:
        known = self._known.get(message.sender, ())
        return proven_device(known, message.curve25519, message.ed25519, self._trusted)

    async def _ask(self, user_id: str) -> tuple[PublishedDevice, ...]:
        body = {"timeout": QUERY_MILLISECONDS, "device_keys": {user_id: []}}
        answer = await self._api.request(Method.POST, Path.v3.keys.query, body)
        self._known.pop(user_id, None)
        self._known[user_id] = published_devices(answer, user_id)
        while len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return self._known[user_id]

    async def _replenish(self, on_server: int, *, fallback: bool) -> None:
        """Upload one-time keys and the fallback key when they run out. Raises `StaleDeviceError`."""
        keys = self._device.one_time_keys(on_server)
        spare = self._device.fallback_key() if fallback else {}
        if not keys and not spare:
            return
        await self._store_changes()
        try:
            await self._upload({"one_time_keys": keys, "fallback_keys": spare})
        except MatrixRequestError as problem:
            if problem.http_status == 400:  # an old copy of the store makes keys anew that were given away long ago
                raise StaleDeviceError from problem
            raise
        self._device.published()

    async def _upload(self, keys: dict[str, object]) -> object:
        return await self._api.request(Method.POST, Path.v3.keys.upload, keys)

    async def _store_changes(self) -> None:
        if self._device.changed:
            await self._store(self._device)
