"""What one direction of a link does to packets: loss, bursts, delay, jitter, a rate with a queue, outages, duplicates.

Pure: sizes and times in, times of departure out; no packets, sockets or clock. The same seed, plan and arrivals give
the same losses. Names are those of netem (https://man7.org/linux/man-pages/man8/tc-netem.8.html), which not every
kernel has.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

QUEUE = 0.3  # seconds: what the buffer of a home router holds at its rate, between "bloated" and "tiny"
BIN = 0.1  # seconds per point of a trace


@dataclass(frozen=True)
class Burst:
    """Gilbert-Elliott: a good state without loss and a bad one; probabilities per packet."""

    enter: float
    leave: float
    loss: float = 1.0  # in the bad state

    @property
    def average(self) -> float:
        """The share of packets that is lost in the long run."""
        return self.loss * self.enter / (self.enter + self.leave)


@dataclass(frozen=True)
class Profile:
    """What a direction is like for a while. Nothing given: a perfect wire."""

    loss: float = 0.0  # share of packets, each by itself
    burst: Burst | None = None
    delay: float = 0.0  # seconds
    jitter: float = 0.0  # seconds more or less, evenly spread
    reorder: bool = False  # whether jitter may let packets overtake each other
    rate: int = 0  # bit/s, 0: any
    queue: float = QUEUE  # seconds of `rate`; what finds it full is dropped (drop tail)
    duplicate: float = 0.0  # share of packets that come twice
    blocked: bool = False  # nothing passes


@dataclass(frozen=True)
class Step:
    """From `at` seconds after the plan's start the direction is like `profile`."""

    at: float
    profile: Profile


PERFECT = Profile()


class Link:
    """One direction. `counts` says what became of the packets, `offered` and `delivered` are bytes per `BIN`."""

    def __init__(self, seed: str) -> None:
        self._chance = random.Random(seed)
        self._steps: list[Step] = []
        self._start = 0.0
        self._profile = PERFECT
        self._bad = False  # the state of a burst
        self._free_at = 0.0  # when the last packet in the queue will have left it
        self._last_departure = 0.0
        self.counts: Counter[str] = Counter()
        self.offered: Counter[int] = Counter()
        self.delivered: Counter[int] = Counter()

    def follow(self, steps: Sequence[Step], now: float) -> None:
        """A new plan from now on; the steps are in order. Until its first one things stay as they are."""
        self._profile = self.profile(now)
        self._steps = list(steps)
        self._start = now

    def profile(self, now: float) -> Profile:
        """What the direction is like now."""
        while self._steps and now >= self._start + self._steps[0].at:
            self._profile = self._steps.pop(0).profile
        return self._profile

    def offer(self, size: int, now: float) -> tuple[float, ...]:
        """A packet of `size` bytes arrives: when it leaves at the other end, twice if doubled, or never."""
        profile = self.profile(now)
        self.counts["offered"] += 1
        self.offered[int(now / BIN)] += size
        fate = self._fate(profile)
        if fate:
            self.counts[fate] += 1
            return ()
        sent = now
        if profile.rate:
            begin = max(now, self._free_at)
            if begin - now > profile.queue:
                self.counts["queue_full"] += 1
                return ()
            self._free_at = sent = begin + size * 8 / profile.rate
        departures = [self._depart(profile, sent)]
        if profile.duplicate and self._chance.random() < profile.duplicate:
            self.counts["duplicated"] += 1
            departures.append(self._depart(profile, sent))
        for departure in departures:
            self.delivered[int(departure / BIN)] += size
        self.counts["delivered"] += len(departures)
        return tuple(departures)

    def _fate(self, profile: Profile) -> str:
        """Why the packet is lost before it reaches the queue; empty: it is not."""
        if profile.blocked:
            return "blocked"
        if profile.burst is not None:
            turn = profile.burst.leave if self._bad else profile.burst.enter
            if self._chance.random() < turn:
                self._bad = not self._bad
            if self._bad and self._chance.random() < profile.burst.loss:
                return "lost_in_burst"
        if profile.loss and self._chance.random() < profile.loss:
            return "lost"
        return ""

    def _depart(self, profile: Profile, sent: float) -> float:
        departure = sent + profile.delay
        if profile.jitter:
            departure += self._chance.uniform(-profile.jitter, profile.jitter)
        departure = max(departure, sent)
        if not profile.reorder:
            departure = max(departure, self._last_departure)
            self._last_departure = departure
        return departure
