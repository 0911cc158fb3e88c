"""The composition root: builds every part, ties them together, runs until told to stop.

Order matters and is written once, in `Service.start`: what people reach is opened last and closed first. Nothing here
decides anything; it only knows who needs whom.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket

import structlog
from aiohttp import web as http_server

import appservice.schema
import bridge.schema
from appservice.bot import Bot
from appservice.federation.homeservers import Homeservers
from appservice.federation.opening import open_federation
from bridge.service import BridgeService
from media.relay.relay import Relay
from media.relay.service import REQUEST_LINE
from palabre import __version__
from palabre.base.clock import Clock, SystemClock
from palabre.base.database import Database, open_database
from palabre.base.http import OutboundHttp
from palabre.base.tasks import Supervisor
from palabre.doctor import examine_disk
from palabre.door import Door, allow_descriptors
from palabre.health import Check, Finding, HealthServer, LoopWatch
from palabre.listening import BACKLOG, port_of
from palabre.packages import (
    appservice_settings,
    bridge_settings,
    homeserver_settings,
    relay_settings,
    speech_finding,
    web_settings,
)
from palabre.settings import Settings
from web.app import mount

log = structlog.get_logger("service")

DRAIN_SECONDS = 4 * 3600.0  # a long meeting; systemd's TimeoutStopSec decides earlier where it is set
DRAIN_LOOK = 1.0  # seconds between two looks whether calls still run


class Service:
    """One running Palabre. Owned by `run`; every part is used from the event loop that started it."""

    def __init__(self, settings: Settings, sockets: tuple[socket.socket, ...], *, dev: bool, clock: Clock) -> None:
        """`sockets`: the public port, listening already (`palabre.listening`)."""
        self._settings = settings
        self._sockets = sockets
        self._dev = dev
        self._clock = clock
        self._tasks = Supervisor()
        self._watch = LoopWatch(clock)
        self.health: HealthServer
        self.relay: Relay
        self.bot: Bot
        self.bridge: BridgeService
        self.homeservers: Homeservers
        self.port = 0
        self._pool: Database
        self._http: OutboundHttp
        self._runner: http_server.AppRunner | None = None
        self._door: Door | None = None

    async def start(self) -> None:
        """Open the database, then the parts from the bottom up, then the ports.

        Raises `SettingsError` and `appservice.errors.StartError` for the operator. Waits for a homeserver that is away.
        """
        settings = self._settings
        allow_descriptors()
        settings.data_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._pool, (matrix_tables, bridge_tables) = await open_database(
            settings.database_url, [appservice.schema.upgrade_table, bridge.schema.upgrade_table]
        )
        try:
            await self._start_parts(matrix_tables, bridge_tables)
        except BaseException:
            await self._tasks.close()
            await self._pool.stop()  # its thread would keep the process alive
            raise

    async def _start_parts(self, matrix_tables: Database, bridge_tables: Database) -> None:
        settings = self._settings
        bridging = bridge_settings(settings)
        trusted = [str(api.url) for api in bridging.focus.given_apis]
        federation = open_federation(homeserver_settings(settings), matrix_tables, self._clock, trusted=trusted)
        self._http, self.homeservers = federation.http, federation.homeservers
        self.relay = Relay(relay_settings(settings), clock=self._clock, tasks=self._tasks)
        self.bot = Bot(
            appservice_settings(settings), matrix_tables, self.homeservers, clock=self._clock, tasks=self._tasks
        )
        self.bridge = BridgeService(
            bridging,
            bridge_tables,
            self.bot,
            self.relay,
            federation=federation,
            clock=self._clock,
            tasks=self._tasks,
        )
        self.homeservers.listener = self.bridge.homeserver_listener
        self.relay.plug(admission=self.bridge.admission, listener=self.bridge.listener, egress=self.bridge.egress)
        self.bot.plug(self.bridge.commands, self.bridge.relay_view)
        self.health = HealthServer(self._watch, self._checks())
        await self.relay.start()
        await self._open_port()
        try:
            await self.bot.start()
        except BaseException:
            await self.bot.stop()
            raise
        await self.bridge.start()
        self._tasks.spawn("event loop watch", self._watch.run())
        self._tasks.spawn("homeserver decisions", self.homeservers.watch())
        self._tasks.spawn("homeserver checks", federation.watch.run())
        await self.health.start(settings.monitoring.host, settings.monitoring.port)
        log.info("ready", version=__version__, port=self.port, monitoring=self.health.port)

    async def _open_port(self) -> None:
        """One public port: the bot's, the relay's and the page's applications side by side."""
        root = http_server.Application()
        root.add_subapp("/_matrix/app", self.bot.app())
        self.relay.mount(root)
        mount(root, web_settings(self._settings), self.bridge, self._clock, dev=self._dev, version=__version__)
        self._runner = http_server.AppRunner(root, access_log=None, max_line_size=REQUEST_LINE)
        await self._runner.setup()
        assert self._runner.server is not None
        self._door = Door(self._runner.server)
        await self._door.open(self._sockets, BACKLOG)
        self.port = port_of(self._sockets[0])

    async def stop(self) -> None:
        """Close from the top down; what was promised is already in the database."""
        self.health.draining = True
        await self.bridge.close()
        await self.bot.stop()
        await self.relay.stop()
        if self._door is not None:
            self._door.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._tasks.close()
        await self._http.close()
        await self.health.stop()
        await self._pool.stop()

    def _checks(self) -> dict[str, Check]:
        async def database() -> Finding:
            await self._pool.fetchval("SELECT 1")
            return Finding(True, "The database answers.")

        async def homeserver() -> Finding:
            return Finding(
                self.bot.connected,
                "The bot's /sync with the homeserver is running."
                if self.bot.connected
                else "The homeserver does not answer the bot's /sync: see `palabre doctor`.",
            )

        async def disk() -> Finding:
            folder = self._settings.data_directory
            return examine_disk(folder, (await asyncio.to_thread(shutil.disk_usage, folder)).free)

        return {"database": database, "homeserver": homeserver, "disk": disk}


async def run(settings: Settings, sockets: tuple[socket.socket, ...], *, dev: bool) -> None:
    """Serve until SIGTERM or SIGINT. The first waits for running calls to end, the second ends them."""
    service = Service(settings, sockets, dev=dev, clock=SystemClock())
    signals: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    if not await _started(service, signals):
        return
    finding = await asyncio.to_thread(speech_finding, settings)
    log.info("speech", available=finding.ok, message=finding.sentence)
    await signals.get()
    service.health.draining = True
    calls = len(service.relay.rooms())
    if calls:
        log.info("draining: waiting for calls to end; signal again to end them", calls=calls)
        await _drained(service, signals)
    await service.stop()
    log.info("stopped")


async def _started(service: Service, signals: asyncio.Queue[int]) -> bool:
    """False when a signal came first: a start waits for a homeserver that is away."""
    starting = asyncio.ensure_future(service.start())
    told = asyncio.ensure_future(signals.get())
    await asyncio.wait({starting, told}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        told.cancel()
        await starting
        return True
    starting.cancel()
    await asyncio.wait({starting})
    return False


async def _drained(service: Service, signals: asyncio.Queue[int]) -> None:
    """Return when no call runs, when told again, or after `DRAIN_SECONDS`."""
    again = asyncio.ensure_future(signals.get())
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while service.relay.rooms() and not again.done():
                await asyncio.wait([again], timeout=DRAIN_LOOK)
    except TimeoutError:
        log.warning("calls outlasted the drain", seconds=DRAIN_SECONDS)
    finally:
        again.cancel()
