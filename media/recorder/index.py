"""The first pass over the journals of one person: headers only, nothing decoded, constant memory per second.

It finds what composition needs to know beforehand: the clock of every layer, when each one flowed and had key frames,
when the track was muted, and when its journal ended.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from media.recorder.clocks import ClockSamples, MediaClock, fit_clocks
from media.recorder.depacketise import EncodedFrame
from media.recorder.frames import TrackReader
from media.recorder.reader import Capture, TrackInfo
from media.recorder.spans import Span, Spans, union
from media.recorder.streams import Layer

LAYER_GAP = 1.0  # seconds without a frame after which a layer does not flow, and a lower one may be shown
VIDEO_GAP = 2.0  # seconds without any after which a camera counts as off; a stall shows the last picture
AUDIO_GAP = 0.5  # seconds: shorter holes are pauses of discontinuous transmission, which repeats every 0.4 s
LAST_FRAME = 0.02  # seconds that the last frame of a span is taken to last


@dataclass(frozen=True)
class LayerIndex:
    """One layer of a track. `spans`: when frames flowed, from the first key frame on; `keys`: when key frames did."""

    layer: Layer
    clock: MediaClock
    spans: Spans
    keys: array[float]


@dataclass(frozen=True)
class TrackIndex:
    """All that is known of one journal before it is decoded, in film seconds."""

    track: TrackInfo
    layers: tuple[LayerIndex, ...]
    opened: float
    ended: float
    closed: bool  # by the recorder: not cut off by a crash
    muted: Spans
    lost: int  # packets that never came

    @property
    def spans(self) -> Spans:
        """When any layer flowed, short stalls included."""
        gap = VIDEO_GAP if self.track.kind == "video" else 0.0
        return union((span for layer in self.layers for span in layer.spans), gap=gap)


class _Runs:
    """Stretches of one layer, as RTP timestamps with arrivals, until the clock is known."""

    def __init__(self, kind: str, clock_rate: int) -> None:
        self._video = kind == "video"
        self._gap = LAYER_GAP if self._video else AUDIO_GAP
        self._rate = clock_rate
        self.runs: list[tuple[tuple[int, float], tuple[int, float]]] = []
        self.keys: list[tuple[int, float]] = []

    def add(self, frame: EncodedFrame) -> None:
        here = (frame.timestamp, frame.arrival)
        if self._video and frame.key and frame.complete:
            self.keys.append(here)
        if self.runs:
            last = self.runs[-1][1]
            since = max(frame.arrival - last[1], (frame.timestamp - last[0]) / self._rate)
            if since <= self._gap:
                self.runs[-1] = (self.runs[-1][0], max(last, here))
                return
        elif not frame.key:
            return
        self.runs.append((here, here))


class _Watcher:
    """Collects what a journal holds besides frames (`media.recorder.frames.Watch`)."""

    def __init__(self, opened: float) -> None:
        self.samples: dict[int, ClockSamples] = {}
        self.changes: list[tuple[float, bool]] = []
        self.end = opened
        self.closed = False

    def packet(self, layer: Layer, arrival: float, timestamp: int) -> None:
        samples = self.samples.get(layer.ssrc)
        if samples is None:
            samples = self.samples[layer.ssrc] = ClockSamples(layer.clock_rate)
        samples.packet(arrival, timestamp)

    def report(self, layer: Layer, arrival: float, ntp: float, timestamp: int) -> None:
        if (samples := self.samples.get(layer.ssrc)) is not None:
            samples.report(arrival, ntp, timestamp)

    def muted(self, at: float, muted: bool) -> None:
        self.changes.append((at, muted))

    def ended(self, at: float, *, closed: bool) -> None:
        self.end, self.closed = at, closed

    def muted_spans(self) -> Spans:
        spans: list[Span] = []
        since: float | None = None
        for at, muted in self.changes:
            if muted and since is None:
                since = at
            elif not muted and since is not None:
                spans.append((since, at))
                since = None
        if since is not None:
            spans.append((since, max(self.end, since)))
        return union(spans)


def index_person(capture: Capture, tracks: Iterable[TrackInfo], zero: float) -> tuple[TrackIndex, ...]:
    """Read all journals of one person; they share a clock. `zero`: the film's zero, seconds since the epoch."""
    scans = [_Scan(capture, track, zero) for track in tracks]
    clocks = fit_clocks(
        {(scan.track.file, ssrc): samples for scan in scans for ssrc, samples in scan.watch.samples.items()}
    )
    return tuple(
        TrackIndex(
            track=scan.track,
            layers=tuple(
                _layer_index(layer, clocks[scan.track.file, layer.ssrc], scan.runs[layer.ssrc])
                for layer in scan.reader.layers
                if layer.ssrc in scan.runs
            ),
            opened=scan.track.opened_at - zero,
            ended=scan.watch.end,
            closed=scan.watch.closed,
            muted=scan.watch.muted_spans(),
            lost=scan.reader.lost,
        )
        for scan in scans
    )


class _Scan:
    """One journal, read through."""

    def __init__(self, capture: Capture, track: TrackInfo, zero: float) -> None:
        self.track = track
        self.watch = _Watcher(track.opened_at - zero)
        self.reader = TrackReader(capture, track, zero, watch=self.watch)
        self.runs: dict[int, _Runs] = {}
        for frame in self.reader:
            if frame.ssrc not in self.runs:
                self.runs[frame.ssrc] = _Runs(track.kind, self.watch.samples[frame.ssrc].clock_rate)
            self.runs[frame.ssrc].add(frame)


def _layer_index(layer: Layer, clock: MediaClock, runs: _Runs) -> LayerIndex:
    return LayerIndex(
        layer=layer,
        clock=clock,
        spans=union((clock.time(*first), clock.time(*end) + LAST_FRAME) for first, end in runs.runs),
        keys=array("d", sorted(clock.time(*key) for key in runs.keys)),
    )
