"""A real relay inside the test's event loop, on free loopback ports, that admits whoever has a token.

async with running_relay() as relay:
    relay.url, relay.token("alice", "room"), relay.control, relay.events
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from media.relay import tokens
from media.relay.relay import Relay
from media.relay.seams import Grants, ParticipantFacts, RoomFacts, TrackFacts
from media.relay.service import REQUEST_LINE
from media.relay.settings import RelaySettings
from palabre.base.clock import SystemClock
from palabre.base.errors import CallerError
from palabre.base.tasks import Supervisor
from palabre.door import Door
from palabre.listening import BACKLOG, port_of

API_KEY = "testing"
API_SECRET = "only-for-tests-Qm4xv8Lr2TzWk7Nd9"


@dataclass
class OpenDoor:
    """An `Admission` that narrows or refuses as the test says."""

    refused: set[str] = field(default_factory=set)  # identities
    narrowing: dict[str, dict[str, Any]] = field(default_factory=dict)  # identity → changed grants
    agents: dict[str, Any] = field(default_factory=dict)  # changed grants of every agent
    asked: list[str] = field(default_factory=list)

    async def admit(self, grants: Grants) -> Grants:
        self.asked.append(grants.identity)
        if grants.identity in self.refused:
            raise CallerError("not_in_room", "you are not in this room", status=403)
        agents = self.agents if grants.kind == "agent" else {}
        return replace(grants, **agents, **self.narrowing.get(grants.identity, {}))


@dataclass
class Recorder:
    """A `RelayListener` that writes down what it is told."""

    events: list[tuple[Any, ...]] = field(default_factory=list)

    def room_started(self, room: RoomFacts) -> None:
        self.events.append(("room_started", room.name))

    def participant_joined(self, room: str, participant: ParticipantFacts) -> None:
        self.events.append(("participant_joined", participant.identity))

    def participant_left(self, room: str, participant: ParticipantFacts, reason: str) -> None:
        self.events.append(("participant_left", participant.identity, reason))

    def track_published(self, room: str, identity: str, track: TrackFacts) -> None:
        self.events.append(("track_published", identity, track.source.value))

    def track_changed(self, room: str, identity: str, track: TrackFacts) -> None:
        self.events.append(("track_changed", identity, track.source.value, track.muted))

    def track_unpublished(self, room: str, identity: str, track: TrackFacts) -> None:
        self.events.append(("track_unpublished", identity, track.source.value))

    def room_finished(self, room: RoomFacts) -> None:
        self.events.append(("room_finished", room.name))


@dataclass
class RunningRelay:
    """What tests see of it."""

    url: str  # ws://127.0.0.1:port, for LiveKit clients
    http: str
    control: Relay
    door: OpenDoor
    listener: Recorder

    @property
    def events(self) -> list[tuple[Any, ...]]:
        return self.listener.events

    def token(self, identity: str, room: str, *, lifetime: float = 600.0, **grants: Any) -> str:
        """An access token; `grants` are fields of `Grants`."""
        values: dict[str, Any] = {"room_join": True, "name": identity.title(), **grants}
        return tokens.mint(
            Grants(API_KEY, identity, room=room, **values), API_SECRET, now=time.time(), lifetime=lifetime
        )

    async def cut(self, room: str, identity: str) -> None:
        """Break somebody's signalling connection, as a network does."""
        outbox = self.control.registry.get(room).member(identity)._outbox
        assert outbox is not None
        outbox._abort()

    async def until(self, condition: Any, what: str, *, seconds: float = 15.0) -> Any:
        return await until(condition, what, seconds=seconds)


async def until(condition: Any, what: str, *, seconds: float = 15.0) -> Any:
    """Wait for `condition()` to be true and return it; fails the test with `what` if it never is."""
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        value = condition()
        if value:
            return value
        await asyncio.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


@asynccontextmanager
async def running_relay(
    *,
    static: Mapping[str, Path] | None = None,
    at: str = "127.0.0.1",
    network: AbstractContextManager[None] | None = None,
    **settings: Any,
) -> AsyncIterator[RunningRelay]:
    """Start a relay; `settings` are those of `RelaySettings`, `static` folders to serve, by prefix.

    `at` is where its web server listens; its sockets are opened inside `network`.
    """
    tasks = Supervisor()
    values: dict[str, Any] = {
        "host": at,
        "udp_port": 0,
        "tcp_port": 0,
        "api_keys": {API_KEY: API_SECRET},
        **settings,
    }
    relay = Relay(RelaySettings(**values), clock=SystemClock(), tasks=tasks)
    admission, listener = OpenDoor(), Recorder()
    relay.plug(admission=admission, listener=listener)
    app = web.Application()
    relay.mount(app)
    app.router.add_get("/", _alive)
    for prefix, folder in (static or {}).items():
        app.router.add_static(prefix, folder)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, max_line_size=REQUEST_LINE)
    await runner.setup()
    assert runner.server is not None
    door = Door(runner.server)
    with network or nullcontext():
        family = socket.AF_INET6 if ":" in at else socket.AF_INET
        listening = socket.create_server((at, 0), family=family, backlog=BACKLOG)
        await door.open([listening], BACKLOG)
        await relay.start()
    where = f"{f'[{at}]' if ':' in at else at}:{port_of(listening)}"
    try:
        yield RunningRelay(f"ws://{where}", f"http://{where}", relay, admission, listener)
    finally:
        await relay.stop()
        door.close()
        await runner.cleanup()
        await tasks.close()


async def _alive(request: web.Request) -> web.Response:
    return web.Response(text="OK")
