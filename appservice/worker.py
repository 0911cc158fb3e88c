"""Takes events out of the inbox: each once, in order, and on after any crash.

Concurrency: one task goes through what is waiting, in the homeserver's order: that is room state, which must be known
before what comes after it. Messages go on to one task per room, so that a slow command in one room holds up nobody
else. A row is settled after its work is done; after a crash in between the work is done again, so it must be such that
this changes nothing (deterministic keys in `appservice.sender`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from appservice.crypto import NO_SESSION, MissingKeyError, UndecryptableError
from appservice.events import RoomEvent, decode_json, read_event
from appservice.inbox import KEEP_SETTLED, Inbox, Row
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import loggable
from palabre.base.metrics import counter
from palabre.base.tasks import Supervisor

BATCH = 100
ROOMS_AT_ONCE = 32  # a crowd of rooms shares the one database connection of SQLite
SWEEP_SECONDS = 60.0
PAUSE_AFTER_FAILURE = 5.0  # seconds, when the database fails

log = structlog.get_logger("matrix")
failed = counter("matrix_events_failed", "Events whose handling ended in an error of ours")
undecryptable = counter("matrix_events_undecryptable", "Encrypted messages given up", ["reason"])

TakeEvent = Callable[[RoomEvent], Awaitable[bool]]
TakeMessage = Callable[[RoomEvent], Awaitable[None]]
HasKey = Callable[[str, str], Awaitable[bool]]


class Worker:
    """`take_event` handles an event in the service's line, and says whether `take_message` is to have it in its room's.

    `has_key(room_id, session_id)`: whether that room key is here.
    """

    def __init__(
        self,
        inbox: Inbox,
        take_event: TakeEvent,
        take_message: TakeMessage,
        has_key: HasKey,
        *,
        wait_for_keys: float,
        clock: Clock,
        tasks: Supervisor,
    ) -> None:
        self._inbox = inbox
        self._take_event = take_event
        self._take_message = take_message
        self._has_key = has_key
        self._wait_for_keys = wait_for_keys
        self._clock = clock
        self._tasks = tasks
        self._news = asyncio.Event()
        self._rooms: dict[str, asyncio.Task[None]] = {}  # by room id
        self._again: set[str] = set()  # something came while the task was about to end
        self._places = asyncio.Semaphore(ROOMS_AT_ONCE)

    async def start(self) -> list[asyncio.Task[None]]:
        """Resume what a crash left, and go on until the returned tasks are cancelled."""
        await self._unpark_known()
        await self._wake_rooms()
        return [
            self._tasks.spawn("matrix inbox", self._line()),
            self._tasks.spawn("matrix inbox sweep", self._sweeps()),
        ]

    async def stop(self) -> None:
        """End the rooms' tasks; after those that `start` returned."""
        tasks = list(self._rooms.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def arrived(self) -> None:
        """A transaction was stored."""
        self._news.set()

    async def keys_arrived(self, sessions: list[str]) -> None:
        """Room keys came."""
        for session in sessions:
            await self._inbox.unpark(session)
        await self._wake_rooms()

    async def _line(self) -> None:
        while True:
            self._news.clear()
            try:
                rows = await self._inbox.next_waiting(BATCH)
                for row in rows:
                    await self._one_waiting(row)
            except Exception:
                log.exception("the inbox stops for a moment")
                await asyncio.sleep(PAUSE_AFTER_FAILURE)
                continue
            if not rows:
                await self._news.wait()

    async def _one_waiting(self, row: Row) -> None:
        event = self._event(row)
        hand_on = False
        if event is not None:
            try:
                hand_on = await self._take_event(event)
            except Exception:
                failed.inc()
                log.exception("an event could not be handled", **_names(row))
        if hand_on:
            await self._inbox.hand_on(row)
            self._wake(row.room_id)
        else:
            await self._inbox.settle(row)

    def _wake(self, room_id: str) -> None:
        if room_id in self._rooms:
            self._again.add(room_id)
        else:
            self._rooms[room_id] = self._tasks.spawn(f"matrix room {loggable(room_id)}", self._room(room_id))

    async def _wake_rooms(self) -> None:
        for room_id in await self._inbox.rooms_ready():
            self._wake(room_id)

    async def _room(self, room_id: str) -> None:
        try:
            async with self._places:
                while True:
                    self._again.discard(room_id)
                    row = await self._inbox.next_ready(room_id)
                    if row is not None:
                        await self._one_ready(row)
                    elif room_id not in self._again:
                        break
        finally:
            self._rooms.pop(room_id, None)

    async def _one_ready(self, row: Row) -> None:
        event = self._event(row)
        if event is not None:
            try:
                await self._take_message(event)
            except MissingKeyError as missing:
                await self._park(row, missing.session_id)
                return
            except UndecryptableError as problem:
                undecryptable.labels(problem.reason).inc()
            except CallerError as problem:  # we may not answer there, or not any more
                log.info("an event was left unanswered", room=loggable(row.room_id), code=problem.code)
            except Exception:
                failed.inc()
                log.exception("an event could not be handled", **_names(row))
        await self._inbox.settle(row)

    async def _park(self, row: Row, session_id: str) -> None:
        await self._inbox.park(row, session_id)
        if session_id != NO_SESSION and await self._has_key(row.room_id, session_id):
            await self._inbox.unpark(session_id)  # it came while we parked

    def _event(self, row: Row) -> RoomEvent | None:
        try:
            return read_event(decode_json(row.event))
        except ValueError:  # stored by us, so that only its depth can be wrong
            failed.inc()
            log.warning("a stored event cannot be read", **_names(row))
            return None

    async def _sweeps(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep()
            except Exception:
                log.exception("the inbox could not be swept")

    async def sweep(self) -> None:
        """Give up what waited too long, forget what is long settled, look again for what may have come."""
        now = self._clock.wall()
        given_up = await self._inbox.give_up(now - self._wait_for_keys)
        undecryptable.labels("no_key").inc(given_up)
        await self._inbox.forget(now - KEEP_SETTLED)
        await self._unpark_known()
        await self._inbox.unpark(NO_SESSION)
        await self._wake_rooms()

    async def _unpark_known(self) -> None:
        for room_id, session_id in await self._inbox.parked():
            if session_id != NO_SESSION and await self._has_key(room_id, session_id):
                await self._inbox.unpark(session_id)


def _names(row: Row) -> dict[str, str]:
    return {"room": loggable(row.room_id), "event": loggable(row.event_id)}
