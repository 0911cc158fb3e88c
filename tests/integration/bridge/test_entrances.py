"""Who gets into a call of an encrypted room, on a real homeserver and relay, and who is refused with which reason."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import jwt
from livekit import rtc

from palabre.demo.door import Door
from tests.support.deployment import Deployment
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


async def test_only_members_of_the_room_get_in_and_everyone_else_is_told_why(
    deployment: Deployment, make_room: Callable[..., Any], matrix_user: MakeUser
) -> None:
    await deployment.start()
    room = await make_room("alice", "bob")
    eve = await matrix_user("eve")

    # A member, by the token that her homeserver vouches with, as the widget gets it.
    alice = await room.door("alice")
    url, token = await alice.join("tab1")
    call = rtc.Room()
    await call.connect(url, token)
    assert call.local_participant.identity == f"{room.people['alice'].user_id}/tab1"
    assert call.local_participant.attributes["palabre.user"] == room.people["alice"].user_id
    metadata = json.loads(call.metadata)
    assert (metadata["meeting"], metadata["mode"]) == (alice.meeting, "server")
    started = await room.hears("bob", lambda message: "A call has started" in message.body)
    assert started.encrypted
    assert (await alice.state())["call"]["participants"] == [room.people["alice"].account.user_id[1:].partition(":")[0]]

    # Somebody who is not in the room, a forged token, another server's name on a good one.
    outside = Door(deployment.url)
    room.doors.append(outside)
    openid = await eve.call("POST", f"/_matrix/client/v3/user/{eve.user_id}/openid/request_token", {})
    body = {"openid": openid, "room_id": room.room_id}
    assert await refusal(outside, "POST", "/api/session/openid", body) == (403, "not_in_room")
    body["openid"] = openid | {"access_token": "forged"}
    assert await refusal(outside, "POST", "/api/session/openid", body) == (401, "openid_refused")
    body["openid"] = openid | {"matrix_server_name": "localhost:1"}
    assert await refusal(outside, "POST", "/api/session/openid", body) == (502, "homeserver_unreachable")
    body |= {"openid": openid, "room_id": "!elsewhere:example.org"}
    assert await refusal(outside, "POST", "/api/session/openid", body) == (409, "bot_not_in_room")

    # Sessions: none, a forged one, one for another meeting.
    meeting = f"/api/meetings/{alice.meeting}"
    assert await refusal(outside, "GET", meeting) == (401, "session_missing")
    outside._headers = {"Authorization": "Bearer forged"}
    assert await refusal(outside, "POST", f"{meeting}/join", {"device": "x"}) == (401, "session_expired")
    await room.command("alice", 'meeting "Other"')
    ready = await room.hears("alice", lambda message: "“Other” has its room" in message.body)
    other = ready.body.rsplit("/", 1)[1]
    assert await refusal(alice, "GET", f"/api/meetings/{other}") == (403, "wrong_meeting")

    # LiveKit tokens: forged in every way, expired, for another room or another person's seat.
    assert (await validate(url, token))[0] == 200
    for what, bad in forged(token).items():
        assert (await validate(url, bad))[0] == 401, what
    secret = deployment.settings["secrets"]["livekit_api_secret"]
    claims = jwt.decode(token, options={"verify_signature": False})
    for changes, status in (
        ({"exp": int(time.time()) - 60}, 401),
        ({"video": claims["video"] | {"room": "call-elsewhere"}}, 404),
        ({"sub": f"{eve.user_id}/tab1"}, 403),
        ({"sub": f"{room.people['bob'].user_id}/tab1"}, 403),
        ({"video": claims["video"] | {"hidden": True}}, 403),
    ):
        leaked = jwt.encode(claims | changes, secret, algorithm="HS256")  # as if the key itself had leaked
        assert (await validate(url, leaked))[0] == status, changes

    # Whoever is banned from the room leaves the call, and their token is worth nothing any more.
    bob = await room.door("bob")
    _, bobs = await bob.join("phone")
    second = rtc.Room()
    gone = []
    second.on("disconnected", lambda reason: gone.append(reason))
    await second.connect(url, bobs)
    await room.people["alice"].call(
        "POST", f"/_matrix/client/v3/rooms/{room.room_id}/ban", {"user_id": room.people["bob"].user_id}
    )
    await room.people["alice"].until(lambda: bool(gone))
    status, text = await validate(url, bobs)
    assert status == 403
    assert "not in the room" in text
    assert await refusal(bob, "POST", f"{meeting}/join", {"device": "x"}) == (403, "not_in_room")
    assert list(call.remote_participants) == []

    # A guest by link, marked as one, and everybody's seat ends with the call.
    guest = Door(deployment.url)
    room.doors.append(guest)
    await guest.sign_in("camille", "palabre", alice.meeting)
    _, guests = await guest.join("tab")
    third = rtc.Room()
    await third.connect(url, guests)
    assert third.local_participant.attributes == {"palabre.guest": "1"}
    await third.disconnect()
    await call.disconnect()
