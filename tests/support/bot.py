"""A running bot for tests: the real `appservice.bot.Bot` on a real Synapse, with a command handler that takes notes.

* `start_bot()` starts one on this test's registration; it is stopped after the test. Stop and start it again with the
  same folder to see what a restart does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from appservice.bot import Bot
from appservice.federation.homeservers import Homeservers
from appservice.federation.settings import HomeserverSettings
from appservice.schema import upgrade_table
from appservice.seams import Command, ConsentEvent, MembershipChange, RelayView, RingSignal, RoomChange
from appservice.settings import AppserviceSettings
from palabre.base.clock import SystemClock
from palabre.base.database import open_database
from palabre.base.errors import CallerError
from palabre.base.tasks import Supervisor
from tests.support.synapse import AppserviceSlot


@dataclass
class NotingHandler:
    """Bridge's place: answers every command in its thread, and remembers what it was told."""

    commands: list[Command] = field(default_factory=list)
    changes: list[MembershipChange] = field(default_factory=list)
    consents: list[ConsentEvent] = field(default_factory=list)
    rings: list[RingSignal] = field(default_factory=list)
    room_changes: list[RoomChange] = field(default_factory=list)
    refuse: CallerError | None = None
    bot: Bot | None = None

    async def handle(self, command: Command) -> None:
        self.commands.append(command)
        if self.refuse is not None:
            raise self.refuse
        assert self.bot is not None
        body = f"{command.name}({', '.join(command.arguments)})"
        thread = command.thread or command.event_id
        await self.bot.send_text(command.room_id, body, key=f"{command.event_id}:handled", thread=thread)

    async def consent(self, event: ConsentEvent) -> None:
        self.consents.append(event)
        if self.refuse is not None:
            raise self.refuse

    async def membership_changed(self, change: MembershipChange) -> None:
        self.changes.append(change)

    async def ring_signal(self, signal: RingSignal) -> None:
        self.rings.append(signal)

    async def room_changed(self, change: RoomChange) -> None:
        self.room_changes.append(change)


class RunningBot:
    """A bot with its database and its HTTP server."""

    def __init__(self, settings: AppserviceSettings, folder: Path, port: int, database_url: str = "") -> None:
        self.settings = settings
        self.handler = NotingHandler()
        self._database_url = database_url or f"sqlite:///{folder}/bot.db"
        self._port = port
        self.homeserver_settings: dict[str, Any] = {}
        self.relay: RelayView | None = None

    async def start(self) -> None:
        self.tasks = Supervisor()
        self._pool, (self.database,) = await open_database(self._database_url, [upgrade_table])
        known = HomeserverSettings(own=self.settings.server_name, **self.homeserver_settings)
        self.homeservers = Homeservers(known, self.database, SystemClock())
        self.bot = Bot(self.settings, self.database, self.homeservers, clock=SystemClock(), tasks=self.tasks)
        self.handler.bot = self.bot
        self.bot.plug(self.handler, self.relay)
        app = web.Application()
        app.add_subapp("/_matrix/app", self.bot.app())
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        await self.bot.start()

    async def stop(self) -> None:
        await self._runner.cleanup()
        await self.bot.stop()
        await self.tasks.close()
        await self._pool.stop()

    async def settled(self) -> None:
        """Wait until every event that came is done with."""
        while await self.bot.waiting():  # noqa: ASYNC110  the inbox is a table
            await asyncio.sleep(0.02)


def bot_settings(slot: AppserviceSlot, **options: Any) -> AppserviceSettings:
    """Settings that fit a registration of the shared homeserver; English, so that tests read sentences."""
    defaults: dict[str, Any] = {
        "homeserver_url": slot.homeserver_url,
        "server_name": slot.server_name,
        "listen_url": slot.url,
        "id": slot.id,
        "as_token": slot.as_token,
        "hs_token": slot.hs_token,
        "secret": f"secret of {slot.id} for tests only 0123456789",
        "bot_localpart": slot.bot_localpart,
        "prefix": slot.prefix,
        "language": "en",
    }
    return AppserviceSettings(**(defaults | options))


StartBot = Callable[..., Awaitable[RunningBot]]


@pytest.fixture
async def start_bot(appservice_slot: AppserviceSlot, tmp_path: Path) -> AsyncIterator[StartBot]:
    """`await start_bot(language="fr")`: settings by keyword; `database_url` for another one than SQLite, `relay` for
    what the bot is to know of one.
    """
    running: list[RunningBot] = []

    async def start(database_url: str = "", relay: RelayView | None = None, **options: Any) -> RunningBot:
        settings = bot_settings(appservice_slot, **options)
        bot = RunningBot(settings, tmp_path, appservice_slot.port, database_url)
        bot.relay = relay
        await bot.start()
        running.append(bot)
        return bot

    yield start
    await asyncio.gather(*(bot.stop() for bot in running))
