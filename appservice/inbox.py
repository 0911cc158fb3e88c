"""The durable inbox: every event that the homeserver delivered, stored before it is acknowledged, settled once.

Only the store: who takes rows out of it, and in which order, is `appservice.worker`. The event id is what makes
an event the same one, not the transaction's id: a homeserver restored from a backup counts transactions anew.

    WAITING  → in order, one at a time, for the whole service: room state, membership, invitations
    READY    → messages, in order within their room, rooms side by side: decrypt, obey, answer
    PARKED   → a message whose room key has not come; READY again when it does
    SETTLED  → done, or given up; the content is gone, the id stays so that a repetition is known
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from appservice.events import RoomEvent, encode_event
from palabre.base.database import Database, transaction

KEEP_SETTLED = 30 * 86400.0  # seconds that event ids are remembered; homeservers repeat for hours, not weeks


class Status(StrEnum):
    WAITING = "waiting"
    READY = "ready"
    PARKED = "parked"
    SETTLED = "settled"


@dataclass(frozen=True)
class Row:
    """A stored event."""

    seq: int
    event_id: str
    room_id: str
    event: str  # JSON
    received_at: float


class Inbox:
    """Rows of `matrix_inbox`. Everything is one statement or one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, events: Sequence[RoomEvent], now: float) -> int:
        """Commit the events that are new, all or none. Returns how many can't be stored because of their size."""
        rows = []
        oversized = 0
        for event in events:
            text = encode_event(event)
            if text is None:
                oversized += 1
            else:
                rows.append((event.event_id, event.room_id, text, Status.WAITING.value, now))
        if rows:
            query = """INSERT INTO matrix_inbox (event_id, room_id, event, status, received_at)
                       VALUES ($1, $2, $3, $4, $5) ON CONFLICT (event_id) DO NOTHING"""
            async with transaction(self._database) as connection:
                await connection.executemany(query, rows)
        return oversized

    async def missing(self, event_ids: Sequence[str]) -> set[str]:
        """Those that were never stored."""
        query = "SELECT 1 FROM matrix_inbox WHERE event_id=$1"
        return {each for each in event_ids if await self._database.fetchval(query, each) is None}

    async def next_waiting(self, limit: int) -> list[Row]:
        query = "SELECT * FROM matrix_inbox WHERE status=$1 ORDER BY seq LIMIT $2"
        return self._rows(await self._database.fetch(query, Status.WAITING.value, limit))

    async def rooms_ready(self) -> list[str]:
        query = "SELECT room_id FROM matrix_inbox WHERE status=$1 GROUP BY room_id ORDER BY MIN(seq)"
        return [row["room_id"] for row in await self._database.fetch(query, Status.READY.value)]

    async def next_ready(self, room_id: str) -> Row | None:
        query = "SELECT * FROM matrix_inbox WHERE status=$1 AND room_id=$2 ORDER BY seq LIMIT 1"
        rows = self._rows(await self._database.fetch(query, Status.READY.value, room_id))
        return rows[0] if rows else None

    async def hand_on(self, row: Row) -> None:
        """The row is a message: from the one line of the service into that of its room."""
        await self._set_status(row.seq, Status.READY)

    async def park(self, row: Row, session_id: str) -> None:
        query = "UPDATE matrix_inbox SET status=$1, session_id=$2 WHERE seq=$3"
        await self._database.execute(query, Status.PARKED.value, session_id, row.seq)

    async def unpark(self, session_id: str) -> int:
        """The room key is here: its messages are ready. Returns how many."""
        async with transaction(self._database) as connection:
            query = "SELECT COUNT(*) FROM matrix_inbox WHERE status=$1 AND session_id=$2"
            count = int(await connection.fetchval(query, Status.PARKED.value, session_id))
            if count:
                query = "UPDATE matrix_inbox SET status=$1 WHERE status=$2 AND session_id=$3"
                await connection.execute(query, Status.READY.value, Status.PARKED.value, session_id)
        return count

    async def parked(self) -> list[tuple[str, str]]:
        """(room, session id) of the keys that are waited for."""
        query = "SELECT DISTINCT room_id, session_id FROM matrix_inbox WHERE status=$1"
        rows = await self._database.fetch(query, Status.PARKED.value)
        return [(row["room_id"], row["session_id"]) for row in rows]

    async def settle(self, row: Row) -> None:
        """Done with it."""
        query = "UPDATE matrix_inbox SET status=$1, event='', session_id='' WHERE seq=$2"
        await self._database.execute(query, Status.SETTLED.value, row.seq)

    async def give_up(self, received_before: float) -> int:
        """Settle what has been parked since before then. Returns how many."""
        async with transaction(self._database) as connection:
            query = "SELECT COUNT(*) FROM matrix_inbox WHERE status=$1 AND received_at < $2"
            count = int(await connection.fetchval(query, Status.PARKED.value, received_before))
            query = "UPDATE matrix_inbox SET status=$1, event='', session_id='' WHERE status=$2 AND received_at < $3"
            await connection.execute(query, Status.SETTLED.value, Status.PARKED.value, received_before)
        return count

    async def forget(self, received_before: float) -> None:
        """Forget the ids of what was settled and received before then."""
        query = "DELETE FROM matrix_inbox WHERE status=$1 AND received_at < $2"
        await self._database.execute(query, Status.SETTLED.value, received_before)

    async def unsettled(self) -> int:
        query = "SELECT COUNT(*) FROM matrix_inbox WHERE status <> $1"
        return int(await self._database.fetchval(query, Status.SETTLED.value))

    async def _set_status(self, seq: int, status: Status) -> None:
        await self._database.execute("UPDATE matrix_inbox SET status=$1 WHERE seq=$2", status.value, seq)

    @staticmethod
    def _rows(found: Sequence[object]) -> list[Row]:
        return [
            Row(row["seq"], row["event_id"], row["room_id"], row["event"], row["received_at"])  # type: ignore[index]
            for row in found
        ]
