"""The seam between transcripts and whatever recognises speech; `whisper.py` is the engine that is built in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from media.speech.sound import Samples


@dataclass(frozen=True)
class Word:
    """A word as it is written, punctuation included; times in seconds since the utterance began."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Recognition:
    """What was understood of one utterance, and how surely."""

    text: str
    words: tuple[Word, ...]  # empty where the engine knows no times
    avg_logprob: float  # mean of the tokens' log probabilities: -0.2 is good, below -1 is guessing
    no_speech: float  # probability that nobody spoke
    language: str


class Recogniser(Protocol):
    """Synchronous and busy: belongs into a worker. One caller at a time."""

    def transcribe(self, samples: Samples, language: str) -> Recognition:
        """`samples` are one utterance of at most 30 s. `ValueError` for a language that the model does not know."""
        ...

    def languages(self, samples: Samples, among: Sequence[str]) -> dict[str, float]:
        """How probably each language of `among` is spoken; together 1, or all 0 when none of them is known."""
        ...
