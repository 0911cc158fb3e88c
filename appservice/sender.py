"""Sending to rooms: once, encrypted where the room is, in spite of crashes and of the homeserver's absence.

Every message has a `key`. The key makes the transaction id, so that repeating a request is the same message for the
homeserver; and what was acknowledged is remembered in `matrix_sent`, because the homeserver forgets after a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mautrix.api import Method, Path
from mautrix.errors import MatrixRequestError

from appservice import content
from appservice.api import HomeserverApi, as_caller_error
from appservice.crypto import Encryption
from appservice.events import as_id, as_object
from appservice.roomstore import RoomStore
from palabre.base.clock import Clock
from palabre.base.database import Database
from palabre.base.errors import CallerError
from palabre.base.ids import EventId, RoomId, stable_id

KEEP_SENT = 400 * 86400.0  # seconds that keys are remembered: longer than anything of ours is retried

_CLEAR = frozenset({"m.reaction"})  # not encrypted by anybody yet: servers count them, MSC1849


class Sender:
    """Message events of the bot."""

    def __init__(
        self, api: HomeserverApi, database: Database, rooms: RoomStore, encryption: Encryption, clock: Clock
    ) -> None:
        self._api = api
        self._database = database
        self._rooms = rooms
        self._encryption = encryption
        self._clock = clock

    async def send(self, room_id: str, event_type: str, body: Mapping[str, Any], *, key: str) -> EventId:
        """Raises `CallerError`: `not_in_room`, `not_encrypted`, `homeserver_refused`."""
        sent = await self.sent(key)
        if sent:
            return sent
        await self.require_room(room_id)
        if event_type not in _CLEAR and await self.is_encrypted(room_id):
            body = await self._encryption.encrypt(room_id, event_type, body)
            event_type = "m.room.encrypted"
        path = Path.v3.rooms[room_id].send[event_type][stable_id(room_id, key)]
        return await self._put(path, dict(body), key)

    async def send_text(
        self,
        room_id: str,
        body: str,
        *,
        key: str,
        html: str = "",
        thread: str | None = None,
        reply_to: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> EventId:
        whole = content.text(body, html, thread=thread, reply_to=reply_to, extra=extra or {})
        return await self.send(room_id, "m.room.message", whole, key=key)

    async def react(self, room_id: str, event_id: str, emoji: str, *, key: str) -> EventId:
        return await self.send(room_id, "m.reaction", content.reaction(event_id, emoji), key=key)

    async def take_back(self, room_id: str, event_id: str, *, key: str) -> None:
        """Redact something of ours."""
        if not await self.sent(key):
            path = Path.v3.rooms[room_id].redact[event_id][stable_id(room_id, key)]
            await self._put(path, {}, key)

    async def sent(self, key: str) -> EventId | None:
        """The event of that key, if the homeserver acknowledged it."""
        found = await self._database.fetchval("SELECT event_id FROM matrix_sent WHERE key=$1", key)
        return EventId(found) if found else None

    async def is_encrypted(self, room_id: str) -> bool:
        return await self._rooms.content(room_id, "m.room.encryption") is not None

    async def require_room(self, room_id: str) -> None:
        """Without the room's state we can't know whether it is encrypted, so nothing is sent."""
        if not await self._rooms.knows(room_id):
            raise CallerError("not_in_room", "The bot is not in that room.", status=409)

    async def forget(self, sent_before: float) -> None:
        await self._database.execute("DELETE FROM matrix_sent WHERE sent_at < $1", sent_before)

    async def _put(self, path: Any, body: dict[str, Any], key: str) -> EventId:
        try:
            answer = await self._api.request(Method.PUT, path, body)
        except MatrixRequestError as problem:
            raise as_caller_error(problem) from problem
        event_id = as_id(as_object(answer).get("event_id"), "$")
        query = "INSERT INTO matrix_sent (key, event_id, sent_at) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING"
        await self._database.execute(query, key, event_id, self._clock.wall())
        return EventId(event_id)


def room_id_of(answer: object) -> RoomId:
    """Of `/join` and `/createRoom`."""
    return RoomId(as_id(as_object(answer).get("room_id"), "!"))
