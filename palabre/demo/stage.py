"""Puts up what the demo plays on: a folder, a real Synapse and `palabre serve --dev`, each a process of its own."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from appservice.registration import registration
from palabre.demo.homeserver import Homeserver, free_port
from palabre.initialise import InitialFacts, initial_document, write_private
from palabre.packages import appservice_settings
from palabre.settings import load

MARKER = "palabre-demo"  # a file in the folder: only a folder that we made is ever emptied
START_SECONDS = 60.0
STOP_SECONDS = 20.0
SECOND_SIGNAL = 0.5  # seconds after the first; sent at once the two would be one


class StageError(RuntimeError):
    """Something did not start; the message says what and shows the end of its log."""


@dataclass(frozen=True)
class Stage:
    """What is up, and where."""

    folder: Path
    homeserver: Homeserver
    public_url: str
    monitoring_url: str
    log: Path


def own_address() -> str:
    """The address of this machine on its network, or loopback. Asks the routing table; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def empty(folder: Path) -> None:
    """Make `folder` anew. Raises `StageError` rather than delete what is not ours."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise StageError(f"{folder} holds something that is not a demo's: choose another with --folder.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text("Made by `palabre demo`, and emptied when it starts.\n")


def write_files(folder: Path, homeserver: Homeserver, dev_users: dict[str, Any], *, visible: bool) -> Path:
    """Settings for the demo. `visible`: also reachable by this machine's own address, for a browser on it."""
    port = free_port()
    facts = InitialFacts(
        homeserver.server_name, homeserver.url, f"http://127.0.0.1:{port}", folder / "palabre", language="fr"
    )
    # A browser without test switches won't use loopback for media (it never gathers 127.0.0.1), so that people who
    # join get the machine's own address as well.
    addresses = tuple(dict.fromkeys(["127.0.0.1", own_address()])) if visible else ("127.0.0.1",)
    document = initial_document(facts) | {
        "listen": {"host": "127.0.0.1", "port": port},
        "monitoring": {"host": "127.0.0.1", "port": free_port()},
        "media": {
            "host": "0.0.0.0" if visible else "127.0.0.1",  # noqa: S104 - see above
            "udp_port": free_port(),
            "tcp_port": free_port(),
            "advertised": list(addresses),
        },
        "log": {"level": "info", "format": "text"},
        "bridge": {"openid": {"allow_private": True}},
        "web": {"dev_users": dev_users, "frame_ancestors": ["http://127.0.0.1:*", "http://localhost:*"]},
    }
    path = folder / "palabre.yaml"
    write_private(path, yaml.safe_dump(document, sort_keys=False, allow_unicode=True), replace=True)
    return path


@asynccontextmanager
async def put_up(folder: Path, dev_users: dict[str, Any], *, visible: bool) -> AsyncIterator[Stage]:
    """Start everything, and stop it whatever happens. Raises `StageError` or `HomeserverError`."""
    empty(folder)
    homeserver = Homeserver(folder / "synapse")
    config = write_files(folder, homeserver, dev_users, visible=visible)
    settings = load(config, dev=True)
    homeserver.registrations.append(registration(appservice_settings(settings)))
    await asyncio.to_thread(homeserver.start)
    try:
        log = folder / "palabre.log"
        async with _serving(config, log) as process:
            public = str(settings.public_url).rstrip("/")
            monitoring = f"http://127.0.0.1:{settings.monitoring.port}"
            await _ready(process, monitoring, log)
            yield Stage(folder, homeserver, public, monitoring, log)
    finally:
        await asyncio.to_thread(homeserver.stop)


@asynccontextmanager
async def _serving(config: Path, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "palabre.cli", "serve", "--dev", "--config", str(config), stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(SECOND_SIGNAL)
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)  # the second ends calls that still run
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _ready(process: asyncio.subprocess.Process, monitoring: str, log: Path) -> None:
    try:
        async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession() as http:
            while process.returncode is None:
                try:
                    async with http.get(f"{monitoring}/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.1)
    except TimeoutError:
        pass
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
    raise StageError(f"Palabre did not become ready. The end of its log:\n{tail}")
