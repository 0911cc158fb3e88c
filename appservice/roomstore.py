"""The state of the rooms that the bot is in, as far as it needs it, in the database.

Filled whole when the bot joins, then kept by the events that the homeserver pushes. Not a copy of rooms: of most event
types nothing is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from appservice.acl import SERVER_ACL
from appservice.events import RoomEvent, as_object, decode_json
from appservice.rtc.store import replace_state
from appservice.state import ACCESS_RULES, Member, RoomState, read_member
from palabre.base.database import Database, transaction

MEMBER = "m.room.member"
KEPT = frozenset(
    {
        MEMBER,
        "m.room.create",
        "m.room.power_levels",
        "m.room.encryption",
        "m.room.name",
        "m.room.canonical_alias",
        SERVER_ACL,
        ACCESS_RULES,
    }
)
# Raise it with every type that is added to what is kept of a room: rooms read earlier are then read anew, once.
KEPT_REVISION = 3
PRESENT = ("join", "invite")  # who gets room keys: invited people read what was said before they came in
ROWS_AT_ONCE = 500

_UPSERT = """INSERT INTO matrix_state (room_id, type, state_key, sender, content, membership)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (room_id, type, state_key)
             DO UPDATE SET sender=excluded.sender, content=excluded.content, membership=excluded.membership"""


class RoomStore:
    """Rows of `matrix_room` and `matrix_state`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def knows(self, room_id: str) -> bool:
        """Whether the bot is in the room, with its state here."""
        return await self._database.fetchval("SELECT 1 FROM matrix_room WHERE room_id=$1", room_id) is not None

    async def rooms(self) -> list[str]:
        return [row["room_id"] for row in await self._database.fetch("SELECT room_id FROM matrix_room")]

    async def stale(self) -> list[str]:
        """Rooms whose rows lack types that were not kept when they were read."""
        query = "SELECT room_id FROM matrix_room WHERE kept < $1"
        return [row["room_id"] for row in await self._database.fetch(query, KEPT_REVISION)]

    async def replace(self, room_id: str, state: Iterable[RoomEvent]) -> None:
        """The whole state of a room."""
        state = list(state)
        kept = [event for event in state if _is_kept(event)]
        async with transaction(self._database) as connection:
            query = """INSERT INTO matrix_room (room_id, kept) VALUES ($1, $2)
                       ON CONFLICT (room_id) DO UPDATE SET kept=excluded.kept"""
            await connection.execute(query, room_id, KEPT_REVISION)
            await connection.execute("DELETE FROM matrix_state WHERE room_id=$1", room_id)
            for start in range(0, len(kept), ROWS_AT_ONCE):
                rows = [_row(event) for event in kept[start : start + ROWS_AT_ONCE]]
                await connection.executemany(_UPSERT, rows)
            await replace_state(connection, room_id, state)

    async def apply(self, event: RoomEvent) -> None:
        """One state event of a known room; those of calls are `appservice.rtc.roster`'s."""
        if _is_kept(event):
            await self._database.execute(_UPSERT, *_row(event))

    async def forget(self, room_id: str) -> None:
        """The bot is not in the room any more."""
        async with transaction(self._database) as connection:
            await connection.execute("DELETE FROM matrix_state WHERE room_id=$1", room_id)
            await connection.execute("DELETE FROM matrix_rtc_member WHERE room_id=$1", room_id)
            await connection.execute("DELETE FROM matrix_room WHERE room_id=$1", room_id)

    async def content(self, room_id: str, event_type: str) -> dict[str, Any] | None:
        """The content of a state event with an empty key; None when there is none."""
        query = "SELECT content FROM matrix_state WHERE room_id=$1 AND type=$2 AND state_key=''"
        text = await self._database.fetchval(query, room_id, event_type)
        return None if text is None else as_object(decode_json(text))

    async def state(self, room_id: str) -> RoomState:
        """Everything but the members."""
        query = "SELECT type, sender, content FROM matrix_state WHERE room_id=$1 AND state_key='' AND type <> $2"
        rows = await self._database.fetch(query, room_id, MEMBER)
        creator = next((row["sender"] for row in rows if row["type"] == "m.room.create"), "")
        return RoomState(room_id, creator, {row["type"]: as_object(decode_json(row["content"])) for row in rows})

    async def member(self, room_id: str, user_id: str) -> Member:
        query = "SELECT content FROM matrix_state WHERE room_id=$1 AND type=$2 AND state_key=$3"
        text = await self._database.fetchval(query, room_id, MEMBER, user_id)
        return Member() if text is None else read_member(as_object(decode_json(text)))

    async def members(self, room_id: str, memberships: Sequence[str] = ("join",)) -> dict[str, Member]:
        """By user id."""
        query = "SELECT state_key, content, membership FROM matrix_state WHERE room_id=$1 AND type=$2"
        rows = await self._database.fetch(query, room_id, MEMBER)
        return {
            row["state_key"]: read_member(as_object(decode_json(row["content"])))
            for row in rows
            if row["membership"] in memberships
        }

    async def user_ids(self, room_id: str, memberships: Sequence[str] = PRESENT) -> list[str]:
        query = "SELECT state_key, membership FROM matrix_state WHERE room_id=$1 AND type=$2 ORDER BY state_key"
        rows = await self._database.fetch(query, room_id, MEMBER)
        return [row["state_key"] for row in rows if row["membership"] in memberships]

    async def rooms_of(self, user_id: str) -> list[str]:
        """Rooms of ours that the user is in or invited to."""
        query = "SELECT room_id, membership FROM matrix_state WHERE type='m.room.member' AND state_key=$1"
        rows = await self._database.fetch(query, user_id)
        return [row["room_id"] for row in rows if row["membership"] in PRESENT]


def _is_kept(event: RoomEvent) -> bool:
    return event.type in KEPT and event.state_key is not None and (event.type == MEMBER or event.state_key == "")


def _row(event: RoomEvent) -> tuple[str, str, str, str, str, str]:
    membership = read_member(event.content).membership if event.type == MEMBER else ""
    content = json.dumps(event.content)
    return (event.room_id, event.type, event.state_key or "", event.sender, content, membership)
