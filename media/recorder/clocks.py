"""When a frame happened: from each track's RTP clock, sender reports and arrival times to one time for all. Pure.

Two facts per track are streamed: per `WINDOW`, the smallest *delay* (arrival minus RTP time), and what sender reports
say. From them, when the whole journal is known:

1. *Pieces.* A sender's RTP clock may stand still (a microphone that is off) or jump. Where the smallest delay rises for
   good, or falls far, a new piece begins.
2. *Lower envelope.* Queues only ever delay. Within a piece the delay is the largest curve below all windows that is no
   steeper than `MAX_DRIFT`: two crystals drift no faster, congestion and jitter do not bend it. The sender's
   wall clock does not enter here, so that it may be minutes off, drift, or be set while people talk.
3. *Lip sync.* Encoders hold pictures longer than sound. Reports tie all tracks of a person to one clock, so they
   tell how much later than that person's fastest track each one arrives; the median of it is taken off. Tracks without
   reports keep what arrival says.

Between people, sync is thereby right to the difference of their shortest network delays.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
K = TypeVar("K")  # whatever names an SSRC among the journals of a person

WINDOW = 1.0  # seconds: 50 packets of Opus, of which one is nearly undelayed
MAX_DRIFT = 250e-6  # crystals are within 100 ppm each, and phones somewhat worse
LOOK = 60  # windows on both sides that must agree on a new piece: no queue lasts a minute
RISE = 0.15  # seconds: the RTP clock stood still. Below it, lips are still in sync
FALL = 1.0  # seconds: the RTP clock jumped forwards; less may be a call that began in a traffic jam
BUCKET = 10.0  # seconds in which reports of two tracks are compared: some come every five
MAX_LAG = 1.0  # seconds that a track can be later than the fastest of its person; more is a wrong report


@dataclass
class ClockSamples:
    """What is kept of one SSRC while its journal streams by: some bytes per second."""

    clock_rate: int
    windows: array[float] = field(default_factory=lambda: array("d"))  # number of each window, rising
    media: array[float] = field(default_factory=lambda: array("d"))  # RTP seconds of its least delayed packet
    delay: array[float] = field(default_factory=lambda: array("d"))  # of that packet, seconds
    reports: list[tuple[float, float, float]] = field(default_factory=list)  # arrival, NTP seconds, RTP seconds

    def packet(self, arrival: float, timestamp: int) -> None:
        media = timestamp / self.clock_rate
        delay = arrival - media
        window = arrival // WINDOW
        if not self.windows or window > self.windows[-1]:
            self.windows.append(window)
            self.media.append(media)
            self.delay.append(delay)
        elif delay < self.delay[-1]:
            self.media[-1] = media
            self.delay[-1] = delay

    def report(self, arrival: float, ntp: float, timestamp: int) -> None:
        self.reports.append((arrival, ntp, timestamp / self.clock_rate))


@dataclass(frozen=True)
class Piece:
    """A stretch in which an RTP clock ran evenly: `time = media + offset(media)`."""

    start: float  # arrival from which it holds
    media: Floats  # knots, rising
    offset: Floats

    def time(self, media: float) -> float:
        return media + float(np.interp(media, self.media, self.offset))

    def media_at(self, time: float) -> float:
        """The inverse. The offset changes by less than `MAX_DRIFT`, so two steps are exact to nanoseconds."""
        media = time - float(self.offset[0])
        for _ in range(3):
            media = time - float(np.interp(media, self.media, self.offset))
        return media


@dataclass(frozen=True)
class MediaClock:
    """RTP timestamps of one SSRC to film seconds."""

    clock_rate: int
    pieces: tuple[Piece, ...]

    def piece(self, timestamp: int, arrival: float) -> int:
        """Which piece a packet belongs to: the one of its arrival, or the one before for packets that came late."""
        last = max(0, bisect_right(self.pieces, arrival, key=lambda piece: piece.start) - 1)
        if last == 0:
            return 0
        media = timestamp / self.clock_rate
        return min((last, last - 1), key=lambda number: abs(arrival - self.pieces[number].time(media)))

    def time(self, timestamp: int, arrival: float) -> float:
        """Film seconds of a frame that arrived at `arrival` film seconds."""
        return self.pieces[self.piece(timestamp, arrival)].time(timestamp / self.clock_rate)


def fit_clocks(samples: Mapping[K, ClockSamples]) -> dict[K, MediaClock]:
    """The clocks of all SSRCs of one person, keyed as given. An SSRC without packets gets none."""
    pieces = {key: _pieces(each) for key, each in samples.items() if each.windows}
    lags = _lags({key: _report_offsets(samples[key], pieces[key]) for key in pieces})
    return {
        key: MediaClock(
            samples[key].clock_rate,
            tuple(Piece(piece.start, piece.media, piece.offset - lags[key]) for piece in found),
        )
        for key, found in pieces.items()
    }


def _pieces(samples: ClockSamples) -> tuple[Piece, ...]:
    windows, media, delay = (np.array(each) for each in (samples.windows, samples.media, samples.delay))
    starts = [0, *breaks(delay), len(delay)]
    pieces = []
    for start, end in pairwise(starts):
        order = np.argsort(media[start:end], kind="stable")
        knots = media[start:end][order]
        pieces.append(Piece(float(windows[start]) * WINDOW, knots, envelope(knots, delay[start:end][order])))
    return tuple(pieces)


def breaks(delay: Floats) -> list[int]:
    """Where a new piece begins: windows before and after, `LOOK` each, do not share a delay."""
    found: list[int] = []
    begin = 0
    for number in range(1, len(delay)):
        if abs(delay[number] - delay[number - 1]) < RISE:
            continue  # nothing happens here: spares the two minima
        before = float(delay[max(begin, number - LOOK) : number].min())
        after = float(delay[number : number + LOOK].min())
        if after - before > RISE or before - after > FALL:
            found.append(number)
            begin = number
    return found


def envelope(media: Floats, delay: Floats) -> Floats:
    """The largest curve below `delay` that is nowhere steeper than `MAX_DRIFT`."""
    lowest = delay.copy()
    room = np.diff(media) * MAX_DRIFT
    for number in range(1, len(lowest)):
        lowest[number] = min(lowest[number], lowest[number - 1] + room[number - 1])
    for number in range(len(lowest) - 2, -1, -1):
        lowest[number] = min(lowest[number], lowest[number + 1] + room[number])
    return lowest


def _report_offsets(samples: ClockSamples, pieces: Sequence[Piece]) -> dict[int, float]:
    """Per bucket, film time minus the sender's wall clock as this track sees it."""
    flowing = set(samples.windows)
    clock = MediaClock(samples.clock_rate, tuple(pieces))
    buckets: dict[int, list[float]] = defaultdict(list)
    for arrival, ntp, media in samples.reports:
        window = arrival // WINDOW
        if window in flowing or window - 1 in flowing:  # a report during silence extrapolates a clock that may stand
            time = clock.time(round(media * samples.clock_rate), arrival)
            buckets[int(arrival // BUCKET)].append(time - ntp)
    return {bucket: float(np.median(values)) for bucket, values in buckets.items()}


def _lags(offsets: Mapping[K, Mapping[int, float]]) -> dict[K, float]:
    """How much later than the fastest track each one arrives, seconds."""
    behind: dict[K, list[float]] = {key: [] for key in offsets}
    for bucket in {bucket for each in offsets.values() for bucket in each}:
        present = {key: each[bucket] for key, each in offsets.items() if bucket in each}
        fastest = min(present.values())
        for key, offset in present.items() if len(present) > 1 else ():
            if offset - fastest <= MAX_LAG:  # more: the wall clock was set between two reports
                behind[key].append(offset - fastest)
    return {key: float(np.median(values)) if values else 0.0 for key, values in behind.items()}
