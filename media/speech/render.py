"""Transcripts as files: Markdown for people, WebVTT for players, JSON for programs.

Names and words come from strangers and machines: each format escapes them here. The JSON's fields are documented in
`docs/speech.md`.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import asdict
from datetime import datetime, timedelta, tzinfo

from media.speech.plain import name, one_line
from media.speech.transcript import Transcript, Turn, turns
from palabre.base.words import UnknownKeyError, say

JSON_FORMAT = "palabre.transcript.1"
SHORTEST_CUE = 1.0  # seconds; a shorter subtitle can't be read

# What CommonMark and its dialects give a meaning to inside a line …
_MARKDOWN = re.compile(r"([\\`*_\[\]~])")
# … and at its beginning, where it would make a heading, a list or a rule.
_MARKDOWN_START = re.compile(r"^(\d*)([#+.)-])")


def to_markdown(transcript: Transcript, language: str, zone: tzinfo | None = None) -> str:
    """For people, with headings in `language` and times of day in `zone` (the machine's own by default)."""
    title = (
        say(language, "transcript.title", title=_markdown(name(transcript.title)))
        if transcript.title.strip()
        else say(language, "transcript.untitled")
    )
    blocks = [f"# {title}", _when(transcript, language, zone)]
    blocks += [
        f"**{say(language, key)}{_colon(language)}** {', '.join(_markdown(name(person)) for person in people)}"
        for key, people in (
            ("transcript.present", transcript.participants),
            ("transcript.missing", transcript.not_recorded),
            ("transcript.partly", transcript.partly_recorded),
            ("transcript.unreached", transcript.unreached),
            ("transcript.unreadable", transcript.unreadable),
        )
        if people
    ]
    if len(transcript.languages) > 1:
        names = ", ".join(_language_name(language, code) for code in transcript.languages)
        blocks.append(f"**{say(language, 'transcript.languages')}{_colon(language)}** {names}")
    blocks += [
        f"**{say(language, 'transcript.gap', start=clock(start), end=clock(end))}**" for start, end in transcript.gaps
    ]
    if transcript.interrupted:
        blocks.append(f"**{say(language, 'transcript.interrupted')}**")
    blocks += [f"*{say(language, 'transcript.automatic')}*", "---"]
    several = len(transcript.languages) > 1
    blocks += [_turn(turn, language, show_language=several) for turn in turns(transcript.lines)]
    if not transcript.lines:
        blocks.append(say(language, "transcript.nobody_spoke"))
    return "\n\n".join(blocks) + "\n"


def to_webvtt(transcript: Transcript) -> str:
    """Subtitles with voices (W3C WebVTT): one cue per line, times from the beginning of the call."""
    cues = ["WEBVTT"]
    for number, line in enumerate(transcript.lines, start=1):
        end = max(line.end, line.start + SHORTEST_CUE)
        speaker, text = html.escape(name(line.speaker), quote=False), html.escape(one_line(line.text), quote=False)
        cues.append(f"{number}\n{_vtt_time(line.start)} --> {_vtt_time(end)}\n<v {speaker}>{text}</v>")
    return "\n\n".join(cues) + "\n"


def to_json(transcript: Transcript) -> str:
    """For programs: the transcript's fields as they are, in UTF-8."""
    return json.dumps({"format": JSON_FORMAT, **asdict(transcript)}, ensure_ascii=False, indent=1) + "\n"


def clock(seconds: float) -> str:
    """Time since the beginning as people read it: 04:05, and 1:04:05 from an hour on."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes = f"{rest // 60:02}:{rest % 60:02}"
    return f"{hours}:{minutes}" if hours else minutes


def long_date(language: str, date: datetime) -> str:
    """24 novembre 2026."""
    day = "1er" if language == "fr" and date.day == 1 else str(date.day)
    return say(language, "date.long", day=day, month=say(language, f"date.month.{date.month}"), year=date.year)


def _when(transcript: Transcript, language: str, zone: tzinfo | None) -> str:
    start = datetime.fromtimestamp(transcript.started_at, zone).astimezone(zone)
    end = start + timedelta(seconds=transcript.duration)
    offset = f"{start:%z}"  # +0100
    return say(
        language,
        "transcript.when",
        date=long_date(language, start),
        start=f"{start:%H:%M}",
        end=f"{end:%H:%M}",
        zone=f"UTC{offset[:3]}:{offset[3:5]}",
        duration=say(language, "transcript.minutes", count=max(1, round(transcript.duration / 60))),
    )


def _turn(turn: Turn, language: str, *, show_language: bool) -> str:
    spoken = ", ".join(_language_name(language, code) for code in turn.languages)
    suffix = f" · {spoken}" if show_language else ""
    words = " ".join(one_line(line.text) for line in turn.lines)
    return f"**{_markdown(name(turn.speaker))}** · {clock(turn.start)}{suffix}\n\n{_markdown(words)}"


def _markdown(text: str) -> str:
    """`text` as nothing but text, for Markdown that is shown as HTML or read as it is."""
    escaped = _MARKDOWN.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    return _MARKDOWN_START.sub(r"\1\\\2", escaped)


def _colon(language: str) -> str:
    return "\u00a0:" if language == "fr" else ":"


def _language_name(language: str, code: str) -> str:
    try:
        return say(language, f"transcript.language.{code}")
    except UnknownKeyError:
        return _markdown(code)


def _vtt_time(seconds: float) -> str:
    milliseconds = max(0, round(seconds * 1000))
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"
