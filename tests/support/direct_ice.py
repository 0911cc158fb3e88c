"""A client's side of ICE in the hands of the test: over UDP or TCP, with moves, nominations and losses as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aioice import stun

from media.relay.transport.peer import PeerTransport
from media.relay.transport.ports import MediaPorts

PATIENCE = 10.0  # seconds for an answer on the same machine


def check(ufrag: str, password: str, *, nominate: bool = True) -> stun.Message:
    """A controlling client's connectivity check, RFC 8445 section 7.2.2."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{ufrag}:client"
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 7
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(password.encode())
    return message


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes], None]) -> None:
        self._received = received
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, _address: Any) -> None:
        self._received(data)

    def send(self, data: bytes) -> None:
        self.transport.sendto(data)

    def close(self) -> None:
        self.transport.close()


class _Tcp(asyncio.Protocol):
    def __init__(self, received: Callable[[bytes], None]) -> None:
        self._received = received
        self._buffer = b""
        self.transport: Any = None
        self.lost = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 2 and len(self._buffer) >= 2 + int.from_bytes(self._buffer[:2], "big"):
            end = 2 + int.from_bytes(self._buffer[:2], "big")
            self._received(self._buffer[2:end])
            self._buffer = self._buffer[end:]

    def connection_lost(self, _error: Any) -> None:
        self.lost.set()

    def send(self, data: bytes) -> None:
        self.transport.write(len(data).to_bytes(2, "big") + data)

    def close(self) -> None:
        self.transport.close()


class DirectIce:
    """What `RTCDtlsTransport` wants of ICE. `lose(datagram, outgoing)` says which datagrams never arrive."""

    role = "controlling"

    def __init__(self, protocol: str = "udp", lose: Callable[[bytes, bool], bool] | None = None) -> None:
        self._protocol = protocol
        self._lose = lose or (lambda _datagram, _outgoing: False)
        self._data: asyncio.Queue[bytes] = asyncio.Queue()
        self._answers: dict[bytes, asyncio.Future[stun.Message]] = {}
        self.answers: list[stun.Message] = []
        self.sockets: list[Any] = []
        self._ports: MediaPorts | None = None

    @property
    def socket(self) -> Any:
        """The one in use."""
        return self.sockets[-1]

    async def connect(self, peer: PeerTransport, ports: MediaPorts) -> None:
        """Open a socket and nominate it."""
        self._ports = ports
        await self.open()
        await self.nominate(peer.ufrag, peer.password)

    async def open(self, ports: MediaPorts | None = None) -> None:
        """From now on use another socket; the former stays open, unused."""
        self._ports = ports or self._ports
        assert self._ports is not None
        line = next(line for line in self._ports.candidates() if f" {self._protocol} " in line).split()
        target = (line[4], int(line[5]))
        loop = asyncio.get_running_loop()
        if self._protocol == "udp":
            _, udp = await loop.create_datagram_endpoint(lambda: _Udp(self._received), remote_addr=target)
            self.sockets.append(udp)
        else:
            _, tcp = await loop.create_connection(lambda: _Tcp(self._received), *target)
            self.sockets.append(tcp)

    async def nominate(self, ufrag: str, password: str, *, nominate: bool = True) -> stun.Message:
        """Check until answered."""
        message = check(ufrag, password, nominate=nominate)
        answer = self._answers[message.transaction_id] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(PATIENCE):
            while not answer.done():
                self.socket.send(bytes(message))
                await asyncio.wait([answer], timeout=0.5)
        return answer.result()

    def _received(self, datagram: bytes) -> None:
        if self._lose(datagram, False):
            return
        if datagram[0] < 4:
            message = stun.parse_message(datagram)
            self.answers.append(message)
            waiting = self._answers.pop(message.transaction_id, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
        else:
            self._data.put_nowait(datagram)

    async def _recv(self) -> bytes:
        return await self._data.get()

    async def _send(self, data: bytes) -> None:
        if not self._lose(data, True):
            self.socket.send(data)

    async def close(self) -> None:
        for each in self.sockets:
            each.close()
