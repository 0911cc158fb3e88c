"""The consent receipt: who was asked to be captured, what they answered, when, and by what that is proven. Pure.

A document for data-protection officers and programs, posted with what was captured; its fields stand in
docs/recording-and-consent.md. For people there are sentences in the message beside it (bridge.wording).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.call_store import Attendance, Call
from bridge.capture_store import Capture
from bridge.consent_store import Consent, Kind
from bridge.meetings import Meeting
from bridge.people import Person
from bridge.removal_store import Removal, removed_until
from bridge.summary import Span, agreed_spans

FORMAT = "palabre.consents.1"


@dataclass(frozen=True)
class Record:
    """What is stored about one call."""

    meeting: Meeting
    call: Call
    attendances: Sequence[Attendance]
    history: Sequence[Consent]
    removals: Sequence[Removal]


def make_receipt(record: Record, capture: Capture, written_at: float) -> dict[str, Any]:
    """Of one capture. Times in seconds since the epoch, to the millisecond."""
    window = Span(capture.started_at, capture.ended_at or written_at)
    return {
        "format": FORMAT,
        "written_at": _time(written_at),
        "meeting": {"id": record.meeting.id, "title": record.meeting.title, "room": record.meeting.room_id},
        "call": {"id": record.call.id, "encryption": record.call.mode},
        "capture": {
            "id": capture.id,
            "kind": capture.kind.value,
            "started_by": _who(capture.started_by),
            "started_at": _time(capture.started_at),
            "ended_at": None if capture.ended_at is None else _time(capture.ended_at),
        },
        "people": [_person(record, capture.kind, person, window) for person in people_of(record, capture.kind)],
    }


def people_of(record: Record, kind: Kind) -> list[Person]:
    """Everybody who was in the call or has answered for it, in the order in which they came."""
    found = {one.person.key: one.person for one in record.attendances if one.joined_at is not None}
    for consent in record.history:
        if consent.kind is kind:
            found.setdefault(consent.person, Person(consent.person, _name(record, consent.person)))
    return list(found.values())


def _person(record: Record, kind: Kind, person: Person, window: Span) -> dict[str, Any]:
    stays = [
        Span(one.joined_at, one.left_at or window.end).overlap(window)
        for one in record.attendances
        if one.person.key == person.key and one.joined_at is not None
    ]
    removed = removed_until(record.removals, kind).get(person.key)
    return {
        **_who(person),
        "guest": person.is_guest,
        "present": _spans(span for span in stays if span is not None),
        "consented": _spans(agreed_spans(record.history, person.key, kind, window)),
        "removed_until": None if removed is None else _time(removed),
        "answers": [
            answer(consent) for consent in record.history if consent.person == person.key and consent.kind is kind
        ],
    }


def answer(consent: Consent) -> dict[str, Any]:
    """One answer; `proof` is null where it followed from the call, without anybody saying anything."""
    evidence = consent.evidence
    return {
        "at": _time(consent.at),
        "answer": consent.answer.value,
        "how": consent.how,
        "proof": None
        if evidence is None
        else {
            "said_at": _time(evidence.said_at),
            "event_id": evidence.event_id or None,
            "device_id": evidence.device_id or None,
            "fingerprint": evidence.fingerprint or None,
            "trust": evidence.trust or None,
        },
    }


def _who(person: Person) -> dict[str, Any]:
    return {"id": person.key, "name": person.name}


def _name(record: Record, key: str) -> str:
    return next((one.person.name for one in record.attendances if one.person.key == key), key)


def _spans(spans: Iterable[Span]) -> list[list[float]]:
    return [[_time(span.start), _time(span.end)] for span in spans]


def _time(seconds: float) -> float:
    return round(seconds, 3)
