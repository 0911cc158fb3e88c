"""A transcript: who said what, when, in which language, and whose voice is missing. Frozen data and its order."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A sentence or less of one speaker; seconds since `Transcript.started_at`."""

    speaker: str  # as people are shown in the call
    speaker_id: str
    start: float
    end: float
    text: str
    language: str


@dataclass(frozen=True)
class CallFacts:
    """What a transcript says about its call, or the part that was transcribed. Names as people are shown in it."""

    title: str
    started_at: float  # seconds since the Unix epoch: where the time of lines begins
    duration: float  # seconds
    participants: tuple[str, ...] = ()
    not_recorded: tuple[str, ...] = ()  # said no, or nothing: not a word of theirs is in it
    partly_recorded: tuple[str, ...] = ()  # agreed late or withdrew
    unreached: tuple[str, ...] = ()  # were in the call on a relay that is not ours
    unreadable: tuple[str, ...] = ()  # for a while their sound could not be decrypted
    interrupted: bool = False  # the recording broke off, the call went on or nobody knows
    gaps: tuple[tuple[float, float], ...] = ()  # nothing was recorded then; seconds, as lines have them


@dataclass(frozen=True)
class Transcript:
    """`lines` in the order of their beginning; people who speak at once have overlapping lines."""

    title: str
    started_at: float
    duration: float
    languages: tuple[str, ...]  # most spoken first
    participants: tuple[str, ...]
    not_recorded: tuple[str, ...]
    lines: tuple[Line, ...]
    interrupted: bool = False
    partly_recorded: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    gaps: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Turn:
    """What one speaker says before another does or a long silence falls."""

    speaker: str
    start: float
    languages: tuple[str, ...]
    lines: tuple[Line, ...]


SILENCE = 30.0  # seconds without a word begin a new turn, so that its time is shown again
LONG_TURN = 120.0  # seconds; a speech is shown in paragraphs with their times


def assemble(facts: CallFacts, tracks: Iterable[Iterable[Line]]) -> Transcript:
    """One transcript of all tracks, each in order of time."""
    lines = tuple(heapq.merge(*tracks, key=lambda line: (line.start, line.end, line.speaker_id)))
    spoken: Counter[str] = Counter()
    for line in lines:
        spoken[line.language] += len(line.text)
    return Transcript(
        title=facts.title,
        started_at=facts.started_at,
        duration=facts.duration,
        languages=tuple(language for language, _ in spoken.most_common()),
        participants=facts.participants,
        not_recorded=facts.not_recorded,
        lines=lines,
        interrupted=facts.interrupted,
        partly_recorded=facts.partly_recorded,
        unreached=facts.unreached,
        unreadable=facts.unreadable,
        gaps=facts.gaps,
    )


def turns(lines: Iterable[Line]) -> list[Turn]:
    """Lines grouped as people read them."""
    groups: list[list[Line]] = []
    for line in lines:
        if groups and _goes_on(groups[-1], line):
            groups[-1].append(line)
        else:
            groups.append([line])
    return [
        Turn(
            group[0].speaker,
            group[0].start,
            tuple(dict.fromkeys(line.language for line in group)),
            tuple(group),
        )
        for group in groups
    ]


def _goes_on(group: list[Line], line: Line) -> bool:
    return (
        group[-1].speaker_id == line.speaker_id
        and line.start - group[-1].end < SILENCE
        and line.start - group[0].start < LONG_TURN
    )
