"""Who was there while a capture ran, and whose voice is missing from it or part of it. Pure, from what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bridge.call_store import Attendance
from bridge.consent_store import Answer, Consent, Kind

# Everybody needs a moment to read the question: whoever agrees within it is not said to be recorded in part.
MOMENT = 60.0  # seconds


@dataclass(frozen=True)
class Presence:
    """Names, each person once, in the order in which they came."""

    present: tuple[str, ...]
    missing: tuple[str, ...]  # said no, or nothing: nothing of theirs was captured
    partly: tuple[str, ...]  # agreed late or took it back
    removed: tuple[str, ...] = ()  # had what was captured of them taken out, all of it or a part
    unreached: tuple[str, ...] = ()  # whatever they said: their media go to another relay


@dataclass(frozen=True)
class Span:
    start: float
    end: float

    def overlap(self, other: Span) -> Span | None:
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Span(start, end) if end > start else None


def presence(
    attendances: Iterable[Attendance],
    history: Sequence[Consent],
    kind: Kind,
    started_at: float,
    ended_at: float,
    removed: Mapping[str, float] | None = None,
) -> Presence:
    """Of a capture of `kind` that ran from `started_at` to `ended_at` (seconds since the epoch).

    `removed`: up to when people were taken out of it, by person.
    """
    gone = removed or {}
    window = Span(started_at, ended_at)
    there: dict[str, tuple[str, Span]] = {}
    for attendance in attendances:
        if attendance.joined_at is None:
            continue
        span = Span(attendance.joined_at, attendance.left_at or ended_at).overlap(window)
        if span is None:
            continue
        name, before = there.get(attendance.person.key, (attendance.person.name, span))
        there[attendance.person.key] = (name, Span(min(before.start, span.start), max(before.end, span.end)))
    missing, partly, taken_out = [], [], []
    for person, (name, span) in there.items():
        agreed = agreed_spans(history, person, kind, window)
        if any(part.start < gone.get(person, 0.0) for part in agreed):
            taken_out.append(name)
        elif not agreed:
            missing.append(name)
        elif not _covers(agreed, span):
            partly.append(name)
    return Presence(tuple(name for name, _ in there.values()), tuple(missing), tuple(partly), tuple(taken_out))


def agreed_spans(history: Sequence[Consent], person: str, kind: Kind, window: Span) -> list[Span]:
    """When that person's answer was yes, inside the window. A yes from before counts from the window's start."""
    spans: list[Span] = []
    since: float | None = None
    for consent in history:
        if consent.person != person or consent.kind is not kind:
            continue
        if consent.answer is Answer.YES:
            since = consent.at if since is None else since
        elif since is not None:
            spans.append(Span(since, consent.at))
            since = None
    if since is not None:
        spans.append(Span(since, window.end))
    return [part for span in spans if (part := span.overlap(window)) is not None]


def _covers(agreed: Sequence[Span], there: Span) -> bool:
    """Did they agree within a moment of coming, and not take it back while they were there?"""
    return len(agreed) == 1 and agreed[0].start - there.start <= MOMENT and agreed[0].end >= there.end - 1.0
