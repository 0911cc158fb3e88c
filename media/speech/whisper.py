"""faster-whisper as a recogniser of single utterances.

Two things differ from its own `transcribe`. The encoder sees ten seconds or a little more than the utterance, not
always thirty, which makes short utterances several times cheaper at the same error rate. And nothing is sampled: an
answer that repeats itself is asked for again in ways that loop less, never at a higher temperature.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from media.speech.engine import Recognition, Word
from media.speech.models import ModelsMissingError, locate_model
from media.speech.settings import SpeechSettings
from media.speech.sound import RATE, Samples

FRAMES_PER_SECOND = 100  # of the log-mel spectrogram
FULL_CONTEXT = 30.0  # seconds, what Whisper was trained on
LEAST_CONTEXT = 10.0  # seconds: with less it falls into loops on utterances of a second
CONTEXT_BEYOND = 2.0  # seconds of silence after the utterance, or its last words get lost
TOKENS_PER_SECOND = 9  # fast French has six; what goes on for longer is a loop
TOKENS_BESIDE = 12  # punctuation and a first word of many pieces
MOST_TOKENS = 448 // 2  # the decoder's window is shared with the prompt
LOOPING = 2.0  # compression ratio: speech has 1.0 to 1.7, repetitions more
SHORT_TEXT = 20  # characters; "no, no, no" compresses well and is meant


@dataclass(frozen=True)
class _Attempt:
    """One way to ask; the first answer that neither loops nor runs out of tokens is taken."""

    full_context: bool
    no_repeat: int  # a sequence of so many tokens occurs once; 0: as often as it likes


_ATTEMPTS = (_Attempt(False, 0), _Attempt(True, 0), _Attempt(True, 4))


@dataclass(frozen=True)
class _Answer:
    tokens: list[int]
    text: str
    avg_logprob: float
    no_speech: float
    suspicious: bool


def load_recogniser(settings: SpeechSettings) -> WhisperRecogniser:
    """Load the model of the settings: some 400 MB of memory for *base*, a second. Raises `ModelsMissingError`."""
    where = locate_model(settings)
    try:
        model = WhisperModel(str(where), device="cpu", compute_type="int8", cpu_threads=settings.threads)
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelsMissingError(f"The speech model {where} can't be loaded: {error}") from error
    return WhisperRecogniser(model, settings.beam_size)


class WhisperRecogniser:
    """See `engine.Recogniser`. Remembers the last utterance's encoding: its language and its text are asked in turn."""

    def __init__(self, model: WhisperModel, beam_size: int) -> None:
        self._model = model
        self._beam_size = beam_size
        self._encoded: tuple[Samples, bool, Any] | None = None

    def languages(self, samples: Samples, among: Sequence[str]) -> dict[str, float]:
        if not self._model.model.is_multilingual:
            return {language: float(language == "en") for language in among}
        if len(among) == 1:
            return {among[0]: 1.0}
        found = self._model.model.detect_language(self._encode(samples, full=False))[0]
        every = {token.strip("<|>"): probability for token, probability in found}
        wanted = {language: float(every.get(language, 0.0)) for language in among}
        total = sum(wanted.values()) or 1.0
        return {language: probability / total for language, probability in wanted.items()}

    def transcribe(self, samples: Samples, language: str) -> Recognition:
        multilingual = self._model.model.is_multilingual
        language = language if multilingual else "en"
        tokenizer = Tokenizer(self._model.hf_tokenizer, multilingual, task="transcribe", language=language)
        answers: list[tuple[_Attempt, _Answer]] = []
        for attempt in _ATTEMPTS:
            answers.append((attempt, self._ask(samples, tokenizer, attempt)))
            if not answers[-1][1].suspicious:
                break
        attempt, answer = answers[-1]  # the last way to ask can't repeat itself
        encoded = self._encode(samples, full=attempt.full_context)
        words = self._words(encoded, tokenizer, answer.tokens, len(samples) / RATE)
        return Recognition(answer.text, words, answer.avg_logprob, answer.no_speech, language)

    def _encode(self, samples: Samples, *, full: bool) -> Any:
        """The encoder's output, kept for the next question about the same sound."""
        if self._encoded is None or self._encoded[0] is not samples or self._encoded[1] is not full:
            seconds = FULL_CONTEXT if full else max(LEAST_CONTEXT, len(samples) / RATE + CONTEXT_BEYOND)
            frames = round(min(FULL_CONTEXT, seconds) * FRAMES_PER_SECOND) // 2 * 2  # the encoder halves them
            mel = self._model.feature_extractor(samples)[:, :frames]
            missing = frames - mel.shape[1]
            mel = np.pad(mel, ((0, 0), (0, missing)), constant_values=mel.min())
            view = ctranslate2.StorageView.from_array(np.ascontiguousarray(mel[None], dtype=np.float32))
            self._encoded = (samples, full, self._model.model.encode(view))
        return self._encoded[2]

    def _ask(self, samples: Samples, tokenizer: Tokenizer, attempt: _Attempt) -> _Answer:
        prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        most = min(MOST_TOKENS, round(len(samples) / RATE * TOKENS_PER_SECOND) + TOKENS_BESIDE)
        result = self._model.model.generate(
            self._encode(samples, full=attempt.full_context),
            [prompt],
            beam_size=self._beam_size,
            max_length=len(prompt) + most,
            no_repeat_ngram_size=attempt.no_repeat,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = [token for token in result.sequences_ids[0] if token < tokenizer.eot]
        text = tokenizer.decode(tokens).strip()
        return _Answer(
            tokens,
            text,
            float(result.scores[0]),
            float(result.no_speech_prob),
            suspicious=len(tokens) >= most or (len(text) > SHORT_TEXT and compression_ratio(text) > LOOPING),
        )

    def _words(self, encoded: Any, tokenizer: Tokenizer, tokens: list[int], seconds: float) -> tuple[Word, ...]:
        """Words by dynamic time warping over the decoder's attention; costs a twentieth of the recognition."""
        if not tokens:
            return ()
        frames = int(min(seconds, FULL_CONTEXT) * FRAMES_PER_SECOND)
        pieces = self._model.find_alignment(tokenizer, [tokens], encoded, frames)[0]
        return join_pieces([(piece["word"], float(piece["start"]), float(piece["end"])) for piece in pieces])


def join_pieces(pieces: Sequence[tuple[str, float, float]]) -> tuple[Word, ...]:
    """Whisper's pieces as people's words: only a piece that begins with a space begins a word.

    Punctuation takes no time: a full stop's piece lasts until somebody speaks again.
    """
    words: list[Word] = []
    for text, start, end in pieces:
        spoken = any(character.isalnum() for character in text)
        if text.startswith(" ") or not words:
            words.append(Word(text.strip(), start, end if spoken else start))
        else:
            last = words[-1]
            words[-1] = Word(last.text + text, last.start, end if spoken else last.end)
    return tuple(word for word in words if word.text)


def compression_ratio(text: str) -> float:
    """How much shorter zlib makes it; the guard against repetitions that Whisper's authors use."""
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded))
