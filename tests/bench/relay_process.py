"""The process that `bench_relay` measures: a packet path on a UDP socket, and who it sends to. Ordered by a pipe."""

from __future__ import annotations

import asyncio
import socket
import time
from multiprocessing.connection import Connection
from typing import Any

from media.relay.plane import PythonPlane
from media.relay.plane.compiled import CompiledPlane
from tests.support.plane import Peer, down_of, video_up

PROFILE = "AEAD_AES_128_GCM"
BUFFER = 4 << 20  # bytes, as the relay's own socket
BATCH = 64  # datagrams per wake-up of the loop, as the relay's


def bound() -> socket.socket:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    return udp


def relay(path: str, subscribers: int, control: Connection) -> None:
    """`path`: thread (compiled, with the socket), loop (compiled, called by the event loop) or python."""
    asyncio.run(RelayProcess(path, subscribers, control).run())


class RelayProcess:
    """Publisher 0, and subscribers from 1 on, whose sockets nobody reads."""

    def __init__(self, path: str, subscribers: int, control: Connection) -> None:
        self.path, self.control = path, control
        self.numbers = range(1, subscribers + 1)
        self.udp, self.sinks = bound(), [bound() for _ in self.numbers]
        self.udp.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.udp.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        self.addresses = [("", 0), *(sink.getsockname() for sink in self.sinks)]
        self.plane: Any = PythonPlane(self.send) if path == "python" else CompiledPlane(self.send)
        Peer(self.plane, 0, PROFILE).connect()
        self.plane.add_up_track(0, video_up())
        for number in self.numbers:
            Peer(self.plane, number, PROFILE).connect()
            self.plane.add_down_track(number, down_of(1, number))

    def send(self, session: int, datagram: bytes) -> None:
        if session:
            self.udp.sendto(datagram, self.addresses[session])

    def readable(self) -> None:
        now = time.monotonic()
        for _ in range(BATCH):
            try:
                datagram = self.udp.recv(2048)
            except BlockingIOError:
                return
            self.plane.receive(0, datagram, now)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        if self.path == "thread":
            loop.add_reader(self.plane.open(self.udp.fileno(), lambda *_: None), self.plane.hand_over)
        else:
            loop.add_reader(self.udp.fileno(), self.readable)
        orders: asyncio.Queue[Any] = asyncio.Queue()
        loop.add_reader(self.control.fileno(), lambda: orders.put_nowait(self.control.recv()))
        self.control.send(self.udp.getsockname())
        ticking = asyncio.create_task(self.tick())
        while (order := await orders.get()) != "stop":
            self.obey(order)
        ticking.cancel()
        if self.path == "thread":
            self.plane.close()

    async def tick(self) -> None:
        while True:
            self.plane.tick(time.monotonic())
            await asyncio.sleep(0.05)

    def obey(self, order: Any) -> None:
        """`count`, a layer for everybody, or the publisher's address."""
        if order == "count":
            sent = sum(down.packets for down in self.plane.down_stats())
            failed = dict(self.plane.drops()).get("udp_send", 0)
            self.control.send((time.process_time(), sent - failed))
        elif isinstance(order, int):
            for number in self.numbers:
                self.plane.set_layer(number, order)
        elif self.path == "thread":
            self.plane.accept(order, 0)
            for number in self.numbers:
                self.plane.send_to(number, self.addresses[number])
