"""Keeps who announces to be in the calls of the bot's rooms, and says when that changes, also by time alone.

Concurrency: events come from the inbox's line and from the rooms' lines, one task (`run`) waits for the soonest expiry;
the table decides. `changed` may be called from any of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import structlog

from appservice.events import RoomEvent, as_object, read_event
from appservice.rtc.members import STICKY_TYPES, read_session, read_sticky, sticky_key, sticky_until
from appservice.rtc.store import RtcStore, is_session
from appservice.seams import Change, RoomChange, RtcMember
from palabre.base.clock import Clock
from palabre.base.ids import RoomId, UserId, loggable

LONGEST_SLEEP = 60.0  # seconds; the machine's clock may be set meanwhile

log = structlog.get_logger("matrix")


class Roster:
    """`changed` is told of every change, after it is stored."""

    def __init__(self, store: RtcStore, clock: Clock, changed: Callable[[RoomChange], Awaitable[None]]) -> None:
        self._store = store
        self._clock = clock
        self._changed = changed
        self._news = asyncio.Event()

    async def members(self, room_id: str) -> tuple[RtcMember, ...]:
        now = self._clock.wall()
        return tuple(member for member in await self._store.members(room_id) if member.expires_at > now)

    async def rooms(self) -> list[str]:
        """Rooms with members."""
        return await self._store.rooms()

    async def take_state(self, event: RoomEvent) -> None:
        """A state event of a room that the bot is in; of other types than a member's nothing is made."""
        if not is_session(event):
            return
        member = read_session(event)
        if member is not None and member.expires_at <= self._clock.wall():
            member = None
        if await self._store.put_state(event, member):
            await self._tell(event.room_id, event.sender)

    async def take_sticky(self, event: RoomEvent, event_type: str, content: Mapping[str, Any]) -> None:
        """A message event, decrypted where it was encrypted."""
        key, now = sticky_key(content), self._clock.wall()
        until = sticky_until(event, now)
        if event_type not in STICKY_TYPES or not key or until <= now:
            return
        member = read_sticky(event, content, now)
        if await self._store.put_sticky(event, event_type, key, member, until):
            await self._tell(event.room_id, event.sender)

    async def room_read(self, room_id: str) -> None:
        """The room's whole state was read: the bot has come into it."""
        if await self.members(room_id):
            await self._tell(room_id, None)

    async def gone(self, room_id: str, user_id: str) -> None:
        """Somebody left the room: whoever is not in it is in none of its calls."""
        if await self._store.holds(room_id, user_id):
            await self._tell(room_id, user_id)

    async def expire(self) -> None:
        """Tell of those whose time is over by now, once."""
        for room_id, user_id in await self._store.expire(self._clock.wall()):
            log.debug("a member of a call expired", room=loggable(room_id), user=loggable(user_id))
            await self._tell(room_id, user_id)

    async def run(self) -> None:
        """Tell of those whose time is over, until cancelled."""
        while True:
            self._news.clear()
            try:
                await self.expire()
                soonest = await self._store.soonest()
            except Exception:
                log.exception("members of calls could not be looked through")
                soonest = None
            wait = LONGEST_SLEEP if soonest is None else max(0.0, soonest - self._clock.wall())
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait, LONGEST_SLEEP)):
                    await self._news.wait()

    async def _tell(self, room_id: str, user_id: str | None) -> None:
        self._news.set()
        await self._changed(RoomChange(RoomId(room_id), Change.RTC, None if user_id is None else UserId(user_id)))


def sticky_events(sync: object) -> Iterator[RoomEvent]:
    """Sticky events of rooms that the bot is in, from an answer of `/sync`; of a room just joined all that still are.

    What lies in the timeline as well is not repeated in the section of sticky ones.
    """
    joined: Mapping[str, Any] = as_object(as_object(as_object(sync).get("rooms")).get("join"))
    for room_id, room in joined.items():
        for section in ("msc4354_sticky", "sticky", "timeline"):
            raw = as_object(as_object(room).get(section)).get("events")
            for each in raw if isinstance(raw, list) else []:
                event = read_event(as_object(each) | {"room_id": room_id})
                if event is not None and event.sticky_milliseconds and event.state_key is None:
                    yield event
