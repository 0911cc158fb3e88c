"""The page has words of its own for every refusal that a person can meet (web/client/src/features/problem)."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROBLEMS = ROOT / "web" / "client" / "src" / "features" / "problem" / "problems.ts"
# What lies behind the API: the modules that web/api.py and a LiveKit client's join reach.
SOURCES = (
    *(ROOT / "web").glob("*.py"),
    *(
        ROOT / "bridge" / f"{name}.py"
        for name in (
            *("access", "admission", "capture", "conference", "entrance", "homeserver_policy", "moderation"),
            *("meetings", "openid", "sessions"),
        )
    ),
    ROOT / "appservice" / "federation" / "homeservers.py",
)
CODE = re.compile(r'(?:CallerError|_too_little_power)\(\s*"([a-z_]+)"')
# Faults of the page or of a program, never of a person: "that did not work" and the code are the right words.
PROGRAM_FAULTS = {"bad_device", "bad_field", "bad_json", "body_too_large", "unknown_identity"}
# Asked for in rooms only, not over the API.
ROOM_ONLY = {"meeting_forbidden", "consent_overtaken", "not_removed"}
# Met by other LiveKit clients: the page never asks to be hidden.
OTHER_CLIENTS = {"hidden_refused"}


def test_every_refusal_of_the_api_has_words_in_the_page() -> None:
    given = {code for source in SOURCES for code in CODE.findall(source.read_text(encoding="utf-8"))}
    known = set(re.findall(r"^\s+([a-z_0-9]+): (?:\[|')", PROBLEMS.read_text(encoding="utf-8"), re.MULTILINE))
    assert {"not_in_room", "session_expired"} <= given & known, "the patterns no longer fit the sources"
    assert given - PROGRAM_FAULTS - ROOM_ONLY - OTHER_CLIENTS - known == set()
