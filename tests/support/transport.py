"""The relay's transport layer alone, on free ports, with clients connected to it; what tests of it share."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from media.relay.plane import PythonPlane
from media.relay.transport.dtls import DtlsCertificate
from media.relay.transport.peer import PeerTransport
from media.relay.transport.ports import MediaPorts, PortSettings
from palabre.base.clock import Clock, SystemClock
from palabre.base.tasks import Supervisor
from tests.support.direct_ice import DirectIce
from tests.support.webrtc_peer import WebRtcPeer


@dataclass
class Observer:
    """Writes down what it is told."""

    closed: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)  # on which channel each message came
    opened: list[str] = field(default_factory=list)
    connected: bool = False

    def transport_connected(self) -> None:
        self.connected = True

    def transport_closed(self, reason: str) -> None:
        self.closed.append(reason)

    def channel_opened(self, label: str) -> None:
        self.opened.append(label)

    def channel_message(self, label: str, payload: bytes) -> None:
        self.messages.append(payload)
        self.labels.append(label)


@dataclass
class Line:
    """A client connected to the relay's transport."""

    client: WebRtcPeer
    peer: PeerTransport
    observer: Observer

    async def works(self, text: bytes) -> None:
        """A message still arrives."""
        channel = next(iter(self.client.sctp._data_channels.values()))
        channel.send(text)
        await self.client.wait(lambda: text in self.observer.messages)


@dataclass
class Relay:
    """The transport layer of a relay, with the real packet plane."""

    clock: Clock
    ports: MediaPorts
    plane: PythonPlane
    certificate: DtlsCertificate
    tasks: Supervisor
    lines: list[Line] = field(default_factory=list)

    def peer(self) -> tuple[PeerTransport, Observer]:
        observer = Observer()
        return PeerTransport(self.ports, self.plane, self.certificate, observer, self.clock, self.tasks), observer

    async def connect(self, ice: DirectIce | None = None) -> Line:
        peer, observer = self.peer()
        client = WebRtcPeer(ice)
        await client.connect(peer, self.ports)
        channel = client.channel("_reliable")
        await client.wait(lambda: channel.readyState == "open")
        self.lines.append(Line(client, peer, observer))
        return self.lines[-1]

    def throw(self, *datagrams: bytes) -> None:
        """From a stranger's address to the media port."""
        host, port = self.ports.candidates()[0].split()[4:6]
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for datagram in datagrams:
                stranger.sendto(datagram, (host, int(port)))

    async def until(self, condition: Callable[[], object], *, seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - counters and observers tell nobody
                await asyncio.sleep(0.02)

    async def until_dropped(self, reason: str, count: int = 1) -> None:
        await self.until(lambda: self.ports.drops().get(reason, 0) >= count)


@asynccontextmanager
async def running(host: str = "127.0.0.1", clock: Clock | None = None) -> AsyncIterator[Relay]:
    """A relay's transport on free ports; clients and their peers end with it."""
    clock, tasks = clock or SystemClock(), Supervisor()
    ports = MediaPorts(PortSettings(host, 0, 0), clock)
    relay = Relay(clock, ports, PythonPlane(ports.send), DtlsCertificate(), tasks)
    await ports.start()
    try:
        yield relay
    finally:
        for line in relay.lines:
            await line.peer.close()
            await line.client.close()
        await ports.stop()
        await tasks.close()
