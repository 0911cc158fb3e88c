"""aiortc's SCTP association, with bounds on what a peer makes it hold and do; the one module with its private names.

aiortc believes what it is told: gap blocks for numbers never sent, an INIT in the middle of a call, chunks without end.
For every chunk it also walks through everything that waits behind a gap. A chunk that is not taken here is not
acknowledged either, so that an honest peer sends it again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

from aiortc import RTCSctpTransport
from aiortc.exceptions import InvalidStateError
from aiortc.rtcsctptransport import DataChunk, InboundStream

from media.relay.transport import sctp_guard
from palabre.base.errors import PeerError

# Bytes that a peer may have under way: two of the largest messages that we announce. At 200 ms from here to there and
# back it still sends 2.5 MB/s.
WINDOW = 512 << 10
OVERDRAFT = 256 << 10  # bytes beyond it, while a message that began inside comes to its end
# Chunks behind a gap or of unfinished messages: the window filled with messages of 256 bytes. A walk costs 0.2 ms.
MAX_HELD = 2048
MARGIN = 512  # chunks beyond it, as above: the largest message has 226
MAX_CHANNELS = 64  # LiveKit clients open three
MAX_STREAMS = 128  # that carried something
RTO_INITIAL = 1.0  # seconds, RFC 9260 section 16; aiortc still waits 3, as RFC 4960 had it
MAX_AHEAD = 0xFFFF  # a SACK can't name a TSN further away (RFC 9260 section 3.3.4)
_TSN = 1 << 32
_HALF = 1 << 31  # serial number arithmetic, RFC 1982

_METHODS = ("_handle_data", "_mark_received", "_receive_data_chunk")
_ATTRIBUTES = (
    "_advertised_rwnd",
    "_association_state",
    "_data_channels",
    "_inbound_streams",
    "_last_received_tsn",
    "_local_tsn",
    "_rto",
    "_sack_duplicates",
    "_sack_misordered",
    "_sack_needed",
)
_missing = [name for name in _METHODS if not hasattr(RTCSctpTransport, name)]
_missing += [name for name in _ATTRIBUTES if name not in RTCSctpTransport.__init__.__code__.co_names]
_missing += [name for name in ("reassembly",) if name not in InboundStream.__init__.__code__.co_names]
if _missing:
    raise ImportError(f"aiortc's SCTP has no {', '.join(_missing)}: this version of aiortc is not supported")


class SctpAbuseError(sctp_guard.SctpError):
    """The peer broke the protocol in a way that costs us; its transport is to be closed."""


class Lower(Protocol):
    """What the association is carried by."""

    def send(self, data: bytes) -> None:
        """Raises `PeerError` when it is over."""
        ...


class _DtlsFace:
    """What `RTCSctpTransport` wants of aiortc's `RTCDtlsTransport`."""

    state = "connected"

    def __init__(self, lower: Lower, *, server: bool) -> None:
        self._lower = lower
        self._role = "server" if server else "client"

    async def _send_data(self, data: bytes) -> None:
        try:
            self._lower.send(data)
        except PeerError:
            return  # the session below is over, which whoever reads it is told; a timer's last packet is not news

    def _register_data_receiver(self, receiver: RTCSctpTransport) -> None:
        """Packets come through `take`."""

    def _unregister_data_receiver(self, receiver: RTCSctpTransport) -> None:
        """As above."""


class GuardedAssociation(RTCSctpTransport):
    """`drop` counts what was not taken, by reason."""

    def __init__(self, lower: Lower, *, server: bool, drop: Callable[[str], None]) -> None:
        super().__init__(_DtlsFace(lower, server=server))  # type: ignore[arg-type]
        self._advertised_rwnd = WINDOW
        self._rto = RTO_INITIAL
        self._count_drop = drop

    async def take(self, packet: bytes) -> None:
        """Handle a packet of the peer's, or drop it. Raises `SctpAbuseError`."""
        try:
            if not self._plausible(sctp_guard.check(packet)):
                return
            await self._handle_data(packet)
        except sctp_guard.SctpError as error:
            raise SctpAbuseError(str(error)) from error
        except (ValueError, AssertionError, KeyError, IndexError, struct.error, InvalidStateError) as error:
            # The association itself asserts what a peer may break: a channel opened twice, text that is no UTF-8.
            raise SctpAbuseError(type(error).__name__) from error
        self._check_limits()

    def _plausible(self, claims: sctp_guard.Claims) -> bool:
        """Whether the association gets the packet. Raises `SctpAbuseError` for what ours can't have led to."""
        if claims.init and self._association_state is RTCSctpTransport.State.ESTABLISHED:
            self._count_drop("sctp_late_init")  # aiortc would forget what it has received
            return False
        if claims.acknowledged is not None:
            outstanding = (self._local_tsn - 1 - claims.acknowledged) % _TSN
            if outstanding >= _HALF or claims.last_gap > outstanding:
                raise SctpAbuseError("acknowledges what was not sent")
        if claims.data and self._last_received_tsn is None:
            raise SctpAbuseError("data before the association")
        return True

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        if self._has_room(chunk.tsn):
            await super()._receive_data_chunk(chunk)
        else:
            self._count_drop("sctp_window")
            self._sack_needed = True  # says what is missing, so that it comes first

    def _has_room(self, tsn: int) -> bool:
        """The next number is always taken, since it is what the others wait for; so are repeats, which cost nothing."""
        ahead = (tsn - self._received()) % _TSN
        if ahead <= 1 or ahead >= _HALF:
            return True
        return ahead <= MAX_AHEAD and self._advertised_rwnd > 0 and self._held() < MAX_HELD

    def _mark_received(self, tsn: int) -> bool:
        """As aiortc's, without sorting all that waits for every chunk. True: it had been received."""
        received = self._received()
        ahead = (tsn - received) % _TSN
        if ahead == 0 or ahead >= _HALF or tsn in self._sack_misordered:
            self._sack_duplicates.append(tsn)
            return True
        self._sack_misordered.add(tsn)
        while (following := (received + 1) % _TSN) in self._sack_misordered:
            self._sack_misordered.remove(following)
            received = following
        self._last_received_tsn = received
        return False

    def _received(self) -> int:
        """The last number before the first gap."""
        assert self._last_received_tsn is not None  # `_plausible` has looked
        return self._last_received_tsn

    def _held(self) -> int:
        """Chunks that wait for others."""
        waiting = sum(len(stream.reassembly) for stream in self._inbound_streams.values())
        return max(len(self._sack_misordered), waiting)

    def _check_limits(self) -> None:
        if self._advertised_rwnd < -OVERDRAFT or self._held() > MAX_HELD + MARGIN:
            raise SctpAbuseError("a message that does not end")
        if len(self._data_channels) > MAX_CHANNELS or len(self._inbound_streams) > MAX_STREAMS:
            raise SctpAbuseError("too many channels")
