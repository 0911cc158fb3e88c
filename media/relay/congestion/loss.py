"""Which part of the loss on a line is congestion. Pure.

Radio loses packets however little is sent; a full queue or a policer loses them because too much is. The difference
shows in what becomes of the loss when less is sent: what stays is the line's own and is put up with.
"""

from __future__ import annotations

import math
from collections import deque

WINDOW = 2.0  # seconds of losses that count
FEWEST = 30  # packets from which a fraction says something
SURE = 2.0  # standard deviations that chance explains
TOO_MUCH = 0.08  # above what the line loses anyway: less is sent. GCC (section 6) has 10 %, without SURE
SETTLE = 0.5  # seconds besides the window until what is measured is all from after a step down
MOST_OWN = 0.35  # that a line may lose of its own: with more, no call is held on it, and less has to be sent
STAYS = 0.6  # of the loss before a step: when so much is left, it is not the rate that makes it
FORGET = 0.02  # of the difference: how fast, with each feedback, a line's own loss follows one that is lower


class LossMeter:
    """Of one subscriber."""

    def __init__(self) -> None:
        self.own = 0.0  # fraction that the line loses whatever is sent
        self._recent: deque[tuple[float, int, int]] = deque()  # now, packets that arrived, lost
        self._arrived = self._lost = 0  # their sums
        self._stepped: tuple[float, float] | None = None  # when less was sent, and the loss before

    def add(self, packets: int, lost: int, now: float) -> None:
        """Feedback of so many packets."""
        self._recent.append((now, packets, lost))
        self._arrived += packets
        self._lost += lost
        while self._recent[0][0] < now - WINDOW:
            _, packets, lost = self._recent.popleft()
            self._arrived -= packets
            self._lost -= lost
        if self.fraction < self.own:
            self.own += (self.fraction - self.own) * FORGET

    @property
    def fraction(self) -> float:
        """Of the packets of the last seconds; 0 where too few were sent to tell."""
        lost = max(0, self._lost)
        return lost / (self._arrived + lost) if self._arrived + lost >= FEWEST else 0.0

    @property
    def excess(self) -> float:
        """What is lost beyond the line's own, as far as chance does not explain it."""
        loss, sent = self.fraction, self._arrived + max(0, self._lost)
        if not loss:
            return 0.0
        return max(0.0, loss - self.own - SURE * math.sqrt(loss * (1 - loss) / sent))

    def congestion(self, now: float) -> float:
        """The fraction to take as congestion now, 0 for none; whoever is given one sends less then."""
        if self._stepped is not None:
            at, before = self._stepped
            if now - at < WINDOW + SETTLE:
                return 0.0
            self._stepped = None
            if self.fraction > before * STAYS:
                self.own = min(self.fraction, MOST_OWN)
        if self.excess <= TOO_MUCH:
            return 0.0
        self._stepped = now, self.fraction
        return self.fraction - self.own
