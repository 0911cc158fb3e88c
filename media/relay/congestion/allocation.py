"""What a subscriber's line is spent on: which layer of each video it gets, and which are paused. Pure.

Everybody is seen small before anybody is seen large; shared screens come first, then who speaks. Audio takes no part:
it is always sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

OFF = -1
UP = 1.1  # times its rate, what a better layer must fit with: rates vary, and going up and down is seen
DOWN = 0.95  # times its rate, what the present one may need
UNKNOWN = (150_000, 500_000, 1_700_000)  # bit/s of layers that were neither seen nor announced: 180p, 360p, 720p


class Priority(IntEnum):
    """The lower, the earlier."""

    SCREEN = 0
    SPEAKER = 1
    OTHER = 2


@dataclass(frozen=True)
class Demand:
    """One video that the subscriber shows."""

    down: int
    priority: Priority
    rates: tuple[int, ...]  # bit/s by layer, up to the best one of use; rising
    present: int = OFF  # the layer it has

    def cost(self, layer: int) -> float:
        """Bit/s that the layer must fit with."""
        return self.rates[layer] * (DOWN if layer <= self.present else UP)


def wanted_rate(demands: Sequence[Demand]) -> int:
    """Bit/s if everything is had."""
    return sum(demand.rates[-1] for demand in demands if demand.rates)


def allocate(demands: Sequence[Demand], rate: float, *, may_pause: bool = True) -> Mapping[int, int]:
    """The layer of each down track, OFF for those that have to pause. `rate` in bit/s."""
    ordered = sorted((demand for demand in demands if demand.rates), key=lambda demand: demand.priority)
    layers = {demand.down: OFF for demand in demands}
    left = rate
    for demand in ordered:
        if demand.cost(0) <= left or not may_pause:
            layers[demand.down] = 0
            left -= demand.cost(0)
    raised = True
    while raised:
        raised = False
        for demand in ordered:
            layer = layers[demand.down]
            if layer == OFF or layer + 1 >= len(demand.rates):
                continue
            more = demand.cost(layer + 1) - demand.cost(layer)
            if more <= left:
                layers[demand.down] = layer + 1
                left -= more
                raised = True
    return layers


def rising(rates: Sequence[int]) -> tuple[int, ...]:
    """Rates by layer with what is unknown (0) filled in; a better layer never costs less."""
    filled: list[int] = []
    for layer, rate in enumerate(rates):
        known = rate or UNKNOWN[min(layer, len(UNKNOWN) - 1)]
        filled.append(max(known, filled[-1] if filled else 0))
    return tuple(filled)
