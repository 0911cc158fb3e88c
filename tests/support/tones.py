"""Beeps that tell people apart in a mix: made, and found again (Goertzel, one window every few milliseconds).

Frequencies 400 Hz apart are told apart by a window of 30 ms; nearer ones leak into each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

FREQUENCIES = (600, 1000, 1400, 1800, 2200)  # Hz, one per person
BEEP = 0.1  # seconds
RATE = 48_000
_WINDOW = 0.03  # seconds
_HOP = 0.005


def beep(frequency: int, seconds: float = BEEP, *, level: float = 0.3, rate: int = RATE) -> Samples:
    """A tone without clicks at its ends."""
    time = np.arange(round(seconds * rate)) / rate
    edge = np.minimum(1, np.minimum(time, time[-1] - time) / 0.002)
    return np.asarray(level * edge * np.sin(2 * np.pi * frequency * time), dtype=np.float32)


def strength(sound: Samples, frequency: int, *, rate: int = RATE) -> NDArray[np.float64]:
    """How much of a tone there is, per hop; a full-scale sine gives 1."""
    window = round(_WINDOW * rate)
    hop = round(_HOP * rate)
    weights = np.hanning(window)
    probe = weights * np.exp(-2j * np.pi * frequency * np.arange(window) / rate) * 2 / weights.sum()
    frames = np.lib.stride_tricks.sliding_window_view(sound, window)[::hop]
    return np.abs(frames @ probe)


def onsets(sound: Samples, frequency: int, *, least: float = 0.02, rate: int = RATE) -> list[float]:
    """When the tone begins, seconds. A tone weaker than `least` is not there."""
    level = strength(sound, frequency, rate=rate)
    threshold = max(least, 0.5 * float(np.percentile(level, 99.5)))
    rises = np.flatnonzero((level[1:] > threshold) & (level[:-1] <= threshold)) + 1
    return [float(rise * _HOP + _WINDOW / 2) for rise in rises]


def heard(sound: Samples, frequency: int, start: float, end: float, *, rate: int = RATE) -> float:
    """The strongest moment of a tone between two times."""
    return float(strength(sound[round(start * rate) : round(end * rate)], frequency, rate=rate).max(initial=0.0))
