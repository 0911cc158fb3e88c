"""Calls and who was in them, as stored: one row per session on the relay, one per person and device in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bridge.people import Person
from palabre.base.clock import Clock
from palabre.base.database import Database, transaction
from palabre.base.errors import CallerError
from palabre.base.ids import CallId, MeetingId, random_id

# The name of a LiveKit room: 24 characters are 120 bits. Whoever learns it still needs a token for it, but it stands in
# tokens, logs of clients and metrics, so it tells neither the meeting nor the Matrix room.
ROOM_NAME_LENGTH = 24


_REMOVED = "SELECT 1 FROM bridge_exclusion WHERE call = $1 AND person = $2"


@dataclass(frozen=True)
class Call:
    """One call of a meeting. Times in seconds since the epoch."""

    id: CallId
    meeting: MeetingId
    room: str  # of LiveKit: the same from the first token to the end of the call, and never again
    mode: str  # MODE_SERVER or MODE_END_TO_END of bridge.modes, as long as the call lasts
    created_at: float
    started_at: float | None  # when the first person came
    alive_at: float
    ended_at: float | None


@dataclass(frozen=True)
class Attendance:
    """Somebody's time in a call on one device."""

    identity: str
    person: Person
    joined_at: float | None  # None: they hold a token and have not come, or only a client's trial connection has
    left_at: float | None


