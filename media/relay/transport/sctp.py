"""Data channels of one peer, by label, over a guarded association.

Packets wait in a bounded queue for the one task that handles them. A peer whose packets cost more time than is its due
waits, so that media of others do not; its window keeps an honest one from sending more than the queue holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiortc import RTCDataChannel
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities

from media.relay.transport.association import GuardedAssociation, Lower
from media.relay.transport.budget import Budget
from palabre.base.clock import Clock

QUEUE = 1024  # packets of 1.2 kB that wait for the task: the association's window, with the headers of small messages
MAX_BUFFERED = 16 << 20  # bytes waiting for one receiver on one channel; signalling stops earlier by setting
# Of the event loop's time, for all that one peer's SCTP leads to. A megabyte costs 0.1 s: 2.5 MB/s stay possible.
SHARE = 0.25
BURST = 0.1  # seconds of it at once


class DataChannels:
    """`opened` and `message` are called back on the loop; `drop` counts packets that were not taken, by reason.

    Concurrency: `feed` may be called from a reader callback; `run` is the one task that touches the association.
    """

    def __init__(
        self,
        lower: Lower,
        *,
        server: bool,
        port: int,
        max_message_size: int,
        opened: Callable[[str], None],
        message: Callable[[str, bytes], None],
        drop: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._association = GuardedAssociation(lower, server=server, drop=drop)
        self._port, self._max_message_size = port, max_message_size
        self._opened, self._message, self._drop = opened, message, drop
        self._clock = clock
        self._budget = Budget(SHARE, BURST, clock.monotonic())
        self._channels: dict[str, RTCDataChannel] = {}
        self._packets: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        self._events: list[tuple[str, bytes | None]] = []  # what the packet in hand led to: (label, message or opened)
        self._association.on("datachannel", self._accept)

    def feed(self, packet: bytes) -> None:
        """Queue a packet, or drop it: then it comes again."""
        try:
            self._packets.put_nowait(packet)
        except asyncio.QueueFull:
            self._drop("sctp_queue")

    async def run(self) -> None:
        """Associate, then handle packets for ever. Raises `association.SctpAbuseError`."""
        await self._association.start(RTCSctpCapabilities(maxMessageSize=self._max_message_size), self._port)
        while True:
            packet = await self._packets.get()
            started = self._clock.monotonic()
            await self._association.take(packet)
            self._dispatch()
            ended = self._clock.monotonic()
            if pause := self._budget.spend(ended - started, ended):
                await asyncio.sleep(pause)

    def _dispatch(self) -> None:
        """Tell what happened, outside of what counts as the peer's fault."""
        events, self._events = self._events, []
        for label, message in events:
            if message is None:
                self._opened(label)
            else:
                self._message(label, message)

    def open(self, label: str, *, ordered: bool, max_retransmits: int | None) -> None:
        """Open a channel; it is usable once `opened` was called with its label."""
        parameters = RTCDataChannelParameters(label=label, ordered=ordered, maxRetransmits=max_retransmits)
        channel = RTCDataChannel(self._association, parameters)
        channel.on("open", lambda: self._events.append((label, None)))
        self._watch(label, channel)

    def _accept(self, channel: RTCDataChannel) -> None:
        self._watch(channel.label, channel)
        self._events.append((channel.label, None))

    def _watch(self, label: str, channel: RTCDataChannel) -> None:
        self._channels[label] = channel
        channel.on(
            "message", lambda data: self._events.append((label, data.encode() if isinstance(data, str) else data))
        )

    def send(self, label: str, payload: bytes) -> bool:
        """False: no such open channel, its receiver is too slow, or the message is larger than it takes."""
        channel = self._channels.get(label)
        if channel is None or channel.readyState != "open" or channel.bufferedAmount > MAX_BUFFERED:
            return False
        if self._max_message_size and len(payload) > self._max_message_size:
            return False
        channel.send(payload)
        return True

    def buffered(self, label: str) -> int:
        """Bytes that wait to be sent."""
        channel = self._channels.get(label)
        return 0 if channel is None else int(channel.bufferedAmount)

    async def close(self) -> None:
        await self._association.stop()
