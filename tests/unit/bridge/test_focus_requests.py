"""What is read from requests to the MatrixRTC token service, and the reference's words for what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bridge.focus_requests import Asked, Delay, OpenIdToken, read_delegation, read_get_token, read_sfu_get
from bridge.people import hashed_identity
from palabre.base.errors import CallerError
from palabre.base.ids import RoomId, UserId

OPENID = {
    "access_token": "AbGH",
    "expires_in": 3600,
    "matrix_server_name": "ec.localhost",
    "token_type": "Bearer",
}
SFU_GET = {"room": "!room", "openid_token": OPENID, "device_id": "DEVALICE"}
MEMBER = {"id": "@bob:hs:DEVBOB", "claimed_user_id": "@bob:hs", "claimed_device_id": "DEVBOB"}
GET_TOKEN = {"room_id": "!room", "slot_id": "m.call#ROOM", "openid_token": OPENID, "member": MEMBER}
DELAY = {"delay_id": "syd_1", "delay_timeout": 3_600_000}

Read = Callable[[bytes], tuple[OpenIdToken, Asked]]


def without(document: dict[str, Any], *path: str) -> dict[str, Any]:
    copy = json.loads(json.dumps(document))
    inner = copy
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return dict(copy)


def refusal(read: Read, body: Any) -> tuple[str, str]:
    with pytest.raises(CallerError) as caught:
        read(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert caught.value.status == 400
    return caught.value.code, caught.value.sentence


def test_both_ways_of_asking_are_read() -> None:
    token, asked = read_sfu_get(json.dumps(SFU_GET).encode())
    assert token == OpenIdToken("ec.localhost", "AbGH")
    assert asked == Asked(RoomId("!room"), "m.call#ROOM", "DEVALICE")
    _, asked = read_get_token(json.dumps(GET_TOKEN | DELAY).encode())
    assert asked == Asked(
        RoomId("!room"), "m.call#ROOM", "DEVBOB", "@bob:hs:DEVBOB", UserId("@bob:hs"), Delay("syd_1", 3600.0)
    )
    assert read_delegation(json.dumps(GET_TOKEN | DELAY).encode())[1] == asked


def test_fields_of_clients_to_come_are_left_alone() -> None:
    newer = json.dumps(SFU_GET | {"new": [1]}).encode()
    assert read_sfu_get(newer) == read_sfu_get(json.dumps(SFU_GET).encode())
    newer = json.dumps(GET_TOKEN | {"member": MEMBER | {"new": {}}}).encode()
    assert read_get_token(newer) == read_get_token(json.dumps(GET_TOKEN).encode())


@pytest.mark.parametrize("read", [read_sfu_get, read_get_token, read_delegation])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"text"', b"[" * 100_000, b"\xff\xfe", b'{"openid_token": 1}', b'{"delay_id": 7}'],
)
def test_what_is_no_request_is_told_so(read: Read, body: bytes) -> None:
    assert refusal(read, body) == ("M_NOT_JSON", "Error reading request")


def test_what_is_missing_is_named_in_the_references_words() -> None:
    missing = (
        (read_sfu_get, without(SFU_GET, "room"), "Missing room parameter"),
        (read_sfu_get, without(SFU_GET, "openid_token", "access_token"), "Missing OpenID token parameters"),
        (read_sfu_get, without(SFU_GET, "openid_token"), "Missing OpenID token parameters"),
        (read_get_token, without(GET_TOKEN, "room_id"), "The request body is missing `room_id` or `slot_id`"),
        (read_get_token, without(GET_TOKEN, "slot_id"), "The request body is missing `room_id` or `slot_id`"),
        *(
            (
                read_get_token,
                without(GET_TOKEN, "member", name),
                "The request body `member` is missing a `id`, `claimed_user_id` or `claimed_device_id`",
            )
            for name in MEMBER
        ),
        (
            read_get_token,
            without(GET_TOKEN, "openid_token", "matrix_server_name"),
            "The request body `openid_token` is missing a `access_token` or `matrix_server_name`",
        ),
        (
            read_delegation,
            without(GET_TOKEN | DELAY, "member"),
            "The request body `member` is missing `id`, `claimed_user_id` or `claimed_device_id`",
        ),
        (
            read_delegation,
            without(GET_TOKEN | DELAY, "openid_token"),
            "The request body `openid_token` is missing `access_token` or `matrix_server_name`",
        ),
    )
    for read, body, text in missing:
        assert refusal(read, body) == ("M_BAD_JSON", text)


@pytest.mark.parametrize(
    "delay",
    [
        {"delay_id": "syd_1"},
        {"delay_timeout": 1},
        {"delay_id": "syd_1", "delay_timeout": -5},
        {"delay_id": "x", "delay_timeout": 0},
    ],
)
def test_half_a_delay_is_none(delay: dict[str, Any]) -> None:
    text = "The request body is missing `delay_id` or `delay_timeout`"
    for read, body in ((read_sfu_get, SFU_GET), (read_get_token, GET_TOKEN), (read_delegation, GET_TOKEN)):
        assert refusal(read, body | delay) == ("M_BAD_JSON", text)
    assert refusal(read_delegation, GET_TOKEN) == ("M_BAD_JSON", text)


@pytest.mark.parametrize("value", ["x" * 256, "a\0b", "\ud800"])
def test_what_cannot_be_stored_is_refused(value: str) -> None:
    for name in ("room", "device_id"):
        code, text = refusal(read_sfu_get, SFU_GET | {name: value})
        assert code == "M_BAD_JSON"
        assert name in text


def test_a_delay_of_a_century_is_cut_to_what_a_homeserver_may_keep() -> None:
    for timeout in (10**12, 10**400, 1e300, float("inf")):
        _, asked = read_sfu_get(json.dumps(SFU_GET | {"delay_id": "x", "delay_timeout": timeout}).encode())
        assert asked.delay == Delay("x", 86_400.0)


def test_hashes_are_those_that_clients_work_out_for_themselves() -> None:
    """The first was seen from Element Call 0.26.1; the others are what JavaScript makes of other scripts and signs."""
    bob = UserId("@bob7416:ec.localhost")
    known = "D39jciEhzxeJ2aGqV+1P+o2txbc/061nqxsq2TWXdqw"
    assert hashed_identity(bob, "DEVBOB", "@bob7416:ec.localhost:DEVBOB") == known
    assert hashed_identity(UserId("@é:ü.example"), "Ö<>&", "\u2028") == "Cr+02k40EaCy6q0mTap1o9GCEZ/Ya7VrlCGKZtbqYyw"