class CallStore:
    """The tables `bridge_call`, `bridge_participant` and `bridge_exclusion`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def open_call(self, meeting: MeetingId) -> Call | None:
        row = await self._database.fetchrow(
            "SELECT * FROM bridge_call WHERE meeting = $1 AND ended_at IS NULL", meeting
        )
        return None if row is None else _call(row)

    async def latest(self, meeting: MeetingId) -> Call | None:
        """The last one to which somebody came; it may still run."""
        row = await self._database.fetchrow(
            """SELECT * FROM bridge_call WHERE meeting = $1 AND started_at IS NOT NULL
               ORDER BY created_at DESC LIMIT 1""",
            meeting,
        )
        return None if row is None else _call(row)

    async def open_or_create(self, meeting: MeetingId, mode: str) -> Call:
        """The meeting's call: the running one, whatever its mode, or a new one of `mode` under a new room name."""
        await self._database.execute(
            """INSERT INTO bridge_call (id, meeting, room, mode, created_at, alive_at)
               VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (meeting) WHERE ended_at IS NULL DO NOTHING""",
            random_id(),
            meeting,
            random_id("call-", ROOM_NAME_LENGTH),
            mode,
            self._clock.wall(),
        )
        call = await self.open_call(meeting)
        assert call is not None
        return call

    async def of_meeting(self, meeting: MeetingId) -> list[Call]:
        """Oldest first."""
        rows = await self._database.fetch("SELECT * FROM bridge_call WHERE meeting = $1 ORDER BY created_at", meeting)
        return [_call(row) for row in rows]

    async def find(self, call: str) -> Call | None:
        row = await self._database.fetchrow("SELECT * FROM bridge_call WHERE id = $1", call)
        return None if row is None else _call(row)

    async def by_room(self, room: str) -> Call | None:
        row = await self._database.fetchrow("SELECT * FROM bridge_call WHERE room = $1", room)
        return None if row is None else _call(row)

    async def get(self, call: CallId) -> Call:
        row = await self._database.fetchrow("SELECT * FROM bridge_call WHERE id = $1", call)
        assert row is not None, "a call is never deleted while something names it"
        return _call(row)

    async def all_open(self) -> list[Call]:
        return [_call(row) for row in await self._database.fetch("SELECT * FROM bridge_call WHERE ended_at IS NULL")]

    async def start(self, call: CallId, at: float) -> bool:
        """Note when the first person came. True the first time."""
        async with transaction(self._database) as connection:
            fresh = await connection.fetchval("SELECT started_at IS NULL FROM bridge_call WHERE id = $1", call)
            if fresh:
                await connection.execute("UPDATE bridge_call SET started_at = $2 WHERE id = $1", call, at)
            return bool(fresh)

    async def end(self, call: CallId, at: float) -> None:
        """Close the call and everybody's time in it, unless it is closed."""
        await self.leave_all(call, at)
        await self._database.execute(
            "UPDATE bridge_call SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL", call, at
        )

    async def touch(self, at: float) -> None:
        """Every open call is alive: after a crash this dates what ended with it."""
        await self._database.execute("UPDATE bridge_call SET alive_at = $1 WHERE ended_at IS NULL", at)

    async def expect(self, call: CallId, identity: str, person: Person, *, counts: bool = True) -> None:
        """A token is given to `identity`: from now on the relay may let it in.

        `counts` False: the connection is nobody's coming until `count` says so. Element Call opens connections that it
        drops again within a second, before it knows which identity it will use.

        Raises `CallerError`: `removed_from_call`, or `identity_taken` where it is somebody else's; identities are made
        so that none can be.
        """
        await self.require_not_removed(call, person)
        await self._database.execute(
            """INSERT INTO bridge_participant (call, identity, person, name, counts) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (call, identity) DO UPDATE SET name = excluded.name
               WHERE bridge_participant.person = excluded.person""",
            call,
            identity,
            person.key,
            person.name,
            counts,
        )
        holder = await self.expected(call, identity)
        if holder is None or holder.key != person.key:
            raise CallerError("identity_taken", "Somebody else is in the call under that identity.", status=403)

    async def remove(self, call: CallId, person: str, by: str, at: float) -> None:
        """A moderator put that person out of the call, for as long as it lasts."""
        await self._database.execute(
            """INSERT INTO bridge_exclusion (call, person, excluded_by, at) VALUES ($1, $2, $3, $4)
               ON CONFLICT (call, person) DO NOTHING""",
            call,
            person,
            by,
            at,
        )

    async def readmit(self, call: CallId, person: str) -> bool:
        """Take a removal back; False: there was none."""
        async with transaction(self._database) as connection:
            removed = await connection.fetchval(_REMOVED, call, person)
            await connection.execute("DELETE FROM bridge_exclusion WHERE call = $1 AND person = $2", call, person)
            return removed is not None

    async def require_not_removed(self, call: CallId, person: Person) -> None:
        """Raises `CallerError("removed_from_call")`."""
        if await self._database.fetchval(_REMOVED, call, person.key) is not None:
            raise CallerError("removed_from_call", "A moderator has removed you from this call.", status=403)

    async def join(self, call: CallId, identity: str, at: float) -> bool:
        """They came, or came back: the first time they joined is kept. Returns whether that counts."""
        await self._database.execute(
            """UPDATE bridge_participant SET joined_at = COALESCE(joined_at, $3), left_at = NULL
               WHERE call = $1 AND identity = $2""",
            call,
            identity,
            at,
        )
        return bool(
            await self._database.fetchval(
                "SELECT counts FROM bridge_participant WHERE call = $1 AND identity = $2", call, identity
            )
        )

    async def count(self, call: CallId, identity: str) -> bool:
        """This connection is a person's coming. True if it was not known before."""
        async with transaction(self._database) as connection:
            known = await connection.fetchval(
                "SELECT counts FROM bridge_participant WHERE call = $1 AND identity = $2", call, identity
            )
            if known is not None and not known:
                await connection.execute(
                    "UPDATE bridge_participant SET counts = true WHERE call = $1 AND identity = $2", call, identity
                )
                return True
            return False

    async def leave(self, call: CallId, identity: str, at: float) -> None:
        await self._database.execute(
            "UPDATE bridge_participant SET left_at = $3 WHERE call = $1 AND identity = $2", call, identity, at
        )

    async def leave_all(self, call: CallId, at: float) -> None:
        """Close everybody's time: the call ended, or the relay that they were on is gone."""
        await self._database.execute(
            """UPDATE bridge_participant SET left_at = $2
               WHERE call = $1 AND joined_at IS NOT NULL AND left_at IS NULL""",
            call,
            at,
        )

    async def expected(self, call: CallId, identity: str) -> Person | None:
        """Who a token for this identity was given to, if one was."""
        row = await self._database.fetchrow(
            "SELECT person, name FROM bridge_participant WHERE call = $1 AND identity = $2", call, identity
        )
        return None if row is None else Person(row["person"], row["name"])

    async def attendances(self, call: CallId) -> list[Attendance]:
        """Everybody with a token, in the order in which they came; who did not come is last."""
        rows = await self._database.fetch(
            """SELECT identity, person, name, left_at, CASE WHEN counts THEN joined_at END AS came_at
               FROM bridge_participant WHERE call = $1
               ORDER BY joined_at IS NULL OR NOT counts, joined_at, identity""",
            call,
        )
        return [
            Attendance(row["identity"], Person(row["person"], row["name"]), row["came_at"], row["left_at"])
            for row in rows
        ]

    async def last_left(self, call: CallId) -> float | None:
        """When the last person left, once everybody has."""
        value = await self._database.fetchval("SELECT MAX(left_at) FROM bridge_participant WHERE call = $1", call)
        return None if value is None else float(value)


def present(attendances: list[Attendance]) -> list[Person]:
    """Who is in the call now, each person once."""
    return _people(attendance for attendance in attendances if attendance.joined_at and attendance.left_at is None)


def came(attendances: list[Attendance]) -> list[Person]:
    """Who was there at any time, each person once, in the order in which they came."""
    return _people(attendance for attendance in attendances if attendance.joined_at)


def _people(attendances: Iterable[Attendance]) -> list[Person]:
    seen: dict[str, Person] = {}
    for attendance in attendances:
        seen.setdefault(attendance.person.key, attendance.person)
    return list(seen.values())


def _call(row: Any) -> Call:
    return Call(
        row["id"],
        row["meeting"],
        row["room"],
        row["mode"],
        row["created_at"],
        row["started_at"],
        row["alive_at"],
        row["ended_at"],
    )
