"""A net below the transactions: what the bot's `/sync` shows and no transaction brings is taken from there.

Synapse (1.163) can forget to send an event: one that arrives while it finds that the service is back is written down as
still to be sent, by a sender that has just ended (`_TransactionController.on_recovered`), and waits for the next
failure. Transactions stay what brings events, because they bring them in order and `/sync` leaves gaps: an event is
taken from here only when it has not come by transaction for a while.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import structlog

from appservice.events import RoomEvent, as_object, read_event
from appservice.inbox import Inbox
from appservice.rtc.roster import sticky_events
from palabre.base.clock import Clock
from palabre.base.metrics import counter

GRACE = 8.0  # seconds that a transaction may take longer than /sync
LOOK_SECONDS = 2.0
MOST = 2000  # events that are kept in mind: a backlog beyond that is the transactions' business

log = structlog.get_logger("matrix")
caught_up = counter("matrix_events_caught_up", "Events that no transaction brought in time")


class CatchUp:
    """`arrived` is called after something was stored, `refresh(room_id)` reads a room's state anew: events from here
    may be older than what came since.
    """

    def __init__(
        self,
        inbox: Inbox,
        bot: str,
        clock: Clock,
        arrived: Callable[[], None],
        refresh: Callable[[str], Awaitable[object]],
    ) -> None:
        self._bot = bot
        self._inbox = inbox
        self._clock = clock
        self._arrived = arrived
        self._refresh = refresh
        self._seen: deque[tuple[float, RoomEvent]] = deque(maxlen=MOST)
        self._sticky: deque[RoomEvent] = deque(maxlen=MOST)
        self._stale: set[str] = set()  # rooms whose state to read anew

    def seen(self, sync: object, *, history: bool = False) -> None:
        """Note the timelines of an answer of `/sync`, unless they are history, and what is sticky in it."""
        now = self._clock.monotonic()
        if not history:
            self._seen.extend((now, event) for event in timeline_events(sync, self._bot))
        self._sticky.extend(sticky_events(sync))

    async def look(self) -> None:
        """Store what should have come by now."""
        await self._take_sticky()
        for room_id in self._stale:
            await self._refresh(room_id)
        self._stale.clear()
        due: list[RoomEvent] = []
        while self._seen and self._clock.monotonic() - self._seen[0][0] > GRACE:
            due.append(self._seen.popleft()[1])
        missing = await self._inbox.missing([event.event_id for event in due]) if due else set()
        if not missing:
            return
        late = [event for event in due if event.event_id in missing]
        log.warning("events came by no transaction", count=len(late))
        caught_up.inc(len(late))
        self._stale = {event.room_id for event in late if event.state_key is not None}
        await self._inbox.store(late, self._clock.wall())
        self._arrived()

    async def _take_sticky(self) -> None:
        """No transaction brings what was said before the bot came, and order does not matter to it."""
        sticky, self._sticky = list(self._sticky), deque(maxlen=MOST)
        missing = await self._inbox.missing([event.event_id for event in sticky])
        if missing:
            await self._inbox.store([event for event in sticky if event.event_id in missing], self._clock.wall())
            self._arrived()


def timeline_events(sync: object, bot: str) -> Iterator[RoomEvent]:
    """What happened in rooms that the bot is in, since it is in them.

    https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3sync: events there don't name their room, and
    those of a room just joined begin before that.
    """
    joined: dict[str, Any] = as_object(as_object(as_object(sync).get("rooms")).get("join"))
    for room_id, room in joined.items():
        raw = as_object(as_object(room).get("timeline")).get("events")
        events = [read_event(as_object(each) | {"room_id": room_id}) for each in (raw if isinstance(raw, list) else [])]
        read = [event for event in events if event is not None]
        joins = [at for at, event in enumerate(read) if _is_join(event, bot)]
        yield from read[joins[-1] :] if joins else read


def _is_join(event: RoomEvent, bot: str) -> bool:
    mine = event.type == "m.room.member" and event.state_key == bot
    return mine and event.content.get("membership") == "join" and event.previous_membership != "join"
