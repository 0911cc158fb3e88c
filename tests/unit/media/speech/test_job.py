"""From tracks to a transcript with a recogniser that says what it heard; the real one has tests of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from media.speech.engine import Recognition
from media.speech.job import Progress, SpeechTrack, transcribe_tracks
from media.speech.settings import SpeechSettings
from media.speech.sound import FRAME, RATE
from media.speech.transcript import CallFacts, Transcript

FACTS = CallFacts("Budget", 1_795_514_640.0, 60.0, ("Alice", "Bruno"))
SETTINGS = SpeechSettings(languages=("fr", "de", "en"))
VOICES = {0.25: "fr", 0.5: "en", 0.75: "de"}  # amplitude of a tone: the language it is in


class Loudness:
    def reset(self) -> None:
        """Every frame stands for itself."""

    def probabilities(self, samples):
        return np.where(np.abs(samples.reshape(-1, FRAME)).max(axis=1, initial=0) > 0, 0.99, 0.01)


class Parrot:
    """Recognises the amplitude and the length of a tone, and writes down what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []

    def languages(self, samples, among):
        spoken = VOICES[float(np.abs(samples).max())]
        sure = 0.97 if len(samples) / RATE >= 3 else 0.4
        return {language: sure if language == spoken else (1 - sure) / (len(among) - 1) for language in among}

    def transcribe(self, samples, language):
        tone = np.count_nonzero(samples) / RATE
        self.asked.append((round(tone, 1), language))
        return Recognition(f"{tone:.0f} seconds", (), -0.1, 0.0, language)


def tone(seconds: float, amplitude: float = 0.25) -> np.ndarray:
    return np.full(round(seconds * RATE), amplitude, np.float32)


def track(speaker: str, *parts: tuple[float, np.ndarray]) -> SpeechTrack:
    return SpeechTrack(f"@{speaker.lower()}:a", speaker, iter(parts))


def transcribe(*tracks: SpeechTrack, parrot: Parrot | None = None, **options: Any) -> Transcript:
    return transcribe_tracks(tracks, FACTS, SETTINGS, recogniser=parrot or Parrot(), detector=Loudness(), **options)


def test_every_line_has_the_name_of_its_track():
    made = transcribe(track("Alice", (0.0, tone(4)), (20.0, tone(2))), track("Bruno", (3.0, tone(5, 0.5))))
    assert [(line.speaker, line.speaker_id, round(line.start), line.language) for line in made.lines] == [
        ("Alice", "@alice:a", 0, "fr"),
        ("Bruno", "@bruno:a", 3, "en"),
        ("Alice", "@alice:a", 20, "fr"),
    ]
    assert made.languages == ("fr", "en")
    assert made.participants == ("Alice", "Bruno")


def test_first_short_words_wait_until_the_language_is_known():
    parrot = Parrot()
    transcribe(track("Alice", (0.0, tone(1, 0.5)), (5.0, tone(1, 0.5)), (10.0, tone(4))), parrot=parrot)
    assert parrot.asked == [(1.0, "fr"), (1.0, "fr"), (4.0, "fr")]


def test_somebody_who_only_says_short_words_is_transcribed_all_the_same():
    made = transcribe(track("Alice", *((5.0 * n, tone(1)) for n in range(20))))
    assert len(made.lines) == 20


def test_somebody_who_comes_back_speaks_the_same_language():
    parrot = Parrot()
    transcribe(track("Alice", (0.0, tone(5))), track("Alice", (30.0, tone(1, 0.5))), parrot=parrot)
    assert parrot.asked == [(5.0, "fr"), (1.0, "fr")]


def test_what_nobody_said_is_left_out():
    class Hallucinating(Parrot):
        def transcribe(self, samples, language):
            return Recognition("Sous-titrage Société Radio-Canada", (), -0.2, 0.1, language)

    assert transcribe(track("Alice", (0.0, tone(4))), parrot=Hallucinating()).lines == ()


def test_progress_is_told_and_may_stop_the_job():
    told: list[Progress] = []
    transcribe(track("Alice", (0.0, tone(4))), track("Bruno", (9.0, tone(4))), progress=told.append)
    assert [progress.track for progress in told] == [0, 1]
    assert told[1].seconds == pytest.approx(13.0, abs=0.1)

    def stop(_progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transcribe(track("Alice", (0.0, tone(4))), progress=stop)


def test_a_call_without_tracks_has_an_empty_transcript():
    assert transcribe().lines == ()
