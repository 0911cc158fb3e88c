"""The recorder's process as the service sees it: a pipe to it that never holds up a call, and what it says.

Concurrency: used from the event loop. What is sent within one turn of the loop is one write. Packets are dropped and
counted when the process falls behind by `MOST_WAITING`; orders never are.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

import structlog

from bridge.recorder_wire import Report, pack_order, pack_report, pack_rtp
from palabre.base import metrics
from palabre.base.tasks import Supervisor

MOST_WAITING = 8 << 20  # bytes: some seconds of a large call
LINE_LIMIT = 1 << 20  # bytes of what the process says at once
ENDING_SECONDS = 8.0  # it writes what it has and withdraws from calls; then it is killed

log = structlog.get_logger("recorder")
_dropped = metrics.counter("recorder_packets_dropped", "Packets that the recorder's process was too slow for")


Heard = Callable[[str, dict[str, Any]], None]


class Link(Protocol):
    """To one process."""

    def order(self, do: str, fields: Mapping[str, Any]) -> None: ...

    def rtp(self, track: int, arrival: float, packet: bytes) -> None: ...

    def report(self, report: Report) -> None: ...

    async def close(self) -> None:
        """Let it end, and wait for it."""
        ...


class OpenLink(Protocol):
    """`RecorderLink.open`."""

    async def __call__(
        self, start: Mapping[str, Any], tasks: Supervisor, heard: Heard, ended: Callable[[Link], None]
    ) -> Link: ...


class RecorderLink:
    """One process, from its start to its end. `heard` gets its events, `ended` is called once if it ends by itself."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        heard: Heard,
        ended: Callable[[Link], None],
    ) -> None:
        assert process.stdin is not None
        self._process = process
        self._pipe = process.stdin
        self._heard = heard
        self._ended = ended
        self._pending: list[bytes] = []
        self._size = 0
        self._closing = False
        self.alive = True

    @classmethod
    async def open(
        cls,
        start: Mapping[str, Any],
        tasks: Supervisor,
        heard: Heard,
        ended: Callable[[Link], None],
    ) -> RecorderLink:
        """Start a process with its first order, which holds its secrets: they cross its standard input only."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bridge.recorder_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
        )
        link = cls(process, heard, ended)
        tasks.spawn("recorder", link._listen())
        link.order("start", start)
        return link

    def order(self, do: str, fields: Mapping[str, Any]) -> None:
        self._send(pack_order(do, fields))

    def rtp(self, track: int, arrival: float, packet: bytes) -> None:
        if self._size + self._pipe.transport.get_write_buffer_size() > MOST_WAITING:
            _dropped.inc()
        else:
            self._send(pack_rtp(track, arrival, packet))

    def report(self, report: Report) -> None:
        self._send(pack_report(report))

    async def close(self) -> None:
        """Let it end, and wait for it."""
        self._closing = True
        self._flush()
        self._pipe.close()
        try:
            async with asyncio.timeout(ENDING_SECONDS):
                await self._process.wait()
        except TimeoutError:
            log.warning("the recorder's process does not end")
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def _send(self, message: bytes) -> None:
        if not self.alive or self._closing:
            return
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._flush)
        self._pending.append(message)
        self._size += len(message)

    def _flush(self) -> None:
        data, self._pending, self._size = b"".join(self._pending), [], 0
        if data and self.alive and not self._pipe.is_closing():
            self._pipe.write(data)

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message = json.loads(line)
            self._heard(message.pop("event"), message)
        status = await self._process.wait()
        self.alive = False
        if not self._closing:
            log.error("the recorder's process ended", status=status)
            self._ended(self)
