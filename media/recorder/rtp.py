"""RTP packets as a reader of journals needs them: header, unwrapped counters, order restored. RFC 3550; no payloads.

All hindsight that a live receiver cannot afford is taken here: a packet may arrive a second late and still count.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

_FIXED = struct.Struct("!BBHII")
_FIXED_BYTES = 12
_VERSION_2 = 2
_SEQUENCE_BITS = 16
HOLD = 1.0  # seconds that a missing packet is waited for: longer than any retransmission a relay asks for
HOLD_FIRST = 0.25  # before the first packet is fixed: starting at the first *arrived* would lose a reordered key frame
MAX_HELD = 4096  # packets waiting behind a hole: a second of 30 Mbit/s


class RtpError(ValueError):
    """Bytes that are no RTP packet."""


class RtpPacket(NamedTuple):
    """The fields of a header that reading needs, and the payload without padding."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse_rtp(packet: bytes) -> RtpPacket:
    """RFC 3550 section 5.1; header extensions are skipped. Raises `RtpError`."""
    if len(packet) < _FIXED_BYTES:
        raise RtpError("shorter than a header")
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(packet)
    if first >> 6 != _VERSION_2:
        raise RtpError("not version 2")
    start = _FIXED_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        if start + 4 > len(packet):
            raise RtpError("the header extension is cut off")
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    end = len(packet) - packet[-1] if first & 0x20 else len(packet)
    if start > end:
        raise RtpError("the header is longer than the packet")
    return RtpPacket(bool(second & 0x80), second & 0x7F, sequence, timestamp, ssrc, packet[start:end])


class Unwrap:
    """Turns a counter that wraps into one that doesn't: each value is the one nearest to the newest before it."""

    def __init__(self, bits: int) -> None:
        self._size = 1 << bits
        self._newest: int | None = None

    def __call__(self, value: int) -> int:
        unwrapped = self.peek(value)
        if self._newest is None or unwrapped > self._newest or self._newest - unwrapped > self._size // 4:
            self._newest = unwrapped  # forwards, or so far back that the counter began anew
        return unwrapped

    def peek(self, value: int) -> int:
        """The same without moving on: for reports that speak of a counter they are not part of."""
        if self._newest is None:
            return value + self._size  # room below zero is never needed
        distance = (value - self._newest) % self._size
        return self._newest + (distance - self._size if distance >= self._size // 2 else distance)


T = TypeVar("T")


class Reorder(Generic[T]):
    """Restores the order of sequence numbers and drops what came twice.

    `push` yields (item, gap) in order: `gap` says that packets before this one never came. Time is the packets' own
    arrival, so that reading the same journal twice gives the same result.
    """

    def __init__(self) -> None:
        self._unwrap = Unwrap(_SEQUENCE_BITS)
        self._next: int | None = None
        self._held: dict[int, tuple[float, T]] = {}
        self.lost = 0
        self.repeated = 0

    def push(self, sequence: int, arrival: float, item: T) -> Iterator[tuple[T, bool]]:
        number = self._unwrap(sequence)
        if self._next is not None and self._next - number > (1 << _SEQUENCE_BITS) // 4:
            yield from self.flush()  # the sender began anew, without saying so
            self._next = number
        if number in self._held or (self._next is not None and number < self._next):
            self.repeated += 1
            return
        self._held[number] = (arrival, item)
        yield from self._release(arrival)

    def flush(self) -> Iterator[tuple[T, bool]]:
        """Everything that waits, at the end."""
        while self._held:
            yield self._take(min(self._held))

    def _release(self, now: float) -> Iterator[tuple[T, bool]]:
        while self._held:
            if self._next is not None and self._next in self._held:
                yield self._take(self._next)
                continue
            hold = HOLD_FIRST if self._next is None else HOLD
            oldest = next(iter(self._held.values()))[0]  # dicts keep the order of arrival
            if now - oldest < hold and len(self._held) < MAX_HELD:
                return
            yield self._take(min(self._held))

    def _take(self, number: int) -> tuple[T, bool]:
        _, item = self._held.pop(number)
        gap = self._next is not None and number > self._next
        if gap and self._next is not None:
            self.lost += number - self._next
        self._next = number + 1
        return item, gap
