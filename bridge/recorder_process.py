"""`python -m bridge.recorder_process`: records end-to-end encrypted calls, in the one process that has their keys.

It is the recorder's device: it alone has that device's Olm account in memory, takes in the media keys that people's
clients send to it, decrypts the tracks that its service passes on, and writes them into sealed journals. Keys are never
written down, never logged, and never leave this process. What crosses its pipes stands in `bridge.recorder_wire`.

When its service is gone it withdraws from the calls, so that people's clients change keys, and ends: its journals
are whole up to then and not marked as closed. If it is killed itself, nobody puts off its leaves, and they happen.
"""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from aiohttp import ClientSession
from mautrix.api import Method
from mautrix.errors import MatrixError, MNotFound

from appservice.api import HomeserverApi, open_session
from appservice.recorder_client import RecorderClient, StaleDeviceError
from appservice.recorder_device import RecorderDevice
from appservice.recorder_member import delay_path
from appservice.seams import DeviceTrust
from bridge.live_captures import LiveCaptures, Say
from bridge.recorder_wire import Message, Order, Packet, Report, Unpacker
from media.recorder.limits import live_limits
from palabre.base.clock import SystemClock
from palabre.base.log import configure_logs
from palabre.base.sealed import SealedError, read_sealed, write_sealed

READ_BYTES = 256 * 1024
PUT_OFF_SECONDS = 4.0  # between two requests that put a leave off, Element Call's
DELAY_PATIENCE = 3.0  # seconds that such a request may take
COUNT_SECONDS = 5.0  # between two reports of what was counted

log = structlog.get_logger("recorder")


class Leaves:
    """The delayed leaves of the calls we are in: put off while we live, sent at once when our service is gone."""

    def __init__(self, api: HomeserverApi, say: Say) -> None:
        self._api = api
        self._say = say
        self.delays: set[str] = set()

    async def put_off(self) -> None:
        """For ever."""
        while True:
            await asyncio.gather(*(self._restart(delay) for delay in self.delays))
            await asyncio.sleep(PUT_OFF_SECONDS)

    async def _restart(self, delay: str) -> None:
        try:
            await self._ask(delay, "restart")
        except MNotFound:
            if delay in self.delays:
                self.delays.discard(delay)
                self._say("left", {"delay": delay})
        except (MatrixError, TimeoutError) as problem:
            log.warning("a leave could not be put off", problem=type(problem).__name__)

    async def send(self) -> None:
        """Leave all calls now."""
        delays, self.delays = self.delays, set()
        answers = await asyncio.gather(*(self._ask(delay, "send") for delay in delays), return_exceptions=True)
        for problem in answers:
            if isinstance(problem, Exception):  # then it happens when its time has come
                log.warning("a leave could not be sent", problem=type(problem).__name__)

    async def _ask(self, delay: str, what: str) -> None:
        async with asyncio.timeout(DELAY_PATIENCE):
            await self._api.request(Method.POST, delay_path(delay, what), {})


class Device:
    """The recorder's device as it lies on disk, sealed with the secret that the service gave."""

    def __init__(self, path: Path, secret: bytes) -> None:
        self._path = path
        self._secret = secret

    def load(self, user_id: str, device_id: str) -> RecorderDevice:
        """What was stored under these names, or a new one."""
        try:
            device = RecorderDevice.restore(read_sealed(self._path, self._secret), self._secret)
        except FileNotFoundError:
            return RecorderDevice.create(user_id, device_id)
        except (SealedError, ValueError):
            log.warning("the recorder's device cannot be read, making another one")
            return RecorderDevice.create(user_id, device_id)
        same = (device.user_id, device.device_id) == (user_id, device_id)
        return device if same else RecorderDevice.create(user_id, device_id)

    async def store(self, device: RecorderDevice) -> None:
        """On disk, whole or as it was, before this returns."""
        await asyncio.to_thread(self._write, device.store(self._secret))

    def _write(self, content: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        write_sealed(fresh, self._secret, content)
        fresh.replace(self._path)


class Process:
    """Everything in this process, from the first order to the end of standard input."""

    def __init__(self, start: Mapping[str, Any], session: ClientSession, say: Say) -> None:
        self._start = start
        self._say = say
        url, token = start["homeserver_url"], start["token"]
        secret = base64.b64decode(start["secret"])
        self._file = Device(Path(start["device_file"]), secret)
        self._device = self._file.load(start["user_id"], start["device_id"])
        self._captures = LiveCaptures(SystemClock(), say)
        self._client = RecorderClient(
            HomeserverApi(url, token, session),
            self._device,
            store=self._file.store,
            on_key=self._captures.key,
            trusted=frozenset(DeviceTrust(trust) for trust in start["trusted"]),
        )
        self._leaves = Leaves(HomeserverApi(url, token, session, patience=0.0), say)

    async def run(self, messages: AsyncIterator[Message]) -> int:
        """The exit status."""
        tasks = [asyncio.ensure_future(work) for work in (self._be_device(), self._leaves.put_off(), self._count())]
        obeying = asyncio.ensure_future(self._obey(messages))
        done, _ = await asyncio.wait([obeying, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (obeying, *tasks):
            task.cancel()
        await asyncio.gather(self._captures.break_off(), self._leaves.send())
        problem = next((task.exception() for task in done), None)
        if isinstance(problem, StaleDeviceError):
            self._say("stale", {})
        elif problem is not None:
            raise problem
        return 0

    async def _obey(self, messages: AsyncIterator[Message]) -> None:
        async for message in messages:
            if isinstance(message, Packet):
                self._captures.packet(message)
            elif isinstance(message, Report):
                self._captures.report(message)
            elif message.do == "delays":
                self._leaves.delays = set(message.fields["delays"])
            else:
                self._captures.order(message)

    async def _be_device(self) -> None:
        """For ever."""
        await self._client.prepare(self._start["device_name"])
        self._say("ready", {"device_keys": self._device.device_keys()})
        await self._client.run()

    async def _count(self) -> None:
        """For ever. Numbers only: the service has the metrics."""
        told: Counter[str] = Counter()
        while True:
            await asyncio.sleep(COUNT_SECONDS)
            frames, dropped = self._captures.counts(), dict(self._client.dropped - told)
            told = self._client.dropped.copy()
            if frames or dropped:
                self._say("counts", {"frames": frames, "dropped": dropped})


async def read_messages(pipe: asyncio.StreamReader) -> AsyncIterator[Message]:
    """Until the pipe ends."""
    unpacker = Unpacker()
    while data := await pipe.read(READ_BYTES):
        for message in unpacker.feed(data):
            yield message


async def serve() -> int:
    """Until standard input ends; the exit status."""
    pipe = asyncio.StreamReader(limit=READ_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(pipe), sys.stdin)
    messages = read_messages(pipe)
    start = await anext(messages, None)
    if start is None:
        return 0
    assert isinstance(start, Order)
    async with open_session() as session:
        return await Process(start.fields, session, say).run(messages)


def say(event: str, fields: Mapping[str, Any]) -> None:
    """Tell the service. It may be gone: then there is nobody to tell."""
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
        sys.stdout.flush()


def main() -> int:
    configure_logs(json=True)
    live_limits()
    # Terminals and service managers signal the whole group; we end when our service does, after it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    return asyncio.run(serve())


if __name__ == "__main__":
    sys.exit(main())
