"""Matrix OpenID: what is believed of which answer. The servers are real HTTP servers on the loopback address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from appservice.federation.client import FederationClient, Pinned
from appservice.federation.dns import Dns
from appservice.federation.names import ServerName
from bridge.homeserver_policy import EverybodyMayCome
from bridge.openid import OpenIdVerifier, owned_user
from palabre.base.clock import ManualClock
from palabre.base.errors import CallerError, PeerError
from palabre.base.http import OutboundHttp

NAME = "example.org"


class Book:
    """Where the server of these tests is."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def pinned(self, name: ServerName) -> Pinned | None:
        return Pinned(self._url) if name.text == NAME else None


class Nobody(EverybodyMayCome):
    """Refuses everybody, and notes who would have come."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def require_join(self, server_name: str) -> None:
        raise CallerError("server_not_allowed", "no", status=403)

    async def seen(self, server_name: str) -> None:
        self.names.append(server_name)


Serve = Callable[[Any], Awaitable[OpenIdVerifier]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Makes a verifier whose server for `NAME` answers `/userinfo` with this handler or document."""
    ends: list[Callable[[], Awaitable[None]]] = []

    async def make(answer: Any) -> OpenIdVerifier:
        async def userinfo(request: web.Request) -> web.StreamResponse:
            if callable(answer):
                return await answer(request)
            return web.json_response(answer)

        app = web.Application()
        app.router.add_get("/_matrix/federation/v1/openid/userinfo", userinfo)
        server = TestServer(app)
        await server.start_server()
        url = str(server.make_url(""))
        http = OutboundHttp(trusted=[url])
        ends.extend([http.close, server.close])
        client = FederationClient(http, Book(url), Dns(["127.0.0.1:9"]), ManualClock())  # nothing is looked up
        return OpenIdVerifier(EverybodyMayCome(), client)

    yield make
    for end in ends:
        await end()


async def refusal(verifier: OpenIdVerifier, name: str = NAME, token: str = "token") -> str:
    with pytest.raises(CallerError) as caught:
        await verifier.verify(name, token)
    return caught.value.code


async def test_the_server_says_whose_token_it_is(serve: Serve) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.query["access_token"])
        return web.json_response({"sub": f"@alice:{NAME}"})

    verifier = await serve(answer)
    assert await verifier.verify(NAME, "a&b=c/ü") == f"@alice:{NAME}"
    assert asked == ["a&b=c/ü"]


@pytest.mark.parametrize(
    "document",
    [
        {"sub": "@victim:other.example"},
        {"sub": f"@victim:{NAME}:8448"},
        {"sub": f"@victim:{NAME.upper()}"},
        {"sub": f"@victim:other.example:{NAME}"},
        {"sub": f"alice:{NAME}"},
        {"sub": f"@:{NAME}"},
        {"sub": f"@a\n:{NAME}"},
        {"sub": "@" + "x" * 300 + f":{NAME}"},
        {"sub": [f"@alice:{NAME}"]},
        {"sub": ""},
        {},
        [],
        None,
        "text",
    ],
)
async def test_an_answer_that_names_no_user_of_that_server_is_refused(serve: Serve, document: Any) -> None:
    assert await refusal(await serve(document)) == "openid_refused"


async def test_a_redirect_an_error_a_flood_and_garbage_prove_nothing(serve: Serve) -> None:
    good = {"sub": f"@alice:{NAME}"}

    async def redirect(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://169.254.169.254/")

    async def unauthorised(_: web.Request) -> web.Response:
        return web.json_response(good, status=401)

    async def flood(_: web.Request) -> web.Response:
        return web.json_response({**good, "padding": "x" * 1_000_000})

    async def garbage(_: web.Request) -> web.Response:
        return web.Response(text="{" * 10_000, content_type="application/json")

    for handler in (redirect, unauthorised, flood, garbage):
        assert await refusal(await serve(handler)) == "openid_refused"


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "user@host", "host?x", "host#x", "[::1", "é.example", "a" * 300, "host:123456"]
)
async def test_what_is_no_server_name_is_not_asked(serve: Serve, name: str) -> None:
    assert await refusal(await serve({}), name) == "openid_refused"


@pytest.mark.parametrize("name", ["2130706433", "0x7f.1", "localhost.", "ехample.org", "bücher.example"])
async def test_what_only_looks_like_a_server_name_is_not_asked(serve: Serve, name: str) -> None:
    assert await refusal(await serve({}), name) == "openid_refused"


@pytest.mark.parametrize("name", ["127.0.0.1", "[::1]", "[::ffff:10.0.0.1]:8448", "10.0.0.1:443", "[fd00::1]"])
async def test_a_name_that_leads_into_our_own_network_is_refused(serve: Serve, name: str) -> None:
    assert await refusal(await serve({}), name) == "homeserver_unreachable"


async def test_a_server_that_may_not_come_in_is_not_asked_and_its_name_is_noted() -> None:
    nobody = Nobody()
    verifier = OpenIdVerifier(nobody, None)  # type: ignore[arg-type]
    assert await refusal(verifier) == "server_not_allowed"
    assert nobody.names == [NAME]


def test_a_user_id_may_hold_a_colon_in_its_server_name_only() -> None:
    assert owned_user({"sub": "@a:localhost:8448"}, "localhost:8448") == "@a:localhost:8448"
    with pytest.raises(PeerError):
        owned_user({"sub": "@a:localhost:8448"}, "localhost")
