"""One UDP socket and one TCP listener for every peer: what arrives goes to the agent whose check proved its address.

STUN is told by its first byte and belongs to whoever's ufrag it names; everything else (RFC 7983) is accepted only from
an address or connection on which that agent has answered a check. The rest is dropped, counted and never answered.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from media.relay.plane.api import MediaLine
from media.relay.transport import stun
from media.relay.transport.address import SocketAddress, family_of, plain_address
from media.relay.transport.ice import Path
from media.relay.transport.interfaces import addresses_for
from media.relay.transport.limiter import FailureLimiter
from media.relay.transport.tcp import TcpPath, TcpPaths
from palabre.base.clock import Clock

log = structlog.get_logger("relay.transport")

SOCKET_BUFFER = 4 << 20  # bytes: 100 ms of 300 Mbit/s, for bursts of key frames to many
DATAGRAM = 2048  # bytes: above every path MTU that WebRTC uses
BATCH = 64  # datagrams per wake-up, then others on the loop have their turn
EXPIRY_INTERVAL = 1.0  # seconds between two looks for consent that has run out
ADDRESSES_AGE = 30.0  # seconds for which the machine's own addresses are believed: a notebook changes its network
_UDP_PRIORITY = 2_130_706_431  # RFC 8445 section 5.1.2.1 for a host candidate
_TCP_PRIORITY = 1_671_430_143  # lower, so that UDP is preferred where it works


@dataclass(frozen=True)
class PortSettings:
    """Where to listen; 0 takes any free port. `advertised` are the IP addresses in candidates, by default `host` or all
    that it stands for."""

    host: str
    udp_port: int
    tcp_port: int
    advertised: tuple[str, ...] = ()


class Endpoint(Protocol):
    """The side of a peer that the ports know."""

    @property
    def session(self) -> int: ...

    def check(self, datagram: bytes, ufrag: str, path: Path, now: float) -> bytes:
        """Answer an ICE check, or raise `stun.StunError`."""
        ...

    def receive(self, datagram: bytes, now: float) -> None:
        """A datagram that is not STUN, from a proved path; never empty."""
        ...

    def holds(self, path: Path, now: float) -> bool:
        """Whether the path is in use by this peer, so that no other may claim it."""
        ...

    def path_closed(self, path: Path) -> None: ...

    def look(self, now: float) -> None:
        """Called every second, to see whether consent has run out."""
        ...


class UdpPath:
    """A peer's UDP address, seen from our socket. Equal when the address is."""

    __slots__ = ("_drop", "_socket", "address", "key")

    def __init__(self, udp: socket.socket, key: SocketAddress, drop: Callable[[str], None]) -> None:
        self._socket, self.key, self._drop = udp, key, drop
        self.address = plain_address(key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UdpPath) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    def send(self, datagram: bytes) -> None:
        try:
            self._socket.sendto(datagram, self.key)
        except OSError:  # full buffer or a route that vanished: a lost datagram like any other
            self._drop("udp_send")

    def close(self) -> None:
        """Nothing to close: the socket is everybody's."""


