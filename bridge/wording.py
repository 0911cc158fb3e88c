"""What the room reads about calls and captures: sentences put together from the catalogue. Pure."""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bridge.consent_store import Kind
from bridge.people import Person
from bridge.summary import Presence
from palabre.base.ids import MeetingId
from palabre.base.words import say

# Beside the text, in a namespace of ours, so that programs need not read sentences.
CALL_FIELD = "org.palabre.call"
NAMES_SHOWN = 30  # more people are counted, not listed
NAME_LIMIT = 60  # characters
EXCERPT_LINE = 200  # characters of a line of the transcript: the file has the rest
_MENTIONED = "\uffff"  # stands for the mentions while a sentence is put together; no text may hold it


@dataclass(frozen=True)
class Worded:
    """A message as text, and as HTML where it mentions people."""

    body: str
    html: str


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


def film_notices(language: str, missing: Sequence[str], unreached: Sequence[str]) -> tuple[str, ...]:
    """What a film says at its end of those who are not in it; nothing where everybody is."""
    said = (("recording.missing", missing), ("recording.unreached", unreached))
    return tuple(say(language, key, names=names_words(language, names)) for key, names in said if names)


def call_started(language: str, mode: str, link: str) -> str:
    """Says which encryption the call has; the link leads into a call to the server alone."""
    return say(language, f"room.call.started.{mode}", link=link)


def call_ended(language: str, duration: float, names: Sequence[str]) -> str:
    return say(language, "room.call.ended", duration=duration_words(duration), names=names_words(language, names))


def capture_started(
    language: str,
    kinds: Collection[Kind],
    name: str,
    prefix: str,
    asked: Sequence[Person] = (),
    whose: Person | None = None,
) -> Worded:
    """`asked` are mentioned. `whose`: nothing is captured but a track of theirs."""
    words = {"name": clean_name(name), "prefix": prefix}
    if whose is None:
        sentence = say(language, f"room.capture.started.{_kinds(kinds)}", **words)
    else:
        sentence = say(language, "room.capture.started.track", whose=clean_name(whose.name), **words)
    if not asked:
        return Worded(sentence, "")
    return _mentioning(f"{sentence}\n{say(language, 'room.ask.please', names=_MENTIONED)}", asked)


def latecomers_asked(language: str, kinds: Collection[Kind], prefix: str, asked: Sequence[Person]) -> Worded:
    return _mentioning(say(language, f"room.ask.late.{_kinds(kinds)}", names=_MENTIONED, prefix=prefix), asked)


def agents_came(language: str, names: Sequence[str], prefix: str, asked: Sequence[Person]) -> Worded:
    """Programs take part; `asked` are mentioned."""
    sentence = say(language, "room.agents.came", names=names_words(language, names), prefix=prefix)
    if not asked:
        return Worded(sentence, "")
    return _mentioning(f"{sentence}\n{say(language, 'room.ask.please', names=_MENTIONED)}", asked)


def _kinds(kinds: Collection[Kind]) -> str:
    return next(iter(kinds)).value if len(kinds) == 1 else "both"


def _mentioning(sentence: str, people: Sequence[Person]) -> Worded:
    """https://spec.matrix.org/v1.16/client-server-api/#user-and-room-mentions"""
    pills = [f'<a href="{matrix_link(person.key)}">{html.escape(clean_name(person.name))}</a>' for person in people]
    return Worded(
        sentence.replace(_MENTIONED, ", ".join(clean_name(person.name) for person in people)),
        html.escape(sentence, quote=False).replace("\n", "<br>").replace(_MENTIONED, ", ".join(pills)),
    )


def removed(language: str, name: str, by: str) -> str:
    return say(language, "room.moderation.removed", name=clean_name(name), by=clean_name(by))


def capture_stopped(language: str, kind: Kind) -> str:
    return say(language, f"room.capture.stopped.{kind.value}")


def artefact_text(
    language: str,
    kind: Kind,
    duration: float,
    there: Presence,
    *,
    interrupted: bool,
    missing_seconds: float,
    receipt: str,
    unreadable: Sequence[str],
    excerpt: Sequence[tuple[str, str]],
) -> str:
    """The short message with the files: how long, who was there, who is missing, how it begins (name and words)."""
    lines = [
        say(
            language,
            f"room.artefact.{kind.value}",
            duration=duration_words(duration),
            names=names_words(language, there.present),
        )
    ]
    lines += _missing(language, kind, there)
    if there.partly:
        lines.append(say(language, "room.artefact.partly", names=names_words(language, there.partly)))
    if there.removed:
        lines.append(say(language, "room.artefact.removed", names=names_words(language, there.removed)))
    if unreadable:
        lines.append(say(language, "room.artefact.unreadable", names=names_words(language, unreadable)))
    if missing_seconds >= 1:
        lines.append(say(language, "room.artefact.gap", duration=duration_words(missing_seconds)))
    if interrupted:
        lines.append(say(language, "room.artefact.interrupted"))
    lines.append(say(language, "room.artefact.receipt", file=receipt))
    if excerpt:
        lines += ["", say(language, "room.artefact.begins")]
        lines += [
            say(language, "room.artefact.line", name=clean_name(name), text=_one_line(text)) for name, text in excerpt
        ]
    return "\n".join(lines)


def nothing_captured(language: str, kind: Kind, there: Presence) -> str:
    return "\n".join([say(language, f"room.artefact.nothing.{kind.value}"), *_missing(language, kind, there)])


def artefact_failed(language: str, kind: Kind, code: str, reference: str, days: int) -> str:
    """One sentence for a failure; what people can't do anything about is told with a reference for those who can."""
    if code == "models_missing":
        return say(language, "room.artefact.no_speech_engine")
    if code in ("recording_too_large", "file_too_large"):
        return say(language, "room.artefact.too_large", days=days)
    return say(language, f"room.artefact.failed.{kind.value}", reference=reference, days=days)


def recorder_name(language: str, kinds: Collection[Kind]) -> str:
    """As everybody in the call sees the recorder."""
    return say(language, f"call.recorder.{_kinds(kinds)}")


def _missing(language: str, kind: Kind, there: Presence) -> list[str]:
    lines = []
    if there.missing:
        lines.append(say(language, f"room.artefact.missing.{kind.value}", names=names_words(language, there.missing)))
    if there.unreached:
        lines.append(say(language, "room.artefact.unreached", names=names_words(language, there.unreached)))
    return lines


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= EXCERPT_LINE else words[: EXCERPT_LINE - 1].rstrip() + "…"
