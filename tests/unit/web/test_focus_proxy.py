"""The focus through the homeserver: who may ask, for whom, and what is passed on to other homeservers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from appservice.registration import registration
from appservice.settings import AppserviceSettings
from bridge.people import proxied_identity
from tests.support.bridge_fakes import ALICE, BOB, EVE, ROOM
from tests.support.bridge_world import World
from web.app import mount
from web.settings import WebSettings

Client = TestClient[web.Request, web.Application]
HS_TOKEN = "token-of-the-homeserver"
CLIENT = "/_matrix/client/unstable/io.element.msc4195/rtc/livekit"
FEDERATION = "/_matrix/federation/unstable/io.element.msc4195/rtc/livekit"
BODY = {"url": "wss://meet.example.org", "room_id": ROOM, "slot_id": "m.call#ROOM", "member_id": "member-1"}


async def serve(world: World) -> Client:
    root = web.Application()
    mount(root, WebSettings(), world.service, world.clock, dev=False, version="1.2.3")
    client = TestClient(TestServer(root))
    await client.start_server()
    return client


@pytest.fixture
async def client(bridge_world: World) -> AsyncIterator[Client]:
    focus = bridge_world.settings.focus.model_copy(update={"homeserver_proxy": True, "hs_token": SecretStr(HS_TOKEN)})
    bridge_world.settings = bridge_world.settings.model_copy(update={"focus": focus})
    await bridge_world.restart()
    client = await serve(bridge_world)
    yield client
    await client.close()


async def ask(
    client: Client, path: str, body: Any, *, user: str = "", origin: str = "", token: str = HS_TOKEN
) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    headers |= {"X-Matrix-User-Identifier": user} if user else {}
    headers |= {"X-Matrix-Origin": origin} if origin else {}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client.post(path, data=data, headers=headers) as response:
        return response.status, await response.json()


async def test_a_member_gets_a_token_under_the_hash_of_these_routes_and_joins_the_same_call(
    client: Client, bridge_world: World
) -> None:
    identities, rooms = [], set()
    for path in (CLIENT, "/_matrix/client/v1/rtc/livekit"):
        status, answer = await ask(client, f"{path}/get_token", BODY, user=ALICE)
        assert (status, answer["url"]) == (200, "wss://meet.example.org")
        claims = jwt.decode(answer["jwt"], options={"verify_signature": False})
        identities.append(claims["sub"])
        rooms.add(claims["video"]["room"])
    assert identities == [proxied_identity(ALICE, "member-1")] * 2
    older = {key: value for key, value in BODY.items() if key != "member_id"} | {"member": {"id": "member-1"}}
    status, answer = await ask(client, f"{CLIENT}/get_token", older, user=ALICE)
    assert jwt.decode(answer["jwt"], options={"verify_signature": False})["video"]["room"] in rooms


async def test_nobody_but_the_homeserver_is_believed(client: Client) -> None:
    for path, header in ((CLIENT, {"user": ALICE}), (FEDERATION, {"origin": "example.org"})):
        for token, code in (("", "M_MISSING_TOKEN"), ("wrong", "M_UNKNOWN_TOKEN"), ("é", "M_UNKNOWN_TOKEN")):
            status, answer = await ask(client, f"{path}/get_token", BODY, token=token, **header)
            assert (status, answer["errcode"]) == (401, code)
        status, answer = await ask(client, f"{path}/get_token", BODY)
        assert (status, answer["errcode"]) == (401, "M_UNAUTHORIZED")
        async with client.get(f"{path}/get_token") as response:
            assert response.status == 405


@pytest.mark.parametrize(
    ("user", "changes", "expected"),
    [
        ("not-an-mxid", {}, (400, "M_INVALID_PARAM")),
        (EVE, {}, (403, "M_FORBIDDEN")),
        ("@stranger:example.org", {}, (403, "M_FORBIDDEN")),
        (ALICE, {"url": ""}, (400, "M_BAD_JSON")),
        (ALICE, {"url": "wss://elsewhere.example"}, (400, "M_INVALID_PARAM")),
        (ALICE, {"room_id": ""}, (400, "M_BAD_JSON")),
        (ALICE, {"member_id": 7}, (400, "M_NOT_JSON")),
        (ALICE, {"slot_id": "m.call#other"}, (400, "M_BAD_JSON")),
    ],
)
async def test_what_is_wrong_has_its_errcode(
    client: Client, user: str, changes: dict[str, Any], expected: tuple[int, str]
) -> None:
    status, answer = await ask(client, f"{CLIENT}/get_token", BODY | changes, user=user)
    assert (status, answer["errcode"]) == expected
    assert (await ask(client, f"{CLIENT}/get_token", b"{not", user=ALICE))[1]["errcode"] == "M_NOT_JSON"


async def test_another_homeservers_relay_is_asked_for_members_of_the_room_alone(
    client: Client, bridge_world: World
) -> None:
    theirs = BODY | {"url": "wss://theirs", "server_name": "other.example"}
    assert (await ask(client, f"{CLIENT}/get_token", theirs, user="@stranger:example.org"))[0] == 403
    assert bridge_world.matrix.federated == []
    status, answer = await ask(client, f"{CLIENT}/get_token", theirs, user=ALICE)
    assert (status, answer) == (200, {"url": "wss://theirs", "jwt": "theirs"})
    ((server, path, body),) = bridge_world.matrix.federated
    assert (server, path) == ("other.example", f"{FEDERATION}/get_token")
    assert body == {
        "url": "wss://theirs",
        "user_id": ALICE,
        "room_id": ROOM,
        "slot_id": "m.call#ROOM",
        "member_id": "member-1",
        "member": {"id": "member-1"},
    }
    for theirs_answer, expected in (
        ((403, {"errcode": "M_FORBIDDEN", "error": "no"}), (403, "M_FORBIDDEN")),
        ((200, {"jwt": 7}), (502, "M_UNKNOWN")),
        ((200, None), (502, "M_UNKNOWN")),
        ((500, {"errcode": "M_UNKNOWN"}), (502, "M_UNKNOWN")),
        ((404, ["x"]), (502, "M_UNKNOWN")),
    ):
        bridge_world.matrix.federation_answer = theirs_answer
        status, answer = await ask(client, f"{CLIENT}/get_token", theirs, user=ALICE)
        assert (status, answer["errcode"]) == expected


async def test_a_homeserver_speaks_for_its_own_people_alone(client: Client, bridge_world: World) -> None:
    bridge_world.matrix.rooms[ROOM].members[EVE] = "Eve"
    path = f"{FEDERATION}/get_token"
    assert (await ask(client, path, BODY | {"user_id": EVE}, origin="evil.example"))[0] == 200
    for user, origin in ((ALICE, "evil.example"), (EVE, "example.org"), ("", "evil.example"), (7, "evil.example")):
        status, _ = await ask(client, path, BODY | {"user_id": user}, origin=origin)
        assert status in (400, 403)


async def test_leaving_is_delegated_with_the_delays_length(client: Client, bridge_world: World) -> None:
    path = f"{CLIENT}/delegate_delayed_leave"
    status, answer = await ask(client, path, BODY | {"delay_id": "syd_1"}, user=BOB)
    assert (status, answer["errcode"]) == (400, "M_BAD_JSON")


async def test_without_the_setting_there_is_nothing_there(bridge_world: World) -> None:
    client = await serve(bridge_world)
    async with client.post(f"{CLIENT}/get_token", json=BODY) as response:
        assert response.status == 404
    await client.close()


def test_the_registration_says_where_the_homeserver_passes_requests_on() -> None:
    settings = AppserviceSettings(
        homeserver_url="http://hs",  # type: ignore[arg-type]
        server_name="example.org",
        listen_url="http://127.0.0.1:8470/",  # type: ignore[arg-type]
        as_token=SecretStr("a" * 32),
        hs_token=SecretStr("h" * 32),
        secret=SecretStr("s"),
    )
    assert not [name for name in registration(settings) if "msc4512" in name]
    document = registration(settings.model_copy(update={"focus_proxy": True}))
    assert document["io.element.msc4512.proxy_prefix"] == "rtc/livekit"
    assert document["io.element.msc4512.proxy_url"] == "http://127.0.0.1:8470"
