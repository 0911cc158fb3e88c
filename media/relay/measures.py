"""Turns the packet path's totals into what happened since the last look: loss and bit rates. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from media.relay.plane.api import DownStats, LayerStats


@dataclass(frozen=True)
class Measures:
    """Of one interval; by the packet path's numbers."""

    up_loss: Mapping[int, float] = field(default_factory=dict)  # track → fraction of its packets
    down_loss: Mapping[int, float] = field(default_factory=dict)  # down → as the subscriber reports it
    down_rate: Mapping[int, int] = field(default_factory=dict)  # down → bit/s sent
    layer_rate: Mapping[tuple[int, int], int] = field(default_factory=dict)  # (track, layer) → bit/s that come in


class Meter:
    """Remembers the totals of the last look."""

    def __init__(self) -> None:
        self._ups: dict[int, tuple[int, int]] = {}  # track → packets, lost
        self._octets: dict[int, int] = {}
        self._at = 0.0

    def look(self, ups: Iterable[LayerStats], downs: Iterable[DownStats], now: float) -> Measures:
        """`now` in monotonic seconds."""
        seconds = max(now - self._at, 0.001)
        totals: dict[int, tuple[int, int]] = {}
        rates: dict[tuple[int, int], int] = {}
        for stats in ups:
            rates[stats.track, stats.layer] = stats.bitrate
            packets, lost = totals.get(stats.track, (0, 0))
            totals[stats.track] = packets + stats.packets, lost + stats.lost
        octets: dict[int, int] = {}
        loss: dict[int, float] = {}
        for down in downs:
            octets[down.down] = down.octets
            loss[down.down] = down.loss
        measures = Measures(
            {track: self._fraction(track, *total) for track, total in totals.items()},
            loss,
            {down: int((total - self._octets.get(down, total)) * 8 / seconds) for down, total in octets.items()},
            rates,
        )
        self._ups, self._octets, self._at = totals, octets, now
        return measures

    def _fraction(self, track: int, packets: int, lost: int) -> float:
        packets_before, lost_before = self._ups.get(track, (packets, lost))
        new, missing = packets - packets_before, max(0, lost - lost_before)
        return missing / (new + missing) if new + missing > 0 else 0.0
