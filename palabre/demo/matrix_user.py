"""Somebody with an ordinary encrypted Matrix client (matrix-nio), for the demonstration and the tests.

nio has its own encryption library and shares no code with the bot, so what it decrypts was really encrypted for it.
Its devices are not cross-signed: clients that exclude such devices won't talk to it.

Concurrency: one task syncs from `start` to `close`; whoever waits in `expect` is woken after each sync.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import nio
from nio.crypto.attachments import decrypt_attachment

from palabre.demo.homeserver import Account, Homeserver

PATIENCE = 30.0  # seconds that `expect` waits before it says what it has seen instead
SYNC_MILLISECONDS = 10_000


class MatrixUserError(AssertionError):
    """The homeserver refused, or what was expected did not come."""


@dataclass(frozen=True)
class Message:
    """An event of a room's timeline as this person's client shows it."""

    room_id: str
    event_id: str
    sender: str
    type: str
    content: dict[str, Any] = field(repr=False)
    encrypted: bool  # it came encrypted
    readable: bool  # in clear, or decrypted

    @property
    def body(self) -> str:
        return str(self.content.get("body", ""))

    @property
    def thread(self) -> str | None:
        """The root of the thread that it is in."""
        relation = self.content.get("m.relates_to") or {}
        return relation.get("event_id") if relation.get("rel_type") == "m.thread" else None


class _Client(nio.AsyncClient):  # type: ignore[misc]  # untyped
    """nio's, which raises when its sync task and a message that is being sent both see that keys are to be queried."""

    async def keys_query(self) -> Any:
        if not self.should_query_keys:
            return nio.KeysQueryResponse({}, {})
        return await super().keys_query()

    async def keys_upload(self) -> Any:
        if not self.should_upload_keys:
            return nio.KeysUploadResponse(0, 0)
        return await super().keys_upload()


