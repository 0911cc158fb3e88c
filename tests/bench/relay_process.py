"""The process that `bench_relay` measures: a packet path on a UDP socket, and who it sends to. Ordered by a pipe."""

from __future__ import annotations

import asyncio
import time
from multiprocessing.connection import Connection
from typing import Any

from media.relay.plane import PythonPlane
from media.relay.plane.api import Extension
from media.relay.plane.compiled import CompiledPlane
from media.relay.plane.extensions import TRANSPORT_CC
from tests.bench.ends import bound
from tests.support.plane import DOWN_EXTENSIONS, Peer, down_of, video_up

BATCH = 64  # datagrams per wake-up of the loop, as the relay's
NUMBERS = Extension(11, TRANSPORT_CC)


def relay(path: str, profile: str, control: Connection) -> None:
    """`path`: thread (compiled, with the socket), loop (compiled, called by the event loop) or python."""
    asyncio.run(RelayProcess(path, profile, control).run())


class RelayProcess:
    """Session 0 publishes, those from 1 on subscribe."""

    def __init__(self, path: str, profile: str, control: Connection) -> None:
        self.path, self.profile, self.control = path, profile, control
        self.udp = bound()
        self.sessions: dict[Any, int] = {}
        self.addresses: list[Any] = []
        self.plane: Any = PythonPlane(self.send) if path == "python" else CompiledPlane(self.send)
        self.orders: asyncio.Queue[Any] = asyncio.Queue()

    def send(self, session: int, datagram: bytes) -> None:
        self.udp.sendto(datagram, self.addresses[session])

    def readable(self) -> None:
        now = time.monotonic()
        for _ in range(BATCH):
            try:
                datagram, address = self.udp.recvfrom(2048)
            except BlockingIOError:
                return
            self.plane.receive(self.sessions[address], datagram, now)

    def connect(self, addresses: list[Any]) -> None:
        """The publisher's and the subscribers'."""
        self.addresses = addresses
        self.sessions = {address: session for session, address in enumerate(addresses)}
        for session, address in enumerate(addresses):
            Peer(self.plane, session, self.profile).connect()
            if self.path == "thread":
                self.plane.accept(address, session)
                self.plane.send_to(session, address)
        self.plane.add_up_track(0, video_up())
        for number in self.numbers:
            self.plane.add_down_track(number, down_of(1, number, extensions=(*DOWN_EXTENSIONS, NUMBERS)))

    @property
    def numbers(self) -> range:
        return range(1, len(self.addresses))

    def ordered(self) -> None:
        """Who gives orders is gone without a word when it failed."""
        try:
            self.orders.put_nowait(self.control.recv())
        except (EOFError, ConnectionError):
            asyncio.get_running_loop().remove_reader(self.control.fileno())
            self.orders.put_nowait(None)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        if self.path == "thread":
            loop.add_reader(self.plane.open(self.udp.fileno(), lambda *_: None), self.plane.hand_over)
        else:
            loop.add_reader(self.udp.fileno(), self.readable)
        loop.add_reader(self.control.fileno(), self.ordered)
        self.control.send(self.udp.getsockname())
        if (addresses := await self.orders.get()) is None:
            return
        self.connect(addresses)
        ticking = asyncio.create_task(self.tick())
        while (layer := await self.orders.get()) is not None:
            for number in self.numbers:
                self.plane.set_layer(number, layer)
        ticking.cancel()
        if self.path == "thread":
            self.plane.close()

    async def tick(self) -> None:
        while True:
            self.plane.tick(time.monotonic())
            await asyncio.sleep(0.05)
