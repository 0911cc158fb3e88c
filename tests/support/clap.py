"""A clap: a flash and a beep at the same instant, to measure how well sound and picture, and people, fit together.

Pictures carry a stamp (tests.support.stamps) in the middle and the flash in a band above it; sound is one tone per
person (tests.support.tones).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.support import stamps

PERIOD = 1.0  # seconds between claps
FLASH = 0.08  # seconds
BAND = 0.2  # of the picture's height, from the top
_DARK, _BRIGHT = 40, 230


def picture(width: int, height: int, person: int, frame: int, time: float) -> NDArray[np.uint8]:
    """One frame as planar yuv420p (height * 3 / 2 rows): moving ground, stamp, and the band that flashes."""
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    ground = (np.arange(width)[None, :] + np.arange(height)[:, None] + frame * 2 + person * 40) % 256
    planes[:height] = 60 + ground // 4
    stamps.draw(planes[:height], person, frame)
    planes[: round(BAND * height)] = _BRIGHT if time % PERIOD < FLASH - 1e-6 else _DARK
    return planes


def band(luma: NDArray[np.uint8], rect: tuple[int, int, int, int]) -> float:
    """How bright the band of a picture in `rect` is. Its middle: corners may be rounded, scaling blurs edges."""
    x, y, width, height = rect
    deep = round(BAND * height)
    return float(luma[y + deep // 4 : y + deep * 3 // 4, x + width // 4 : x + width * 3 // 4].mean())


def flashes(times: list[float], brightness: list[float]) -> list[float]:
    """When the band turns bright."""
    middle = (_DARK + _BRIGHT) / 2
    pairs = zip(times[1:], brightness, brightness[1:], strict=False)
    return [at for at, before, now in pairs if before < middle <= now]
