from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from appservice.seams import RoomView
from bridge import access
from bridge.modes import MODE_END_TO_END, MODE_SERVER
from bridge.people import guest_person, matrix_person
from bridge.rights import Permissions
from bridge.settings import RoomPolicy
from palabre.base.errors import CallerError
from palabre.base.ids import UserId
from tests.support.bridge_fakes import ALICE, EVE, ROOM, SERVER, bridge_settings

POLICY = RoomPolicy()
MEMBER = RoomView(ROOM, "Budget", True, "11", True, "join", 0, 100, "Alice", {})


def code(call: object, *arguments: object) -> str:
    with pytest.raises(CallerError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


def test_a_member_may_publish_and_capture_but_moderates_from_power_level_50() -> None:
    assert access.member_permissions(MEMBER, POLICY) == Permissions(True, True, False)
    moderator = dataclasses.replace(MEMBER, power=50)
    assert access.member_permissions(moderator, POLICY).moderate


@pytest.mark.parametrize("membership", ["invite", "leave", "ban", "knock"])
def test_whoever_is_not_joined_stays_outside(membership: str) -> None:
    view = dataclasses.replace(MEMBER, membership=membership, power=100)
    assert code(access.member_permissions, view, POLICY) == "not_in_room"


def test_a_room_that_the_bot_cannot_see_is_refused_rather_than_trusted() -> None:
    view = dataclasses.replace(MEMBER, bot_joined=False, membership=access.UNKNOWN)
    assert code(access.member_permissions, view, POLICY) == "bot_not_in_room"
    assert code(access.require_call, view, POLICY) == "bot_not_in_room"


def test_a_member_of_a_room_without_the_bot_may_call_there_and_nothing_more() -> None:
    """The homeserver vouches for the membership; the page's entrances ask for the bot as well."""
    afar = dataclasses.replace(MEMBER, bot_joined=False, power=0)
    assert access.member_permissions(afar, RoomPolicy(publish_power=50)) == access.MEMBER_AFAR
    access.require_call(afar, RoomPolicy(call_power=50))
    assert code(access.require_member, afar) == "bot_not_in_room"
    assert code(access.member_permissions, dataclasses.replace(afar, membership="leave"), POLICY) == "not_in_room"


def test_a_room_that_excludes_a_server_keeps_its_people_out_though_they_are_joined() -> None:
    view = dataclasses.replace(MEMBER, server_allowed=False, power=100)
    assert code(access.member_permissions, view, POLICY) == "server_excluded"


@pytest.mark.parametrize(
    ("rule", "outsider", "guest"),
    [
        ("", True, True),
        ("unrestricted", True, True),
        ("restricted", False, False),
        ("direct", True, False),
        ("something new", True, True),
    ],
)
def test_access_rules_say_whether_outsiders_and_guests_may_come(rule: str, outsider: bool, guest: bool) -> None:
    policy = RoomPolicy(external_servers=("evil.example",))
    view = dataclasses.replace(MEMBER, access_rule=rule)
    access.person_in(matrix_person(ALICE), view, MODE_SERVER, policy)
    if outsider:
        access.person_in(matrix_person(EVE), view, MODE_SERVER, policy)
    else:
        assert code(access.person_in, matrix_person(EVE), view, MODE_SERVER, policy) == "external_excluded"
    if guest:
        access.guest_permissions(view, MODE_SERVER, policy)
    else:
        assert code(access.guest_permissions, view, MODE_SERVER, policy) == "guests_not_allowed"


def test_the_operator_may_let_guests_into_restricted_rooms() -> None:
    policy = RoomPolicy(guests_in_restricted_rooms=True)
    access.guest_permissions(dataclasses.replace(MEMBER, access_rule="restricted"), MODE_SERVER, policy)
    direct = dataclasses.replace(MEMBER, access_rule="direct")
    assert code(access.guest_permissions, direct, MODE_SERVER, policy) == "guests_not_allowed"


def test_power_levels_of_the_policy_are_asked_for() -> None:
    strict = RoomPolicy(call_power=50, capture_power=50, publish_power=10)
    may = access.member_permissions(MEMBER, strict)
    assert (may.publish, may.capture) == (False, False)
    assert code(access.require_call, MEMBER, strict) == "call_forbidden"
    assert code(access.require_capture, MEMBER, strict) == "capture_forbidden"
    access.require_call(dataclasses.replace(MEMBER, power=50), strict)


def test_guests_come_only_into_meetings_encrypted_to_the_server_and_never_record() -> None:
    may = access.person_in(guest_person("camille", "Camille"), MEMBER, MODE_SERVER, POLICY)
    assert (may.publish, may.capture, may.moderate) == (True, False, False)
    assert code(access.guest_permissions, MEMBER, MODE_END_TO_END, POLICY) == "end_to_end_only"


def test_only_people_of_the_own_server_have_rooms_created_unless_the_policy_names_others() -> None:
    access.require_meeting(ALICE, SERVER, POLICY)
    assert code(access.require_meeting, EVE, SERVER, POLICY) == "meeting_forbidden"
    access.require_meeting(EVE, SERVER, RoomPolicy(meeting_servers=("evil.example",)))


def test_a_server_name_is_everything_after_the_first_colon() -> None:
    assert access.server_of(UserId("@a:b.example:8448")) == "b.example:8448"


def test_settings_refuse_what_they_do_not_know(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="extra"):
        bridge_settings(tmp_path, surprise=1)
