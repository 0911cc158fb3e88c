"""The table of MatrixRTC members: of rooms that the bot is in, those whose event says that they are in a call.

A state event replaces another by its state key, a sticky one by its key among those of the same sender. A sticky member
who left is kept as long as the event is sticky, because events come in any order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from appservice.events import RoomEvent
from appservice.rtc.members import SESSION_TYPES, read_session
from appservice.seams import RtcMember
from palabre.base.database import Connection, Database, transaction
from palabre.base.ids import EventId, UserId
from palabre.base.metrics import counter

MOST_MEMBERS = 2000  # of a room; calls of the field end at some hundred, and anybody may announce any number of devices

not_kept = counter("matrix_rtc_members_dropped", "MatrixRTC members beyond what is kept of a room")

_COLUMNS = (
    "room_id, type, owner, key, sender, device_id, member_id, identity, slot_id, foci, oldest_focus, "
    "created_at, expires_at, event_id, sent_at, is_left"
)
_REST = ", ".join(f"{name}=excluded.{name}" for name in _COLUMNS.split(", ")[4:])
_VALUES = ", ".join(f"${number + 1}" for number in range(len(_COLUMNS.split(", "))))
_UPSERT = f"""INSERT INTO matrix_rtc_member ({_COLUMNS}) VALUES ({_VALUES})
              ON CONFLICT (room_id, type, owner, key) DO UPDATE SET {_REST}"""  # noqa: S608 - names of columns
_WHERE = "FROM matrix_rtc_member WHERE room_id=$1 AND type=$2 AND owner=$3 AND key=$4"


class RtcStore:
    """Rows of `matrix_rtc_member`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_state(self, event: RoomEvent, member: RtcMember | None) -> bool:
        """A state event, with the member in it if there is one. Whether that changed anything."""
        async with transaction(self._database) as connection:
            place = (event.room_id, event.type, "", event.state_key or "")
            if member is not None:
                if not await _has_place(connection, *place):
                    return False
                await _insert(connection, event, event.type, "", place[-1], member, member.expires_at)
                return True
            was_there = await connection.fetchval(f"SELECT 1 {_WHERE}", *place) is not None
            await connection.execute(f"DELETE {_WHERE}", *place)
            return was_there

    async def put_sticky(
        self, event: RoomEvent, event_type: str, key: str, member: RtcMember | None, sticky_until: float
    ) -> bool:
        """A sticky event, with the member in it unless they left by it. Whether it is the newest of its key."""
        async with transaction(self._database) as connection:
            place = (event.room_id, event_type, event.sender, key)
            query = f"SELECT member_id, created_at, sent_at, event_id {_WHERE}"
            before = await connection.fetchrow(query, *place)
            if before is None:
                if not await _has_place(connection, *place):
                    return False
            else:
                if (before["sent_at"], before["event_id"]) >= (event.timestamp / 1000, event.event_id):
                    return False
                if member is not None and member.member_id == before["member_id"]:  # a refresh: as old as the first
                    member = _as_old(member, before["created_at"])
            await _insert(connection, event, event_type, event.sender, key, member, sticky_until)
            return True

    async def members(self, room_id: str) -> list[RtcMember]:
        """Those who are in the room, oldest first; also expired ones that nobody has removed yet."""
        rows = await self._database.fetch(
            """SELECT matrix_rtc_member.* FROM matrix_rtc_member JOIN matrix_state
               ON matrix_state.room_id = matrix_rtc_member.room_id AND matrix_state.type = 'm.room.member'
               AND matrix_state.state_key = matrix_rtc_member.sender AND matrix_state.membership = 'join'
               WHERE matrix_rtc_member.room_id=$1 AND NOT is_left ORDER BY created_at, identity""",
            room_id,
        )
        return [_member(row) for row in rows]

    async def holds(self, room_id: str, sender: str) -> bool:
        """Whether that user has a member event in the room."""
        query = "SELECT 1 FROM matrix_rtc_member WHERE room_id=$1 AND sender=$2 AND NOT is_left"
        return await self._database.fetchval(query, room_id, sender) is not None

    async def rooms(self) -> list[str]:
        """Rooms with a member."""
        rows = await self._database.fetch("SELECT DISTINCT room_id FROM matrix_rtc_member WHERE NOT is_left")
        return [row["room_id"] for row in rows]

    async def soonest(self) -> float | None:
        """When the next row expires."""
        value = await self._database.fetchval("SELECT MIN(expires_at) FROM matrix_rtc_member")
        return None if value is None else float(value)

    async def expire(self, now: float) -> list[tuple[str, str]]:
        """Remove what is over. Returns (room, user) of the members among it."""
        async with transaction(self._database) as connection:
            query = "SELECT DISTINCT room_id, sender FROM matrix_rtc_member WHERE expires_at <= $1 AND NOT is_left"
            rows = await connection.fetch(query, now)
            await connection.execute("DELETE FROM matrix_rtc_member WHERE expires_at <= $1", now)
        return [(row["room_id"], row["sender"]) for row in rows]


async def replace_state(connection: Connection, room_id: str, state: Iterable[RoomEvent]) -> None:
    """All session members of a room anew, inside the transaction that replaces its other state."""
    await connection.execute("DELETE FROM matrix_rtc_member WHERE room_id=$1 AND owner=''", room_id)
    read = [(event, read_session(event)) for event in state if is_session(event)]
    members = [(event, member) for event, member in read if member is not None]
    not_kept.inc(max(0, len(members) - MOST_MEMBERS))
    for event, member in members[:MOST_MEMBERS]:
        await _insert(connection, event, event.type, "", member.state_key, member, member.expires_at)


def is_session(event: RoomEvent) -> bool:
    return event.type in SESSION_TYPES and event.state_key is not None


async def _has_place(connection: Connection, room_id: str, event_type: str, owner: str, key: str) -> bool:
    """Whether the room may have a row of that key: it has, or fewer than the most."""
    query = "SELECT COUNT(*) FROM matrix_rtc_member WHERE room_id=$1 AND NOT (type=$2 AND owner=$3 AND key=$4)"
    if int(await connection.fetchval(query, room_id, event_type, owner, key)) < MOST_MEMBERS:
        return True
    not_kept.inc()
    return False


async def _insert(
    connection: Connection,
    event: RoomEvent,
    event_type: str,
    owner: str,
    key: str,
    member: RtcMember | None,
    expires_at: float,
) -> None:
    what: Sequence[Any] = ("", "", "", "", "[]", False, event.timestamp / 1000)
    if member is not None:
        what = (
            member.device_id,
            member.member_id,
            member.identity,
            member.slot_id,
            json.dumps(member.foci),
            member.oldest_focus,
            member.created_at,
        )
    place = (event.room_id, event_type, owner, key, event.sender)
    rest = (expires_at, event.event_id, event.timestamp / 1000, member is None)
    await connection.execute(_UPSERT, *place, *what, *rest)


def _as_old(member: RtcMember, created_at: float) -> RtcMember:
    return RtcMember(**{**vars(member), "created_at": min(created_at, member.created_at)})


def _member(row: Any) -> RtcMember:
    return RtcMember(
        user_id=UserId(row["sender"]),
        device_id=row["device_id"],
        member_id=row["member_id"],
        identity=row["identity"],
        slot_id=row["slot_id"],
        foci=tuple(json.loads(row["foci"])),
        oldest_focus=bool(row["oldest_focus"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        event_id=EventId(row["event_id"]),
        state_key=row["key"],
        sticky=row["owner"] != "",
        event_type=row["type"],
    )
