"""When to try whether a line carries more, and with how much padding. Pure.

A subscriber is sent one of a few layers, mostly less than its line carries; that more would fit shows only when more
is sent. A try adds padding for a moment and ends at once when the queue grows. It is small at first, since on a line
that is full every bit of it delays what people hear; when it succeeds the next is larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from media.relay.congestion.delay import Usage
from media.relay.congestion.estimate import BACK_OFF, Estimator
from media.relay.congestion.loss import TOO_MUCH

FIRST_FACTOR, NEXT_FACTOR = 1.5, 2.5  # times the estimate: the first tries, and those on a line that has become wider
DURATION = 0.3  # seconds of padding: several frames, so that the queue can show
ECHO = 0.5  # seconds at most until the feedback of its end is here: an interval of feedback, and a round trip
DRAIN = 1.0  # seconds at most until a queue that it made is gone
WIDER = 1.15  # times the rate at which the line was last full: it has become wider, and larger steps may be tried
SUCCESS = 0.85  # of what was tried, when so much arrived: a moment is measured no better
RETRY = 1.5  # seconds from a failed try to the next: with the steps up, the best layer is back within five
CALM = 1.0  # seconds after a step down: the queue drains first
MARGIN = 1.1  # times what is wanted: layers vary
LEAST_GOAL = 200_000.0  # bit/s: a try for less than the lowest layer of a camera leads nowhere


class Phase(Enum):
    IDLE = "idle"
    PADDING = "padding"
    LISTENING = "listening"  # for the feedback of it


@dataclass
class Prober:
    """Of one subscriber."""

    phase: Phase = Phase.IDLE
    goal: float = 0.0  # bit/s that are tried
    _base: float = 0.0  # bit/s without padding
    _until: float = 0.0
    _next: float = 0.0  # no try before
    _succeeded: bool = False  # the last one did
    _owed: float = 0.0  # octets of padding that were too few to send
    _best: float = 0.0  # bit/s: the most that arrived in this try

    def look(self, estimator: Estimator, wanted: float, sending: float, passed: float, now: float) -> int:
        """Every tick. `wanted`: bit/s that would be sent if the line carried it; `sending`: what is sent without
        padding; `passed`: seconds since the last look. Returns octets of padding to send now."""
        if self.phase is not Phase.IDLE:
            self._best = max(self._best, estimator.peak.value / (1 - estimator.loss.own))
            if self._overflows(estimator):
                self._fail(estimator, now)
        match self.phase:
            case Phase.IDLE:
                self._begin(estimator, wanted, sending, now)
            case Phase.PADDING if now >= self._until:
                self.phase, self._until = Phase.LISTENING, now + ECHO
            case Phase.LISTENING if now >= self._until or self._best >= SUCCESS * self.goal:
                self._conclude(estimator, now)
        if self.phase is not Phase.PADDING:
            return 0
        self._owed += (self.goal - self._base) * passed / 8
        octets, self._owed = int(self._owed), self._owed % 1
        return octets

    def _begin(self, estimator: Estimator, wanted: float, sending: float, now: float) -> None:
        calm = estimator.lowered_at < 0 or now - estimator.lowered_at >= CALM
        if estimator.heard_at < 0 or wanted * MARGIN <= estimator.rate or now < self._next or not calm:
            return
        wider = self._succeeded and estimator.rate > WIDER * estimator.full_at
        factor = NEXT_FACTOR if wider else FIRST_FACTOR
        self.goal = max(LEAST_GOAL, min(wanted * MARGIN, estimator.rate * factor))
        self._base = min(sending, self.goal)
        self._best = self._owed = 0.0
        self.phase, self._until = Phase.PADDING, now + DURATION
        estimator.padded(self._until + ECHO, self._base)

    def _overflows(self, estimator: Estimator) -> bool:
        return estimator.usage is Usage.OVERUSE or estimator.loss.excess > TOO_MUCH

    def _conclude(self, estimator: Estimator, now: float) -> None:
        if self._best < SUCCESS * self.goal:
            self._fail(estimator, now)
            return
        estimator.proved(self.goal)
        self._succeeded = True
        self.phase, self._next = Phase.IDLE, now

    def _fail(self, estimator: Estimator, now: float) -> None:
        estimator.padded(now + DRAIN, self._base)
        estimator.proved(BACK_OFF * self._best)
        self._succeeded = False
        self.phase, self._next = Phase.IDLE, now + RETRY
