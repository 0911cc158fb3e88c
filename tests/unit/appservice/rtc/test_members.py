from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appservice.events import RoomEvent, encode_event, read_event
from appservice.rtc.members import (
    hashed_identity,
    publishing_focus,
    read_session,
    read_sticky,
    sticky_key,
    sticky_until,
)
from appservice.seams import RtcMember
from tests.unit.appservice.test_transaction import ODD, json_values

NOW = 1_795_307_500.0
OURS, THEIRS = "https://meet.example.org/livekit/jwt", "https://rtc.other.org/livekit/jwt"
SESSION: dict[str, Any] = {
    "application": "m.call",
    "call_id": "",
    "scope": "m.room",
    "device_id": "DEVALICE",
    "membershipID": "@alice:hs:DEVALICE",
    "expires": 14_400_000,
    "m.call.intent": "video",
    "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"},
    "foci_preferred": [{"livekit_alias": "!room", "type": "livekit", "livekit_service_url": OURS}],
}
STICKY: dict[str, Any] = {
    "application": {"type": "m.call", "m.call.intent": "video"},
    "slot_id": "m.call#ROOM",
    "transports": {"published": [{"type": "livekit", "livekit_service_url": OURS}], "can_subscribe": ["livekit"]},
    "member": {"device_id": "DEVBOB", "user_id": "@bob:hs", "id": "a-uuid"},
    "versions": [],
    "msc4354_sticky_key": "a-uuid",
}


def event(
    content: Any, *, sender: str = "@alice:hs", state_key: str | None = "_@alice:hs_DEVALICE_m.call"
) -> RoomEvent:
    return RoomEvent(
        event_id="$event",
        room_id="!room",
        sender=sender,
        type="org.matrix.msc3401.call.member",
        state_key=state_key,
        content=content,
        unsigned={},
        timestamp=int(NOW * 1000),
        sticky_milliseconds=600_000,
    )


def session(**changes: Any) -> RtcMember | None:
    return read_session(event({name: value for name, value in (SESSION | changes).items() if value is not ...}))


def sticky(sender: str = "@bob:hs", **changes: Any) -> RtcMember | None:
    content = {name: value for name, value in (STICKY | changes).items() if value is not ...}
    return read_sticky(event(content, sender=sender, state_key=None), content, NOW)


def test_a_session_member_is_who_sent_it_on_the_device_that_it_names() -> None:
    member = session()
    assert member is not None
    assert (member.user_id, member.device_id, member.identity) == ("@alice:hs", "DEVALICE", "@alice:hs:DEVALICE")
    assert (member.slot_id, member.foci, member.sticky) == ("m.call#ROOM", (OURS,), False)
    assert (member.created_at, member.expires_at) == (NOW, NOW + 14_400)


def test_a_state_key_in_somebody_elses_name_makes_nobody_else() -> None:
    member = read_session(event(SESSION, sender="@mallory:hs"))
    assert member is not None
    assert (member.user_id, member.identity) == ("@mallory:hs", "@mallory:hs:DEVALICE")


def test_a_refresh_counts_from_when_the_member_came() -> None:
    came = int(NOW * 1000) - 20_000_000
    member = session(created_ts=came, expires=28_800_000)
    assert member is not None
    assert (member.created_at, member.expires_at) == (came / 1000, came / 1000 + 28_800)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"memberships": [SESSION]},
        {"m.calls": [{"m.call_id": "x"}]},
        SESSION | {"application": "m.whiteboard"},
        SESSION | {"application": {"type": "m.call"}},
        SESSION | {"device_id": ""},
        SESSION | {"device_id": "D" * 300},
        SESSION | {"call_id": 7},
        SESSION | {"expires": "long"},
        SESSION | {"created_ts": -1},
    ],
)
def test_who_left_and_dead_formats_are_nobody(content: dict[str, Any]) -> None:
    assert read_session(event(content)) is None


def test_another_call_of_the_room_is_another_slot() -> None:
    member = session(call_id="budget")
    assert member is not None
    assert member.slot_id == "m.call#budget"


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {
            "transports": ...,
            "rtc_transports": [{"type": "livekit", "livekit_service_url": OURS}],
        },
    ],
)
def test_a_sticky_member_is_read_in_both_shapes_of_its_transports(shape: dict[str, Any]) -> None:
    member = sticky(**shape)
    assert member is not None
    assert (member.user_id, member.device_id, member.member_id) == ("@bob:hs", "DEVBOB", "a-uuid")
    assert (member.foci, member.slot_id, member.sticky, member.state_key) == ((OURS,), "m.call#ROOM", True, "a-uuid")
    assert member.expires_at == NOW + 600
    assert len(member.identity) == 43


def test_the_coming_shape_names_neither_user_nor_device() -> None:
    member = sticky(
        member={"id": "a-uuid", "membership": "join"},
        msc4354_sticky_key=...,
        sticky_key="a-uuid",
        transports={"published": [{"type": "m.livekit", "url": "wss://meet.example.org"}]},
    )
    assert member is not None
    assert (member.device_id, member.identity) == ("", hashed_identity("@bob:hs", "a-uuid"))
    assert member.foci == ("wss://meet.example.org",)
    assert sticky(member={"id": "a-uuid", "membership": "leave"}) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"member": {"device_id": "DEVBOB", "user_id": "@alice:hs", "id": "a-uuid"}},
        {"member": {"device_id": 7, "user_id": "@bob:hs", "id": "a-uuid"}},
        {"member": ...},
        {"application": {"type": "m.whiteboard"}},
        {"slot_id": "m.whiteboard#ROOM"},
        {"slot_id": ...},
    ],
)
def test_a_sticky_event_in_somebody_elses_name_or_of_something_else_is_nobody(changes: dict[str, Any]) -> None:
    assert sticky(**changes) is None


