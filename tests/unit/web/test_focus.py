"""The token service of MatrixRTC over HTTP: what clients and their browsers rely on, on bridge with fakes below it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from palabre.base.errors import CallerError
from palabre.base.http import OutboundFailedError
from palabre.base.ids import UserId
from tests.support.bridge_fakes import ALICE, BOB, EVE, ROOM
from tests.support.bridge_world import World
from web.app import mount
from web.focus import BODY_LIMIT
from web.settings import WebSettings

Client = TestClient[web.Request, web.Application]
ROUTES = ["/livekit/jwt/sfu/get", "/livekit/jwt/get_token", "/livekit/jwt/delegate_delayed_leave"]


class FakeVerifier:
    """Whoever shows a user id as a token is that user."""

    async def verify(self, _server: str, token: str) -> UserId:
        if not token.startswith("@"):
            raise CallerError("openid_refused", "no", status=401)
        return UserId(token)


class Away:
    """The network, without anybody in it."""

    async def request(self, _method: str, url: str, **_: Any) -> None:
        assert url == "https://example.org/.well-known/matrix/client"
        raise OutboundFailedError("nobody there")


@pytest.fixture
async def client(bridge_world: World) -> AsyncIterator[Client]:
    bridge_world.service.focus._openid = FakeVerifier()  # type: ignore[assignment]
    root = web.Application()
    mount(root, WebSettings(), bridge_world.service, bridge_world.clock, dev=False, version="1.2.3")
    client = TestClient(TestServer(root))
    await client.start_server()
    yield client
    await client.close()


def sfu_get(user: str = ALICE, **changes: Any) -> dict[str, Any]:
    openid = {"access_token": user, "expires_in": 3600, "matrix_server_name": "example.org", "token_type": "Bearer"}
    return {"room": ROOM, "openid_token": openid, "device_id": "DEV", **changes}


def get_token(user: str = ALICE, **changes: Any) -> dict[str, Any]:
    member = {"id": f"{user}:DEV", "claimed_user_id": user, "claimed_device_id": "DEV"}
    body = {"room_id": ROOM, "slot_id": "m.call#ROOM", "openid_token": sfu_get(user)["openid_token"], "member": member}
    return body | changes


async def ask(client: Client, path: str, body: Any) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client.post(path, data=data, headers={"Content-Type": "application/json"}) as response:
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Access-Control-Allow-Methods"] == "POST"
        assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
        assert response.headers["Content-Type"] == "application/json"
        return response.status, await response.json()


async def test_a_member_gets_address_and_token_by_both_routes(client: Client) -> None:
    status, first = await ask(client, ROUTES[0], sfu_get())
    assert (status, first["url"]) == (200, "wss://meet.example.org")
    status, second = await ask(client, ROUTES[1], get_token(BOB))
    assert status == 200
    claims = [jwt.decode(one["jwt"], options={"verify_signature": False}) for one in (first, second)]
    assert claims[0]["sub"] == f"{ALICE}:DEV"
    assert len(claims[1]["sub"]) == 43
    assert claims[0]["video"]["room"] == claims[1]["video"]["room"]
    assert set(first) == {"url", "jwt"}


@pytest.mark.parametrize("path", ROUTES)
async def test_browsers_of_any_origin_may_ask_and_other_methods_than_post_are_none(client: Client, path: str) -> None:
    for method, status in (("OPTIONS", 200), ("GET", 405), ("PUT", 405), ("DELETE", 405), ("HEAD", 405)):
        async with client.request(method, path) as response:
            assert response.status == status
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert await response.read() == b""


async def test_health_is_answered_to_get_and_head_alone(client: Client) -> None:
    for method, status in (("GET", 200), ("HEAD", 200), ("POST", 405)):
        async with client.request(method, "/livekit/jwt/healthz") as response:
            assert (response.status, await response.read()) == (status, b"")


async def test_refusals_have_matrixs_form(client: Client, bridge_world: World) -> None:
    unauthorised = {"errcode": "M_UNAUTHORIZED", "error": "The request could not be authorised."}
    assert await ask(client, ROUTES[0], b"") == (400, {"errcode": "M_NOT_JSON", "error": "Error reading request"})
    assert await ask(client, ROUTES[0], sfu_get(room="")) == (
        400,
        {"errcode": "M_BAD_JSON", "error": "Missing room parameter"},
    )
    assert await ask(client, ROUTES[0], sfu_get("forged")) == (401, unauthorised)
    member = {"id": "x", "claimed_user_id": BOB, "claimed_device_id": "DEV"}
    assert await ask(client, ROUTES[1], get_token(ALICE, member=member)) == (401, unauthorised)
    status, answer = await ask(client, ROUTES[0], sfu_get(EVE))
    assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")
    assert "not in the room" in answer["error"]
    status, answer = await ask(client, ROUTES[0], sfu_get(device_id="A:B"))
    assert (status, answer["errcode"]) == (400, "M_BAD_JSON")
    status, answer = await ask(client, ROUTES[0], sfu_get(room="!unknown:example.org"))
    assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")
    status, answer = await ask(client, ROUTES[0], b" " * (BODY_LIMIT + 1))
    assert (status, answer["errcode"]) == (413, "M_TOO_LARGE")


async def test_leaving_is_delegated_by_a_route_that_clients_find_by_an_empty_question(
    client: Client, bridge_world: World
) -> None:
    async with client.post(ROUTES[2]) as response:
        assert response.status == 400
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    # The server's well-known file is not there, and nothing else is looked for where the request says.
    bridge_world.service.focus._apis._http = Away()  # type: ignore[assignment]
    delay = {"delay_id": "syd_1", "delay_timeout": 3_600_000, "delay_cs_api_url": "http://127.0.0.1:1"}
    unresolved = {"errcode": "M_BAD_JSON", "error": "Unable to resolve client-server API"}
    assert await ask(client, ROUTES[2], get_token() | delay) == (400, unresolved)
    assert await ask(client, ROUTES[0], sfu_get() | delay) == (400, unresolved)


async def test_a_mistake_of_ours_is_told_as_such_and_readable_by_the_browser(
    client: Client, bridge_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bridge_world.service.focus, "seat", broken)
    status, answer = await ask(client, ROUTES[0], sfu_get())
    assert (status, answer["errcode"]) == (500, "M_UNKNOWN")


async def test_one_user_who_asks_without_end_is_slowed_down_and_others_are_not(client: Client) -> None:
    for _ in range(60):
        assert (await ask(client, ROUTES[0], sfu_get(room="!unknown:example.org")))[0] == 403
    status, answer = await ask(client, ROUTES[0], sfu_get())
    assert (status, answer["errcode"]) == (429, "M_LIMIT_EXCEEDED")
    assert answer["retry_after_ms"] >= 1000
    assert (await ask(client, ROUTES[0], sfu_get(BOB)))[0] == 200
