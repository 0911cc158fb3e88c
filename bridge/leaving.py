"""Carries out what `bridge.leaves` decides: stores delegated leaves, asks homeservers, watches the time."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from urllib.parse import quote
from weakref import WeakValueDictionary

import structlog

from bridge.focus_requests import Delay
from bridge.leave_store import LeaveStore
from bridge.leaves import Act, Event, Leave, delegated, step
from palabre.base import metrics
from palabre.base.clock import Clock
from palabre.base.errors import CallerError, PeerError
from palabre.base.http import Answer, OutboundHttp, OutboundRefusedError
from palabre.base.ids import MeetingId, loggable
from palabre.base.tasks import Supervisor

log = structlog.get_logger("focus")

LOOK_SECONDS = 30.0  # at least so often is looked what is due: clocks of machines are set, too
PER_PERSON = 20  # delegated at a time: devices in calls, and what their clients left behind
PER_SERVER = 2  # requests at a time: a homeserver that never answers must not keep the others' people waiting
LONGEST_WISH = 3600.0  # seconds, of Retry-After

_asked = metrics.counter("focus_leaves", "What homeservers made of requests about delegated leaves", ["act", "outcome"])

Key = tuple[MeetingId, str]


class DelegatedLeaves:
    """Concurrency: `_lock` is held while a leave changes and is written down, never while a homeserver is asked. Each
    leave has at most one request on its way (`_busy`); what is wanted meanwhile comes after it, the last wish counting.
    """

    def __init__(self, store: LeaveStore, http: OutboundHttp, clock: Clock, tasks: Supervisor) -> None:
        self._store = store
        self._http = http
        self._clock = clock
        self._tasks = tasks
        self._lock = asyncio.Lock()
        self._leaves: dict[Key, Leave] = {}
        self._wanted: dict[Key, Act] = {}
        self._busy: set[Key] = set()
        self._servers: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._wake = asyncio.Event()

    async def recover(self) -> None:
        """After a start: clients that were there have a while to come back."""
        for leave in await self._store.all():
            self._leaves[leave.meeting, leave.identity] = leave
            await self._happen((leave.meeting, leave.identity), leave.delay_id, Event.RESTARTED)

    async def run(self) -> None:
        """Do what is due, for ever."""
        while True:
            self._wake.clear()
            now = self._clock.wall()
            idle = {key: leave for key, leave in self._leaves.items() if key not in self._busy}
            for key, leave in idle.items():
                if leave.due_at <= now:
                    await self._happen(key, leave.delay_id, Event.DUE)
            next_due = min((leave.due_at for key, leave in self._leaves.items() if key not in self._busy), default=now)
            pause = min(LOOK_SECONDS, next_due - now) if next_due > now else LOOK_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def delegate(self, meeting: MeetingId, identity: str, person: str, base_url: str, delay: Delay) -> None:
        """Take a leave over; it is stored when this returns. Raises `CallerError`."""
        key = meeting, identity
        theirs = sum(1 for other, leave in self._leaves.items() if leave.person == person and other != key)
        if theirs >= PER_PERSON:
            raise CallerError("M_LIMIT_EXCEEDED", "Too many delayed events are delegated already", status=429)
        leave = delegated(meeting, identity, person, base_url, delay.id, delay.timeout, now=self._clock.wall())
        async with self._lock:
            await self._store.put(leave)
            self._leaves[key] = leave
            self._wanted.pop(key, None)
        log.info("leave delegated", identity=loggable(identity), timeout=delay.timeout)
        self._wake.set()

    async def present(self, meeting: MeetingId, identity: str) -> None:
        """The relay has that participant."""
        await self._of_participant((meeting, identity), Event.PRESENT)

    async def gone(self, meeting: MeetingId, identity: str) -> None:
        """The relay has not got that participant any more."""
        await self._of_participant((meeting, identity), Event.GONE)

    async def _of_participant(self, key: Key, event: Event) -> None:
        if (leave := self._leaves.get(key)) is not None:
            await self._happen(key, leave.delay_id, event)

    async def _happen(self, key: Key, delay_id: str, event: Event, wait: float | None = None) -> None:
        """One step of the leave that has `delay_id`: the client may have delegated another since."""
        async with self._lock:
            leave = self._leaves.get(key)
            if leave is None or leave.delay_id != delay_id:
                return
            after, act = step(leave, event, self._clock.wall(), wait=wait)
            if after is None:
                await self._store.forget(leave)
                del self._leaves[key]
                self._wanted.pop(key, None)
                log.info("leave over", identity=loggable(key[1]), state=leave.state.value, event_=event.value)
                return
            if after != leave:
                await self._store.put(after)
                self._leaves[key] = after
            if act is not None:
                self._wanted[key] = act
                if key not in self._busy:
                    self._busy.add(key)
                    self._tasks.spawn("delegated leave", self._ask(key))
        self._wake.set()

    async def _ask(self, key: Key) -> None:
        """Work off what is wanted of one leave."""
        try:
            while (act := self._wanted.pop(key, None)) is not None and (leave := self._leaves.get(key)) is not None:
                server = self._servers.get(leave.base_url)
                if server is None:
                    server = self._servers[leave.base_url] = asyncio.Semaphore(PER_SERVER)
                async with server:
                    outcome, wait = await self._try(leave, act)
                _asked.labels(act.value, outcome.value).inc()
                await self._happen(key, leave.delay_id, outcome, wait)
        finally:
            self._busy.discard(key)
            self._wake.set()

    async def _try(self, leave: Leave, act: Act) -> tuple[Event, float | None]:
        try:
            return await self._request(leave, act)
        except Exception:  # ours; trying again at once would only repeat it
            log.exception("delegated leave failed", identity=loggable(leave.identity))
            return Event.FAILED, None

    async def _request(self, leave: Leave, act: Act) -> tuple[Event, float | None]:
        """As Synapse has MSC4140: knowing the id is the permission."""
        path = f"/_matrix/client/unstable/org.matrix.msc4140/delayed_events/{quote(leave.delay_id, safe='')}"
        try:
            answer = await self._http.request("POST", f"{leave.base_url}{path}/{act.value}", json_body={})
        except OutboundRefusedError as error:
            log.info("homeserver not asked", identity=loggable(leave.identity), reason=str(error))
            return Event.REFUSED, None
        except PeerError as error:
            log.info("homeserver did not answer", identity=loggable(leave.identity), reason=str(error))
            return Event.FAILED, None
        return outcome_of(act, answer)


def outcome_of(act: Act, answer: Answer) -> tuple[Event, float | None]:
    """What an answer means, and how long to wait if the homeserver says so.

    | status    | meaning                                                                      |
    |-----------|------------------------------------------------------------------------------|
    | 2xx       | done                                                                         |
    | 404       | the event is sent or cancelled already, or the server has no delayed events  |
    | 429       | later, and not before Retry-After                                            |
    | 5xx       | later                                                                        |
    | all other | never                                                                        |
    """
    if 200 <= answer.status < 300:
        return (Event.PUT_OFF if act is Act.RESTART else Event.SENT), None
    if answer.status == 404:
        return Event.UNKNOWN, None
    if answer.status == 429:
        return Event.FAILED, _retry_after(answer)
    return (Event.FAILED if answer.status >= 500 else Event.REFUSED), None


def _retry_after(answer: Answer) -> float | None:
    """Seconds, from the header or the older field: https://spec.matrix.org/v1.16/client-server-api/#rate-limiting"""
    seconds = answer.headers.get("Retry-After", "")
    if seconds.isascii() and seconds.isdigit():
        return min(float(seconds), LONGEST_WISH)
    with suppress(ValueError, RecursionError):
        document = json.loads(answer.body)
        milliseconds = document.get("retry_after_ms") if isinstance(document, dict) else None
        if isinstance(milliseconds, int) and not isinstance(milliseconds, bool) and milliseconds >= 0:
            return min(milliseconds, LONGEST_WISH * 1000) / 1000
    return None
