from __future__ import annotations

from typing import Any

import pytest

from appservice.rooms import room_request
from appservice.seams import MeetingRoomSpec, Widget
from appservice.state import RoomState
from appservice.widgets import layout_with, widget_content
from palabre.base.ids import UserId

BOT, ALICE, BOB = "@palabre:hs", UserId("@alice:hs"), UserId("@bob:hs")


def spec(version: str, asker: UserId = ALICE) -> MeetingRoomSpec:
    return MeetingRoomSpec("palabre-x", "Budget", asker, (BOB,), version)


def state_of(body: dict[str, Any], creator: str) -> RoomState:
    create = {"room_version": body["room_version"]} | body.get("creation_content", {})
    return RoomState(
        "!r", creator, {"m.room.create": create, "m.room.power_levels": body["power_level_content_override"]}
    )


@pytest.mark.parametrize("version", ["11", "12"])
def test_the_asker_has_the_bots_power_and_members_may_announce_their_calls(version: str) -> None:
    state = state_of(room_request(spec(version), BOT), BOT)
    assert state.power(ALICE) == state.power(BOT) >= 100
    assert state.power(BOB) == 0
    for event_type in ("org.matrix.msc3401.call.member", "m.call.member"):
        assert state.power_for_state(event_type) == 0
    for event_type in ("im.vector.modular.widgets", "m.room.power_levels"):
        assert state.power(BOB) < state.power_for_state(event_type) <= state.power(ALICE)


def test_creators_of_a_version_12_room_are_not_named_in_its_levels() -> None:
    body = room_request(spec("12"), BOT)
    assert "users" not in body["power_level_content_override"]
    assert body["creation_content"] == {"additional_creators": [ALICE]}


def test_the_room_is_encrypted_from_its_first_event() -> None:
    for version in ("11", "12"):
        initial = {event["type"]: event["content"] for event in room_request(spec(version), BOT)["initial_state"]}
        assert initial["m.room.encryption"] == {"algorithm": "m.megolm.v1.aes-sha2"}


def test_nobody_is_invited_by_the_creation_itself() -> None:
    assert "invite" not in room_request(spec("11"), BOT)  # one refused invitation would undo it all


def test_a_widget_is_pinned_beside_those_that_are_there() -> None:
    other = {"container": "right", "index": 2}
    layout = layout_with({"widgets": {"notes": other}, "x": 1}, "call")
    assert layout["widgets"]["notes"] == other
    assert layout["widgets"]["call"]["container"] == "top"
    assert layout["x"] == 1
    assert layout_with(layout, "call") == layout


def test_a_widget_that_people_moved_at_the_top_stays_there() -> None:
    moved = {"widgets": {"call": {"container": "top", "index": 1, "width": 30, "height": 20}}}
    assert layout_with(moved, "call") == moved


@pytest.mark.parametrize("layout", [{}, {"widgets": None}, {"widgets": {"call": []}}, {"widgets": 7}])
def test_a_layout_that_makes_no_sense_is_written_anew(layout: dict[str, Any]) -> None:
    assert layout_with(layout, "call")["widgets"]["call"]["container"] == "top"


def test_a_widgets_content_names_its_creator() -> None:
    content = widget_content(Widget("call", "Call", "https://x/widget", {"meeting": "m"}), BOT)
    assert content["creatorUserId"] == BOT
    assert content["url"] == "https://x/widget"
