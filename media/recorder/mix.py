"""Everybody's sound together: tracks at even loudness, summed, limited, block by block. Decoding is `audio`'s."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from media.recorder.audio import RATE, Samples, SoundReader
from media.recorder.spans import Spans, contains, intersect

CEILING = 0.84  # of full scale, -1.5 dB: AAC overshoots a little when it is decoded
_STEP = 48  # samples, 1 ms: the limiter's resolution
_AHEAD = 5  # steps that it looks ahead, so that gain is down before the peak comes
DELAY = _AHEAD * _STEP / RATE  # seconds that the limiter holds sound back
_RELEASE = 0.985  # per step, about 65 ms: no pumping between words


@dataclass(frozen=True)
class MixTrack:
    """One track of the mix. `open` is called when it is first heard; `heard` in film seconds."""

    open: Callable[[], SoundReader]
    heard: Spans
    gain: float


class Mixer:
    """Ask for consecutive blocks from 0. A track's file is open only while it may be heard."""

    def __init__(self, tracks: Sequence[MixTrack]) -> None:
        self._waiting = sorted((track for track in tracks if track.heard), key=lambda track: track.heard[0][0])
        self._playing: list[tuple[MixTrack, SoundReader]] = []
        self._limiter = Limiter()
        self._finished = 0
        self._position = -round(DELAY * RATE)  # the first samples out of the limiter are its delay

    def block(self, count: int) -> Samples:
        """The next `count` samples."""
        if self._position < 0:
            lead, self._position = -self._position, 0
            self._limiter(self._sum(lead))
        return self._limiter(self._sum(count))

    @property
    def undecodable(self) -> int:
        """Packets that no decoder understood, so far."""
        return self._finished + sum(sound.undecodable for _, sound in self._playing)

    def _sum(self, count: int) -> Samples:
        start = self._position / RATE
        end = start + count / RATE
        while self._waiting and self._waiting[0].heard[0][0] < end:
            track = self._waiting.pop(0)
            self._playing.append((track, track.open()))
        mixed = np.zeros(count, np.float32)
        for track, sound in self._playing:
            parts = intersect(track.heard, ((start, end),))
            block = sound.block(start, count) if parts else None
            if block is not None:
                mixed += block * np.float32(track.gain) * _mask(parts, start, count)
        self._finished += sum(sound.undecodable for track, sound in self._playing if track.heard[-1][1] <= end)
        self._playing = [each for each in self._playing if each[0].heard[-1][1] > end]
        self._position += count
        return mixed


def _mask(parts: Spans, start: float, count: int) -> Samples | np.float32:
    """1 where a track may be heard, 0 where it was cut."""
    if contains(parts, start) and parts[0][1] - start >= count / RATE:
        return np.float32(1.0)
    mask = np.zeros(count, np.float32)
    for begin, end in parts:
        mask[round((begin - start) * RATE) : round((end - start) * RATE)] = 1.0
    return mask


class Limiter:
    """Keeps peaks below `CEILING`. Output is `DELAY` late; blocks follow each other."""

    def __init__(self) -> None:
        self._held = np.zeros(_AHEAD * _STEP, np.float32)  # sound that waits for its gain
        self._wanted: list[float] = [1.0] * _AHEAD  # the gains that its peaks allow, step by step
        self._gain = 1.0

    def __call__(self, block: Samples) -> Samples:
        """As many samples as are given: whole milliseconds. The first ones out are the delay's silence."""
        if len(block) % _STEP:
            raise ValueError("blocks are whole milliseconds")
        steps = len(block) // _STEP
        peaks = np.abs(block.reshape(steps, _STEP)).max(axis=1)
        wanted = [*self._wanted, *(CEILING / np.maximum(peaks, CEILING)).tolist()]
        gains = [self._gain]
        for step in range(steps):
            released = 1 - (1 - gains[-1]) * _RELEASE
            gains.append(min(released, *wanted[step : step + _AHEAD + 1]))
        curve = np.interp(np.arange(steps * _STEP), np.arange(steps + 1) * _STEP, gains)
        sound = np.concatenate((self._held, block))
        self._held, self._wanted, self._gain = sound[len(block) :], wanted[-_AHEAD:], gains[-1]
        return np.asarray(sound[: len(block)] * curve, dtype=np.float32)
