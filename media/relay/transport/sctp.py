"""The SCTP association and data channels of one peer: aiortc's, fed only with packets that the guard has passed.

aiortc's parser and association are coroutines, so one task per peer takes packets from a bounded queue: a peer that
sends faster than it is read, or whose packets cost more time than is its due, loses packets, which SCTP repeats.
aiortc walks through everything it holds for every chunk, so what it may hold is bounded here. The private names that
we rely on are checked at import.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Protocol

from aiortc import RTCDataChannel, RTCSctpTransport
from aiortc.exceptions import InvalidStateError
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcsctptransport import InboundStream, RTCSctpCapabilities

from media.relay.transport import sctp_guard
from media.relay.transport.budget import Budget
from palabre.base.clock import Clock
from palabre.base.errors import PeerError

QUEUE = 512  # datagrams of 1.2 kB waiting for the task: the association's own window is 1 MiB
MAX_CHANNELS = 64  # LiveKit clients open three
MAX_BUFFERED = 16 << 20  # bytes waiting for one receiver on one channel; signalling stops earlier by setting
OVERDRAFT = 256 << 10  # bytes a peer may send beyond the window it was told, for what was under way
# Chunks behind a gap or of unfinished messages: the window of 1 MiB in packets of 1 kB. For each chunk that comes
# aiortc looks at all of them, which for these costs 0.2 ms. Above, only the chunk that fills the gap is taken.
MAX_HELD = 1024
MAX_STREAMS = 128  # that carried something: LiveKit clients use three
MAX_AHEAD = 0xFFFF  # a SACK can't name a TSN further away (RFC 9260 section 3.3.4)
# Of the event loop's time, for all that one peer's SCTP leads to. A megabyte costs 0.1 s: 2.5 MB/s stay possible.
SHARE = 0.25
BURST = 0.1  # seconds of it at once
_TSN = 1 << 32
_HALF = 1 << 31  # serial number arithmetic, RFC 1982

_METHODS = ("_handle_data",)
_ATTRIBUTES = (
    "_advertised_rwnd",
    "_association_state",
    "_data_channels",
    "_inbound_streams",
    "_last_received_tsn",
    "_local_tsn",
    "_sack_misordered",
)
_missing = [name for name in _METHODS if not hasattr(RTCSctpTransport, name)]
_missing += [name for name in _ATTRIBUTES if name not in RTCSctpTransport.__init__.__code__.co_names]
_missing += [name for name in ("reassembly",) if name not in InboundStream.__init__.__code__.co_names]
if _missing:
    raise ImportError(
        f"aiortc's RTCSctpTransport has no {', '.join(_missing)}: this version of aiortc is not supported"
    )


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
    `drop` counts packets that were not taken, by reason.
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
        drop: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._face = _DtlsFace(lower, server=server)
        self._sctp = RTCSctpTransport(self._face)  # type: ignore[arg-type]
        self._port, self._max_message_size = port, max_message_size
        self._opened, self._message, self._drop = opened, message, drop
        self._clock = clock
        self._budget = Budget(SHARE, BURST, clock.monotonic())
        self._channels: dict[str, RTCDataChannel] = {}
        self._packets: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        self._events: list[tuple[str, bytes | None]] = []  # what the packet in hand led to: (label, message or opened)
        self._sctp.on("datachannel", self._accept)

    def feed(self, packet: bytes) -> None:
        """Queue a packet, or drop it: then it comes again."""
        try:
            self._packets.put_nowait(packet)
        except asyncio.QueueFull:
            self._drop("sctp_queue")

    async def run(self) -> None:
        """Associate, then handle packets for ever. Raises `SctpAbuseError`."""
        await self._sctp.start(RTCSctpCapabilities(maxMessageSize=self._max_message_size), self._port)
        while True:
            packet = await self._packets.get()
            started = self._clock.monotonic()
            await self._take(packet)
            self._dispatch()
            ended = self._clock.monotonic()
            if pause := self._budget.spend(ended - started, ended):
                await asyncio.sleep(pause)

    async def _take(self, packet: bytes) -> None:
        try:
            if reason := self._refuse(sctp_guard.check(packet)):
                self._drop(reason)
                return
            await self._sctp._handle_data(packet)
        except sctp_guard.SctpError as error:
            raise SctpAbuseError(str(error)) from error
        except (ValueError, AssertionError, KeyError, IndexError, struct.error, InvalidStateError) as error:
            # The association itself asserts what a peer may break: a channel opened twice, text that is no UTF-8.
            raise SctpAbuseError(type(error).__name__) from error
        self._check_limits()

    def _refuse(self, claims: sctp_guard.Claims) -> str:
        """Why the association does not get the packet, though it may come again; empty: it does.

        Raises `SctpAbuseError` for numbers that no association of ours can have led to.
        """
        sctp = self._sctp
        if claims.init and sctp._association_state is RTCSctpTransport.State.ESTABLISHED:
            return "sctp_late_init"  # aiortc would forget what it has received
        if claims.acknowledged is not None:
            outstanding = (sctp._local_tsn - 1 - claims.acknowledged) % _TSN
            if outstanding >= _HALF or claims.last_gap > outstanding:
                raise SctpAbuseError("acknowledges what was not sent")
        if not claims.tsns and claims.forward is None:
            return ""
        received = sctp._last_received_tsn
        if received is None:
            raise SctpAbuseError("data before the association")
        ahead = [distance for tsn in claims.tsns if (distance := (tsn - received) % _TSN) < _HALF]
        if ahead and (max(ahead) > MAX_AHEAD or (self._crowded() and 1 not in ahead)):
            return "sctp_window"
        return ""

    def _held(self) -> int:
        """Chunks that wait for others."""
        streams = self._sctp._inbound_streams.values()
        return max(len(self._sctp._sack_misordered), sum(len(stream.reassembly) for stream in streams))

    def _crowded(self) -> bool:
        return self._sctp._advertised_rwnd <= 0 or self._held() >= MAX_HELD

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
        if self._held() > 2 * MAX_HELD:
            raise SctpAbuseError("a message that does not end")
        if len(self._sctp._data_channels) > MAX_CHANNELS or len(self._sctp._inbound_streams) > MAX_STREAMS:
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