class MediaPorts:
    """The ports of one relay.

    Concurrency: everything runs on the loop that called `start`. `_by_ufrag` says who may be meant by a check,
    `_by_address` whose an address is since its check was answered; endpoints are added and removed by their peers. A
    packet path with a line reads the UDP socket on its own thread, and leaves here what is not media of a session.
    """

    def __init__(self, settings: PortSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._by_ufrag: dict[str, Endpoint] = {}
        self._by_address: dict[SocketAddress, Endpoint] = {}
        self._by_session: dict[int, Endpoint] = {}
        self._selected: dict[int, Path] = {}
        self._drops: Counter[str] = Counter()
        self._failures = FailureLimiter()
        self._sessions = 0
        self._udp: socket.socket | None = None
        self._line: MediaLine | None = None
        self._ready = -1  # the line's descriptor
        self._tcp = TcpPaths(self._tcp_stun, self._from_tcp, self._tcp_closed, self.drop, clock)
        self._own: tuple[str, ...] = ()
        self._own_at = float("-inf")
        self._external = ""  # where the world sees us
        self._timer: asyncio.TimerHandle | None = None
        self.udp_port = self.tcp_port = 0

    def use(self, line: MediaLine) -> None:
        """Let the packet path move media itself. Before `start`."""
        self._line = line

    async def start(self) -> None:
        """Open both ports. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        family = family_of(self._settings.host)
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.setblocking(False)
        if family == socket.AF_INET6:  # "::" is everybody, whatever the machine's default
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            udp.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        try:
            udp.bind((self._settings.host, self._settings.udp_port))
            self.tcp_port = await self._tcp.start(self._settings.host, self._settings.tcp_port)
        except OSError:
            udp.close()
            raise
        self._udp, self.udp_port = udp, udp.getsockname()[1]
        granted = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # Linux reports twice what it grants
        if granted < SOCKET_BUFFER:
            log.info(
                "UDP buffers are small: raise net.core.rmem_max and wmem_max", granted=granted, wanted=SOCKET_BUFFER
            )
        if self._line is None:
            loop.add_reader(udp.fileno(), self._readable)
        else:
            self._ready = self._line.open(udp.fileno(), self._stranger)
            loop.add_reader(self._ready, self._line.hand_over)
        self._timer = loop.call_later(EXPIRY_INTERVAL, self._look)

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._udp is not None:
            if self._line is None:
                asyncio.get_running_loop().remove_reader(self._udp.fileno())
            else:
                asyncio.get_running_loop().remove_reader(self._ready)
                self._line.close()
            self._udp.close()
            self._udp = None
        await self._tcp.stop()

    def seen_at(self, address: str) -> None:
        """The world sees us at this address from now on."""
        self._external = address

    def candidates(self) -> tuple[str, ...]:
        """Candidate attributes for our SDP, without `a=` (RFC 8839, RFC 6544)."""
        lines = []
        for index, address in enumerate(self._addresses()):
            udp = f"udp {_UDP_PRIORITY - index} {address} {self.udp_port} typ host"
            tcp = f"tcp {_TCP_PRIORITY - index} {address} {self.tcp_port} typ host tcptype passive"
            lines += [f"candidate:{index * 2 + 1} 1 {udp}", f"candidate:{index * 2 + 2} 1 {tcp}"]
        return tuple(lines)

    def _addresses(self) -> tuple[str, ...]:
        """What clients are told: `advertised`, else the address the world sees and those that we listen on."""
        if self._settings.advertised:
            return self._settings.advertised
        now = self._clock.monotonic()
        if now - self._own_at > ADDRESSES_AGE:
            self._own, self._own_at = addresses_for(self._settings.host), now
        own = tuple(address for address in self._own if address != self._external)
        return (self._external, *own) if self._external else own

    def send(self, session: int, datagram: bytes) -> None:
        """Send on the session's selected path; the plane's `Output`. Dropped while there is none."""
        path = self._selected.get(session)
        if path is None:
            self.drop("no_path")
        else:
            path.send(datagram)

    def drops(self) -> Mapping[str, int]:
        """What was dropped, by reason."""
        return self._drops

    def drop(self, reason: str) -> None:
        self._drops[reason] += 1

    # -- endpoints

    def next_session(self) -> int:
        self._sessions += 1
        return self._sessions

    def add(self, endpoint: Endpoint, ufrag: str) -> None:
        """From now on checks for `ufrag` are its."""
        self._by_ufrag[ufrag] = endpoint
        self._by_session[endpoint.session] = endpoint

    def remove_ufrag(self, ufrag: str) -> None:
        self._by_ufrag.pop(ufrag, None)

    def select(self, endpoint: Endpoint, path: Path | None) -> None:
        """What `send` uses for this endpoint."""
        if self._line is not None and self._selected.get(endpoint.session) != path:
            self._line.send_to(endpoint.session, path.key if isinstance(path, UdpPath) else None)
        if path is None:
            self._selected.pop(endpoint.session, None)
        else:
            self._selected[endpoint.session] = path

    def remove_path(self, endpoint: Endpoint, path: Path) -> None:
        if isinstance(path, UdpPath) and self._by_address.get(path.key) is endpoint:
            del self._by_address[path.key]
            if self._line is not None:
                self._line.refuse(path.key)
        path.close()

    def remove(self, endpoint: Endpoint, ufrags: tuple[str, ...], paths: tuple[Path, ...]) -> None:
        """The peer is gone."""
        for ufrag in ufrags:
            self.remove_ufrag(ufrag)
        for path in paths:
            self.remove_path(endpoint, path)
        self._selected.pop(endpoint.session, None)
        self._by_session.pop(endpoint.session, None)

    # -- arrivals

    def _readable(self) -> None:
        udp = self._udp
        if udp is None:
            return
        now = self._clock.monotonic()
        for _ in range(BATCH):
            try:
                datagram, address = udp.recvfrom(DATAGRAM)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier send, told here by the kernel
                continue
            self._arrived(datagram, address, now)

    def _stranger(self, datagram: bytes, address: SocketAddress) -> None:
        """What the line leaves to others."""
        self._arrived(datagram, address, self._clock.monotonic())

    def _arrived(self, datagram: bytes, address: SocketAddress, now: float) -> None:
        if self._udp is None:
            return
        if not datagram:
            self.drop("empty")
        elif datagram[0] < 4:
            self._stun(datagram, UdpPath(self._udp, address, self.drop), self._by_address.get(address), now)
        elif (endpoint := self._by_address.get(address)) is not None:
            endpoint.receive(datagram, now)
        else:
            self.drop("unknown_address")

    def _stun(self, datagram: bytes, path: Path, holder: Endpoint | None, now: float) -> Endpoint | None:
        """Answer a check; the endpoint whose it was, or None when it was dropped. `holder`: whose the path was."""
        host = path.address[0]
        if holder is None and self._failures.blocked(host, now):
            self.drop("stun_limited")
            return None
        try:
            ufrag = stun.local_ufrag(datagram)
            endpoint = self._by_ufrag.get(ufrag)
            if endpoint is None:
                self.drop("unknown_ufrag")
                self._failures.failed(host)
                return None
            if holder is not None and holder is not endpoint and holder.holds(path, now):
                self.drop("address_in_use")
                return None
            answer = endpoint.check(datagram, ufrag, path, now)
        except stun.StunError:
            self.drop("stun")
            self._failures.failed(host)
            return None
        if holder is not None and holder is not endpoint:
            holder.path_closed(path)
        if isinstance(path, UdpPath):
            if self._line is not None and holder is not endpoint:
                self._line.accept(path.key, endpoint.session)
            self._by_address[path.key] = endpoint
        path.send(answer)
        return endpoint

    def _tcp_stun(self, datagram: bytes, path: TcpPath, holder: Endpoint | None) -> Endpoint | None:
        return self._stun(datagram, path, holder, self._clock.monotonic())

    def _from_tcp(self, endpoint: Endpoint, datagram: bytes) -> None:
        endpoint.receive(datagram, self._clock.monotonic())

    def _tcp_closed(self, endpoint: Endpoint, path: TcpPath) -> None:
        endpoint.path_closed(path)

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(EXPIRY_INTERVAL, self._look)  # first: observers may raise
        now = self._clock.monotonic()
        for endpoint in list(self._by_session.values()):
            endpoint.look(now)
