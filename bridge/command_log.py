"""Which commands were obeyed, so that one that the bot hands over again after a crash is not obeyed twice."""

from __future__ import annotations

from palabre.base.clock import Clock
from palabre.base.database import Database
from palabre.base.ids import EventId

KEPT_SECONDS = 7 * 86_400.0  # a homeserver that was away hands over what it kept; older events don't come again


class CommandLog:
    """The table `bridge_command`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def done(self, event_id: EventId) -> bool:
        return bool(await self._database.fetchval("SELECT 1 FROM bridge_command WHERE event_id = $1", event_id))

    async def note(self, event_id: EventId) -> None:
        now = self._clock.wall()
        await self._database.execute("DELETE FROM bridge_command WHERE done_at < $1", now - KEPT_SECONDS)
        await self._database.execute(
            "INSERT INTO bridge_command (event_id, done_at) VALUES ($1, $2) ON CONFLICT DO NOTHING", event_id, now
        )