@pytest.mark.parametrize(
    ("parts", "identity"),
    [
        # What Element Call 0.26.1 worked out, and SHA-256 of the same JSON by openssl.
        (
            ("@bob7416:ec.localhost", "DEVBOB", "@bob7416:ec.localhost:DEVBOB"),
            "D39jciEhzxeJ2aGqV+1P+o2txbc/061nqxsq2TWXdqw",
        ),
        (("@bob7416:ec.localhost", "a-uuid"), "TKLbW+tlB665+zTh7yB0Dl4HmmqcZ7JRTpdpuAEtHew"),
        (("@zoé:hs", "a<b>&uuid"), "ZN+F1KDiiPAInugkggjOl6wxJZ13v9ZsNHsZ6tUu+/E"),
    ],
)
def test_identities_are_hashed_as_element_call_hashes_them(parts: tuple[str, ...], identity: str) -> None:
    assert hashed_identity(*parts) == identity


BOB, MEMBER = "@bob7416:ec.localhost", "@bob7416:ec.localhost:DEVBOB"
OUR_RELAY = {"type": "m.livekit", "url": "wss://meet.example.org"}


@pytest.mark.parametrize(
    ("member", "published", "identity"),
    [
        (
            {"id": MEMBER, "device_id": "DEVBOB"},
            STICKY["transports"]["published"],
            hashed_identity(BOB, "DEVBOB", MEMBER),
        ),
        ({"id": "a-uuid"}, [OUR_RELAY], hashed_identity(BOB, "a-uuid")),
        ({"id": "a-uuid", "device_id": "DEVBOB"}, [OUR_RELAY], hashed_identity(BOB, "a-uuid")),
        ({"id": "a-uuid", "device_id": "DEVBOB"}, [], hashed_identity(BOB, "DEVBOB", "a-uuid")),
        ({"id": "a-uuid", "device_id": "DEVBOB"}, "none", hashed_identity(BOB, "DEVBOB", "a-uuid")),
    ],
)
def test_a_sticky_members_identity_is_made_as_the_token_for_its_transport_is(
    member: dict[str, Any], published: Any, identity: str
) -> None:
    found = sticky(BOB, member=member, transports={"published": published})
    assert found is not None
    assert found.identity == identity


def test_nothing_is_sticky_for_longer_than_an_hour_or_from_the_future() -> None:
    of = RoomEvent("$e", "!r", "@bob:hs", "m.rtc.member", None, {}, {}, int((NOW + 500) * 1000), 10**12)
    assert sticky_until(of, NOW) == NOW + 3600


def test_stickiness_survives_the_inbox() -> None:
    raw = {
        "event_id": "$e",
        "room_id": "!r",
        "sender": "@bob:hs",
        "type": "m.room.encrypted",
        "content": {},
        "msc4354_sticky": {"duration_ms": 3_600_000},
    }
    read = read_event(raw)
    assert read is not None
    assert read.sticky_milliseconds == 3_600_000
    again = encode_event(read)
    assert again is not None
    assert '"duration_ms": 3600000' in again


def test_members_who_follow_the_oldest_publish_where_it_does() -> None:
    follow = {"focus_active": {"type": "livekit", "focus_selection": "oldest_membership"}}
    first = session(**follow, created_ts=1000, foci_preferred=[{"type": "livekit", "livekit_service_url": THEIRS}])
    second, alone = session(**follow, device_id="B", created_ts=2000), session(device_id="C")
    assert first is not None
    assert second is not None
    assert alone is not None
    members = [first, second, alone]
    assert [publishing_focus(member, members) for member in members] == [THEIRS, THEIRS, OURS]
    assert publishing_focus(second, []) == OURS
    silent = session(foci_preferred=[])
    assert silent is not None
    assert publishing_focus(silent, members) == ""


paths = [(name,) for name in (*SESSION, *STICKY)] + [
    ("member", "id"),
    ("member", "device_id"),
    ("member", "user_id"),
    ("application", "type"),
    ("transports", "published"),
    ("focus_active", "focus_selection"),
]


@given(st.sampled_from([SESSION, STICKY]), st.sampled_from(paths), st.sampled_from(ODD) | json_values)
def test_any_json_in_any_field_is_read_or_is_nobody(
    template: dict[str, Any], path: tuple[str, ...], odd: object
) -> None:
    content = copy.deepcopy(template)
    inner = content
    for step in path[:-1]:
        inner = inner.setdefault(step, {})
        if not isinstance(inner, dict):
            return
    inner[path[-1]] = odd
    sticky_key(content)
    for member in (read_session(event(content)), read_sticky(event(content, state_key=None), content, NOW)):
        if member is not None:
            assert member.user_id == "@alice:hs"
            assert len(member.device_id.encode()) <= 255
            assert len(member.slot_id.encode()) <= 255
            assert all(isinstance(url, str) for url in member.foci)
            member.identity.encode()


@given(st.dictionaries(st.sampled_from(sorted({*SESSION, *STICKY})), json_values))
def test_any_content_is_read_or_is_nobody(content: dict[str, Any]) -> None:
    read_session(event(content))
    read_sticky(event(content, state_key=None), content, NOW)
