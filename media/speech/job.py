"""Makes the transcript of a call from its tracks, after the call: one track after the other, in bounded memory.

Synchronous and busy for about a twentieth of the time that people spoke: run it in a worker process of low priority,
with `OPENBLAS_NUM_THREADS=1` in its environment (numpy otherwise keeps every core busy for its small part of the work).
Where the sound comes from is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import structlog

from media.speech.doubts import is_made_up
from media.speech.engine import Recogniser
from media.speech.language import LanguageChooser
from media.speech.lines import cut_lines
from media.speech.settings import SpeechSettings
from media.speech.sound import Samples
from media.speech.transcript import CallFacts, Line, Transcript, assemble
from media.speech.utterances import Detector, Utterance, utterances

log = structlog.get_logger("speech")

# While it is not known what somebody speaks, what they said waits: until here, then the first guess has to do.
MOST_WAITING = 8  # utterances, at most 12 s each


@dataclass(frozen=True)
class SpeechTrack:
    """One person's voice. Someone who left and came back has several tracks with the same `speaker_id`."""

    speaker_id: str
    speaker_name: str
    blocks: Iterator[tuple[float, Samples]]  # seconds since `CallFacts.started_at`, 16 kHz mono; in order, read once


@dataclass(frozen=True)
class Progress:
    """How far the job is: the track's number from 0, and the end of what was recognised, in seconds."""

    track: int
    seconds: float


def transcribe_tracks(
    tracks: Iterable[SpeechTrack],
    facts: CallFacts,
    settings: SpeechSettings,
    *,
    recogniser: Recogniser | None = None,
    detector: Detector | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Transcript:
    """Recognise everything and put it in order.

    `progress` is called after each utterance and may raise to stop. Without `recogniser` the model of the settings is
    loaded. Raises `ModelsMissingError`, and what reading the tracks raises.
    """
    recogniser = recogniser or _load_recogniser(settings)
    detector = detector or _load_detector()
    choosers: dict[str, LanguageChooser] = {}
    done: list[list[Line]] = []
    dropped = 0
    for number, track in enumerate(tracks):
        chooser = choosers.setdefault(track.speaker_id, LanguageChooser(settings.languages))
        lines: list[Line] = []
        for utterance, language in _in_languages(
            utterances(track.blocks, detector), chooser, recogniser, settings.languages
        ):
            found = _recognise(track, utterance, language, recogniser)
            lines += found
            dropped += not found
            progress(Progress(number, utterance.start + utterance.seconds))
        done.append(sorted(lines, key=lambda line: line.start))
    transcript = assemble(facts, done)
    log.info("transcript made", tracks=len(done), lines=len(transcript.lines), dropped=dropped)
    return transcript


def _in_languages(
    track: Iterable[Utterance], chooser: LanguageChooser, recogniser: Recogniser, languages: tuple[str, ...]
) -> Iterator[tuple[Utterance, str]]:
    """Each utterance with its language, in order. The first ones wait until it is known what the speaker speaks."""
    waiting: list[tuple[Utterance, dict[str, float]]] = []
    for utterance in track:
        probabilities = recogniser.languages(utterance.samples, languages)
        chooser.hear(probabilities, utterance.seconds)
        waiting.append((utterance, probabilities))
        if chooser.settled or len(waiting) == MOST_WAITING:
            yield from ((waited, chooser.choose(heard, waited.seconds)) for waited, heard in waiting)
            waiting.clear()
    yield from ((waited, chooser.choose(heard, waited.seconds)) for waited, heard in waiting)


def _recognise(track: SpeechTrack, utterance: Utterance, language: str, recogniser: Recogniser) -> list[Line]:
    """The lines of an utterance; none for what nobody said."""
    recognition = recogniser.transcribe(utterance.samples, language)
    if is_made_up(recognition, utterance.samples):
        return []
    return [
        Line(
            speaker=track.speaker_name,
            speaker_id=track.speaker_id,
            start=round(utterance.start + piece.start, 3),
            end=round(utterance.start + piece.end, 3),
            text=piece.text,
            language=recognition.language,
        )
        for piece in cut_lines(recognition, utterance.seconds)
    ]


def _load_recogniser(settings: SpeechSettings) -> Recogniser:
    from media.speech.whisper import load_recogniser  # CTranslate2 takes a second to import: only where it is used

    return load_recogniser(settings)


def _load_detector() -> Detector:
    from media.speech.vad import VoiceActivity

    return VoiceActivity()
