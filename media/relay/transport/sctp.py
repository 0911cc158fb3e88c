"""The SCTP association and data channels of one peer: aiortc's, fed only with packets that the guard has passed.

aiortc's parser and association are coroutines, so one task per peer takes packets from a bounded queue: a peer that
sends faster than it is read loses packets, which SCTP repeats. The private names that we rely on are checked at import.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Protocol

from aiortc import RTCDataChannel, RTCSctpTransport
from aiortc.exceptions import InvalidStateError
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities

from media.relay.transport import sctp_guard
from palabre.base.errors import PeerError

QUEUE = 512  # datagrams of 1.2 kB waiting for the task: the association's own window is 1 MiB
MAX_CHANNELS = 64  # LiveKit clients open three
MAX_BUFFERED = 16 << 20  # bytes waiting for one receiver on one channel; signalling stops earlier by setting
OVERDRAFT = 256 << 10  # bytes a peer may send beyond the window it was told, for what was under way
MAX_MISORDERED = 4096  # numbers ahead of a gap: the window divided by small messages; each costs a look per packet

_PRIVATE = ("_handle_data", "_data_channel_open", "_data_channel_receive", "_send_chunk", "_receive_chunk")
for _name in _PRIVATE:
    if not hasattr(RTCSctpTransport, _name):
        raise ImportError(f"aiortc's RTCSctpTransport has no {_name}: this version of aiortc is not supported")


class SctpAbuseError(sctp_guard.SctpError):
    """The peer broke the protocol in a way that costs us; its transport is to be closed."""


class _Lower(Protocol):
    """What the association is carried by."""

    def send(self, data: bytes) -> None: ...


class _DtlsFace:
    """What `RTCSctpTransport` wants of aiortc's `RTCDtlsTransport`."""

    state = "connected"

    def __init__(self, lower: _Lower, *, server: bool) -> None:
        self._lower = lower
        self._role = "server" if server else "client"
        self.receiver: RTCSctpTransport | None = None

    async def _send_data(self, data: bytes) -> None:
        try:
            self._lower.send(data)
        except PeerError:
            return  # the session below is over, which whoever reads it is told; a timer's last packet is not news

    def _register_data_receiver(self, receiver: RTCSctpTransport) -> None:
        self.receiver = receiver

    def _unregister_data_receiver(self, receiver: RTCSctpTransport) -> None:
        if self.receiver is receiver:
            self.receiver = None


class SctpAssociation:
    """Data channels by label. `opened` and `message` are called back on the loop.

    Concurrency: `feed` may be called from a reader callback; `run` is the one task that touches the association.
    """

    def __init__(
        self,
        lower: _Lower,
        *,
        server: bool,
        port: int,
        max_message_size: int,
        opened: Callable[[str], None],
        message: Callable[[str, bytes], None],
    ) -> None:
        self._face = _DtlsFace(lower, server=server)
        self._sctp = RTCSctpTransport(self._face)  # type: ignore[arg-type]
        self._port, self._max_message_size = port, max_message_size
        self._opened, self._message = opened, message
        self._channels: dict[str, RTCDataChannel] = {}
        self._packets: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        self._events: list[tuple[str, bytes | None]] = []  # what the packet in hand led to: (label, message or opened)
        self._sctp.on("datachannel", self._accept)

    def feed(self, packet: bytes) -> bool:
        """Queue a packet. False: the queue is full and the packet was dropped."""
        try:
            self._packets.put_nowait(packet)
        except asyncio.QueueFull:
            return False
        return True

    async def run(self) -> None:
        """Associate, then handle packets for ever. Raises `SctpAbuseError`."""
        await self._sctp.start(RTCSctpCapabilities(maxMessageSize=self._max_message_size), self._port)
        while True:
            packet = await self._packets.get()
            try:
                sctp_guard.check(packet)
                await self._sctp._handle_data(packet)
            except sctp_guard.SctpError as error:
                raise SctpAbuseError(str(error)) from error
            except (ValueError, AssertionError, KeyError, IndexError, struct.error, InvalidStateError) as error:
                # The association itself asserts what a peer may break: a channel opened twice, text that is no UTF-8.
                raise SctpAbuseError(type(error).__name__) from error
            self._check_limits()
            self._dispatch()

    def _dispatch(self) -> None:
        """Tell what happened, outside of what counts as the peer's fault."""
        events, self._events = self._events, []
        for label, message in events:
            if message is None:
                self._opened(label)
            else:
                self._message(label, message)

    def _check_limits(self) -> None:
        if self._sctp._advertised_rwnd < -OVERDRAFT:
            raise SctpAbuseError("sends beyond the window")
        if len(self._sctp._sack_misordered) > MAX_MISORDERED:
            raise SctpAbuseError("too many gaps")
        if len(self._sctp._data_channels) > MAX_CHANNELS:
            raise SctpAbuseError("too many channels")

    def open(self, label: str, *, ordered: bool, max_retransmits: int | None) -> None:
        """Open a channel; it is usable once `opened` was called with its label."""
        parameters = RTCDataChannelParameters(label=label, ordered=ordered, maxRetransmits=max_retransmits)
        channel = RTCDataChannel(self._sctp, parameters)
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
        await self._sctp.stop()
