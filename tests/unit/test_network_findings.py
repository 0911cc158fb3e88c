"""What `palabre doctor --network` says of what it tried."""

from __future__ import annotations

from dataclasses import replace

import pytest

from palabre.base.words import LANGUAGES
from palabre.network_doctor import parse_session, parse_turn_url
from palabre.network_findings import NetworkFacts, Relayed, TurnSeen, Way, examine

PUBLIC, SIX, PRIVATE = "198.41.0.4", "2001:503:ba3e::2:30", "10.1.0.7"
WELL = NetworkFacts(
    "https://meet.example.org",
    websocket=401,
    reach=200,
    public=True,
    ways=(Way("udp", PUBLIC, 7882, True), Way("tcp", PUBLIC, 7881, True)),
    turn=(TurnSeen("turns:turn.example.org:443?transport=tcp", Relayed.CARRIED),),
)


def said(facts: NetworkFacts, language: str = "en") -> list[tuple[str, bool]]:
    return [(finding.name, finding.ok) for finding in examine(facts, language)]


def test_where_everything_works_every_way_is_named() -> None:
    names = ["signalling", "addresses", "udp 7882", "tcp 7881", "turn"]
    assert said(WELL) == [(name, True) for name in names]


def test_a_proxy_that_loses_websockets_is_told_from_a_name_that_does_not_answer() -> None:
    sentences = {status: examine(replace(WELL, websocket=status, reach=0), "en") for status in (0, 426, 502)}
    assert all(len(found) == 1 and not found[0].ok for found in sentences.values())
    assert "WebSockets" in sentences[426][0].sentence
    assert "502" in sentences[502][0].sentence
    assert said(replace(WELL, reach=404))[1] == ("media", False)


def test_private_addresses_are_wrong_only_for_a_name_that_everybody_reaches() -> None:
    inside = tuple(replace(way, address=PRIVATE) for way in WELL.ways)
    assert ("addresses", False) in said(replace(WELL, ways=inside))
    assert ("addresses", True) in said(replace(WELL, ways=inside, public=False))


def test_an_address_out_of_reach_matters_only_where_no_other_answers() -> None:
    two = (Way("udp", SIX, 7882, False), *WELL.ways)
    assert all(ok for _, ok in said(replace(WELL, ways=two)))
    closed = (Way("udp", PUBLIC, 7882, False), Way("tcp", PUBLIC, 7881, True))
    assert ("udp 7882", False) in said(replace(WELL, ways=closed))


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_is_a_sentence_for_all_of_it_in_every_language(language: str) -> None:
    turn = tuple(TurnSeen("turn:turn.example.org", how) for how in Relayed)
    silent = tuple(replace(way, answers=False) for way in WELL.ways)
    facts = (
        [replace(WELL, websocket=status, reach=reach) for status in (0, 401, 426, 502) for reach in (0, 200, 404)]
        + [replace(WELL, turn=turn), replace(WELL, turn=()), replace(WELL, ways=silent)]
        + [replace(WELL, ways=(replace(WELL.ways[0], address=PRIVATE), *silent))]
    )
    for each in facts:
        for finding in examine(each, language):
            assert finding.sentence
            assert "{" not in finding.sentence


def test_turn_urls_are_those_of_rfc_7065() -> None:
    assert parse_turn_url("turn:turn.example.org") == ("turn.example.org", 3478, "udp", False)
    assert parse_turn_url("turn:turn.example.org:3479?transport=tcp") == ("turn.example.org", 3479, "tcp", False)
    assert parse_turn_url("turns:[2001:db8::1]:443?transport=tcp") == ("2001:db8::1", 443, "tcp", True)
    for wrong in ("stun:stun.example.org", "turn:", "https://example.org"):
        with pytest.raises(ValueError, match="TURN"):
            parse_turn_url(wrong)


@pytest.mark.parametrize("document", [None, [], {}, {"candidates": ["x"]}, {"candidates": [1], "ice_servers": []}])
def test_what_is_no_session_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match="not a session"):
        parse_session(document)
