"""Transport-wide congestion control, receiver's side: which packets of a peer arrived and when.

Builds the feedback of draft-holmer-rmcat-transport-wide-cc-extensions-01; estimating a bandwidth from it is the
publisher's work. Without this feedback Chromium's send rate crawls.
"""

from __future__ import annotations

import struct

from media.relay.plane import rtcp

FEEDBACK_INTERVAL = 0.1  # seconds: what libwebrtc's receivers do between 50 and 250 ms
MAX_RECEIVED = 400  # packets told in one feedback: 400 * (2 bytes delta + 2/7 byte symbol) stays below 1,000 bytes
MAX_PENDING = 4000  # packets between two feedbacks: 30 Mbit/s; more is not a webcam, and what is over isn't told
MAX_SILENCE = 1000  # packets lost in a row that are still told as lost; after a longer gap a new base is taken

_TICK = 4000  # delta units (250 µs) per second
_REFERENCE = 256  # delta units in one unit (64 ms) of the reference time
_MAX_DELTA = 0x7FFF
_LOST, _SMALL, _LARGE = 0, 1, 2
_RUN = 14  # symbols from which a run length chunk is shorter than two-bit vectors
_MAX_RUN = 0x1FFF
_HEAD = struct.Struct("!HHI")
_CHUNK = struct.Struct("!H")
_LARGE_DELTA = struct.Struct("!h")


class TransportFeedback:
    """Arrivals of one peer's packets over all of its streams, by unwrapped transport sequence number."""

    __slots__ = ("_arrivals", "_count", "_highest", "_next")

    def __init__(self) -> None:
        self._arrivals: dict[int, int] = {}  # sequence number -> arrival in delta units
        self._highest = -1
        self._next = -1  # the sequence number after the last one that was told
        self._count = 0

    def add(self, element: bytes, now: float) -> None:
        """The header extension element of a packet that arrived at `now`."""
        if len(element) < 2:
            return
        highest = self._highest
        sequence = element[0] << 8 | element[1]
        if highest < 0:
            sequence += 0x10000  # room for packets that were sent before the first one to arrive
            self._highest = sequence
        else:
            sequence = highest + ((sequence - highest + 0x8000) & 0xFFFF) - 0x8000
            if sequence > highest:
                self._highest = sequence
        if len(self._arrivals) < MAX_PENDING:
            self._arrivals.setdefault(sequence, int(now * _TICK))

    def build(self, sender: int, ssrc: int) -> list[bytes]:
        """RTCP feedback for what arrived since the last call, usually one packet. `ssrc`: any of the peer's."""
        if not self._arrivals:
            return []
        arrivals, self._arrivals = self._arrivals, {}
        sequences = sorted(arrivals)
        packets = []
        while sequences:
            taken, sequences = sequences[:MAX_RECEIVED], sequences[MAX_RECEIVED:]
            while taken:
                packet, told = self._pack(taken, arrivals, sender, ssrc)
                packets.append(packet)
                taken = taken[told:]
        return packets

    def _pack(self, sequences: list[int], arrivals: dict[int, int], sender: int, ssrc: int) -> tuple[bytes, int]:
        """One feedback, and how many of `sequences` it tells: it ends where a delta or a gap is too long."""
        base = sequences[0]
        late = base < self._next  # between late packets lie others that were told: say nothing of those again
        if self._next >= 0 and 0 < base - self._next <= MAX_SILENCE:
            base = self._next
        reference = arrivals[sequences[0]] // _REFERENCE
        clock = reference * _REFERENCE
        symbols: list[tuple[int, int]] = []  # (symbol, how many in a row)
        deltas: list[bytes] = []
        expected, told = base, 0
        for sequence in sequences:
            delta = arrivals[sequence] - clock
            gap = sequence - expected
            if told and (gap > (0 if late else MAX_SILENCE) or not -_MAX_DELTA <= delta <= _MAX_DELTA):
                break
            if gap:
                symbols.append((_LOST, gap))
            small = 0 <= delta <= 0xFF
            deltas.append(bytes((delta,)) if small else _LARGE_DELTA.pack(delta))
            symbol = _SMALL if small else _LARGE
            if symbols and symbols[-1][0] == symbol:
                symbols[-1] = (symbol, symbols[-1][1] + 1)
            else:
                symbols.append((symbol, 1))
            clock += delta
            expected = sequence + 1
            told += 1
        self._next = max(self._next, expected)
        body = (
            _HEAD.pack(base & 0xFFFF, expected - base, (reference & 0xFFFFFF) << 8 | self._count)
            + _pack_symbols(symbols)
            + b"".join(deltas)
        )
        self._count = (self._count + 1) & 0xFF
        return rtcp.pack_transport_feedback(sender, ssrc, body), told


def _pack_symbols(runs: list[tuple[int, int]]) -> bytes:
    """Run length chunks for long runs, vectors of seven two-bit symbols for the rest."""
    chunks: list[bytes] = []
    vector: list[int] = []
    for symbol, count in runs:
        while vector and len(vector) < 7 and count:
            vector.append(symbol)
            count -= 1
        if len(vector) == 7:
            chunks.append(_pack_vector(vector))
            vector = []
        while count >= _RUN:
            run = min(count, _MAX_RUN)
            chunks.append(_CHUNK.pack(symbol << 13 | run))
            count -= run
        while count:
            vector.append(symbol)
            count -= 1
            if len(vector) == 7:
                chunks.append(_pack_vector(vector))
                vector = []
    if vector:
        chunks.append(_pack_vector(vector))
    return b"".join(chunks)


def _pack_vector(symbols: list[int]) -> bytes:
    word = 0xC000
    for index, symbol in enumerate(symbols):
        word |= symbol << (12 - 2 * index)
    return _CHUNK.pack(word)
