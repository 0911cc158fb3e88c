"""Real speech through the real recogniser: error rates, languages, names, times, silence.

The bounds are loose on purpose: the clips are few, and their texts are what was to be read. What the rates are is
printed by `pytest -rP`, and stands in `docs/speech.md`.
"""

from __future__ import annotations

import tracemalloc
from collections import defaultdict

import numpy as np
import pytest

from media.speech.engine import Recogniser
from media.speech.job import SpeechTrack, transcribe_tracks
from media.speech.render import to_markdown, to_webvtt
from media.speech.settings import SpeechSettings
from media.speech.sound import FRAME, RATE, Samples
from media.speech.transcript import CallFacts, Transcript
from media.speech.vad import VoiceActivity
from media.speech.whisper import WhisperRecogniser
from tests.support.speech import blocks, clip
from tests.support.wer import word_error_rate, word_errors

pytestmark = [pytest.mark.speech, pytest.mark.timeout(300)]  # a second per clip where nothing else runs

FACTS = CallFacts("Budget", 1_795_514_640.0, 60.0)
READ = (
    "watson_fr-FR_Broadband_sample1",
    "watson_fr-FR_Broadband_sample2",
    "sr_french",
    "watson_de-DE_NarrowbandModel_sample1",
    "watson_de-DE_NarrowbandModel_sample2",
    "jfk",
    "two_cities",
    "sr_english",
)
BOUNDS = {"fr": 0.25, "de": 0.12, "en": 0.05}


def track(speaker: str, *parts: tuple[float, Samples]) -> SpeechTrack:
    return SpeechTrack(f"@{speaker.lower()}:example.org", speaker, blocks(*parts))


def said(transcript: Transcript, speaker: str) -> str:
    return " ".join(line.text for line in transcript.lines if line.speaker == speaker)


def test_the_word_error_rate_of_each_language_stays_within_bounds(
    recogniser: Recogniser, speech_settings: SpeechSettings
) -> None:
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name in READ:
        read = clip(name)
        transcript = transcribe_tracks(
            [track("Alice", (0.0, read.samples))], FACTS, speech_settings, recogniser=recogniser
        )
        recognised = said(transcript, "Alice")
        errors, words = word_errors(read.text, recognised, read.language)
        print(f"{name}: {errors}/{words} = {errors / words:.1%}  {transcript.languages}  {recognised}")
        assert transcript.languages == (read.language,), name
        totals[read.language][0] += errors
        totals[read.language][1] += words
    for language, (errors, words) in totals.items():
        print(f"{language}: {errors / words:.1%} of {words} words")
    assert {
        language: errors / words < BOUNDS[language] for language, (errors, words) in totals.items()
    } == dict.fromkeys(BOUNDS, True)


def test_british_english_is_not_taken_for_another_language(
    recogniser: Recogniser, speech_settings: SpeechSettings
) -> None:
    spoken = clip("watson_en-GB_Broadband_sample2").samples
    transcript = transcribe_tracks([track("Alice", (0.0, spoken))], FACTS, speech_settings, recogniser=recogniser)
    assert {line.language for line in transcript.lines} == {"en"}
    assert "tourist industry" in said(transcript, "Alice")


def test_somebody_who_changes_the_language_is_understood_in_both(
    recogniser: Recogniser, speech_settings: SpeechSettings
) -> None:
    french, german = clip("watson_fr-FR_Broadband_sample1"), clip("watson_de-DE_NarrowbandModel_sample2")
    transcript = transcribe_tracks(
        [track("Alice", (0.0, french.samples), (20.0, german.samples))], FACTS, speech_settings, recogniser=recogniser
    )
    assert {line.language for line in transcript.lines if line.end < 18} == {"fr"}
    assert {line.language for line in transcript.lines if line.start > 18} == {"de"}


def test_a_meeting_of_three_has_the_right_name_and_time_on_every_line(
    recogniser: Recogniser, speech_settings: SpeechSettings
) -> None:
    """Alice speaks first and last, Bruno while she does, Chloé comes in the middle of both."""
    french, english, german = (
        clip("watson_fr-FR_Broadband_sample1"),
        clip("jfk"),
        clip("watson_de-DE_NarrowbandModel_sample2"),
    )
    last = clip("watson_fr-FR_Broadband_sample2")
    transcript = transcribe_tracks(
        [
            track("Alice", (5.0, french.samples), (60.0, last.samples)),
            track("Bruno", (12.0, english.samples)),
            track("Chloé", (15.0, german.samples)),
        ],
        FACTS,
        speech_settings,
        recogniser=recogniser,
    )
    print(to_markdown(transcript, "fr"))
    print(to_webvtt(transcript))
    assert word_error_rate(f"{french.text} {last.text}", said(transcript, "Alice"), "fr") < 0.25
    assert word_error_rate(english.text, said(transcript, "Bruno"), "en") < 0.15
    assert word_error_rate(german.text, said(transcript, "Chloé"), "de") < 0.15
    spans = {"Alice": (5.0, 70.0), "Bruno": (12.0, 23.0), "Chloé": (15.0, 32.1)}
    for line in transcript.lines:
        first, end = spans[line.speaker]
        assert first <= line.start < line.end <= end, line
    starts = [line.start for line in transcript.lines]
    assert starts == sorted(starts)
    assert {line.language for line in transcript.lines if line.speaker == "Alice"} == {"fr"}
    (opening, *_) = [line for line in transcript.lines if "fellow" in line.text]
    assert opening.start == pytest.approx(12.4, abs=0.5)  # where the first word stands in the clip


def test_ten_minutes_of_silence_and_hiss_give_no_line_and_are_not_held(
    recogniser: Recogniser, speech_settings: SpeechSettings
) -> None:
    hiss = np.random.default_rng(7).normal(0, 0.002, RATE * 60).astype(np.float32)
    minutes = ((60.0 * minute, hiss if minute % 2 else np.zeros_like(hiss)) for minute in range(10))
    tracemalloc.start()
    try:
        transcript = transcribe_tracks(
            [SpeechTrack("@alice:a", "Alice", minutes)], FACTS, speech_settings, recogniser=recogniser
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert transcript.lines == ()
    assert peak < 16 << 20  # one block has 4 MB, the track 38


def test_voice_activity_is_the_same_frame_by_frame_and_at_once() -> None:
    samples = clip("jfk").samples
    samples = samples[: len(samples) // FRAME * FRAME]
    at_once = VoiceActivity().probabilities(samples)
    detector = VoiceActivity()
    singly = np.concatenate([detector.probabilities(frame) for frame in samples.reshape(-1, FRAME)])
    np.testing.assert_allclose(at_once, singly, atol=1e-4)
    assert at_once.max() > 0.9 > 0.1 > at_once.min()


def test_an_utterance_of_a_second_does_not_fall_into_a_loop(recogniser: Recogniser) -> None:
    for seconds in (0.3, 0.7, 1.2):
        recognition = recogniser.transcribe(clip("sr_english").samples[: round(seconds * RATE)], "en")
        assert len(recognition.text.split()) <= 4, recognition


def test_a_language_that_the_model_does_not_know_is_refused(recogniser: WhisperRecogniser) -> None:
    with pytest.raises(ValueError, match="xx"):
        recogniser.transcribe(clip("sr_english").samples, "xx")
