"""Transport-wide congestion control, sender's side: what was sent to a peer, and what its feedback says became of that.

The counterpart of `twcc`. Packets that were sent at once are told together, as delays are only measured between such
groups: https://datatracker.ietf.org/doc/html/draft-ietf-rmcat-gcc-02#section-5.2. Estimating a bandwidth is not done
here.
"""

from __future__ import annotations

from typing import NamedTuple

from media.relay.plane.rtcp import TransportReport

HISTORY = 4096  # packets, a power of two: 0.8 s at 50 Mbit/s, and feedback comes within 0.25 s and a round trip
AT_ONCE = 0.005  # seconds: packets sent within are one group, GCC's burst time
MAX_TOLD = 1024  # groups between two calls of `take`; what is over isn't told

_MASK = HISTORY - 1
_TICKS = 4000  # of the feedback's clock per second
_REFERENCE = 256  # ticks in one unit (64 ms) of its reference time

Told = tuple[float, float, int, int, int]  # `api.Delivery` without the session


class _Sent(NamedTuple):
    number: int
    at: float
    octets: int  # negative: told as lost


class SentPackets:
    """Of one session, over all streams that bear transport-cc numbers."""

    __slots__ = ("_next", "_reference", "_slots", "_told")

    def __init__(self) -> None:
        self._slots: list[_Sent | None] = []
        self._next = 0  # unwrapped
        self._reference = -1  # of the last feedback, unwrapped
        self._told: list[Told] = []

    def number(self, octets: int, now: float) -> bytes:
        """The header extension element for the next packet, which has `octets` as RTP."""
        if not self._slots:
            self._slots = [None] * HISTORY
        number = self._next
        self._next = number + 1
        self._slots[number & _MASK] = _Sent(number, now, octets)
        return (number & 0xFFFF).to_bytes(2, "big")

    def take(self) -> list[Told]:
        """What was told since the last call."""
        told, self._told = self._told, []
        return told

    def hear(self, report: TransportReport) -> None:
        """Feedback came."""
        if not self._slots:
            return
        clock = self._unwrap(report.reference) * _REFERENCE
        number = self._next - ((self._next - report.base) & 0xFFFF)
        begun = sent_at = arrived = 0.0
        octets = packets = lost = 0
        for delta in report.deltas:
            slot = self._slots[number & _MASK]
            known = slot if slot is not None and slot.number == number else None
            number += 1
            if delta is None:
                if known is not None and known.octets > 0:
                    lost += 1
                    self._slots[known.number & _MASK] = known._replace(octets=-known.octets)
                continue
            clock += delta
            if known is None:
                continue
            self._slots[known.number & _MASK] = None
            if known.octets < 0:
                lost -= 1  # it was late
                continue
            if packets and known.at - begun > AT_ONCE:
                self._tell((sent_at, arrived, octets, packets, lost))
                octets = packets = lost = 0
            if not packets:
                begun, arrived = known.at, clock / _TICKS
            sent_at, arrived = known.at, max(arrived, clock / _TICKS)
            octets += known.octets
            packets += 1
        if packets or lost:
            self._tell((sent_at, arrived, octets, packets, lost))

    def _unwrap(self, reference: int) -> int:
        if self._reference < 0:
            self._reference = reference + 0x1000000  # room for one that was overtaken
        else:
            self._reference += ((reference - self._reference + 0x800000) & 0xFFFFFF) - 0x800000
        return self._reference

    def _tell(self, group: Told) -> None:
        if len(self._told) < MAX_TOLD:
            self._told.append(group)
