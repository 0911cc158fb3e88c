"""Voice activity: how probably each 32 ms of a track are speech. Where to cut is decided in `cutting.py`.

The network is Silero's version 6 (MIT) as faster-whisper carries it, on one thread: about 0.3 % of a core per track.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from faster_whisper.vad import get_vad_model

from media.speech.sound import FRAME, Samples

_CONTEXT = 64  # samples before the frame that the network wants to see again
_STATE = (1, 1, 128)


class VoiceActivity:
    """One track's detector; remembers what came before, so that frames are given in order. Not shared by threads."""

    def __init__(self) -> None:
        self._session: Any = get_vad_model().session
        self.reset()

    def reset(self) -> None:
        """Forget the past: what comes next does not follow on it."""
        self._hidden = np.zeros(_STATE, np.float32)
        self._cell = np.zeros(_STATE, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    def probabilities(self, samples: Samples) -> npt.NDArray[np.float32]:
        """One value from 0 to 1 per frame; `samples` is a whole number of frames."""
        frames = samples.reshape(-1, FRAME)
        if not len(frames):
            return np.zeros(0, np.float32)
        before = np.vstack((self._context, frames[:-1, -_CONTEXT:]))
        self._context = frames[-1, -_CONTEXT:].copy()
        inputs = {"input": np.hstack((before, frames)), "h": self._hidden, "c": self._cell}
        speech, self._hidden, self._cell = self._session.run(None, inputs)
        return np.asarray(speech, np.float32).reshape(-1)
