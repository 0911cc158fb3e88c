"""Sound as everything here takes it: mono, 16 kHz, 32-bit floats between -1 and 1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RATE = 16_000  # Hz, what Silero and Whisper were trained on
FRAME = 512  # samples, 32 ms: the only length that Silero takes at this rate

Samples = npt.NDArray[np.float32]

SILENCE = -120.0  # dBFS, what digital silence is called


def level(samples: Samples) -> float:
    """Loudness as root mean square, in dB below full scale."""
    if not len(samples):
        return SILENCE
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(SILENCE, 10 * float(np.log10(power))) if power > 0 else SILENCE
