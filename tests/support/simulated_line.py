"""A subscriber's line in simulated time: cameras of three layers, a bottleneck with a queue, transport-cc feedback."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from media.relay.congestion.allocation import OFF, Demand, Priority
from media.relay.congestion.line import Line
from media.relay.plane.api import Delivery

RATES = (150_000, 500_000, 1_700_000)  # bit/s of Chromium's layers at 720p
FRAME, TICK, FEEDBACK = 1 / 30, 0.05, 0.1  # seconds
PACKET = 1200  # bytes
OTHER_CLOCK = 55.0  # seconds by which the subscriber's clock is another


def camera(down: int = 1, *, best: int = 2, priority: Priority = Priority.OTHER) -> Demand:
    return Demand(down, priority, RATES[: best + 1])


@dataclass
class Bottleneck:
    """What lies between. `rate` by the time from which it holds, bit/s."""

    rate: Mapping[float, float]
    queue: float = 60_000  # bytes, then packets are lost
    delay: float = 0.02  # seconds
    jitter: float = 0.0
    loss: float = 0.0  # whatever is sent
    seed: int = 1
    free_at: float = 0.0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def send(self, now: float, size: int) -> float | None:
        """When the packet arrives."""
        rate = self.rate[max(time for time in self.rate if time <= now)]
        start = max(now, self.free_at)
        if self.random.random() < self.loss or (start - now) * rate / 8 > self.queue:
            return None
        self.free_at = start + size * 8 / rate
        return self.free_at + self.delay + self.random.random() * self.jitter


@dataclass
class SimulatedLine:
    """Runs a `Line` as the relay does."""

    bottleneck: Bottleneck
    demands: Sequence[Demand] = (camera(),)
    may_pause: bool = True
    now: float = 0.0
    padding: int = 0  # octets, in all
    longest_queue: float = 0.0  # seconds
    history: list[tuple[float, Mapping[int, int]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.line = Line(may_pause=self.may_pause)
        self._sent: deque[tuple[float, int, float | None]] = deque()
        self._feedback: deque[tuple[float, list[Delivery]]] = deque()
        self._ticks = 0

    def run(self, until: float) -> None:
        """Let time pass, in steps of 1/600 s, of which frames, ticks and feedback are multiples."""
        for step in range(round(self.now * 600), round(until * 600)):
            self.now = step / 600
            if step % 20 == 0:
                self._frame()
            if step % 30 == 0:
                self._tick()
            if step % 60 == 0:
                self._feed_back()
        self.now = until

    def layers_since(self, time: float) -> list[Mapping[int, int]]:
        before = [layers for at, layers in self.history if at <= time]
        return before[-1:] + [layers for at, layers in self.history if at > time]

    def reached(self, down: int, layer: int, since: float) -> float:
        """Seconds from `since` until the track got the layer for good."""
        at = [time for time, layers in self.history if layers[down] != layer]
        after = [time for time, layers in self.history if layers[down] == layer and time > max([*at, since])]
        return (after[0] if after else self.now + 1e9) - since

    def _send(self, size: int) -> None:
        self._sent.append((self.now, size, self.bottleneck.send(self.now, size)))

    def _frame(self) -> None:
        for demand in self.demands:
            layer = self.line.layers.get(demand.down, OFF)
            octets = int(demand.rates[layer] / 8 * FRAME * self.bottleneck.random.uniform(0.8, 1.2)) * (layer != OFF)
            while octets > 0:
                self._send(min(PACKET, octets))
                octets -= PACKET

    def _tick(self) -> None:
        while self._feedback and self._feedback[0][0] <= self.now:
            self.line.hear(self._feedback.popleft()[1], self.now)
        if self._ticks % 20 == 0:
            self.line.demand([replace(d, present=self.line.layers.get(d.down, OFF)) for d in self.demands])
        self._ticks += 1
        changed, padding = self.line.look(self.now)
        if changed:
            self.history.append((self.now, dict(self.line.layers)))
        self.padding += padding
        while padding > 0:
            self._send(min(PACKET, padding))
            padding -= PACKET
        self.longest_queue = max(self.longest_queue, self.bottleneck.free_at - self.now)

    def _feed_back(self) -> None:
        groups: list[Delivery] = []
        begun = -1.0
        while self._sent and (self._sent[0][2] is None or self._sent[0][2] <= self.now):
            at, size, arrived = self._sent.popleft()
            if arrived is None:
                groups.append(Delivery(1, at, 0.0, 0, 0, 1))
            elif groups and groups[-1].packets and at - begun <= 0.005:
                last = groups[-1]
                latest = max(last.arrived, arrived + OTHER_CLOCK)
                groups[-1] = Delivery(1, at, latest, last.octets + size, last.packets + 1, last.lost)
            else:
                begun = at
                groups.append(Delivery(1, at, arrived + OTHER_CLOCK, size, 1, 0))
        if groups:
            self._feedback.append((self.now + self.bottleneck.delay, groups))
