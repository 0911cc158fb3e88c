"""From a track's blocks of sound to its utterances, in bounded memory: timeline, gaps, voice activity, cutting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from media.speech.cutting import PAUSE, Cutter, Span
from media.speech.sound import FRAME, RATE, Samples

BATCH = 64 * FRAME  # two seconds at a time through the voice detector: fewer calls, and little to hold
# Shorter holes are lost packets and rounding: filled with silence. Longer ones are a muted microphone: a pause.
HOLE = PAUSE * FRAME
TOLERANCE = RATE // 50  # 20 ms, one Opus packet: less is rounding of time stamps and neither filled nor cut


class Detector(Protocol):
    """What `vad.VoiceActivity` does; a test may say itself where speech is."""

    def reset(self) -> None: ...

    def probabilities(self, samples: Samples) -> npt.NDArray[np.float32]: ...


@dataclass(frozen=True)
class Utterance:
    """A few seconds of one voice. `start` on the track's own time, in seconds."""

    start: float
    samples: Samples

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def utterances(blocks: Iterable[tuple[float, Samples]], detector: Detector) -> Iterator[Utterance]:
    """Cut a track. `blocks` are (seconds, 16 kHz mono) in order of time, of any length.

    What overlaps the block before is dropped, so that a clock that was set back repeats nothing.
    """
    run: _Run | None = None
    for start, block in blocks:
        samples = np.nan_to_num(np.asarray(block, np.float32).reshape(-1), nan=0.0, posinf=0.0, neginf=0.0)
        if run is not None:
            gap = round((start - run.end) * RATE)
            if gap >= HOLE:
                yield from run.finish()
                run = None
            elif gap > TOLERANCE:
                yield from run.feed(np.zeros(gap, np.float32))
            elif gap < -TOLERANCE:
                samples = samples[-gap:]
        if run is None:
            detector.reset()
            run = _Run(start, detector)
        for position in range(0, len(samples), BATCH):
            yield from run.feed(samples[position : position + BATCH])
    if run is not None:
        yield from run.finish()


class _Run:
    """Sound without holes. Holds what the cutter may still want, and what is not yet a whole frame."""

    def __init__(self, start: float, detector: Detector) -> None:
        self._start = start
        self._detector = detector
        self._cutter = Cutter()
        self._kept = np.zeros(0, np.float32)
        self._kept_from = 0  # number of the frame that `_kept` begins with
        self._examined = 0  # frames that went through the detector

    @property
    def end(self) -> float:
        """Seconds, on the track's time."""
        return self._start + (self._kept_from * FRAME + len(self._kept)) / RATE

    def feed(self, samples: Samples) -> Iterator[Utterance]:
        self._kept = np.concatenate((self._kept, samples))
        whole = len(self._kept) // FRAME + self._kept_from
        fresh = self._kept[(self._examined - self._kept_from) * FRAME : (whole - self._kept_from) * FRAME]
        self._examined = whole
        for probability in self._detector.probabilities(fresh):
            yield from self._cut(self._cutter.feed(float(probability)))
        done = min(self._cutter.oldest, self._examined) - self._kept_from
        if done > 0:
            self._kept = self._kept[done * FRAME :].copy()
            self._kept_from += done

    def finish(self) -> Iterator[Utterance]:
        yield from self.feed(np.zeros(-len(self._kept) % FRAME, np.float32))
        yield from self._cut(self._cutter.finish())

    def _cut(self, span: Span | None) -> Iterator[Utterance]:
        if span is not None:
            first = (span.first - self._kept_from) * FRAME
            end = (span.end - self._kept_from) * FRAME
            yield Utterance(self._start + span.first * FRAME / RATE, self._kept[first:end].copy())
