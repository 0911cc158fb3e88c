"""How many bits per second of video a subscriber's line carries, from its transport-cc feedback. Pure.

The rate control of Google congestion control (https://datatracker.ietf.org/doc/html/draft-ietf-rmcat-gcc-02#section-5.5)
for a sender that mostly sends less than it may: what it sends is chosen from a few layers. So the estimate is only ever
raised by what was seen to arrive, padding included, and is not lowered because less was sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum

from media.relay.congestion.delay import Trendline, Usage
from media.relay.congestion.loss import LossMeter
from media.relay.plane.api import Delivery

FIRST = 2_000_000.0  # bit/s until something else is seen: one good camera, or a dozen small ones
LEAST = 50_000.0  # bit/s: with less, no layer of any camera can be sent anyway
BACK_OFF = 0.85  # of what arrived while the queue grew, so that it drains
GROWTH = 1.08  # per second, far from where the line was last seen full
STEP = 50_000.0  # bit/s per second, near there
NEAR = 0.25  # of the rate at which the line was last seen full
HEADROOM = 1.5  # times what arrives: nothing shows that more would
PAUSE = 0.3  # seconds between two steps down: feedback of what was sent before the first must not count twice
RATE_WINDOW = 0.5  # seconds over which arrivals are counted
PEAK_WINDOW = 0.2  # seconds for what padding of a moment shows
THROUGH = 0.7  # of what is sent: so much arrives in the shortest window unless the line has become too narrow for it
RATE_SPAN = 0.1  # seconds: with less between the first and the last arrival there is no rate


class Control(Enum):
    """What is being done about the estimate."""

    HOLD = "hold"
    INCREASE = "increase"
    DECREASE = "decrease"


# GCC section 5.5, figure 3
TRANSITIONS = {
    (Control.HOLD, Usage.OVERUSE): Control.DECREASE,
    (Control.HOLD, Usage.NORMAL): Control.INCREASE,
    (Control.HOLD, Usage.UNDERUSE): Control.HOLD,
    (Control.INCREASE, Usage.OVERUSE): Control.DECREASE,
    (Control.INCREASE, Usage.NORMAL): Control.INCREASE,
    (Control.INCREASE, Usage.UNDERUSE): Control.HOLD,
    (Control.DECREASE, Usage.OVERUSE): Control.DECREASE,
    (Control.DECREASE, Usage.NORMAL): Control.HOLD,
    (Control.DECREASE, Usage.UNDERUSE): Control.HOLD,
}


class ArrivalRate:
    """Bits per second that arrive, by the subscriber's clock."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._groups: deque[tuple[float, int]] = deque()
        self._octets = 0

    def add(self, arrived: float, octets: int) -> None:
        if self._groups and abs(arrived - self._groups[-1][0]) > 10 * self._window:
            self._groups.clear()  # after a long silence, or with another clock
            self._octets = 0
        self._groups.append((arrived, octets))
        self._octets += octets
        while self._groups[0][0] < arrived - self._window:
            self._octets -= self._groups.popleft()[1]

    @property
    def value(self) -> float:
        """0 where too little is known."""
        if len(self._groups) < 2:
            return 0.0
        span = self._groups[-1][0] - self._groups[0][0]
        return (self._octets - self._groups[0][1]) * 8 / span if span >= RATE_SPAN else 0.0


class Estimator:
    """Of one subscriber's line. `rate` in bit/s."""

    def __init__(self) -> None:
        self.rate = FIRST
        self.arriving = ArrivalRate(RATE_WINDOW)
        self.peak = ArrivalRate(PEAK_WINDOW)
        self.usage = Usage.NORMAL  # the worst that the last feedback showed
        self.loss = LossMeter()
        self.heard_at = -1.0  # when feedback last came, negative: never
        self.lowered_at = -1.0
        self._trend = Trendline()
        self._control = Control.HOLD
        self.full_at = 0.0  # bit/s at which the line was last seen full, 0: never
        self._looked_at = 0.0
        self._padded_until = 0.0
        self._unpadded = 0.0  # bit/s besides the padding

    def hear(self, deliveries: Iterable[Delivery], now: float) -> None:
        """Feedback came; monotonic seconds."""
        packets = lost = 0
        usage = Usage.NORMAL
        for delivery in deliveries:
            packets += delivery.packets
            lost += delivery.lost
            if delivery.packets:
                seen = self._trend.add(delivery.sent, delivery.arrived)
                self.arriving.add(delivery.arrived, delivery.octets)
                self.peak.add(delivery.arrived, delivery.octets)
                usage = seen if usage is not Usage.OVERUSE else usage  # one group that shows it is enough
        self.usage = usage
        self.loss.add(packets, lost, now)
        passed = min(now - self._looked_at, 1.0) if self.heard_at >= 0 else 0.0
        self.heard_at = self._looked_at = now
        self._control = TRANSITIONS[self._control, usage]
        if now < self._padded_until and self.peak.value >= THROUGH * self._unpadded:
            return
        if self._control is Control.DECREASE:
            self._lower(BACK_OFF * (self.peak.value or self.arriving.value), now)
            return
        congestion = self.loss.congestion(now)
        if congestion:
            self._lower(min(self.rate, self.arriving.value * HEADROOM) * (1 - congestion / 2), now)
        elif self._control is Control.INCREASE:
            self._raise(passed)

    def _lower(self, to: float, now: float) -> None:
        if self.arriving.value <= 0 or (self.lowered_at >= 0 and now - self.lowered_at < PAUSE):
            return
        self.lowered_at = now
        self.full_at = self.arriving.value
        self.rate = max(LEAST, min(self.rate, to))

    def _raise(self, passed: float) -> None:
        arriving = self.arriving.value
        near = self.full_at > 0 and abs(arriving - self.full_at) < NEAR * self.full_at
        grown = self.rate + STEP * passed if near else self.rate * GROWTH**passed
        self.rate = max(self.rate, min(grown, arriving * HEADROOM))

    def padded(self, until: float, unpadded: float) -> None:
        """What feedback shows up to then is about padding: a queue that it made says nothing against what was sent
        without, as long as that much (bit/s) arrives."""
        self._padded_until, self._unpadded = until, unpadded

    def proved(self, rate: float) -> None:
        """So much arrived at once, and no queue grew."""
        self.rate = max(self.rate, rate)

    def report(self, loss: float, sent: float, bandwidth: int, passed: float, now: float) -> None:
        """For subscribers without transport-cc, from receiver reports once in a while: the worst fraction lost, bit/s
        sent, and their own estimate (REMB, bit/s; 0: unknown), which alone says little, as it never exceeds 1.5 times
        what is sent. Loss only ever comes with the rate here: what is the line's own can't be told."""
        congested = loss > REPORTED_LOSS and (bandwidth == 0 or bandwidth < sent * 1.1)
        if congested and sent > 0 and now - self.lowered_at > REPORT_PAUSE:
            self.lowered_at = now
            self.rate = max(LEAST, min(self.rate, sent * (1 - loss / 2)))
        elif loss < REPORTED_CLEAN and self.lowered_at >= 0:
            self.rate = min(self.rate * GROWTH**passed, FIRST)


REPORTED_LOSS = 0.08  # retransmission repairs less than this without visible harm
REPORTED_CLEAN = 0.02
REPORT_PAUSE = 3.0  # seconds: reports come once a second and tell of the second before
