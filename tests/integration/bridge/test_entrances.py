"""Who gets into a call of an encrypted room, on a real homeserver and relay, and who is refused with which reason."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import jwt
import pytest
from livekit import rtc

from palabre.demo.door import Door
from tests.support.deployment import Deployment, Room
from tests.support.matrix_client import MakeUser


async def refusal(door: Door, method: str, path: str, body: Any = None) -> tuple[int, str]:
    async with door._http.request(method, door._url + path, json=body, headers=door._headers) as answer:
        return answer.status, (await answer.json()).get("code", "")


async def validate(url: str, token: str) -> tuple[int, str]:
    """What the relay says of a token before a WebSocket is opened."""
    http_url = url.replace("ws", "http", 1)
    async with aiohttp.ClientSession() as http, http.get(f"{http_url}/rtc/validate?access_token={token}") as answer:
        return answer.status, await answer.text()


def part(document: dict[str, Any] | bytes) -> str:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signed_with_nothing(claims: dict[str, Any]) -> str:
    body = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    return f"{body}.{part(hmac.digest(b'', body.encode(), 'sha256'))}"


def forged(token: str, **changes: Any) -> dict[str, str]:
    """Tokens that look like `token` and are not signed by the service."""
    claims = jwt.decode(token, options={"verify_signature": False})
    claims |= changes
    return {
        "alg none": f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.",
        "own secret": jwt.encode(claims, "another-secret-of-sufficient-length-0123", algorithm="HS256"),
        "changed claims": f"{token.split('.')[0]}.{part(claims | {'name': 'Mallory'})}.{token.split('.')[2]}",
        "empty secret": signed_with_nothing(claims),
    }


@dataclass
class Call:
    """A call of an encrypted room, with Alice in it."""

    deployment: Deployment
    room: Room
    door: Door
    url: str
    token: str
    alice: rtc.Room

    @property
    def claims(self) -> dict[str, Any]:
        return dict(jwt.decode(self.token, options={"verify_signature": False}))

    @property
    def meeting(self) -> str:
        return f"/api/meetings/{self.door.meeting}"

    def outside(self) -> Door:
        """Somebody who has not signed in."""
        self.room.doors.append(Door(self.deployment.url))
        return self.room.doors[-1]


@pytest.fixture
async def call(deployment: Deployment, make_room: Callable[..., Any]) -> AsyncIterator[Call]:
    """Alice got in by the token that her homeserver vouches with, as the widget does; Bob is a member of the room."""
    await deployment.start()
    room = await make_room("alice", "bob")
    door = await room.door("alice")
    url, token = await door.join("tab1")
    alice = rtc.Room()
    await alice.connect(url, token)
    yield Call(deployment, room, door, url, token, alice)
    await alice.disconnect()


async def test_a_member_of_the_room_opens_its_call_and_the_room_hears_of_it(call: Call) -> None:
    alice = call.room.people["alice"]
    assert call.alice.local_participant.identity == f"{alice.user_id}/tab1"
    assert call.alice.local_participant.attributes["palabre.user"] == alice.user_id
    metadata = json.loads(call.alice.metadata)
    assert (metadata["meeting"], metadata["mode"]) == (call.door.meeting, "server")
    started = await call.room.hears("bob", lambda message: "A call has started" in message.body)
    assert started.encrypted
    assert (await call.door.state())["call"]["participants"] == [alice.account.user_id[1:].partition(":")[0]]


async def test_who_is_no_member_gets_no_session_and_is_told_why(call: Call, matrix_user: MakeUser) -> None:
    eve = await matrix_user("eve")
    openid = await eve.call("POST", f"/_matrix/client/v3/user/{eve.user_id}/openid/request_token", {})
    outside = call.outside()
    for body, told in (
        ({"openid": openid}, (403, "not_in_room")),
        ({"openid": openid | {"access_token": "forged"}}, (401, "openid_refused")),
        ({"openid": openid | {"matrix_server_name": "localhost:1"}}, (502, "homeserver_unreachable")),
        ({"openid": openid, "room_id": "!elsewhere:example.org"}, (409, "bot_not_in_room")),
    ):
        assert await refusal(outside, "POST", "/api/session/openid", {"room_id": call.room.room_id} | body) == told


async def test_a_session_is_good_for_its_own_meeting_only(call: Call) -> None:
    outside = call.outside()
    assert await refusal(outside, "GET", call.meeting) == (401, "session_missing")
    outside._headers = {"Authorization": "Bearer forged"}
    assert await refusal(outside, "POST", f"{call.meeting}/join", {"device": "x"}) == (401, "session_expired")

    await call.room.command("alice", 'meeting "Other"')
    ready = await call.room.hears("alice", lambda message: "“Other” has its room" in message.body)
    other = ready.body.rsplit("/", 1)[1]
    assert await refusal(call.door, "GET", f"/api/meetings/{other}") == (403, "wrong_meeting")


async def test_the_relay_takes_the_token_that_was_given_and_none_that_looks_like_it(call: Call) -> None:
    assert (await validate(call.url, call.token))[0] == 200
    for what, bad in forged(call.token).items():
        assert (await validate(call.url, bad))[0] == 401, what


async def test_even_with_the_services_key_nobody_makes_a_seat_for_somebody_else(call: Call) -> None:
    secret = call.deployment.settings["secrets"]["livekit_api_secret"]
    bob = call.room.people["bob"].user_id
    for changes, status in (
        ({"exp": int(time.time()) - 60}, 401),
        ({"video": call.claims["video"] | {"room": "call-elsewhere"}}, 404),
        ({"sub": "@stranger:example.org/tab1"}, 403),
        ({"sub": f"{bob}/tab1"}, 403),
        ({"video": call.claims["video"] | {"hidden": True}}, 403),
    ):
        leaked = jwt.encode(call.claims | changes, secret, algorithm="HS256")
        assert (await validate(call.url, leaked))[0] == status, changes


async def test_who_is_banned_from_the_room_leaves_the_call_and_their_token_is_worth_nothing(call: Call) -> None:
    alice, bob = call.room.people["alice"], call.room.people["bob"]
    door = await call.room.door("bob")
    _, token = await door.join("phone")
    phone = rtc.Room()
    gone: list[Any] = []
    phone.on("disconnected", gone.append)
    await phone.connect(call.url, token)
    await alice.call("POST", f"/_matrix/client/v3/rooms/{call.room.room_id}/ban", {"user_id": bob.user_id})
    await alice.until(lambda: bool(gone))
    status, text = await validate(call.url, token)
    assert status == 403
    assert "not in the room" in text
    assert await refusal(door, "POST", f"{call.meeting}/join", {"device": "x"}) == (403, "not_in_room")
    assert list(call.alice.remote_participants) == []


async def test_a_guest_who_came_by_link_is_shown_as_one(call: Call) -> None:
    door = call.outside()
    await door.sign_in("camille", "palabre", call.door.meeting)
    _, token = await door.join("tab")
    guest = rtc.Room()
    await guest.connect(call.url, token)
    assert guest.local_participant.attributes == {"palabre.guest": "1"}
    await guest.disconnect()
