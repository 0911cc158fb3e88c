"""SCTP packets made by hand, and an association of ours with a client of aiortc's, wired together in memory."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Callable, Iterable

from aiortc import RTCDataChannel, RTCSctpTransport
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities
from google_crc32c import value as crc32c

from media.relay.transport.association import SctpAbuseError
from media.relay.transport.sctp import DataChannels
from palabre.base.clock import Clock, SystemClock

UNORDERED, FIRST, LAST = 4, 2, 1  # flags of a DATA chunk


def packet(tag: int, *chunks: bytes) -> bytes:
    """With a checksum that holds."""
    body = b"".join(chunks)
    header = struct.pack("!HHL", 5000, 5000, tag)
    return header + struct.pack("<L", crc32c(header + bytes(4) + body)) + body


def chunk(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack("!BBH", kind, flags, len(body) + 4) + body + bytes(-len(body) % 4)


def data(
    tsn: int, user: bytes = b"x", *, stream: int = 0, sequence: int = 0, protocol: int = 53, flags: int = FIRST | LAST
) -> bytes:
    return chunk(0, struct.pack("!LHHL", tsn % 2**32, stream, sequence, protocol) + user, flags)


def sack(acknowledged: int, gaps: Iterable[tuple[int, int]] = ()) -> bytes:
    blocks = list(gaps)
    body = struct.pack("!LLHH", acknowledged % 2**32, 1 << 20, len(blocks), 0)
    return chunk(3, body + b"".join(struct.pack("!HH", *block) for block in blocks))


class _Face:
    """The client's DTLS, without DTLS."""

    state = "connected"
    _role = "client"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self.receiver: RTCSctpTransport | None = None

    async def _send_data(self, payload: bytes) -> None:
        self._send(payload)

    def _register_data_receiver(self, receiver: RTCSctpTransport) -> None:
        self.receiver = receiver

    def _unregister_data_receiver(self, _receiver: RTCSctpTransport) -> None:
        self.receiver = None


class Pair:
    """`ours` is the server's association; `client` is aiortc's own. `ended` says with what our side ended."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.drops: Counter[str] = Counter()
        self.opened: list[str] = []
        self.messages: list[tuple[str, bytes]] = []
        self.muted = False
        self._to_client: asyncio.Queue[bytes] = asyncio.Queue()
        self.ours = DataChannels(
            self,
            server=True,
            port=5000,
            max_message_size=65536,
            opened=self.opened.append,
            message=lambda label, payload: self.messages.append((label, payload)),
            drop=lambda reason: self.drops.update([reason]),
            clock=clock or SystemClock(),
        )
        self.client = RTCSctpTransport(_Face(self.to_us))  # type: ignore[arg-type]
        self._tasks: list[asyncio.Task[None]] = []

    def send(self, payload: bytes) -> None:
        """What our side sends."""
        self._to_client.put_nowait(payload)

    def to_us(self, payload: bytes) -> None:
        """A packet from the client."""
        self.ours.feed(payload)

    async def _carry(self) -> None:
        while True:
            payload = await self._to_client.get()
            if not self.muted:
                await self.client._handle_data(payload)

    async def start(self) -> None:
        self._tasks = [asyncio.ensure_future(self.ours.run()), asyncio.ensure_future(self._carry())]
        await self.client.start(RTCSctpCapabilities(maxMessageSize=65536), 5000)
        await self.until(lambda: self.client.state == "connected")

    def channel(self, label: str) -> RTCDataChannel:
        return RTCDataChannel(self.client, RTCDataChannelParameters(label=label))

    @property
    def tag(self) -> int:
        """What our side expects in the header."""
        return int(self.client._remote_verification_tag)

    @property
    def tsn(self) -> int:
        """The next that our side expects."""
        return int(self.client._local_tsn)

    def throw(self, *chunks: bytes) -> None:
        self.to_us(packet(self.tag, *chunks))

    async def settle(self) -> None:
        """Until everything thrown has been looked at, or our side has ended."""
        await self.until(lambda: self.ours._packets.empty() or self._tasks[0].done())
        for _ in range(5):
            await asyncio.sleep(0)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - any state may be waited for
                await asyncio.sleep(0.001)

    @property
    def ended(self) -> str:
        """Why our side refused to go on; empty while it runs. Any other error of its task is raised."""
        run = self._tasks[0]
        if not run.done():
            return ""
        error = run.exception()
        if isinstance(error, SctpAbuseError):
            return str(error)
        raise AssertionError("the association's task ended") from error

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.muted = True
        await self.ours.close()
        await self.client.stop()
