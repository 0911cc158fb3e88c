"""Real speech for tests, and the real recogniser, loaded once for a whole run.

The clips are those of the demonstration, with what is said in `MANIFEST.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import palabre.demo
from media.speech.engine import Recogniser
from media.speech.settings import SpeechSettings
from media.speech.sound import RATE, Samples

CLIPS = Path(palabre.demo.__file__).parent / "assets" / "speech"
BLOCK = RATE // 2  # samples that a track is read in, of no round number of frames


@dataclass(frozen=True)
class Clip:
    name: str
    language: str
    text: str  # empty where nobody knows
    samples: Samples


@cache
def clip(name: str) -> Clip:
    """One of the clips, by its file name without the ending."""
    from faster_whisper.audio import decode_audio  # slow to import: only where speech is heard

    manifest = json.loads((CLIPS / "MANIFEST.json").read_text(encoding="utf-8"))
    entry = next(entry for entry in manifest if entry["file"] == f"{name}.flac")
    samples = decode_audio(str(CLIPS / entry["file"]), sampling_rate=RATE)
    assert isinstance(samples, np.ndarray)
    return Clip(name, entry["language"], entry["text"], samples.astype(np.float32))


def blocks(*parts: tuple[float, Samples]) -> Iterator[tuple[float, Samples]]:
    """A track on which each of `parts` begins at its second, in blocks as a recorder yields them."""
    for start, samples in parts:
        for position in range(0, len(samples), BLOCK):
            yield start + position / RATE, samples[position : position + BLOCK]


@pytest.fixture(scope="session")
def speech_settings() -> SpeechSettings:
    return SpeechSettings()


@pytest.fixture(scope="session")
def recogniser(speech_settings: SpeechSettings) -> Recogniser:
    """Whisper base from its wheels; a second to load."""
    from media.speech.whisper import load_recogniser

    return load_recogniser(speech_settings)
