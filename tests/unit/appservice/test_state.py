from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from appservice.state import CREATOR_POWER, Member, RoomState, read_member
from palabre.base.ids import UserId
from tests.unit.appservice.test_transaction import json_values

BOT, ALICE, BOB = "@palabre:hs", "@alice:hs", "@bob:hs"


def room(
    version: str = "11",
    levels: dict[str, Any] | None = None,
    create: dict[str, Any] | None = None,
    other: dict[str, Any] | None = None,
) -> RoomState:
    known = {"m.room.create": {"room_version": version} | (create or {})} | (other or {})
    if levels is not None:
        known["m.room.power_levels"] = levels
    return RoomState("!room", ALICE, known)


def test_levels_fall_back_to_the_defaults_of_the_event() -> None:
    state = room(levels={"users": {BOT: 50}, "users_default": 5, "events": {"m.room.name": 40}, "state_default": 60})
    assert (state.power(BOT), state.power(BOB)) == (50, 5)
    assert (state.power_for_state("m.room.name"), state.power_for_state("im.vector.modular.widgets")) == (40, 60)
    assert state.required_power() == {"": 60, "m.room.name": 40}


def test_without_levels_the_creator_alone_has_power() -> None:
    state = room()
    assert (state.power(ALICE), state.power(BOB), state.power_for_state("m.room.name")) == (100, 0, 0)


@pytest.mark.parametrize("version", ["12", "13", "org.matrix.hydra.11"])
def test_creators_stand_above_every_level_from_room_version_12_on(version: str) -> None:
    state = room(version, {"users": {ALICE: 0}}, create={"additional_creators": [BOB, 7]})
    assert state.power(ALICE) == state.power(BOB) == CREATOR_POWER
    assert state.power(BOT) == 0


def test_additional_creators_mean_nothing_before_version_12() -> None:
    assert room("11", {}, create={"additional_creators": [BOB]}).power(BOB) == 0


@pytest.mark.parametrize(
    ("version", "value", "level"), [("9", " 50 ", 50), ("10", "50", 0), ("9", "x", 0), ("11", True, 0), ("11", 50.5, 0)]
)
def test_a_level_written_as_text_counts_in_old_rooms_only(version: str, value: Any, level: int) -> None:
    assert room(version, {"users": {BOB: value}}).power(BOB) == level


def test_an_emptied_encryption_event_leaves_the_room_encrypted() -> None:
    assert room(other={"m.room.encryption": {}}).encrypted
    assert not room().encrypted


def test_a_view_names_the_room_and_the_user() -> None:
    state = room(levels={}, other={"m.room.canonical_alias": {"alias": "#budget:hs"}})
    view = state.view(BOB, Member("join", "Bob"), BOT)
    assert (view.name, view.display_name, view.membership, view.bot_joined) == ("#budget:hs", "Bob", "join", True)
    assert state.view(BOB, Member("join"), BOT).display_name == BOB


@given(json_values, json_values, json_values)
def test_any_json_in_any_content_gives_levels(create: object, levels: object, member: object) -> None:
    for odd in (create, levels, member):
        content: dict[str, Any] = odd if isinstance(odd, dict) else {"users": odd, "events": odd, "users_default": odd}
        state = RoomState("!room", ALICE, {"m.room.create": content, "m.room.power_levels": content})
        view = state.view(BOB, read_member(content | {"membership": odd, "displayname": odd}), BOT)
        assert isinstance(view.power, int)
        assert isinstance(view.display_name, str)
        assert isinstance(state.power_for_state("m.room.name"), int)


def test_a_view_says_what_the_server_list_and_the_access_rule_are() -> None:
    lists = {
        "m.room.server_acl": {"allow": ["*"], "deny": ["evil.example"]},
        "im.vector.room.access_rules": {"rule": "restricted"},
    }
    view = room(other=lists).view(UserId("@eve:evil.example"), Member("join"), BOT)
    assert (view.server_allowed, view.access_rule) == (False, "restricted")
    assert room(other=lists).view(BOB, Member("join"), BOT).server_allowed
    plain = room().view(UserId("@eve:evil.example"), Member("join"), BOT)
    assert (plain.server_allowed, plain.access_rule) == (True, "")
