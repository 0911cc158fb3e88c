"""Whether a queue is growing on the way to a subscriber, from how the delay between groups of packets changes.

The trendline of Google congestion control, with libwebrtc's constants:
https://datatracker.ietf.org/doc/html/draft-ietf-rmcat-gcc-02#section-5 (there with a Kalman filter in its place). Only
differences of each clock count, so that the two need not agree. Pure.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

WINDOW = 20  # groups: two thirds of a second of 30 frames
FEWEST = 8  # groups from which a trend is read
SMOOTHING = 0.9
GAIN = 4.0
MOST_COUNTED = 60  # groups after which the trend counts fully
SILENCE = 1.0  # seconds without a packet after which delays begin anew
OVERUSE_TIME = 0.010  # seconds above the threshold until it is believed
# The threshold follows the trend, slowly upwards and faster back, or flows that compete by loss would starve ours.
FIRST_THRESHOLD, LEAST_THRESHOLD, MOST_THRESHOLD = 12.5, 6.0, 600.0  # ms
RISE, FALL = 0.0087, 0.039  # per ms
OUTLIER = 15.0  # ms above the threshold: a jump, from which nothing is learnt
LONGEST_STEP = 100.0  # ms that the threshold moves at once


class Usage(Enum):
    """Of the line."""

    NORMAL = "normal"
    OVERUSE = "overuse"  # a queue grows
    UNDERUSE = "underuse"  # a queue drains


class Trendline:
    """Of one subscriber. Fed group by group, in the order of sending."""

    def __init__(self) -> None:
        self.usage = Usage.NORMAL
        self._before: tuple[float, float] | None = None  # sent, arrived: of the last group
        self._begun = 0.0
        self._restart()
        self._threshold = FIRST_THRESHOLD

    def _restart(self) -> None:
        self._points: deque[tuple[float, float]] = deque(maxlen=WINDOW)  # ms since the first, smoothed delay in ms
        self._delay = self._smoothed = self._last_trend = 0.0
        self._count = 0
        self._over = 0.0  # seconds above the threshold
        self._times_over = 0
        self.usage = Usage.NORMAL

    def add(self, sent: float, arrived: float) -> Usage:
        """A group was sent and arrived then, each in seconds of its own clock. Returns the usage it shows."""
        before, self._before = self._before, (sent, arrived)
        if before is None:
            self._begun = arrived
            return self.usage
        sent_gap, arrival_gap = sent - before[0], arrived - before[1]
        if sent_gap > SILENCE or arrival_gap < -SILENCE:
            self._restart()
            self._begun = arrived
            return self.usage
        self._count = min(self._count + 1, MOST_COUNTED)
        self._delay += (arrival_gap - sent_gap) * 1000
        self._smoothed = SMOOTHING * self._smoothed + (1 - SMOOTHING) * self._delay
        self._points.append(((arrived - self._begun) * 1000, self._smoothed))
        trend = _slope(self._points) if len(self._points) >= FEWEST else self._last_trend
        self._judge(trend, sent_gap, max(arrival_gap, 0.0))
        return self.usage

    def _judge(self, trend: float, sent_gap: float, arrival_gap: float) -> None:
        modified = self._count * trend * GAIN
        if modified > self._threshold:
            self._over += sent_gap if self._times_over else sent_gap / 2
            self._times_over += 1
            if self._over > OVERUSE_TIME and self._times_over > 1 and trend >= self._last_trend:
                self._over, self._times_over = 0.0, 0
                self.usage = Usage.OVERUSE
        else:
            self._over, self._times_over = 0.0, 0
            self.usage = Usage.UNDERUSE if modified < -self._threshold else Usage.NORMAL
        self._last_trend = trend
        self._follow(abs(modified), arrival_gap * 1000)

    def _follow(self, modified: float, passed: float) -> None:
        if modified > self._threshold + OUTLIER:
            return
        speed = FALL if modified < self._threshold else RISE
        self._threshold += speed * (modified - self._threshold) * min(passed, LONGEST_STEP)
        self._threshold = min(max(self._threshold, LEAST_THRESHOLD), MOST_THRESHOLD)


def _slope(points: deque[tuple[float, float]]) -> float:
    """Of the line with the least squares, 0 where all points have the same time."""
    count = len(points)
    mean_time = sum(time for time, _ in points) / count
    mean_delay = sum(delay for _, delay in points) / count
    spread = sum((time - mean_time) ** 2 for time, _ in points)
    if spread == 0:
        return 0.0
    return sum((time - mean_time) * (delay - mean_delay) for time, delay in points) / spread
