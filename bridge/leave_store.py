"""Delegated leaves as stored, so that they outlive the process: the table `bridge_leave`."""

from __future__ import annotations

from typing import Any

from bridge.leaves import Leave, State
from palabre.base.database import Database
from palabre.base.ids import MeetingId


class LeaveStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, leave: Leave) -> None:
        """As it is now; another event of the same client's is replaced."""
        await self._database.execute(
            """INSERT INTO bridge_leave
                 (meeting, identity, person, base_url, delay_id, timeout, state, due_at, put_off_at, attempts)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
               ON CONFLICT (meeting, identity) DO UPDATE SET
                 base_url = excluded.base_url, delay_id = excluded.delay_id, timeout = excluded.timeout,
                 state = excluded.state, due_at = excluded.due_at, put_off_at = excluded.put_off_at,
                 attempts = excluded.attempts""",
            leave.meeting,
            leave.identity,
            leave.person,
            leave.base_url,
            leave.delay_id,
            leave.timeout,
            leave.state.value,
            leave.due_at,
            leave.put_off_at,
            leave.attempts,
        )

    async def forget(self, leave: Leave) -> None:
        """That very one: the client may have delegated another meanwhile."""
        await self._database.execute(
            "DELETE FROM bridge_leave WHERE meeting = $1 AND identity = $2 AND delay_id = $3",
            leave.meeting,
            leave.identity,
            leave.delay_id,
        )

    async def all(self) -> list[Leave]:
        return [_leave(row) for row in await self._database.fetch("SELECT * FROM bridge_leave")]


def _leave(row: Any) -> Leave:
    return Leave(
        MeetingId(row["meeting"]),
        row["identity"],
        row["person"],
        row["base_url"],
        row["delay_id"],
        row["timeout"],
        State(row["state"]),
        row["due_at"],
        row["put_off_at"],
        row["attempts"],
    )
