"""What the room reads about calls and captures: sentences put together from the catalogue. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.consent_store import Kind
from palabre.base.ids import MeetingId
from palabre.base.words import say

# Beside the text, in a namespace of ours, so that programs need not read sentences.
CALL_FIELD = "org.palabre.call"
NAMES_SHOWN = 30  # more people are counted, not listed
NAME_LIMIT = 60  # characters


def meeting_link(base_url: str, meeting: MeetingId) -> str:
    return f"{base_url}/m/{meeting}"


def matrix_link(target: str) -> str:
    """https://spec.matrix.org/v1.16/appendices/#matrixto-navigation"""
    return f"https://matrix.to/#/{target}"


def duration_words(seconds: float) -> str:
    """`45 s`, `12 min`, `1 h 05 min`: the same in our three languages."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def clean_name(name: str) -> str:
    """A display name as a piece of one line: what cannot be seen, such as direction overrides, is taken out."""
    printable = "".join(character if character.isprintable() else " " for character in name)
    return " ".join(printable.split())[:NAME_LIMIT].strip()


def names_words(language: str, names: Sequence[str]) -> str:
    """`Ada, Bob` or `Ada, Bob and 12 more`."""
    shown = [clean_name(name) for name in names[:NAMES_SHOWN]]
    if len(names) <= NAMES_SHOWN:
        return ", ".join(shown)
    return say(language, "room.names.more", names=", ".join(shown), count=len(names) - NAMES_SHOWN)


def call_started(language: str, link: str) -> str:
    return say(language, "room.call.started", link=link)


def call_ended(language: str, duration: float, names: Sequence[str]) -> str:
    return say(language, "room.call.ended", duration=duration_words(duration), names=names_words(language, names))


def capture_started(language: str, kind: Kind, name: str, prefix: str) -> str:
    return say(language, f"room.capture.started.{kind.value}", name=clean_name(name), prefix=prefix)


def capture_stopped(language: str, kind: Kind) -> str:
    return say(language, f"room.capture.stopped.{kind.value}")
