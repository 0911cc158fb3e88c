"""What arrives on one SSRC: extended sequence numbers, duplicates, losses to ask for again, reception statistics.

Sequence numbers leave here unwrapped (ints that only grow), so that nobody behind has to think of 65,535.
Statistics are RFC 3550's (appendix A.1, A.3, A.8). Sends nothing itself: `Session` does.
"""

from __future__ import annotations

from media.relay.plane.rtcp import ReportBlock

MAX_GAP = 512  # packets: a longer jump is an outage; a key frame heals it sooner than that many retransmissions
LONG_SILENCE = 1.0  # seconds without a packet before a gap
MAX_GAP_AFTER_SILENCE = 20  # packets: after a long silence more is an outage too, and not a slow source's loss
MAX_MISSING = 1000  # remembered lost packets per stream; libwebrtc's NACK list has the same limit
MISSING_LIFETIME = 2.0  # seconds in which a lost packet that still comes is of use to a subscriber's jitter buffer
RETRY_INTERVALS = (0.06, 0.1, 0.15, 0.2, 0.25, 0.3)  # seconds between the requests for one packet, then none: at
# 500 ms of round trip the answer to the first ones comes while the last ones leave
MAX_JITTER_STEP = 5.0  # seconds: a larger difference is a pause of the source or a clock that was set

IN_ORDER, AFTER_GAP, LATE, UNWANTED, OUTAGE = range(5)  # what `add` makes of a packet


class Receiver:
    """Reception of one SSRC. `clock_rate` in Hz, `nack` whether lost packets are asked for."""

    __slots__ = (
        "_arrival",
        "_base",
        "_clock_rate",
        "_expected_before",
        "_jitter",
        "_received_before",
        "_sr_arrival",
        "_sr_middle",
        "_timestamp",
        "gave_up",
        "highest",
        "missing",
        "nack",
        "received",
        "recovered",
        "verdict",
    )

    def __init__(self, clock_rate: int, *, nack: bool) -> None:
        self._clock_rate = clock_rate
        self.nack = nack
        self.highest = -1  # extended; -1: nothing yet
        self.received = 0
        self.recovered = 0  # through RTX
        self.missing: dict[int, list[float]] = {}  # extended number -> [lost at, requests sent, next request at]
        self.verdict = IN_ORDER  # of the last packet added
        self.gave_up = False  # whether packets were lost for good; who looks resets it
        self._base = 0
        self._jitter = 0.0
        self._arrival = 0.0
        self._timestamp = -1
        self._expected_before = self._received_before = 0
        self._sr_middle = 0
        self._sr_arrival = 0.0

    def add(self, sequence: int, timestamp: int, now: float) -> int:
        """Take note of a packet; returns its extended sequence number and leaves what it is in `verdict`."""
        highest = self.highest
        self.received += 1
        if highest < 0:
            # one cycle up, so that packets sent before the first to arrive have numbers above zero
            self._base = self.highest = extended = sequence + 0x10000
            self.verdict = IN_ORDER
        else:
            step = (sequence - highest) & 0xFFFF
            if step == 1:
                self.highest = extended = highest + 1
                self.verdict = IN_ORDER
            elif 0 < step < 0x8000:
                self.highest = extended = highest + step
                self.verdict = self._note_gap(highest, extended, now)
            else:
                extended = highest - ((highest - sequence) & 0xFFFF)
                self.verdict = LATE if self.missing.pop(extended, None) else UNWANTED
                return extended
        if timestamp != self._timestamp:
            if self._timestamp >= 0:
                elapsed = (now - self._arrival) * self._clock_rate
                step = ((timestamp - self._timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
                difference = abs(elapsed - step)
                if difference < self._clock_rate * MAX_JITTER_STEP:
                    self._jitter += (difference - self._jitter) / 16
            self._timestamp = timestamp
            self._arrival = now
        return extended

    def _note_gap(self, highest: int, extended: int, now: float) -> int:
        limit = MAX_GAP_AFTER_SILENCE if now - self._arrival > LONG_SILENCE else MAX_GAP
        if extended - highest > limit:
            self.missing.clear()
            return OUTAGE
        for lost in range(highest + 1, extended):
            self.missing[lost] = [now, 0, now]
        while len(self.missing) > MAX_MISSING:
            del self.missing[next(iter(self.missing))]
        return AFTER_GAP

    def recover(self, sequence: int) -> int:
        """The extended number of a packet that came by RTX, or -1 where it was not missing.

        Chromium probes for bandwidth by repeating packets that arrived: those are the larger part of its RTX.
        """
        if self.highest < 0:
            return -1
        extended = self.highest - ((self.highest - sequence) & 0xFFFF)
        if self.missing.pop(extended, None) is None:
            return -1
        self.recovered += 1
        return extended

    def forgive(self, first: int, end: int) -> None:
        """Nothing of use is missing from `first` to before `end` (extended numbers)."""
        if self.missing:
            for sequence in range(first, end):
                self.missing.pop(sequence, None)

    def due(self, now: float) -> list[int]:
        """Sequence numbers to ask for now (16 bits, in order); forgets those that came too late to be of use."""
        wanted: list[int] = []
        expired: list[int] = []
        for sequence, entry in self.missing.items():
            if now - entry[0] > MISSING_LIFETIME:
                expired.append(sequence)
            elif entry[2] <= now and entry[1] < len(RETRY_INTERVALS):
                entry[2] = now + RETRY_INTERVALS[int(entry[1])]
                entry[1] += 1
                wanted.append(sequence & 0xFFFF)
        for sequence in expired:
            del self.missing[sequence]
            self.gave_up = True
        return wanted if self.nack else []

    @property
    def expected(self) -> int:
        """Packets that the sender has sent since the first one that arrived, as far as sequence numbers tell."""
        return self.highest - self._base + 1 if self.highest >= 0 else 0

    @property
    def lost(self) -> int:
        """Packets that never came, also not by RTX."""
        return max(0, self.expected - self.received - self.recovered)

    def sender_report(self, ntp: int, now: float) -> None:
        """The sender's SR, which the next report answers so that the sender learns the round trip time."""
        self._sr_middle = ntp >> 16 & 0xFFFFFFFF
        self._sr_arrival = now

    def report(self, ssrc: int, now: float) -> ReportBlock:
        """The report block since the last call."""
        expected, received = self.expected, self.received
        interval, arrived = expected - self._expected_before, received - self._received_before
        self._expected_before, self._received_before = expected, received
        lost = interval - arrived
        fraction = min(255, (lost << 8) // interval) if interval > 0 and lost > 0 else 0
        return ReportBlock(
            ssrc=ssrc,
            fraction_lost=fraction,
            lost=max(-0x800000, min(0x7FFFFF, expected - received)),
            highest=self.highest - 0x10000,
            jitter=int(self._jitter),
            last_sr=self._sr_middle,
            delay=int((now - self._sr_arrival) * 65536) if self._sr_middle else 0,
        )
