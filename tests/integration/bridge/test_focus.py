"""MatrixRTC clients on a real homeserver and relay: tokens by OpenID, one call for everybody, and who is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import jwt
from livekit import rtc

from bridge.people import hashed_identity
from palabre.base.ids import UserId
from palabre.demo.matrix_user import MatrixUser
from tests.support.deployment import Deployment, Room
from tests.support.matrix_client import MakeUser
from tests.support.synapse import unique_name


async def openid(user: MatrixUser) -> dict[str, Any]:
    path = f"/_matrix/client/v3/user/{user.user_id}/openid/request_token"
    return dict(await user.call("POST", path, {}))


async def ask(deployment: Deployment, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    url = f"{deployment.url}/livekit/jwt{path}"
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
        return answer.status, await answer.json()


async def sfu_get(deployment: Deployment, user: MatrixUser, room_id: str, **changes: Any) -> tuple[int, dict[str, Any]]:
    body = {"room": room_id, "openid_token": await openid(user), "device_id": user.account.device_id}
    return await ask(deployment, "/sfu/get", body | changes)


async def validate(url: str, token: str) -> tuple[int, str]:
    """As livekit-client asks why its WebSocket was refused."""
    asking = f"{url.replace('ws', 'http', 1)}/rtc/validate?access_token={token}"
    async with aiohttp.ClientSession() as http, http.get(asking) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        return answer.status, await answer.text()


async def test_two_clients_of_one_room_meet_under_the_identities_that_matrixrtc_works_out(
    deployment: Deployment, make_room: Callable[..., Any], matrix_user: MakeUser
) -> None:
    await deployment.start()
    room: Room = await make_room("alice", "bob")
    alice, bob = room.people["alice"], room.people["bob"]

    status, seat = await sfu_get(deployment, alice, room.room_id)
    assert status == 200
    member = {"id": "a-uuid", "claimed_user_id": bob.user_id, "claimed_device_id": bob.account.device_id}
    body = {"room_id": room.room_id, "slot_id": "m.call#ROOM", "openid_token": await openid(bob), "member": member}
    status, other = await ask(deployment, "/get_token", body)
    assert status == 200

    first, second = rtc.Room(), rtc.Room()
    await first.connect(seat["url"], seat["jwt"])
    await second.connect(other["url"], other["jwt"])
    hashed = hashed_identity(UserId(bob.user_id), bob.account.device_id, "a-uuid")
    await alice.until(lambda: set(first.remote_participants) == {hashed})
    assert set(second.remote_participants) == {f"{alice.user_id}:{alice.account.device_id}"}
    started = await room.hears("bob", lambda message: "org.palabre.call" in message.content)
    assert started.encrypted
    assert started.content["org.palabre.call"]["mode"] == "e2ee"
    assert "end-to-end encrypted" in started.body

    # By link nobody comes in, and the page says why; somebody outside the room gets nothing at all.
    door = await room.door("bob")
    assert (await door.state())["mode"] == "e2ee"
    path = f"/api/meetings/{door.meeting}/join"
    async with door._http.post(deployment.url + path, json={"device": "tab"}, headers=door._headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (403, "end_to_end_only")
    eve = await matrix_user("eve")
    status, refused = await sfu_get(deployment, eve, room.room_id)
    assert (status, refused["errcode"]) == (403, "M_FORBIDDEN")
    status, refused = await sfu_get(deployment, eve, room.room_id, openid_token={"access_token": "x"})
    assert (status, refused["errcode"]) == (400, "M_BAD_JSON")
    forged = await openid(eve) | {"access_token": "forged"}
    assert (await sfu_get(deployment, eve, room.room_id, openid_token=forged))[0] == 401

    # Whoever is banned is out of the call, and what they hold opens nothing any more.
    gone: list[object] = []
    second.on("disconnected", gone.append)
    await alice.call("POST", f"/_matrix/client/v3/rooms/{room.room_id}/ban", {"user_id": bob.user_id})
    await alice.until(lambda: bool(gone))
    assert (await validate(other["url"], other["jwt"]))[0] == 403
    assert (await ask(deployment, "/get_token", body | {"openid_token": await openid(bob)}))[0] == 403
    await first.disconnect()


async def test_a_token_is_for_one_call_and_one_device_whoever_holds_the_key(
    deployment: Deployment, make_room: Callable[..., Any]
) -> None:
    await deployment.start()
    room: Room = await make_room("alice")
    alice = room.people["alice"]
    _, seat = await sfu_get(deployment, alice, room.room_id)
    assert (await validate(seat["url"], seat["jwt"]))[0] == 200
    secret = deployment.settings["secrets"]["livekit_api_secret"]
    claims = jwt.decode(seat["jwt"], options={"verify_signature": False})
    for changes, status, words in (
        ({"sub": f"{alice.user_id}:OTHER"}, 403, "not given out"),
        ({"video": claims["video"] | {"room": "call-elsewhere"}}, 404, "requested room does not exist"),
        ({"video": claims["video"] | {"hidden": True}}, 403, "unseen"),
    ):
        leaked = jwt.encode(claims | changes, secret, algorithm="HS256")
        found, text = await validate(seat["url"], leaked)
        assert found == status
        assert words in text


async def test_a_deactivated_account_is_out_of_the_call_and_what_it_held_opens_nothing(
    deployment: Deployment, make_room: Callable[..., Any]
) -> None:
    """Also where the homeserver still vouches for them with an OpenID token that it gave before."""
    await deployment.start()
    room: Room = await make_room("alice")
    alice, request = room.people["alice"], deployment.homeserver.request
    bob = await asyncio.to_thread(deployment.homeserver.register, unique_name("bob"))

    async def as_bob(method: str, path: str, body: Any) -> dict[str, Any]:
        return await asyncio.to_thread(request, method, f"/_matrix/client/v3{path}", body, token=bob.access_token)

    await alice.invite(room.room_id, bob.user_id)
    await as_bob("POST", f"/join/{room.room_id}", {})
    proof = await as_bob("POST", f"/user/{bob.user_id}/openid/request_token", {})
    body = {"room": room.room_id, "openid_token": proof, "device_id": bob.device_id}
    status, seat = await ask(deployment, "/sfu/get", body)
    assert status == 200
    call = rtc.Room()
    gone: list[object] = []
    call.on("disconnected", gone.append)
    await call.connect(seat["url"], seat["jwt"])

    identifier = {"type": "m.id.user", "user": bob.user_id}
    password = {"type": "m.login.password", "identifier": identifier, "password": bob.password}
    await as_bob("POST", "/account/deactivate", {"auth": password, "erase": True})
    await alice.until(lambda: bool(gone))
    assert (await validate(seat["url"], seat["jwt"]))[0] == 403
    status, refused = await ask(deployment, "/sfu/get", body)
    assert (status, refused["errcode"]) in ((403, "M_FORBIDDEN"), (401, "M_UNAUTHORIZED"))
