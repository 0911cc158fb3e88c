"""The table of rights: levels of the settings, and what a room says instead."""

from __future__ import annotations

import dataclasses

import pytest

from appservice.seams import RoomView
from bridge import rights
from bridge.rights import Permissions, Right, publishing
from bridge.settings import RoomPolicy
from media.relay.seams import TrackSource
from tests.support.bridge_fakes import ROOM

MEMBER = RoomView(ROOM, "Budget", True, "11", True, "join", 0, 100, "Alice", {})
STRICT = RoomPolicy(publish_power=10, screen_power=20, capture_power=30, moderate_power=40)


@pytest.mark.parametrize(
    ("power", "publish", "share", "capture", "moderate"),
    [
        (-1, False, False, False, False),
        (0, False, False, False, False),
        (10, True, False, False, False),
        (20, True, True, False, False),
        (30, True, True, True, False),
        (40, True, True, True, True),
        (2**53, True, True, True, True),
    ],
)
def test_each_right_needs_its_own_level(power: int, publish: bool, share: bool, capture: bool, moderate: bool) -> None:
    may = rights.of_member(dataclasses.replace(MEMBER, power=power), STRICT)
    assert may == Permissions(publish, capture, moderate, share)


@pytest.mark.parametrize("right", list(Right))
def test_a_room_sets_its_own_level_for_a_right_higher_or_lower(right: Right) -> None:
    for level in (0, 5, 75):
        view = dataclasses.replace(MEMBER, required_power={"": 50, right.value: level})
        assert rights.needed(right, view, STRICT) == level
    others = [other for other in Right if other is not right]
    view = dataclasses.replace(MEMBER, required_power={"": 50, right.value: 75})
    assert {rights.needed(other, view, STRICT) for other in others} <= {10, 20, 30, 40}


def test_guests_have_what_needs_no_power_and_never_record_or_moderate() -> None:
    free = RoomPolicy(capture_power=0, moderate_power=0)
    assert rights.of_guest(MEMBER, free) == Permissions(publish=True, capture=False, moderate=False, share=True)
    view = dataclasses.replace(MEMBER, power=100, required_power={Right.SHARE.value: 1})
    assert not rights.of_guest(view, free).share
    assert not rights.of_guest(view, RoomPolicy(publish_power=1)).publish


@pytest.mark.parametrize(
    ("publish", "share", "granted"),
    [
        (True, True, (True, ())),
        (True, False, (True, (TrackSource.MICROPHONE, TrackSource.CAMERA))),
        (False, True, (True, (TrackSource.SCREEN_SHARE, TrackSource.SCREEN_SHARE_AUDIO))),
        (False, False, (False, ())),
    ],
)
def test_rights_become_sources_of_a_livekit_grant(publish: bool, share: bool, granted: object) -> None:
    assert publishing(Permissions(publish, capture=True, moderate=True, share=share)) == granted
