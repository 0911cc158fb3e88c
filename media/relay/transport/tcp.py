"""ICE over TCP: one listener, framed datagrams, one path per connection (RFC 6544 passive, RFC 4571 framing)."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

from media.relay.transport.address import family_of, plain_address
from media.relay.transport.backlog import Backlog
from palabre.base.clock import Clock

MAX_CONNECTIONS = 4096  # for a machine of a few hundred participants; far below the usual limit on open files
MAX_PER_HOST = 256  # connections from one IP address: a hundred people behind one NAT, with two connections each
UNPROVED_SECONDS = 5.0  # a connection without an answered check by then is not one of ours: browsers check at once
MAX_FAILED_CHECKS = 16  # on a connection without a good one: a few may name a session that has just restarted
# Bytes that have left us and not yet the machine: what waits there can't be dropped any more. The kernel alone would
# let 4 MB wait.
UNSENT = 32 << 10
MAX_FRAME = 2048  # bytes: as large as a datagram may be


class FrameError(ValueError):
    """A frame longer than any datagram that WebRTC sends."""


class FrameReader:
    """Cuts a stream into RFC 4571 frames: two bytes of length, then the datagram."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive(self, data: bytes) -> list[bytes]:
        """The frames that are whole now. Raises `FrameError`. Holds at most one frame."""
        self._buffer += data
        frames = []
        position = 0
        while position + 2 <= len(self._buffer):
            length = self._buffer[position] << 8 | self._buffer[position + 1]
            if length > MAX_FRAME:
                raise FrameError(f"a frame of {length} bytes")
            if position + 2 + length > len(self._buffer):
                break
            frames.append(bytes(self._buffer[position + 2 : position + 2 + length]))
            position += 2 + length
        del self._buffer[:position]
        return frames


def frame(datagram: bytes) -> bytes:
    return len(datagram).to_bytes(2, "big") + datagram


class TcpPath:
    """A connection; its peer's address is what a check is answered with. What it can't take now waits in a backlog."""

    def __init__(
        self, transport: asyncio.Transport, address: tuple[str, int], clock: Clock, drop: Callable[[str], None]
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._drop = drop
        self._backlog = Backlog()
        self._full = False  # the transport holds enough
        self.address = address
        transport.set_write_buffer_limits(high=UNSENT, low=UNSENT // 2)
        own: socket.socket | None = transport.get_extra_info("socket")
        if own is not None:
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)

    def send(self, datagram: bytes) -> None:
        if self._transport.is_closing():
            return
        if self._full:
            self._backlog.push(datagram, self._clock.monotonic())
            self._count_drops()
        else:
            self._transport.write(frame(datagram))

    def pause(self) -> None:
        """The transport has enough to do."""
        self._full = True

    def resume(self) -> None:
        """The transport takes more: what waited and still matters."""
        self._full = False
        now = self._clock.monotonic()
        while not self._full and (datagram := self._backlog.pop(now)) is not None:
            self._transport.write(frame(datagram))
        self._count_drops()

    def _count_drops(self) -> None:
        for _ in range(self._backlog.dropped):
            self._drop("tcp_slow")
        self._backlog.dropped = 0

    def close(self) -> None:
        self._transport.close()


class _Connection(asyncio.Protocol):
    def __init__(self, paths: TcpPaths) -> None:
        self._paths = paths
        self._reader = FrameReader()
        self._endpoint: Any = None
        self._path: TcpPath | None = None
        self._transport: asyncio.Transport
        self._deadline: asyncio.TimerHandle | None = None
        self._failed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        if peer is None:  # gone again
            transport.abort()
            return
        address = plain_address(peer)
        if not self._paths.admit(self, address[0]):
            transport.abort()
            return
        self._path = TcpPath(transport, address, self._paths.clock, self._paths.drop)
        self._deadline = asyncio.get_running_loop().call_later(UNPROVED_SECONDS, self._give_up)

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._reader.receive(data)
        except FrameError:
            self._paths.drop("tcp_frame")
            self._transport.abort()
            return
        for datagram in frames:
            if self._path is None or self._transport.is_closing():
                return
            self._datagram(datagram, self._path)

    def _datagram(self, datagram: bytes, path: TcpPath) -> None:
        if not datagram:
            self._paths.drop("empty")
        elif datagram[0] < 4:
            self._check(datagram, path)
            return
        elif self._endpoint is not None:
            self._paths.datagram(self._endpoint, datagram)
            return
        else:
            self._paths.drop("unknown_address")
        if self._endpoint is None:  # whoever comes to us begins with a check, RFC 6544 section 5.2
            self._transport.abort()

    def _check(self, datagram: bytes, path: TcpPath) -> None:
        proved = self._paths.stun(datagram, path, self._endpoint)
        if proved is not None:
            self._endpoint = proved
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
        elif self._endpoint is None:
            self._failed += 1
            if self._failed >= MAX_FAILED_CHECKS:
                self._give_up()

    def _give_up(self) -> None:
        self._paths.drop("tcp_unproved")
        self._transport.abort()

    def pause_writing(self) -> None:
        if self._path is not None:
            self._path.pause()

    def resume_writing(self) -> None:
        if self._path is not None:
            self._path.resume()

    def connection_lost(self, _error: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if self._path is None:
            return
        self._paths.leave(self, self._path.address[0])
        if self._endpoint is not None:
            self._paths.closed(self._endpoint, self._path)

    def abort(self) -> None:
        self._transport.abort()


class TcpPaths:
    """The listener and its connections. The callbacks are those of `MediaPorts`."""

    def __init__(
        self,
        stun: Callable[[bytes, TcpPath, Any], Any],
        datagram: Callable[[Any, bytes], None],
        closed: Callable[[Any, TcpPath], None],
        drop: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self.stun, self.datagram, self.closed, self.drop, self.clock = stun, datagram, closed, drop, clock
        self._connections: set[_Connection] = set()
        self._hosts: Counter[str] = Counter()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port."""
        # asyncio itself makes IPv6 sockets deaf to IPv4, which "::" is to hear too, as the UDP socket does.
        listener = socket.create_server(
            (host, port),
            family=family_of(host),
            backlog=100,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), sock=listener)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()

    def admit(self, connection: _Connection, host: str) -> bool:
        if len(self._connections) >= MAX_CONNECTIONS or self._hosts[host] >= MAX_PER_HOST:
            self.drop("tcp_full")
            return False
        self._connections.add(connection)
        self._hosts[host] += 1
        return True

    def leave(self, connection: _Connection, host: str) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self._hosts[host] -= 1
            if not self._hosts[host]:
                del self._hosts[host]
