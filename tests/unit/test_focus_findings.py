from __future__ import annotations

import re
from pathlib import Path

import aiohttp
import pytest

from appservice.federation.survey import Survey
from palabre.base.http import _declare
from palabre.base.words import LANGUAGES, say, say_why
from palabre.focus_findings import FocusFacts, FocusFinding, OwnSeen, RelaySeen, examine

FOCUS = "https://meet.example.org/livekit/jwt"
GOOD_RELAY = RelaySeen(200, token_cors=True, validate=401, validate_cors=True, websocket=401)


def findings(survey: Survey, own: OwnSeen, language: str = "en") -> dict[str, FocusFinding]:
    facts = FocusFacts("example.org", FOCUS, survey, GOOD_RELAY, own)
    return {finding.name: finding for finding in examine(facts, language, 0.0)}


def test_rooms_that_cannot_be_looked_at_are_named_and_are_no_fault() -> None:
    own = OwnSeen(transports_status=200, transports=(FOCUS,), room_summary=False)
    found = findings(Survey(version="Synapse 1"), own)
    assert "MSC3266" in found["room summary"].sentence
    assert "msc3266_enabled: true" in found["room summary"].add
    assert "work here" in found["all"].sentence


@pytest.mark.parametrize("error", [TimeoutError(), OSError(), aiohttp.ClientPayloadError()])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reason_is_said_in_the_language_of_the_sentence(language: str, error: Exception) -> None:
    declared = _declare(error)[1]
    found = findings(Survey(problem=declared.reason), OwnSeen(), language)
    assert say(language, f"why.{declared.reason}") in found["federation"].sentence
    assert (str(declared) in found["federation"].sentence) == (language == "en")
    assert "all" not in found


def test_a_reason_that_is_not_known_is_shown_as_it_is() -> None:
    assert "the moon is full" in findings(Survey(problem="the moon is full"), OwnSeen(), "fr")["federation"].sentence


@pytest.mark.parametrize("reason", ["certificate", "another_certificate"])
def test_a_certificate_that_others_refuse_is_told_once_by_the_finding_about_certificates(reason: str) -> None:
    assert "outside" not in findings(Survey(version="Synapse 1", outside=reason), OwnSeen())
    assert "outside" in findings(Survey(version="Synapse 1", outside="timeout"), OwnSeen())


def test_every_reason_that_has_a_code_has_a_sentence() -> None:
    root = Path(__file__).resolve().parents[2]
    sources = [root / "palabre/base/http.py", *(root / "appservice/federation").glob("*.py")]
    codes = {code for source in sources for code in re.findall(r'Error\(.*code="(\w+)"\)', source.read_text())}
    assert {"timeout", "no_server_name"} <= codes
    assert [code for code in codes if say_why("fr", code) == code] == []
