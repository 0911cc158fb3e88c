"""From a recognised utterance to lines of a length that people read: at sentences, at commas, at last anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from media.speech.engine import Recognition, Word

LONGEST_LINE = 84  # characters: two lines of 42, what a subtitle holds (BBC subtitle guidelines, EBU-TT-D)
SHORTEST_SENTENCE = 20  # characters; "Oui. D'accord." stays with what follows
_ENDS = (".", "?", "!", "…", "。", "？", "！")
_PAUSES = (",", ";", ":", "，", "；", "：")


@dataclass(frozen=True)
class Piece:
    """Some words of an utterance; seconds since it began."""

    text: str
    start: float
    end: float


def cut_lines(recognition: Recognition, seconds: float) -> list[Piece]:
    """Lines in order, without overlap, within the utterance's `seconds`."""
    words = recognition.words or _guess(recognition.text, seconds)
    pieces = []
    for group in _sentences(words):
        pieces += [_piece(part, seconds) for part in _shorten(group)]
    return pieces


def _guess(text: str, seconds: float) -> tuple[Word, ...]:
    """Times in proportion to the letters, for engines that give none."""
    total = sum(len(word) for word in text.split()) or 1
    words, before = [], 0
    for word in text.split():
        after = before + len(word)
        words.append(Word(word, before / total * seconds, after / total * seconds))
        before = after
    return tuple(words)


def _length(words: Sequence[Word]) -> int:
    return sum(len(word.text) + 1 for word in words) - 1


def _sentences(words: Sequence[Word]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        group.append(word)
        if word.text.endswith(_ENDS) and _length(group) >= SHORTEST_SENTENCE:
            yield group
            group = []
    if group:
        yield group


def _shorten(words: list[Word]) -> Iterator[list[Word]]:
    """A sentence as lines of about the same length, none longer than `LONGEST_LINE` unless a word is."""
    while (length := _length(words)) > LONGEST_LINE and len(words) > 1:
        wanted = length / -(-length // LONGEST_LINE)
        fitting = [count for count in range(1, len(words)) if _length(words[:count]) <= LONGEST_LINE] or [1]
        count = min(fitting, key=lambda count: _cost(words, count, wanted))
        yield words[:count]
        words = words[count:]
    yield words


def _cost(words: Sequence[Word], count: int, wanted: float) -> float:
    """How bad a line break after `count` words is: characters away from an even share, less at punctuation."""
    away = abs(_length(words[:count]) - wanted)
    return away - (LONGEST_LINE / 4 if words[count - 1].text.endswith(_PAUSES + _ENDS) else 0)


def _piece(words: Sequence[Word], seconds: float) -> Piece:
    start = min(max(words[0].start, 0.0), seconds)
    return Piece(" ".join(word.text for word in words), start, min(max(words[-1].end, start), seconds))