class MatrixUser:
    """One user on one device."""

    def __init__(self, homeserver: Homeserver, account: Account, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.user_id = account.user_id
        self.account = account
        self.homeserver = homeserver
        configuration = nio.AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True)
        self.client = _Client(
            homeserver.url, account.user_id, account.device_id, store_path=str(folder), config=configuration
        )
        self.client.restore_login(account.user_id, account.device_id, account.access_token)
        self.timeline: list[Message] = []
        self._waiting_for_key: dict[str, nio.MegolmEvent] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.client.add_event_callback(self._received, nio.Event)
        self.client.add_response_callback(self._synced, nio.SyncResponse)

    @classmethod
    @asynccontextmanager
    async def on(cls, homeserver: Homeserver, name: str, folder: Path) -> AsyncIterator[MatrixUser]:
        """`async with MatrixUser.on(homeserver, "alice", folder) as alice:`: registered, logged in, syncing."""
        user = cls(homeserver, await asyncio.to_thread(homeserver.register, name), folder / name)
        await user.start()
        try:
            yield user
        finally:
            await user.close()

    async def start(self) -> None:
        """Upload the device's keys and sync until `close`."""
        await self._answer(self.client.sync(timeout=0, full_state=True))
        if self.client.should_upload_keys:
            await self._answer(self.client.keys_upload())
        self._task = asyncio.create_task(self.client.sync_forever(timeout=SYNC_MILLISECONDS))

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.client.close()

    async def create_room(
        self, name: str, *, invite: Iterable[str] = (), encrypted: bool = True, room_version: str | None = None
    ) -> str:
        """A private room; waits until this client knows it."""
        state = [{"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}]
        made = await self._answer(
            self.client.room_create(
                name=name,
                invite=list(invite),
                initial_state=state if encrypted else [],
                room_version=room_version,
                preset=nio.RoomPreset.private_chat,
            )
        )
        return await self.knows(str(made.room_id), encrypted=encrypted)

    async def join(self, room_id: str, *, via: Iterable[str] = ()) -> str:
        """Accept an invitation; waits until this client knows the room."""
        query = "&".join(f"via={server}" for server in via)
        await self.call("POST", f"/_matrix/client/v3/join/{_quote(room_id)}?{query}", {})
        return await self.knows(room_id)

    async def knows(self, room_id: str, *, encrypted: bool = False) -> str:
        """Wait until a sync brought the room."""
        await self.until(lambda: room_id in self.client.rooms and self.client.rooms[room_id].encrypted >= encrypted)
        return room_id

    async def send(self, room_id: str, body: str, *, thread: str | None = None, **content: Any) -> str:
        """An `m.text`, encrypted where the room is. Further fields of the content by keyword."""
        whole: dict[str, Any] = {"msgtype": "m.text", "body": body, **content}
        if thread:
            whole["m.relates_to"] = {"rel_type": "m.thread", "event_id": thread, "is_falling_back": True}
        return await self.send_event(room_id, "m.room.message", whole)

    async def send_event(self, room_id: str, event_type: str, content: dict[str, Any]) -> str:
        """Any message event, encrypted where the room is."""
        sent = await self._answer(self.client.room_send(room_id, event_type, content, ignore_unverified_devices=True))
        return str(sent.event_id)

    async def send_in_clear(self, room_id: str, body: str) -> str:
        """An unencrypted message, whatever the room is."""
        path = f"/_matrix/client/v3/rooms/{_quote(room_id)}/send/m.room.message/{uuid4()}"
        return str((await self.call("PUT", path, {"msgtype": "m.text", "body": body}))["event_id"])

    async def react(self, room_id: str, event_id: str, emoji: str) -> str:
        relation = {"rel_type": "m.annotation", "event_id": event_id, "key": emoji}
        return await self.send_event(room_id, "m.reaction", {"m.relates_to": relation})

    async def state(self, room_id: str, event_type: str, state_key: str = "") -> dict[str, Any]:
        """The content of one state event. Raises `HomeserverError` when there is none."""
        return await self.call(
            "GET", f"/_matrix/client/v3/rooms/{_quote(room_id)}/state/{event_type}/{_quote(state_key)}"
        )

    async def set_state(self, room_id: str, event_type: str, content: dict[str, Any], state_key: str = "") -> None:
        path = f"/_matrix/client/v3/rooms/{_quote(room_id)}/state/{event_type}/{_quote(state_key)}"
        await self.call("PUT", path, content)

    async def invite(self, room_id: str, user_id: str) -> None:
        await self.call("POST", f"/_matrix/client/v3/rooms/{_quote(room_id)}/invite", {"user_id": user_id})

    async def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """A request to the homeserver as this user."""
        return await asyncio.to_thread(self.homeserver.request, method, path, body, token=self.account.access_token)

    async def expect(self, room_id: str, wanted: Callable[[Message], bool], *, patience: float = PATIENCE) -> Message:
        """The first message of the room that is `wanted`, seen already or still to come."""
        found: list[Message] = []

        def look() -> bool:
            found.extend(message for message in self.messages(room_id) if wanted(message))
            return bool(found)

        await self.until(look, patience=patience)
        return found[0]

    def messages(self, room_id: str) -> list[Message]:
        """What the room's timeline shows, oldest first."""
        return [message for message in self.timeline if message.room_id == room_id]

    def reactions(self, event_id: str) -> list[tuple[str, str]]:
        """(sender, emoji) of the reactions to an event."""
        relations = [(message.sender, message.content.get("m.relates_to") or {}) for message in self.timeline]
        return [(sender, r["key"]) for sender, r in relations if r.get("event_id") == event_id and "key" in r]

    async def until(self, condition: Callable[[], bool], *, patience: float = PATIENCE) -> None:
        """Wait for syncs until `condition` holds. Raises `MatrixUserError` with what the timeline shows."""
        try:
            async with asyncio.timeout(patience):
                while not condition():
                    self._check_task()
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            seen = "\n".join(f"  {m.sender} {m.type} {m.body or m.content}" for m in self.timeline[-12:])
            raise MatrixUserError(
                f"{self.user_id} waited {patience:.0f} s in vain; the timeline ends:\n{seen}"
            ) from None

    async def download(self, message: Message, *, thumbnail: bool = False) -> bytes:
        """The file of a message, decrypted if it is encrypted."""
        described = message.content["info"] if thumbnail else message.content
        prefix = "thumbnail_" if thumbnail else ""
        encrypted = described.get(f"{prefix}file")
        answer = await self._answer(self.client.download(encrypted["url"] if encrypted else described[f"{prefix}url"]))
        body = bytes(answer.body)
        if not encrypted:
            return body
        return bytes(decrypt_attachment(body, encrypted["key"]["k"], encrypted["hashes"]["sha256"], encrypted["iv"]))

    def rotate_session(self, room_id: str) -> None:
        """The next message uses a new room key."""
        self.client.invalidate_outbound_session(room_id)

    async def _received(self, room: nio.MatrixRoom, event: nio.Event) -> None:
        if isinstance(event, nio.MegolmEvent):
            self._waiting_for_key[event.event_id] = event
        self.timeline.append(_message(room.room_id, event))

    async def _synced(self, _response: nio.SyncResponse) -> None:
        for event in list(self._waiting_for_key.values()):
            try:
                decrypted = self.client.decrypt_event(event)
            except nio.EncryptionError:
                continue
            del self._waiting_for_key[event.event_id]
            late = _message(event.room_id, decrypted)
            self.timeline[:] = [late if m.event_id == event.event_id else m for m in self.timeline]
        self._news.set()

    def _check_task(self) -> None:
        if self._task is not None and self._task.done():
            self._task.result()

    async def _answer(self, request: Any) -> Any:
        answer = await request
        if isinstance(answer, nio.ErrorResponse):
            raise MatrixUserError(f"{self.user_id}: {answer}")
        return answer


def _message(room_id: str, event: nio.Event) -> Message:
    source: dict[str, Any] = event.source
    undecrypted = isinstance(event, nio.MegolmEvent)
    return Message(
        room_id=room_id,
        event_id=event.event_id,
        sender=event.sender,
        type=str(source.get("type", "")),
        content=source.get("content") or {},
        encrypted=undecrypted or event.decrypted,
        readable=not undecrypted,
    )


def _quote(part: str) -> str:
    return quote(part, safe="")
