"""How loud somebody speaks, and when: ITU-R BS.1770 loudness with its gates, streamed over one track. No decoding.

The K-weighting is applied to spectra (Parseval) instead of by filtering sample by sample: the same sums to 0.1 dB, in
numpy alone.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.recorder.spans import Spans, total, union

RATE = 48_000
HOP = 0.1  # seconds between measures
_HOP = round(HOP * RATE)
_WINDOW = 2 * _HOP
_PER_BLOCK = 4  # measures in a gating block of 400 ms, BS.1770-5 annex 1
SILENCE = -70.0  # LUFS, the absolute gate
RELATIVE_GATE = -10.0  # LU below the mean
TARGET = -20.0  # LUFS per person: leaves room for several at once below the limiter
MOST_CUT, MOST_BOOST = -15.0, 24.0  # dB; measured on speakers between -21 and -40 LUFS
NOISE = -50.0  # LUFS: below, it is a room and not a voice, and must not be raised
LEAST_SPEECH = 1.0  # seconds: less says nothing about how loud somebody is
SPEECH_BELOW = 14.0  # LU below somebody's loudness that still counts as speaking
SPEECH_FLOOR = -50.0  # LUFS
HANGOVER = 0.6  # seconds: pauses between words
SHORTEST_SPEECH = 0.25  # seconds: shorter is a click or a cough


@dataclass(frozen=True)
class Loudness:
    """Of one track. `lufs` is integrated over speech, `SILENCE` for none; `speaking` in film seconds."""

    lufs: float
    speaking: Spans

    @property
    def gain(self) -> float:
        """The factor that brings this track to `TARGET`; 1 for noise and for too little speech."""
        if self.lufs < NOISE or total(self.speaking) < LEAST_SPEECH:
            return 1.0
        return float(10 ** (min(MOST_BOOST, max(MOST_CUT, TARGET - self.lufs)) / 20))


class LoudnessMeter:
    """Feed blocks of one track in rising time; eight bytes are kept per tenth of a second of sound."""

    def __init__(self) -> None:
        frequencies = np.asarray(np.fft.rfftfreq(_WINDOW, 1 / RATE), dtype=np.float64)
        window = np.hanning(_WINDOW + 1)[:-1]
        self._window = window.astype(np.float32)
        weights = np.full(len(frequencies), 2.0)  # both halves of the spectrum
        weights[0] = weights[-1] = 1.0
        self._weights = weights * k_weighting(frequencies) / (_WINDOW * float((window**2).sum()))
        self._tail = np.zeros(0, np.float32)
        self._tail_start = 0.0
        self._times = array("d")
        self._powers = array("f")

    def add(self, start: float, block: NDArray[np.float32]) -> None:
        """`start` in film seconds. A hole since the last block begins a new stretch."""
        if abs(start - self._tail_start - len(self._tail) / RATE) > HOP / 2:
            self._tail = np.zeros(0, np.float32)
        if not len(self._tail):
            self._tail_start = start
        line = np.concatenate((self._tail, block))
        count = max(0, (len(line) - _WINDOW) // _HOP + 1)
        if count:
            windows = np.lib.stride_tricks.sliding_window_view(line, _WINDOW)[::_HOP][:count]
            powers = np.abs(np.fft.rfft(windows * self._window, axis=1)) ** 2 @ self._weights
            self._powers.extend(powers.tolist())
            self._times.extend((self._tail_start + HOP * np.arange(count)).tolist())
        self._tail = line[count * _HOP :]
        self._tail_start += count * HOP

    def result(self) -> Loudness:
        powers = np.array(self._powers, dtype=np.float64)
        times = np.array(self._times)
        lufs = integrated(powers)
        floor = max(SPEECH_FLOOR, lufs - SPEECH_BELOW)
        loud = to_lufs(powers) > floor
        spans = union(((float(at), float(at) + 2 * HOP) for at in times[loud]), gap=HANGOVER)
        return Loudness(lufs, tuple((a, b) for a, b in spans if b - a >= SHORTEST_SPEECH + HOP))


def integrated(powers: NDArray[np.float64]) -> float:
    """Gated loudness of consecutive measures, LUFS; `SILENCE` if nothing passes the gate."""
    if len(powers) < _PER_BLOCK:
        return SILENCE
    blocks = np.convolve(powers, np.full(_PER_BLOCK, 1 / _PER_BLOCK), mode="valid")
    blocks = blocks[to_lufs(blocks) > SILENCE]
    if not len(blocks):
        return SILENCE
    loud = blocks[to_lufs(blocks) > float(to_lufs(blocks.mean())) + RELATIVE_GATE]
    return float(to_lufs(loud.mean()))


def to_lufs(power: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """BS.1770-5 equation 2, one channel."""
    return np.asarray(-0.691 + 10 * np.log10(np.maximum(power, 1e-12)))


def k_weighting(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """The squared gain of the two filters of BS.1770-5 annex 1 (tables 1 and 2), for 48 kHz."""
    z = np.exp(-2j * np.pi * frequencies / RATE)
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high_pass = (1 - 2 * z + z**2) / (1 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    return np.asarray(np.abs(shelf * high_pass) ** 2)
