"""A finished film taken apart: what is seen in which tile when, and what is heard."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from media.recorder.canvas import Sprite
from media.recorder.job import RenderResult
from media.recorder.layout import Rect
from palabre.base.sealed import read_sealed
from tests.support import clap, stamps
from tests.support.stamps import Stamp

Tiles = Callable[[float], Mapping[int, Rect]]  # at a film second: where each number's picture is


@dataclass
class Seen:
    """One number's tile over time."""

    times: list[float] = field(default_factory=list)
    stamps: list[Stamp | None] = field(default_factory=list)
    bands: list[float] = field(default_factory=list)

    def flashes(self) -> list[float]:
        return clap.flashes(self.times, self.bands)


def clear(path: str, key: bytes) -> bytes:
    """A sealed artefact in the clear."""
    return read_sealed(Path(path), key, limit=1 << 30)


def _open(mp4: bytes) -> InputContainer:
    return av.open(io.BytesIO(mp4), "r")


def watch(mp4: bytes, tiles: Tiles) -> dict[int, Seen]:
    """Every frame, tile by tile."""
    seen: dict[int, Seen] = {}
    with _open(mp4) as film:
        height = film.streams.video[0].height
        for frame in film.decode(video=0):
            luma = np.asarray(frame.to_ndarray()[:height], np.uint8)
            time = float(frame.time or 0.0)
            for number, rect in tiles(time).items():
                each = seen.setdefault(number, Seen())
                each.times.append(time)
                each.stamps.append(stamps.read(luma, rect))
                each.bands.append(clap.band(luma, rect))
    return seen


def still(mp4: bytes, at: float) -> np.ndarray:
    """The luma of the first frame at or after `at` seconds."""
    with _open(mp4) as film:
        height = film.streams.video[0].height
        return next(f.to_ndarray()[:height] for f in film.decode(video=0) if float(f.time or 0.0) >= at - 1e-3)


def listen(mp4: bytes) -> np.ndarray:
    """All of the sound, mono, 48 kHz."""
    with _open(mp4) as film:
        return np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])


def lasts(mp4: bytes) -> tuple[float, float]:
    """Seconds of (picture, sound)."""
    with _open(mp4) as film:
        video, audio = (
            float((stream.duration or 0) * (stream.time_base or 0))
            for stream in (film.streams.video[0], film.streams.audio[0])
        )
        return video, audio


def boxes(mp4: bytes) -> list[str]:
    """The types of an MP4's boxes, in order."""
    found, offset = [], 0
    while offset < len(mp4):
        found.append(mp4[offset + 4 : offset + 8].decode("latin-1"))
        offset += max(8, int.from_bytes(mp4[offset : offset + 4], "big"))
    return found


def shows(luma: np.ndarray, plate: Sprite, x: int, y: int) -> float:
    """How alike a place in a picture and a plate are: 1 the same, 0 nothing in common."""
    part = luma[y : y + plate.height, x : x + plate.width].astype(np.float64).ravel()
    wanted = plate.planes[0].astype(np.float64).ravel()
    part, wanted = part - part.mean(), wanted - wanted.mean()
    return float(part @ wanted / np.sqrt((part @ part) * (wanted @ wanted) + 1e-9))


def whole(result: RenderResult, key: bytes) -> bytes:
    """The film of a result that has one part."""
    (part,) = result.parts
    return clear(part.path, key)
