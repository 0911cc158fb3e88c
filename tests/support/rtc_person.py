"""Somebody in an end-to-end encrypted call as Element Call has it: a Matrix client with Olm, and LiveKit's SDK.

Member events, keys and their rotation are as Element Call has them: whoever sees a new member sends them the key, and
whoever sees one leave sends everybody else a new one. Keys go out encrypted with nio's own Olm.
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from typing import Any

import aiohttp
import nio
from livekit import rtc
from livekit.rtc._proto import e2ee_pb2

from palabre.demo.matrix_user import MatrixUser
from tests.support.rtc_client import SESSION, join_session, leave_session
from tests.support.speakers import Speaker

KEYS = "io.element.call.encryption_keys"
LOOK = 0.1  # seconds between two looks at the members
USE_DELAY = 0.5  # seconds from sending a new key to using it; Element Call takes one

Device = tuple[str, str]  # user, device


class RtcPerson:
    """`async with` is not needed: `join`, then `leave`."""

    def __init__(self, user: MatrixUser, room_id: str, number: int, epoch: float) -> None:
        self.user = user
        self.room_id = room_id
        options = rtc.KeyProviderOptions(
            shared_key=None,
            ratchet_window_size=10,
            key_ring_size=256,
            key_derivation_function=e2ee_pb2.KeyDerivationFunction.HKDF,
        )
        self._options = rtc.RoomOptions(encryption=rtc.E2EEOptions(key_provider_options=options))
        self.speaker = Speaker(number, epoch)
        self.key, self.index = os.urandom(16), 0
        self.keys: list[bytes] = [self.key]  # all that were ever used
        self.sent_to: set[Device] = set()
        self.hands_out = True  # keys to whoever comes
        self._member = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def device(self) -> Device:
        return self.user.user_id, self.user.account.device_id

    @property
    def identity(self) -> str:
        return ":".join(self.device)

    async def join(self, service_url: str, **media: Any) -> None:
        """Announce, get a token, connect, publish encrypted media, hand out keys."""
        self._member = await join_session(self.user, self.room_id, service_url)
        path = f"/_matrix/client/v3/user/{self.user.user_id}/openid/request_token"
        token = await self.user.call("POST", path, {})
        body = {"room": self.room_id, "openid_token": token, "device_id": self.device[1]}
        async with aiohttp.ClientSession() as http, http.post(f"{service_url}/sfu/get", json=body) as answer:
            seat = await answer.json()
            assert answer.status == 200, seat
        await self.speaker.connect(seat["url"], seat["jwt"], self._options)
        self._use_key()
        await self.speaker.publish(**media)
        self._task = asyncio.create_task(self._hand_out())

    async def leave(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await leave_session(self.user, self.room_id, self._member)
        await self.speaker.leave()

    async def members(self) -> set[Device]:
        """Everybody else who announces to be in the call."""
        path = f"/_matrix/client/v3/rooms/{self.room_id}/state"
        events: Any = await self.user.call("GET", path)
        found = {
            (event["sender"], event["content"]["device_id"])
            for event in events
            if event["type"] == SESSION and event["content"].get("application") == "m.call"
        }
        return found - {self.device}

    async def rotate(self) -> None:
        """A new key, sent to all who are there and then used."""
        self.key, self.index = os.urandom(16), (self.index + 1) % 256
        self.keys.append(self.key)
        for device in self.sent_to:
            await self.send_key(device)
        await asyncio.sleep(USE_DELAY)
        self._use_key()

    async def send_key(self, device: Device, *, claimed: str = "", key: bytes = b"") -> None:
        """The key in use, or `key`; `claimed` instead of our own device."""
        await send_olm(self.user, device, KEYS, self._content(claimed or self.device[1], key or self.key))

    async def send_in_clear(self, device: Device) -> None:
        """The key as no client sends it."""
        message = nio.ToDeviceMessage(KEYS, *device, self._content(self.device[1], self.key))
        assert isinstance(await self.user.client.to_device(message), nio.ToDeviceResponse)

    def _content(self, claimed: str, key: bytes) -> dict[str, Any]:
        return {
            "keys": {"index": self.index, "key": base64.b64encode(key).decode()},
            "room_id": self.room_id,
            "member": {"claimed_device_id": claimed, "id": self.identity},
            "session": {"call_id": "", "application": "m.call", "scope": "m.room"},
            "sent_ts": round(time.time() * 1000),
        }

    def _use_key(self) -> None:
        manager = self.speaker.room.e2ee_manager
        assert manager.key_provider is not None
        manager.key_provider.set_key(self.identity, self.key, self.index)
        for cryptor in manager.frame_cryptors():
            if cryptor.participant_identity == self.identity:
                cryptor.set_key_index(self.index)

    async def _hand_out(self) -> None:
        while True:
            members = await self.members()
            gone, come = self.sent_to - members, members - self.sent_to
            self.sent_to &= members
            for device in come if self.hands_out else ():
                await self.send_key(device)
                self.sent_to.add(device)
            if gone:
                await self.rotate()
            await asyncio.sleep(LOOK)


async def send_olm(user: MatrixUser, to: Device, event_type: str, content: dict[str, Any]) -> None:
    """An Olm-encrypted message to one device, with nio's Olm."""
    client = user.client
    user_id, device_id = to
    if device_id not in client.device_store[user_id]:
        client.olm.users_for_key_query.add(user_id)
        await client.keys_query()
    device = client.device_store[user_id][device_id]
    session = client.olm.session_store.get(device.curve25519)
    if session is None:
        await client.keys_claim({user_id: [device_id]})
        session = client.olm.session_store.get(device.curve25519)
    sealed = client.olm._olm_encrypt(session, device, event_type, content)
    answer = await client.to_device(nio.ToDeviceMessage("m.room.encrypted", user_id, device_id, sealed))
    assert isinstance(answer, nio.ToDeviceResponse), answer
