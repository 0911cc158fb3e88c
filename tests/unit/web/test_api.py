"""The page's API over HTTP, on bridge with everything below it faked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from palabre.base.errors import CallerError
from palabre.base.ids import UserId
from tests.support.bridge_fakes import ALICE, BOB, EVE, ROOM
from tests.support.bridge_world import World
from web.answers import BODY_LIMIT
from web.app import mount
from web.settings import WebSettings

DEV_USERS = {
    "alice": {"password": "wonderland", "display_name": "Alice", "user_id": ALICE},
    "camille": {"password": "palabre", "display_name": "Camille"},
}
Client = TestClient[web.Request, web.Application]


class FakeVerifier:
    """Whoever shows a user id as a token is that user."""

    async def verify(self, _server: str, token: str) -> UserId:
        if not token.startswith("@"):
            raise CallerError("openid_refused", "no", status=401)
        return UserId(token)


async def serve(world: World, *, dev: bool = True) -> Client:
    world.service.entrance._openid = FakeVerifier()  # type: ignore[assignment]
    settings = WebSettings(dev_users=DEV_USERS if dev else {})  # type: ignore[arg-type]
    root = web.Application()
    mount(root, settings, world.service, world.clock, dev=dev, version="1.2.3")
    client = TestClient(TestServer(root))
    await client.start_server()
    return client


@pytest.fixture
async def client(bridge_world: World) -> AsyncIterator[Client]:
    client = await serve(bridge_world)
    yield client
    await client.close()


async def ask(client: Client, method: str, path: str, body: Any = None, session: str = "") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {session}"} if session else {}
    async with client.request(method, path, json=body, headers=headers) as response:
        return response.status, await response.json()


def openid(user: str, room_id: str = ROOM) -> dict[str, Any]:
    token = {"access_token": user, "token_type": "Bearer", "matrix_server_name": "example.org", "expires_in": 3600}
    return {"openid": token, "room_id": room_id}


async def sign_in(client: Client, user: str = ALICE) -> tuple[str, str]:
    status, answer = await ask(client, "POST", "/api/session/openid", openid(user))
    assert status == 200
    return answer["session"], answer["meeting"]["id"]


async def test_the_widgets_way_in_from_proof_to_token(client: Client, bridge_world: World) -> None:
    session, meeting = await sign_in(client)
    status, view = await ask(client, "GET", f"/api/meetings/{meeting}", session=session)
    assert status == 200
    assert view == {
        "id": meeting,
        "title": "Budget",
        "mode": "e2ee",
        "service_url": "https://meet.example.org/livekit/jwt",
        "room_encrypted": True,
        "call": None,
        "capture": {"recording": None, "transcription": None},
    }
    status, seat = await ask(client, "POST", f"/api/meetings/{meeting}/join", {"device": "tab1"}, session)
    assert status == 200
    assert (seat["url"], seat["identity"], seat["name"]) == ("wss://meet.example.org", f"{ALICE}/tab1", "Alice")
    assert seat["may"] == {"publish": True, "share": True, "capture": True, "moderate": True}
    assert seat["token"].count(".") == 2
    assert (seat["mode"], seat["service_url"]) == ("server", "")


async def test_a_session_tells_how_commands_begin_and_how_long_people_can_be_taken_out(client: Client) -> None:
    _, by_openid = await ask(client, "POST", "/api/session/openid", openid(ALICE))
    _, by_password = await ask(client, "POST", "/api/session/dev", {"user": "camille", "password": "palabre"})
    for answer in (by_openid, by_password):
        assert (answer["command_prefix"], answer["forget_seconds"]) == ("!palabre", 3600)


async def test_a_page_that_takes_part_in_matrixrtc_gets_an_end_to_end_seat_under_its_matrix_device(
    client: Client, bridge_world: World
) -> None:
    session, meeting = await sign_in(client)
    path = f"/api/meetings/{meeting}"
    for wrong in ({"device": "DEV", "mode": "auto"}, {"device": "DEV", "mode": 1}, {"device": "A:B", "mode": "e2ee"}):
        assert (await ask(client, "POST", f"{path}/join", wrong, session))[0] == 400
    _, seat = await ask(client, "POST", f"{path}/join", {"device": "DEV", "mode": "e2ee"}, session)
    assert (seat["mode"], seat["identity"]) == ("e2ee", f"{ALICE}:DEV")
    assert seat["service_url"] == "https://meet.example.org/livekit/jwt"
    # Whoever cannot exchange keys stays outside, with a reason that names it.
    bob, _ = await sign_in(client, BOB)
    status, answer = await ask(client, "POST", f"{path}/join", {"device": "tab1"}, bob)
    assert (status, answer["code"]) == (403, "end_to_end_only")
    _, camille = await ask(client, "POST", "/api/session/dev", {"user": "camille", "password": "palabre"})
    for method, where, body in (("GET", path, None), ("POST", f"{path}/join", {"device": "tab1", "mode": "e2ee"})):
        status, answer = await ask(client, method, where, body, camille["session"])
        assert (status, answer["code"]) == (403, "end_to_end_only")


async def test_capture_and_consent_from_the_page(client: Client, bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.join(BOB)
    alice, meeting = await sign_in(client)
    bob, _ = await sign_in(client, BOB)
    path = f"/api/meetings/{meeting}"
    status, capture = await ask(client, "POST", f"{path}/capture", {"kinds": ["recording", "transcription"]}, alice)
    assert status == 200
    assert capture["recording"] == {"by": "Alice", "since": bridge_world.clock.wall()}
    _, answers = await ask(client, "PUT", f"{path}/consent", {"kinds": ["recording"], "answer": "yes"}, bob)
    assert answers == {"recording": "yes", "transcription": "asked", "agent": "unasked"}
    _, view = await ask(client, "GET", path, session=bob)
    assert view["call"]["participants"] == ["Alice", "Bob"]
    assert len(bridge_world.relay.open_taps()) == 2  # each person's microphone, read by one or two captures
    for wrong in ({"answer": "yes", "earlier": "remove"}, {"answer": "no", "earlier": True}):
        status, answer = await ask(client, "PUT", f"{path}/consent", {"kinds": ["recording"], **wrong}, bob)
        assert (status, answer["params"]) == (400, {"field": "earlier"})
    bridge_world.clock.advance(1.0)
    leaving = {"kinds": ["recording"], "answer": "no", "earlier": "remove"}
    _, answers = await ask(client, "PUT", f"{path}/consent", leaving, bob)
    assert answers["recording"] == "no"
    assert await bridge_world.database.fetchval("SELECT person FROM bridge_removal") == BOB
    _, capture = await ask(client, "DELETE", f"{path}/capture", {"kinds": ["recording"]}, alice)
    assert capture["recording"] is None
    assert capture["transcription"] is not None


async def test_whoever_is_not_in_the_room_gets_no_session(client: Client) -> None:
    status, answer = await ask(client, "POST", "/api/session/openid", openid(EVE))
    assert (status, answer["code"]) == (403, "not_in_room")
    assert "room" in answer["message"]
    status, answer = await ask(client, "POST", "/api/session/openid", openid(ALICE, "!unknown:example.org"))
    assert (status, answer["code"]) == (409, "bot_not_in_room")


async def test_whoever_left_the_room_keeps_no_way_in(client: Client, bridge_world: World) -> None:
    session, meeting = await sign_in(client, BOB)
    del bridge_world.matrix.rooms[ROOM].members[BOB]
    for method, path, body in (
        ("GET", "", None),
        ("POST", "/join", {"device": "a"}),
        ("POST", "/capture", {"kinds": ["recording"]}),
        ("DELETE", "/capture", {"kinds": ["recording"]}),
        ("PUT", "/consent", {"kinds": ["recording"], "answer": "yes"}),
    ):
        status, answer = await ask(client, method, f"/api/meetings/{meeting}{path}", body, session)
        assert (status, answer["code"]) == (403, "not_in_room"), path


@pytest.mark.parametrize("session", ["", "forged", "x" * 5000])
async def test_without_a_session_there_is_nothing_to_see(client: Client, bridge_world: World, session: str) -> None:
    meeting = await bridge_world.meeting()
    status, answer = await ask(client, "GET", f"/api/meetings/{meeting}", session=session)
    assert status == 401
    assert answer["code"] in ("session_missing", "session_expired")


async def test_a_session_for_one_meeting_does_not_open_another(client: Client, bridge_world: World) -> None:
    session, _ = await sign_in(client)
    await bridge_world.command("meeting", "Other")
    row = await bridge_world.database.fetchrow("SELECT id FROM bridge_meeting WHERE title = 'Other'")
    assert row is not None
    status, answer = await ask(client, "GET", f"/api/meetings/{row['id']}", session=session)
    assert (status, answer["code"]) == (403, "wrong_meeting")


async def test_a_dev_user_signs_in_with_a_password_and_is_checked_like_any_member(
    client: Client, bridge_world: World
) -> None:
    meeting = await bridge_world.meeting()
    status, answer = await ask(client, "POST", "/api/session/dev", {"user": "alice", "password": "wonderland"})
    assert (status, answer["user"]) == (200, {"id": ALICE, "name": "Alice"})
    del bridge_world.matrix.rooms[ROOM].members[ALICE]
    status, refusal = await ask(client, "GET", f"/api/meetings/{meeting}", session=answer["session"])
    assert (status, refusal["code"]) == (403, "not_in_room")


async def test_a_dev_user_without_a_matrix_user_is_a_guest(client: Client, bridge_world: World) -> None:
    meeting = await bridge_world.meeting()
    _, answer = await ask(client, "POST", "/api/session/dev", {"user": "camille", "password": "palabre"})
    session = answer["session"]
    status, seat = await ask(client, "POST", f"/api/meetings/{meeting}/join", {"device": "tab"}, session)
    assert (status, seat["identity"]) == (200, "guest:camille/tab")
    assert seat["may"] == {"publish": True, "share": True, "capture": False, "moderate": False}
    body = {"kinds": ["recording"]}
    status, answer = await ask(client, "POST", f"/api/meetings/{meeting}/capture", body, session)
    assert (status, answer["code"]) == (403, "capture_forbidden")


@pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("nobody", ""), ("nobody", "wonderland")])
async def test_a_wrong_password_and_an_unknown_name_sound_the_same(client: Client, user: str, password: str) -> None:
    status, answer = await ask(client, "POST", "/api/session/dev", {"user": user, "password": password or "x"})
    assert (status, answer["code"]) == (401, "wrong_password")


async def test_passwords_cannot_be_guessed_quickly(client: Client) -> None:
    codes = [
        (await ask(client, "POST", "/api/session/dev", {"user": "alice", "password": str(guess)}))[1]["code"]
        for guess in range(25)
    ]
    assert codes[:20] == ["wrong_password"] * 20
    assert codes[20:] == ["too_many_requests"] * 5


async def test_outside_dev_the_local_sign_in_does_not_exist(bridge_world: World) -> None:
    client = await serve(bridge_world, dev=False)
    status, answer = await ask(client, "POST", "/api/session/dev", {"user": "alice", "password": "wonderland"})
    assert (status, answer["code"]) == (404, "not_found")
    assert (await ask(client, "GET", "/api/config"))[1] == {
        "version": "1.2.3",
        "dev": False,
        "matrix_server": "example.org",
        "foci": [],
    }
    await client.close()


def test_dev_users_outside_dev_are_refused_at_the_start(bridge_world: World) -> None:
    with pytest.raises(ValueError, match="--dev"):
        mount(
            web.Application(),
            WebSettings(dev_users=DEV_USERS),  # type: ignore[arg-type]
            bridge_world.service,
            bridge_world.clock,
            dev=False,
            version="1",
        )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_json"),
        (b"[]", 400, "bad_json"),
        (b"{", 400, "bad_json"),
        (b'{"a":' * 3000, 400, "bad_json"),
        (b"\xff", 400, "bad_json"),
        (b'{"openid": "token", "room_id": "!a:b"}', 400, "bad_field"),
        (b'{"openid": {"access_token": 5, "matrix_server_name": "a"}, "room_id": "!a:b"}', 400, "bad_field"),
        (b'{"openid": {"access_token": "@a:b", "matrix_server_name": "a"}, "room_id": null}', 400, "bad_field"),
        (b" " * (BODY_LIMIT + 1), 413, "body_too_large"),
    ],
)
async def test_what_is_no_request_is_refused_with_a_reason(client: Client, body: bytes, status: int, code: str) -> None:
    headers = {"Content-Type": "application/json"}
    async with client.post("/api/session/openid", data=body, headers=headers) as response:
        assert (response.status, (await response.json())["code"]) == (status, code)


async def test_a_form_from_another_site_is_no_request(client: Client) -> None:
    async with client.post("/api/session/dev", data={"user": "alice", "password": "wonderland"}) as response:
        assert response.status == 415


@pytest.mark.parametrize("kinds", [None, [], "recording", ["recording", "video"], [["recording"]], [1]])
async def test_kinds_that_are_none_are_refused(client: Client, kinds: Any) -> None:
    session, meeting = await sign_in(client)
    status, answer = await ask(client, "POST", f"/api/meetings/{meeting}/capture", {"kinds": kinds}, session)
    assert (status, answer["code"]) == (400, "bad_field")


async def test_state_changes_only_by_the_methods_that_are_meant_for_it(client: Client) -> None:
    session, meeting = await sign_in(client)
    for path in ("join", "capture", "consent"):
        status, _ = await ask(client, "GET", f"/api/meetings/{meeting}/{path}", session=session)
        assert status == 404


async def test_a_mistake_of_ours_is_told_with_a_reference_and_nothing_else(
    client: Client, bridge_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, meeting = await sign_in(client)

    async def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(bridge_world.matrix, "view", broken)
    status, answer = await ask(client, "GET", f"/api/meetings/{meeting}", session=session)
    assert (status, answer["code"]) == (500, "internal")
    assert "secret" not in json.dumps(answer)


async def test_answers_of_the_api_are_not_stored_and_load_nothing(client: Client) -> None:
    async with client.get("/api/config") as response:
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "Set-Cookie" not in response.headers
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_room_that_wants_power_to_open_a_call_refuses_the_first_and_not_the_second(
    client: Client, bridge_world: World
) -> None:
    strict = bridge_world.settings.policy.model_copy(update={"call_power": 50})
    settings = bridge_world.settings.model_copy(update={"policy": strict})
    meeting = await bridge_world.meeting()
    bridge_world.service.entrance._settings = settings
    bob, _ = await sign_in(client, BOB)
    path = f"/api/meetings/{meeting}/join"
    assert (await ask(client, "POST", path, {"device": "a"}, bob))[1]["code"] == "call_forbidden"
    alice, _ = await sign_in(client, ALICE)
    assert (await ask(client, "POST", path, {"device": "a"}, alice))[0] == 200
    assert (await ask(client, "POST", path, {"device": "a"}, bob))[0] == 200


async def test_text_that_nothing_can_store_is_refused_and_no_fault_of_ours(client: Client) -> None:
    for text in ("\ud800", "a\0b"):
        for body in (openid("@alice:example.org", text), openid(text), {"user": text, "password": text}):
            path = "/api/session/dev" if "user" in body else "/api/session/openid"
            status, answer = await ask(client, "POST", path, body)
            assert (status, answer["code"]) == (400, "bad_field")


async def test_a_session_of_the_dev_sign_in_ends_with_dev(client: Client, bridge_world: World) -> None:
    await bridge_world.meeting()
    _, opened = await ask(client, "POST", "/api/session/dev", {"user": "camille", "password": "palabre"})
    meeting = await bridge_world.meeting()
    assert (await ask(client, "GET", f"/api/meetings/{meeting}", session=opened["session"]))[0] == 200
    outside = await serve(bridge_world, dev=False)
    try:
        status, answer = await ask(outside, "GET", f"/api/meetings/{meeting}", session=opened["session"])
    finally:
        await outside.close()
    assert (status, answer["code"]) == (401, "session_expired")


async def test_moderators_mute_and_remove_by_the_identity_in_the_address(client: Client, bridge_world: World) -> None:
    session, meeting = await sign_in(client)
    others, _ = await sign_in(client, BOB)
    await ask(client, "POST", f"/api/meetings/{meeting}/join", {"device": "tab"}, session)
    room, identity = await bridge_world.join(BOB, "phone")
    address = f"/api/meetings/{meeting}/participants/{quote(identity, safe='')}"
    status, answer = await ask(client, "POST", f"{address}/mute", session=others)
    assert (status, answer["code"], answer["params"]) == (403, "moderation_forbidden", {"needed": 50})
    assert await ask(client, "POST", f"{address}/mute", session=session) == (200, {"muted": 1})
    assert await ask(client, "POST", f"{address}/mute", session=session) == (200, {"muted": 0})
    assert await ask(client, "POST", f"{address}/remove", session=session) == (200, {})
    assert bridge_world.relay.participants(room) == ()
    status, answer = await ask(client, "POST", f"/api/meetings/{meeting}/join", {"device": "tab"}, others)
    assert (status, answer["code"]) == (403, "removed_from_call")
    nobody = f"/api/meetings/{meeting}/participants/nobody/mute"
    assert (await ask(client, "POST", nobody, session=session))[1]["code"] == "not_in_call"
    assert (await ask(client, "POST", f"{address}/mute"))[0] == 401
