"""The door of the public port: connections wait here, not in the web server, until they have asked for something.

A connection that says nothing costs a descriptor, and there are not many. So one has a few seconds to send the head of
its first request, and when too many of one address wait, the one that has waited longest goes: an honest request comes
at once, whoever else stands at the door. Whoever has asked is the web server's; a proxy before us never waits here.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import cast

from palabre.base import metrics

PATIENCE = 5.0  # seconds for the head of the first request: a phone on a bad line needs one or two
PER_HOST = 64  # that wait from one IP address; of a hundred people behind one, few connect within the same second
WAITING = 1024  # of all addresses; as many as the listening socket's queue holds
# Bytes that are kept of a head that does not end. Longer ones are the web server's to refuse.
HEAD = 64 * 1024
DESCRIPTORS = 65_536  # wanted, where the system lets us: two for each participant, and nothing else comes near
END = b"\r\n\r\n"

_turned_away = metrics.counter("connections_turned_away", "Connections that asked for nothing and were closed", ["why"])


def allow_descriptors(wanted: int = DESCRIPTORS) -> int:
    """Raise this process's limit of open files as far as we may; the limit then. systemd starts with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if limit > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(limit, soft)


class Queue:
    """Who waits at the door, longest first. Pure."""

    def __init__(self, per_host: int = PER_HOST, together: int = WAITING) -> None:
        self._per_host, self._together = per_host, together
        self._hosts: dict[object, str] = {}
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._hosts)

    def __iter__(self) -> Iterator[object]:
        return iter(list(self._hosts))

    def add(self, newcomer: object, host: str) -> object | None:
        """Whoever has to go for it, if anybody."""
        self._hosts[newcomer] = host
        self._counts[host] += 1
        if self._counts[host] > self._per_host:
            return next(each for each, its in self._hosts.items() if its == host)
        if len(self._hosts) > self._together:
            return next(iter(self._hosts))
        return None

    def remove(self, newcomer: object) -> None:
        host = self._hosts.pop(newcomer, None)
        if host is not None:
            self._counts[host] -= 1
            if not self._counts[host]:
                del self._counts[host]


class Newcomer(asyncio.Protocol):
    """One connection until the head of its first request is there; then `serve` makes the protocol that takes over."""

    def __init__(self, serve: Callable[[], asyncio.Protocol], queue: Queue) -> None:
        self._serve, self._queue = serve, queue
        self._head = bytearray()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self.turn_away, "silent")
        peer = transport.get_extra_info("peername")
        longest = self._queue.add(self, peer[0] if isinstance(peer, tuple) else "")
        if isinstance(longest, Newcomer):
            longest.turn_away("crowded")

    def data_received(self, data: bytes) -> None:
        searched = max(0, len(self._head) - len(END) + 1)
        self._head += data
        if self._transport is not None and (self._head.find(END, searched) >= 0 or len(self._head) > HEAD):
            self._enter(self._transport)

    def _enter(self, transport: asyncio.Transport) -> None:
        self._leave_queue()
        server = self._serve()
        transport.set_protocol(server)
        server.connection_made(transport)
        server.data_received(bytes(self._head))

    def connection_lost(self, error: Exception | None) -> None:
        self._leave_queue()

    def turn_away(self, why: str) -> None:
        _turned_away.labels(why).inc()
        self._leave_queue()
        if self._transport is not None:
            self._transport.abort()

    def _leave_queue(self) -> None:
        self._queue.remove(self)
        if self._timer is not None:
            self._timer.cancel()


class Door:
    """Of one service. `serve` makes a protocol of the web server's, as aiohttp's `AppRunner.server` does."""

    def __init__(self, serve: Callable[[], asyncio.Protocol]) -> None:
        self._serve = serve
        self._queue = Queue()
        self._servers: list[asyncio.Server] = []

    async def open(self, sockets: Iterable[socket.socket], backlog: int) -> None:
        loop = asyncio.get_running_loop()
        for listening in sockets:
            self._servers.append(await loop.create_server(self._newcomer, sock=listening, backlog=backlog))

    def _newcomer(self) -> Newcomer:
        return Newcomer(self._serve, self._queue)

    def close(self) -> None:
        """Let nobody in any more. Who is in is the web server's to end."""
        for server in self._servers:
            server.close()
        for newcomer in list(self._queue):
            if isinstance(newcomer, Newcomer):
                newcomer.turn_away("closed")
