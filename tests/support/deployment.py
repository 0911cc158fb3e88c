"""A whole Palabre on the shared homeserver, as a process of its own that tests may kill, or inside the test's loop.

* `deployment`: settings for this test alone; `await deployment.start()` runs `palabre serve --dev`, `kill()` is
  `kill -9`, and both may be repeated on the same data. Its log stands in the report of a failed test.
* `new_deployment`: the same on a homeserver of the test's own.
* `people`: matrix-nio users in one encrypted room with the bot, see `Room`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from media.speech.models import default_cache
from palabre.demo.door import Door
from palabre.demo.homeserver import Homeserver, free_port
from palabre.demo.matrix_user import Message
from palabre.initialise import InitialFacts, initial_document
from tests.support.matrix_client import MakeUser
from tests.support.synapse import AppserviceSlot

START_SECONDS = 60.0
STOP_SECONDS = 10.0
LOG_LINES = 80
# What systemd does before it starts a service that has a socket unit: sd_listen_fds(3).
HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""
GUEST = {"camille": {"password": "palabre", "display_name": "Camille"}}

_running: list[Deployment] = []


@dataclass
class Deployment:
    """`settings` may be changed before `start`."""

    homeserver: Homeserver
    slot: AppserviceSlot
    folder: Path
    settings: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)
    held: socket.socket | None = None
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return self.slot.url

    @property
    def bot(self) -> str:
        return f"@{self.slot.bot_localpart}:{self.slot.server_name}"

    @property
    def data(self) -> Path:
        return Path(self.settings["data_directory"])

    @property
    def log(self) -> Path:
        return self.folder / "palabre.log"

    def hold_port(self) -> None:
        """As systemd's socket unit does: the public port stays open while the service is down, and is handed over."""
        self.held = socket.create_server(("127.0.0.1", self.slot.port), backlog=128)

    async def start(self, *, wait: bool = True) -> None:
        config = self.folder / "palabre.yaml"
        config.write_text(yaml.safe_dump(self.settings))
        command = [sys.executable, "-m", "palabre.cli", "serve", "--dev", "--config", str(config)]
        held = [] if self.held is None else [self.held.fileno()]
        if held:
            command = [sys.executable, "-c", HAND_OVER, str(held[0]), *command]
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *command,
                pass_fds=held,
                stdout=output,
                stderr=output,
                env={**_environment(), "PYTHONUNBUFFERED": "1", **self.environment},
            )
        if wait:
            await self.ready()

    async def ready(self) -> None:
        url = f"http://127.0.0.1:{self.settings['monitoring']['port']}/ready"
        async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession() as http:
            while True:
                assert self.process is not None
                assert self.process.returncode is None, f"palabre ended\n{self.log_tail()}"
                with suppress(aiohttp.ClientError):
                    async with http.get(url) as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """As a machine that loses its power: nothing is closed."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def _end(self, number: int) -> None:
        process, self.process = self.process, None
        if process is None or process.returncode is not None:
            return
        for patience in (0.5, STOP_SECONDS):  # the second SIGTERM ends calls that still run
            with suppress(ProcessLookupError):
                process.send_signal(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await process.wait()
                    return
        process.kill()
        await process.wait()

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]) if self.log.exists() else ""


def _environment() -> dict[str, str]:
    """This process's, without what is set for the tests: `palabre serve` refuses what it doesn't know."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PALABRE_")}


def make_deployment(homeserver: Homeserver, slot: AppserviceSlot, folder: Path) -> Deployment:
    facts = InitialFacts(slot.server_name, slot.homeserver_url, slot.url, folder / "palabre", language="en")
    settings = initial_document(facts)
    settings["secrets"] |= {"as_token": slot.as_token, "hs_token": slot.hs_token}
    settings |= {
        "listen": {"host": "127.0.0.1", "port": slot.port},
        "monitoring": {"host": "127.0.0.1", "port": free_port()},
        "media": {"host": "127.0.0.1", "udp_port": 0, "tcp_port": 0, "advertised": ["127.0.0.1"]},
        "log": {"level": "info", "format": "text"},
        "appservice": {"id": slot.id, "bot_localpart": slot.bot_localpart, "prefix": slot.prefix},
        "bridge": {"openid": {"allow_private": True}},
        "web": {"dev_users": dict(GUEST)},
        "speech": {"model_cache": str(default_cache())},
    }
    return Deployment(homeserver, slot, folder, settings)


@pytest.fixture
async def new_deployment(tmp_path: Path) -> AsyncIterator[Callable[[Homeserver, AppserviceSlot], Deployment]]:
    """`new_deployment(homeserver, slot)`, not yet started, stopped after the test; the homeserver knows the slot."""
    made: list[Deployment] = []

    def make(homeserver: Homeserver, slot: AppserviceSlot) -> Deployment:
        folder = tmp_path / slot.id
        folder.mkdir(exist_ok=True)
        made.append(make_deployment(homeserver, slot, folder))
        _running.append(made[-1])
        return made[-1]

    yield make
    for one in made:
        _running.remove(one)
        await one.stop()
        if one.held is not None:
            one.held.close()


@pytest.fixture
def deployment(
    homeserver: Homeserver,
    appservice_slot: AppserviceSlot,
    new_deployment: Callable[[Homeserver, AppserviceSlot], Deployment],
) -> Deployment:
    return new_deployment(homeserver, appservice_slot)


@dataclass
class Room:
    """An encrypted room with the bot and some people in it."""

    deployment: Deployment
    room_id: str
    people: dict[str, Any]  # MatrixUser by name
    doors: list[Door] = field(default_factory=list)

    async def command(self, who: str, text: str, *, thread: str | None = None) -> str:
        """`!palabre …` as they write it; the event's id."""
        return str(await self.people[who].send(self.room_id, f"!palabre {text}", thread=thread))

    async def hears(self, who: str, wanted: Callable[[Message], bool], *, patience: float = 30.0) -> Message:
        """A message of the bot that `who` could decrypt."""

        def fits(message: Message) -> bool:
            return message.sender == self.deployment.bot and message.readable and wanted(message)

        message: Message = await self.people[who].expect(self.room_id, fits, patience=patience)
        return message

    async def door(self, who: str) -> Door:
        """Their session with the API, by a Matrix OpenID token."""
        door = Door(self.deployment.url)
        self.doors.append(door)
        await door.show_matrix_token(self.people[who], self.room_id)
        return door

    def said(self, who: str) -> list[Message]:
        """What the bot said in the room, as `who` decrypted it."""
        messages = self.people[who].messages(self.room_id)
        return [m for m in messages if m.sender == self.deployment.bot and m.type == "m.room.message"]


@pytest.fixture
async def make_room(deployment: Deployment, matrix_user: MakeUser) -> AsyncIterator[Callable[..., Any]]:
    """`room = await make_room("alice", "bob")`: the first made it; the deployment must be running."""
    rooms: list[Room] = []

    async def make(*names: str) -> Room:
        users = {name: await matrix_user(name) for name in names}
        first, *others = users.values()
        invite = [deployment.bot, *(user.user_id for user in others)]
        room_id = await first.create_room("Budget", invite=invite)
        for user in others:
            await user.join(room_id)
        room = Room(deployment, room_id, users)
        await room.hears(names[0], lambda message: message.type == "m.room.message")  # the bot introduces itself
        rooms.append(room)
        return room

    yield make
    for room in rooms:
        for door in room.doors:
            await door.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and "new_deployment" in getattr(item, "fixturenames", ()):
        for one in _running:
            report.sections.append((f"palabre serve on {one.homeserver.server_name}", one.log_tail()))
    return report
