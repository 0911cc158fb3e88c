"""One subscriber's line: what is known of it, what is tried on it, and what its videos get of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from media.relay.congestion.allocation import OFF, Demand, allocate, wanted_rate
from media.relay.congestion.estimate import Estimator
from media.relay.congestion.probe import Prober
from media.relay.plane.api import Delivery

CHANGE = 0.02  # of the estimate: less does not move a layer


class Line:
    """`hear` what feedback tells, `demand` when what is shown changes, and `look` every tick."""

    def __init__(self, *, may_pause: bool) -> None:
        self.estimator = Estimator()
        self.layers: Mapping[int, int] = {}  # by down track, as last allocated
        self._prober = Prober()
        self._may_pause = may_pause
        self._demands: Sequence[Demand] = ()
        self._allocated_at = 0.0  # bit/s, 0: has to be done anew
        self._looked_at = 0.0
        self.told = 0.0  # bit/s, the rate that the packet path knows
        self.stale = False  # what is shown has changed: `demand` is due

    @property
    def rate(self) -> float:
        """Bit/s of video that it carries, as far as is known."""
        return self.estimator.rate

    @property
    def narrow(self) -> bool:
        """Somebody is shown worse than they would be on a wider line."""
        return any(self.layers.get(demand.down, 0) < len(demand.rates) - 1 for demand in self._demands)

    def hear(self, deliveries: Iterable[Delivery], now: float) -> None:
        """In the order of sending; monotonic seconds."""
        self.estimator.hear(deliveries, now)

    def demand(self, demands: Sequence[Demand]) -> None:
        """What the subscriber shows now, and what it would cost."""
        self._demands = demands
        self.stale = False
        self._allocated_at = 0.0

    def look(self, now: float) -> tuple[bool, int]:
        """Whether `layers` are others now, and octets of padding to send."""
        passed, self._looked_at = now - self._looked_at if self._looked_at else 0.0, now
        padding = 0
        if self._demands:
            wanted = wanted_rate(self._demands)
            padding = self._prober.look(self.estimator, wanted, self._sending(), passed, now)
        rate = self.estimator.rate
        if abs(rate - self._allocated_at) <= CHANGE * self._allocated_at:
            return False, padding
        self._allocated_at = rate
        # Nobody is paused for what a line might not carry: first it has to be seen full.
        may_pause = self._may_pause and self.estimator.lowered_at >= 0
        before, self.layers = self.layers, allocate(self._demands, rate, may_pause=may_pause)
        return self.layers != before, padding

    def _sending(self) -> float:
        """Bit/s of what is allocated."""
        layers = ((demand, self.layers.get(demand.down, OFF)) for demand in self._demands)
        return sum(demand.rates[min(layer, len(demand.rates) - 1)] for demand, layer in layers if layer != OFF)
