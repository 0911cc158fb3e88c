"""Participants as data: what they show, what they may change, who may take one over (C-18)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any

import pytest
from livekit.protocol import models
from pydantic import SecretStr, ValidationError

from media.relay import greeting, resume
from media.relay.ice_servers import client_configuration, ice_servers
from media.relay.join import JoinRequest
from media.relay.participant import Participant, TrackRights
from media.relay.seams import Grants
from media.relay.settings import Limits, RelaySettings, Turn
from palabre.base.errors import CallerError
from tests.unit.media.relay.test_tracks import announced

GRANTS = Grants("key", "alice", name="Alice", attributes={"role": "mayor"}, room="r", room_join=True)
REQUEST = JoinRequest(single=True, client=models.ClientInfo(client_protocol=2), metadata="m", attributes={"a": "1"})


def participant(**grants: object) -> Participant:
    return Participant(replace(GRANTS, **grants), REQUEST, Limits(), 1000.5)  # type: ignore[arg-type]


def test_what_others_are_shown() -> None:
    alice = participant()
    track = announced()
    alice.tracks[track.sid] = track
    info = alice.info()
    assert (info.identity, info.name, dict(info.attributes)) == ("alice", "Alice", {"role": "mayor"})
    assert (info.joined_at, info.joined_at_ms, info.client_protocol) == (1000, 1000500, 2)
    assert (list(info.tracks), info.is_publisher) == ([], False)
    track.announced = True
    alice.touch()
    assert [shown.sid for shown in alice.info().tracks] == [track.sid]


def test_only_with_the_grant_a_join_brings_its_own_attributes() -> None:
    assert participant().attributes == {"role": "mayor"}
    allowed = participant(can_update_own_metadata=True)
    assert (allowed.attributes, allowed.metadata) == ({"role": "mayor", "a": "1"}, "m")


def test_attributes_that_the_service_alone_writes_are_not_a_client_s_to_bring() -> None:
    forging = replace(REQUEST, attributes={"palabre.consent.recording": "yes", "palabre.user": "@boss:a", "a": "1"})
    alice = Participant(replace(GRANTS, can_update_own_metadata=True), forging, Limits(), 1000.5)
    assert alice.attributes == {"role": "mayor", "a": "1"}


def test_an_empty_value_removes_an_attribute_and_every_change_is_a_new_version() -> None:
    alice = participant()
    before = alice.version
    alice.update(attributes={"role": "", "hand": "up"}, name="Ada")
    assert (alice.attributes, alice.name) == ({"hand": "up"}, "Ada")
    assert alice.version > before


@pytest.mark.parametrize(
    "change", [{"name": "x" * 257}, {"metadata": "x" * 64_001}, {"attributes": {"a": "é" * 32_001}}]
)
def test_changes_over_the_limits_change_nothing(change: dict[str, object]) -> None:
    alice = participant()
    with pytest.raises(CallerError):
        alice.update(**change)  # type: ignore[arg-type]
    assert (alice.name, alice.metadata, alice.attributes) == ("Alice", "", {"role": "mayor"})


def test_hidden_and_unconnected_participants_are_not_visible() -> None:
    alice, meter = participant(), participant(hidden=True, can_subscribe=False)
    assert not alice.visible
    alice.state = meter.state = models.ParticipantInfo.ACTIVE
    assert (alice.visible, meter.visible) == (True, False)


def test_a_publisher_s_rights_name_people_and_tracks() -> None:
    rights = TrackRights()
    assert rights.allow("bob", "TR_1")
    rights.replace(False, {"bob": None, "carol": frozenset({"TR_1"})})
    pairs = (("bob", "TR_2"), ("carol", "TR_1"), ("carol", "TR_2"), ("eve", "TR_1"))
    assert [rights.allow(*pair) for pair in pairs] == [True, True, False, False]


def test_choices_stand_above_automatic_subscription() -> None:
    alice, track = participant(), announced()
    assert alice.wants(track)
    alice.chosen[track.sid] = False
    assert not alice.wants(track)


def test_a_refreshed_token_says_what_holds_now() -> None:
    alice = participant()
    alice.grants = replace(alice.grants, can_publish=False)
    alice.update(attributes={"hand": "up"})
    grants = alice.current_grants()
    assert (grants.can_publish, grants.attributes) == (False, {"role": "mayor", "hand": "up"})


def test_a_resume_needs_the_very_participant() -> None:
    alice = participant()
    args = {"single": True, "media_alive": True}
    assert resume.check(None, alice.sid, **args) is resume.Refusal.NOBODY
    assert resume.check(alice, alice.sid, **args) is resume.Refusal.NOBODY  # its media never connected
    alice.state = models.ParticipantInfo.ACTIVE
    assert resume.check(alice, alice.sid, **args) is None
    assert resume.check(alice, "PA_other", **args) is resume.Refusal.OTHER_SID
    assert resume.check(alice, "", **args) is resume.Refusal.OTHER_SID
    assert resume.check(alice, alice.sid, single=False, media_alive=True) is resume.Refusal.OTHER_MODE
    assert resume.check(alice, alice.sid, single=True, media_alive=False) is resume.Refusal.MEDIA_LOST


def test_turn_credentials_are_those_of_coturn() -> None:
    turn = Turn(urls=("turn:t.example.org?transport=udp",), secret=SecretStr("s"), lifetime=100, force=True)
    (server,) = ice_servers(turn, "PA_x", 1000.0)
    assert server.username == "1100:PA_x"
    assert base64.b64decode(server.credential) == hmac.digest(b"s", b"1100:PA_x", hashlib.sha1)
    assert list(server.urls) == ["turn:t.example.org?transport=udp"]
    forced = client_configuration(turn)
    assert forced is not None
    assert forced.force_relay == models.ENABLED
    assert ice_servers(None, "PA_x", 0.0) == []
    assert client_configuration(None) is None


def test_settings_refuse_what_they_do_not_know() -> None:
    good: dict[str, Any] = {"api_keys": {"key": "secret"}}
    assert RelaySettings(**good).secrets == {"key": "secret"}
    wrongs: tuple[dict[str, Any], ...] = (
        {},
        {"api_keys": {}},
        {"api_keys": {"key": ""}},
        {"api_keys": {"": "secret"}},
        {**good, "port": 1},
        {**good, "turn": {"urls": ["http://x"], "secret": "s"}},
        {**good, "rooms": {"empty_timeout": -1}},
    )
    for wrong in wrongs:
        with pytest.raises(ValidationError):
            RelaySettings(**wrong)


def test_a_join_response_of_a_single_connection_is_publisher_primary() -> None:
    settings = RelaySettings(api_keys={"key": SecretStr("secret")})
    response = greeting.join_response(models.Room(), participant(), [], settings, 0.0)
    assert not response.join.subscriber_primary
    assert response.join.fast_publish
