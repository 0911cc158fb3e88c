"""Reads a posted recording back: whose stamp is in which tile when, whose tone is heard when."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import av
import numpy as np
from numpy.typing import NDArray

from media.recorder.layout import grid
from tests.support import stamps, tones

MOST_TILES = 4
LOUD = 0.03  # a third of the softest beep of an evened mix
APART = 0.3  # seconds; a busy machine leaves holes in a beep
HOP, HALF_WINDOW = 0.005, 0.015  # seconds, of `tones.strength`


@dataclass
class Recorded:
    """`stamps`: by person, (seconds in the film, frame number) of every readable one."""

    duration: float
    width: int
    height: int
    codecs: tuple[str, ...]
    sound: NDArray[np.float32]
    stamps: dict[int, list[tuple[float, int]]] = field(default_factory=dict)

    def beeps(self, person: int, after: float) -> list[float]:
        """When somebody's beeps begin, of those after a time: speech has every tone in it."""
        rest = self.sound[round(after * tones.RATE) :]
        loud = tones.strength(rest, tones.FREQUENCIES[person]) > LOUD
        rises = [after + float(rise + 1) * HOP + HALF_WINDOW for rise in np.flatnonzero(loud[1:] & ~loud[:-1])]
        return [at for at, before in zip(rises, [-1.0, *rises], strict=False) if at - before > APART]


def read_recording(content: bytes) -> Recorded:
    """An MP4 whose layout is the grid."""
    with av.open(io.BytesIO(content), "r") as container:
        assert container.duration is not None
        video = container.streams.video[0]
        codecs = tuple(stream.codec_context.name for stream in container.streams)
        found = Recorded(container.duration / av.time_base, video.width, video.height, codecs, sound_of(content))
        rects = {rect for count in range(1, MOST_TILES + 1) for rect in grid(count, video.width, video.height)}
        for frame in container.decode(video):
            luma = np.asarray(frame.to_ndarray(format="gray"), np.uint8)
            assert frame.time is not None
            for person, number in {(s.person, s.frame) for rect in rects if (s := stamps.read(luma, rect)) is not None}:
                found.stamps.setdefault(person, []).append((frame.time, number))
    return found


def sound_of(content: bytes) -> NDArray[np.float32]:
    """Mono, at the rate of `tests.support.tones`."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=tones.RATE)
    parts = []
    with av.open(io.BytesIO(content), "r") as container:
        for frame in container.decode(audio=0):
            parts += [out.to_ndarray()[0] for out in resampler.resample(frame)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
