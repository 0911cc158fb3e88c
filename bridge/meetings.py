"""Meetings: Palabre's record of a Matrix room in which calls are held. One room has one meeting, found or made here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from palabre.base.clock import Clock
from palabre.base.database import Database
from palabre.base.errors import CallerError
from palabre.base.ids import EventId, MeetingId, RoomId, random_id

TITLE_LIMIT = 120  # characters: what fits a room name in Element's list, and a line of the page


@dataclass(frozen=True)
class Meeting:
    """`id` is the last part of the link and unguessable; who knows it still has to be let in."""

    id: MeetingId
    room_id: RoomId | None  # None until the homeserver has made the room
    title: str
    mode: str  # what the room wants of its calls: bridge.modes.ROOM_MODES
    language: str
    created_by: str  # Matrix user id

    @property
    def room(self) -> RoomId:
        """The room of a meeting that has one."""
        if self.room_id is None:
            raise CallerError("meeting_not_ready", "The room of this meeting is being made. Try again.", status=409)
        return self.room_id


class MeetingStore:
    """The table `bridge_meeting`. Everything may be repeated after a crash and leads to the same meeting."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, meeting: MeetingId) -> Meeting:
        """Raises `CallerError("meeting_not_found")`."""
        row = await self._database.fetchrow("SELECT * FROM bridge_meeting WHERE id = $1", meeting)
        if row is None:
            raise CallerError(
                "meeting_not_found", "There is no such meeting. The link may be incomplete or out of date.", status=404
            )
        return _meeting(row)

    async def of_room(self, room_id: RoomId) -> Meeting | None:
        row = await self._database.fetchrow("SELECT * FROM bridge_meeting WHERE room_id = $1", room_id)
        return None if row is None else _meeting(row)

    async def for_room(self, room_id: RoomId, *, title: str, mode: str, language: str, created_by: str) -> Meeting:
        """The meeting of the room; made with these particulars if there is none. A room without a name may get one."""
        await self._insert(room_id, title, mode, language, created_by, None)
        await self._database.execute(
            "UPDATE bridge_meeting SET title = $2 WHERE room_id = $1 AND title = ''", room_id, clean_title(title)
        )
        meeting = await self.of_room(room_id)
        assert meeting is not None
        return meeting

    async def asked_by(self, event_id: EventId, *, title: str, mode: str, language: str, created_by: str) -> Meeting:
        """The meeting that a command asked for; its room is still to be made the first time."""
        await self._insert(None, title, mode, language, created_by, event_id)
        row = await self._database.fetchrow("SELECT * FROM bridge_meeting WHERE origin_event = $1", event_id)
        return _meeting(row)

    async def set_room(self, meeting: MeetingId, room_id: RoomId) -> Meeting:
        await self._database.execute("UPDATE bridge_meeting SET room_id = $2 WHERE id = $1", meeting, room_id)
        return await self.get(meeting)

    async def set_mode(self, meeting: MeetingId, mode: str) -> None:
        """What the room wants from its next call on."""
        await self._database.execute("UPDATE bridge_meeting SET mode = $2 WHERE id = $1", meeting, mode)

    async def _insert(
        self,
        room_id: RoomId | None,
        title: str,
        mode: str,
        language: str,
        created_by: str,
        event_id: EventId | None,
    ) -> None:
        await self._database.execute(
            """INSERT INTO bridge_meeting (id, room_id, title, mode, language, created_by, created_at, origin_event)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING""",
            random_id(),
            room_id,
            clean_title(title),
            mode,
            language,
            created_by,
            self._clock.wall(),
            event_id,
        )


def clean_title(title: str) -> str:
    """One line of at most `TITLE_LIMIT` characters; what cannot be seen is taken out, such as direction overrides."""
    printable = "".join(character if character.isprintable() else " " for character in title)
    return " ".join(printable.split())[:TITLE_LIMIT].strip()


def _meeting(row: Any) -> Meeting:
    return Meeting(row["id"], row["room_id"], row["title"], row["mode"], row["language"], row["created_by"])
