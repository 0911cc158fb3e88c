from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from appservice.rooms import room_request
from appservice.rtc.levels import CALL_TYPES, call_levels, mended
from appservice.seams import MeetingRoomSpec
from appservice.state import RoomState
from palabre.base.ids import UserId
from tests.unit.appservice.test_transaction import json_values

BOT, ALICE = "@palabre:hs", "@alice:hs"
SESSION = "org.matrix.msc3401.call.member"


def room(levels: Any, version: str = "11", creator: str = ALICE) -> RoomState:
    return RoomState("!room", creator, {"m.room.create": {"room_version": version}, "m.room.power_levels": levels})


def test_in_a_room_of_defaults_only_moderators_can_call() -> None:
    found = call_levels(room({"users": {ALICE: 100, BOT: 50}, "events": {"m.room.power_levels": 100}}), BOT)
    assert found.missing == {SESSION: 0, "m.call.member": 0}
    assert (found.needed, found.may_mend) == (100, False)


@pytest.mark.parametrize(("version", "power"), [("11", {BOT: 100}), ("12", {})])
def test_a_bot_with_the_power_or_that_created_the_room_may_mend_it(version: str, power: dict[str, int]) -> None:
    levels = {"users": power, "events": {"m.room.power_levels": 100}}
    state = room(levels, version, creator=BOT)
    found = call_levels(state, BOT)
    assert found.may_mend
    after = mended(levels, found.missing)
    assert after["events"]["m.room.power_levels"] == 100
    assert not call_levels(room(after, version, creator=BOT), BOT).missing


def test_where_only_some_may_write_only_they_may_call() -> None:
    assert call_levels(room({"events_default": 50}), BOT).missing == {}
    assert call_levels(room({"events_default": 50, "state_default": 90}), BOT).missing == {
        SESSION: 50,
        "m.call.member": 50,
    }


def test_a_level_above_the_bots_own_cannot_be_lowered_by_it() -> None:
    state = room({"users": {BOT: 50}, "events": {SESSION: 100, "m.room.power_levels": 50}})
    found = call_levels(state, BOT)
    assert (found.needed, found.may_mend) == (100, False)


def test_ringing_that_a_room_keeps_for_moderators_counts_as_missing() -> None:
    events = {**dict.fromkeys(CALL_TYPES, 0), "org.matrix.msc4075.rtc.notification": 50}
    assert call_levels(room({"events": events}), BOT).missing == {"org.matrix.msc4075.rtc.notification": 0}


@pytest.mark.parametrize("version", ["11", "12"])
def test_nothing_is_missing_in_rooms_that_the_bot_makes(version: str) -> None:
    spec = MeetingRoomSpec("palabre-x", "Budget", UserId(ALICE), (), version)
    levels = room_request(spec, BOT)["power_level_content_override"]
    assert not call_levels(room(levels, version, creator=BOT), BOT).missing


@given(json_values, json_values)
def test_any_levels_can_be_looked_at_and_mended(levels: object, events: object) -> None:
    content: dict[str, Any] = levels if isinstance(levels, dict) else {"events": events, "events_default": levels}
    state = room(content | {"events": events})
    missing = call_levels(state, BOT).missing
    assert not call_levels(room(mended(content | {"events": events}, missing)), BOT).missing
