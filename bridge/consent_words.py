"""What the room reads of stored consents: one line per person and kind. Pure."""

from __future__ import annotations

from datetime import datetime

from bridge.consent_store import Answer, Consent, Kind
from bridge.receipt import Record, people_of
from bridge.removal_store import removed_until
from bridge.wording import clean_name
from palabre.base.words import say

MOST_LINES = 100  # a message; the receipt has everybody


def consent_lines(language: str, record: Record, person: str) -> list[str]:
    """Of one person, or of everybody where `person` is empty."""
    lines = []
    for kind in Kind:
        what = say(language, f"room.consents.kind.{kind.value}")
        removed = removed_until(record.removals, kind)
        for one in people_of(record, kind):
            last = _last(record, one.key, kind)
            if last is None or (person and one.key != person):
                continue
            name = clean_name(one.name)
            answer = say(language, f"room.consents.answer.{last.answer.value}")
            lines.append(say(language, "room.consents.line", name=name, kind=what, answer=answer, time=_time(last.at)))
            if one.key in removed:
                until = _time(removed[one.key])
                lines.append(say(language, "room.consents.removed", name=name, kind=what, time=until))
    return lines[:MOST_LINES]


def _last(record: Record, person: str, kind: Kind) -> Consent | None:
    """Their last answer; that it ended with what it was given for tells nobody anything."""
    answers = [
        consent
        for consent in record.history
        if consent.person == person and consent.kind is kind and consent.answer is not Answer.UNASKED
    ]
    return answers[-1] if answers else None


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%H:%M}"
