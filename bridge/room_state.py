"""What everybody in a call sees of it, as docs/http-api.md has it: room metadata and attributes. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bridge.call_store import Call
from bridge.capture_store import Capture
from bridge.consent_store import CAPTURED, Answer, Kind
from bridge.meetings import Meeting

# What the attribute `palabre.consent.…` says; an empty value removes it.
SHOWN = {Answer.UNASKED: "", Answer.ASKED: "asked", Answer.YES: "yes", Answer.NO: "no"}


def capture_view(running: Mapping[Kind, Capture]) -> dict[str, Any]:
    """`{"recording": null or {"by", "since"}, "transcription": …}`."""
    return {
        kind.value: {"by": running[kind].started_by.name, "since": running[kind].started_at}
        if kind in running
        else None
        for kind in CAPTURED
    }


def room_metadata(meeting: Meeting, call: Call, running: Mapping[Kind, Capture]) -> str:
    return json.dumps(
        {
            "meeting": meeting.id,
            "call": call.id,
            "title": meeting.title,
            "mode": call.mode,
            "capture": capture_view(running),
        },
        separators=(",", ":"),
        ensure_ascii=False,
    )


def consent_attribute(kind: Kind) -> str:
    return f"palabre.consent.{kind.value}"


def consent_attributes(answers: Mapping[Kind, Answer], running: Mapping[Kind, Capture]) -> dict[str, str]:
    """The attributes of one participant: an answer is shown while its kind is captured."""
    return {
        consent_attribute(kind): SHOWN[answers.get(kind, Answer.UNASKED)] if kind in running else ""
        for kind in CAPTURED
    }
