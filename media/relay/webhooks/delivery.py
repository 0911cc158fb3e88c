"""Sends webhooks: one line of events per room and address, so that one room's trouble delays no other's."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog
from livekit.protocol.webhook import WebhookEvent

from media.relay.metrics import WEBHOOKS
from media.relay.settings import Webhooks
from media.relay.webhooks import signing
from media.relay.webhooks.backlog import Backlog
from palabre.base.clock import Clock
from palabre.base.errors import PeerError
from palabre.base.http import OutboundHttp
from palabre.base.ids import loggable
from palabre.base.tasks import Supervisor

log = structlog.get_logger("webhooks")

AT_ONCE = 16  # requests on their way; half of what the HTTP client allows
GOODBYE_SECONDS = 2.0  # for what is left when the relay stops: receivers want to know that rooms are over
_TRY_AGAIN = frozenset({408, 425, 429})  # and every 5xx


class Destination(Protocol):
    """Where events go. `room` orders them: an event of a room is told after those before it."""

    def put(self, room: str, event: WebhookEvent) -> None: ...

    async def close(self) -> None: ...


class Nowhere:
    """The settings name no address."""

    def put(self, room: str, event: WebhookEvent) -> None:
        """Nobody wants to know."""

    async def close(self) -> None: ...


class Deliveries:
    """Concurrency: used from the event loop. `_lines` holds every backlog that has something to tell, each with a task
    of its own that ends with it; `_sending` bounds how many requests are under way."""

    def __init__(self, settings: Webhooks, key: str, secret: str, clock: Clock, tasks: Supervisor) -> None:
        self._settings = settings
        self._key = key
        self._secret = secret
        self._clock = clock
        self._tasks = tasks
        self._lines: dict[tuple[str, str], Backlog] = {}  # by address and room
        self._running: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Semaphore(AT_ONCE)
        self._http: OutboundHttp | None = None

    def put(self, room: str, event: WebhookEvent) -> None:
        for url in map(str, self._settings.urls):
            copy = WebhookEvent()
            copy.CopyFrom(event)  # each line counts its own losses in it
            line = self._lines.get((url, room))
            if line is not None:
                self._note(line.put(copy, self._clock.monotonic()), event, room)
                continue
            if sum(map(len, self._lines.values())) >= self._settings.most_waiting:
                self._note(False, event, room)
                continue
            line = self._lines[url, room] = Backlog(self._settings.queue, self._settings.longest)
            line.put(copy, self._clock.monotonic())
            task = self._tasks.spawn("webhooks of a room", self._deliver(url, room, line))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _note(self, taken: bool, event: WebhookEvent, room: str) -> None:
        if not taken:
            WEBHOOKS.labels("dropped").inc()
            log.warning("webhook dropped: too many wait", what=event.event, room=loggable(room))

    async def close(self) -> None:
        """The relay has ended its rooms: what is left is told if it can be told at once."""
        if self._running:
            await asyncio.wait(self._running, timeout=GOODBYE_SECONDS)
        for task in self._running:
            task.cancel()
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _deliver(self, url: str, room: str, line: Backlog) -> None:
        try:
            while (event := line.next(self._clock.monotonic())) is not None:
                outcome = await self._send(url, event)
                WEBHOOKS.labels(outcome).inc()
                if outcome == "delivered":
                    line.done()
                elif outcome == "refused":
                    log.warning("webhook refused", what=event.event, room=loggable(room))
                    line.refused()
                else:
                    await asyncio.sleep(line.failed())
        finally:
            del self._lines[url, room]

    async def _send(self, url: str, event: WebhookEvent) -> str:
        """`delivered`, `refused` for good, or `failed` for now."""
        content = signing.body(event)
        if self._http is None:
            self._http = OutboundHttp()
        async with self._sending:
            headers = signing.headers(content, self._key, self._secret, self._clock.wall())
            try:
                # The operator gave the address, which may well be in the same private network.
                answer = await self._http.request("POST", url, headers=headers, body=content, trusted=True)
            except PeerError:
                return "failed"
        if 200 <= answer.status < 300:
            return "delivered"
        return "failed" if answer.status >= 500 or answer.status in _TRY_AGAIN else "refused"
