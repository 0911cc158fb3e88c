"""What rooms want of ringing, which notifications there were, and who declined them, as stored."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.ringing_rules import RingPolicy
from palabre.base.database import Database
from palabre.base.ids import CallId, EventId, RoomId

KEEP_SECONDS = 86400.0  # that a notification can still be declined; calls end within a day


@dataclass(frozen=True)
class RoomWish:
    """None: as the settings say. `quiet`: `20:00-07:30`, or `off` for no quiet hours."""

    policy: RingPolicy | None = None
    quiet: str | None = None


@dataclass(frozen=True)
class Notice:
    """A notification that the room got, from the bot or from somebody's client."""

    event_id: EventId
    room_id: RoomId
    caller: str  # Matrix user, or a guest's key
    policy: RingPolicy
    at: float


class RingStore:
    """The tables `bridge_ring_room`, `bridge_ring` and `bridge_ring_decline`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def wish(self, room_id: RoomId) -> RoomWish:
        row = await self._database.fetchrow("SELECT policy, quiet FROM bridge_ring_room WHERE room_id = $1", room_id)
        if row is None:
            return RoomWish()
        return RoomWish(row["policy"] and RingPolicy(row["policy"]), row["quiet"])

    async def set_policy(self, room_id: RoomId, policy: RingPolicy) -> None:
        await self._database.execute(
            """INSERT INTO bridge_ring_room (room_id, policy) VALUES ($1, $2)
               ON CONFLICT (room_id) DO UPDATE SET policy = excluded.policy""",
            room_id,
            policy.value,
        )

    async def set_quiet(self, room_id: RoomId, quiet: str) -> None:
        await self._database.execute(
            """INSERT INTO bridge_ring_room (room_id, quiet) VALUES ($1, $2)
               ON CONFLICT (room_id) DO UPDATE SET quiet = excluded.quiet""",
            room_id,
            quiet,
        )

    async def note(self, notice: Notice) -> None:
        """Remember it, and forget what nobody can decline any more."""
        await self._database.execute("DELETE FROM bridge_ring WHERE at < $1", notice.at - KEEP_SECONDS)
        await self._database.execute(
            """INSERT INTO bridge_ring (event_id, room_id, caller, policy, at) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (event_id) DO NOTHING""",
            notice.event_id,
            notice.room_id,
            notice.caller,
            notice.policy.value,
            notice.at,
        )

    async def notice(self, event_id: EventId) -> Notice | None:
        row = await self._database.fetchrow("SELECT * FROM bridge_ring WHERE event_id = $1", event_id)
        return row and Notice(row["event_id"], row["room_id"], row["caller"], RingPolicy(row["policy"]), row["at"])

    async def loudest(self, room_id: RoomId, since: float) -> RingPolicy:
        """Of the notifications in that room from then on; `off` if there were none."""
        rows = await self._database.fetch(
            "SELECT DISTINCT policy FROM bridge_ring WHERE room_id = $1 AND at >= $2", room_id, since
        )
        found = {RingPolicy(row["policy"]) for row in rows}
        return max(found, key=list(RingPolicy).index, default=RingPolicy.OFF)

    async def decline(self, call: CallId, person: str) -> int | None:
        """How many have declined the call by now; None if this person had."""
        before = await self._database.fetchval(
            "SELECT 1 FROM bridge_ring_decline WHERE call = $1 AND person = $2", call, person
        )
        if before is not None:
            return None
        query = "INSERT INTO bridge_ring_decline (call, person) VALUES ($1, $2) ON CONFLICT DO NOTHING"
        await self._database.execute(query, call, person)
        return int(await self._database.fetchval("SELECT COUNT(*) FROM bridge_ring_decline WHERE call = $1", call))
