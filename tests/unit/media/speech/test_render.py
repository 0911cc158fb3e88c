"""Transcripts as files that people, players and programs read, whatever names people gave themselves."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.speech.render import clock, to_json, to_markdown, to_webvtt
from media.speech.transcript import CallFacts, Line, Transcript, assemble

PARIS = ZoneInfo("Europe/Paris")
START = datetime(2026, 11, 24, 9, 4, tzinfo=UTC).timestamp()
HOSTILE = [
    "<script>alert(1)</script>",
    "a --> b",
    "Alice\n\n00:00.000 --> 99:00:00.000\n<v Bob>I resign",
    "\u202eecila",
    "# Alice",
    "**Bob** · 00:12",
    "[here](https://evil.example)",
    "1. one",
    "- item",
    "---",
    "&lt;b&gt;",
    "e" + "\u0301" * 10_000,
    "x" * 5000,
    "",
    "\x00\x07\u2028",
]


def meeting(name: str = "Alice", text: str = "Bonjour à toutes et à tous.", title: str = "Budget 2027") -> Transcript:
    facts = CallFacts(title, START, 1980.0, (name, "Bruno", "Chloé"), not_recorded=("Chloé",))
    alice = [Line(name, "@alice:a", 12.0, 14.5, text, "fr"), Line(name, "@alice:a", 15.0, 17.0, "Commençons.", "fr")]
    bruno = [Line("Bruno", "@bruno:a", 16.0, 18.25, "Good morning.", "en")]
    return assemble(facts, [alice, bruno])


def test_markdown_reads_like_minutes():
    assert to_markdown(meeting(), "fr", PARIS) == (
        "# Transcription : Budget 2027\n\n"
        "24 novembre 2026, de 10:04 à 10:37 (UTC+01:00), 33 minutes\n\n"
        "**Personnes présentes\u00a0:** Alice, Bruno, Chloé\n\n"
        "**Personnes non transcrites, faute de consentement\u00a0:** Chloé\n\n"
        "**Langues\u00a0:** français, anglais\n\n"
        "*Établie par une machine à partir du microphone de chacun. "
        "Elle entend parfois mal : comparez avec l’enregistrement avant de citer.*\n\n"
        "---\n\n"
        "**Alice** · 00:12 · français\n\n"
        "Bonjour à toutes et à tous. Commençons.\n\n"
        "**Bruno** · 00:16 · anglais\n\n"
        "Good morning.\n"
    )


@pytest.mark.parametrize(
    ("language", "date"), [("fr", "1er mars 2026"), ("de", "1. März 2026"), ("en", "1 March 2026")]
)
def test_dates_are_written_as_in_the_language(language, date):
    start = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
    assert date in to_markdown(replace(meeting(), started_at=start), language, PARIS)


@pytest.mark.parametrize("language", ["fr", "de", "en"])
def test_an_interrupted_an_empty_and_a_partly_recorded_call_say_so(language):
    empty = replace(meeting(), lines=(), languages=(), interrupted=True, partly_recorded=("Bruno",), title="")
    whole = to_markdown(meeting(), language, PARIS)
    told = to_markdown(empty, language, PARIS)
    assert told.count("\n\n") >= 6
    assert len({paragraph for paragraph in told.split("\n\n") if paragraph not in whole}) >= 4


@pytest.mark.parametrize("language", ["fr", "de", "en"])
def test_a_gap_is_said_with_its_times(language):
    told = to_markdown(replace(meeting(), gaps=((65.0, 90.0), (3600.0, 3661.0))), language, PARIS)
    for time in ("01:05", "01:30", "1:00:00", "1:01:01"):
        assert time in told
    assert json.loads(to_json(replace(meeting(), gaps=((65.0, 90.0),))))["gaps"] == [[65.0, 90.0]]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_text_in_markdown(name):
    rendered = to_markdown(meeting(name, text=name, title=name), "en", PARIS)
    honest = to_markdown(meeting(), "en", PARIS)
    assert "<" not in rendered
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u2028\u202a-\u202e]", rendered)
    assert not re.search(r"(?<!\\)\[", rendered)
    assert rendered.count("\n\n") == honest.count("\n\n")  # the same paragraphs
    assert [line[:2] for line in rendered.splitlines() if line.startswith("#")] == ["# "]
    assert rendered.count("\n---\n") == 1
    assert len(re.findall(r"(?<!\\)\*\*", rendered)) == len(re.findall(r"(?<!\\)\*\*", honest))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_text_in_subtitles(name):
    rendered = to_webvtt(meeting(name, text=name + "x"))
    assert rendered.startswith("WEBVTT\n\n")
    cues = rendered.strip().split("\n\n")[1:]
    assert len(cues) == 3
    for cue in cues:
        number, times, payload = cue.split("\n")
        assert number.isdecimal()
        assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} --> \d\d:\d\d:\d\d\.\d{3}", times)
        assert re.fullmatch(r"<v [^<>\n]+>[^<>\n]*</v>", payload)


@given(st.text(), st.text())
def test_any_name_and_words_keep_the_structure_of_subtitles(name, text):
    assert len(to_webvtt(meeting(name, text)).strip().split("\n\n")) == 4


def test_subtitles_have_voices_and_times():
    assert to_webvtt(meeting()).split("\n\n")[1] == (
        "1\n00:00:12.000 --> 00:00:14.500\n<v Alice>Bonjour à toutes et à tous.</v>"
    )


def test_a_very_short_line_stays_long_enough_to_be_read():
    short = replace(meeting(), lines=(Line("Alice", "a", 3599.9996, 3600.1, "Oui.", "fr"),))
    assert "01:00:00.000 --> 01:00:01.000" in to_webvtt(short)


def test_json_has_what_the_transcript_has():
    read = json.loads(to_json(meeting("<Alice>")))
    assert read["format"] == "palabre.transcript.1"
    assert read["not_recorded"] == ["Chloé"]
    assert read["interrupted"] is False
    assert read["lines"][0] == {
        "speaker": "<Alice>",
        "speaker_id": "@alice:a",
        "start": 12.0,
        "end": 14.5,
        "text": "Bonjour à toutes et à tous.",
        "language": "fr",
    }


def test_the_clock_shows_hours_only_when_there_are_any():
    assert (clock(0.0), clock(65.9), clock(3661), clock(-1)) == ("00:00", "01:05", "1:01:01", "00:00")
