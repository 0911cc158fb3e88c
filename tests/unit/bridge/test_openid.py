"""Matrix OpenID: what is believed of which answer. The servers are real HTTP servers on the loopback address."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.openid import FAILED_SECONDS, OpenIdVerifier, delegation, direct_url, needs_well_known, owned_user
from bridge.settings import OpenIdSettings
from palabre.base.clock import ManualClock
from palabre.base.errors import CallerError, PeerError
from palabre.base.http import Answer, OutboundFailedError, OutboundHttp

NAME = "example.org"
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
        settings = OpenIdSettings(servers=({"name": NAME, "url": url},))  # type: ignore[arg-type]
        return OpenIdVerifier(settings, http, ManualClock())

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


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "[::1]", "[::ffff:10.0.0.1]:8448", "2130706433", "0x7f.1", "localhost.", "10.0.0.1:443"]
)
async def test_a_name_that_leads_into_our_own_network_is_refused(serve: Serve, name: str) -> None:
    assert await refusal(await serve({}), name) == "homeserver_unreachable"


async def test_only_the_servers_of_the_settings_may_come_in_where_some_are_named() -> None:
    settings = OpenIdSettings(allowed=("ministry.example",))
    verifier = OpenIdVerifier(settings, FakeHttp({}), ManualClock())  # type: ignore[arg-type]
    assert await refusal(verifier) == "server_not_allowed"


class FakeHttp:
    """Answers by URL without its query; what it does not know cannot be reached."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def request(self, _method: str, url: str, **_options: Any) -> Answer:
        self.asked.append(url.partition("?")[0])
        if self.asked[-1] not in self.answers:
            raise OutboundFailedError("no server has that name")
        return Answer(200, {}, json.dumps(self.answers[self.asked[-1]]).encode())


USERINFO = "/_matrix/federation/v1/openid/userinfo"
WELL_KNOWN = f"https://{NAME}/.well-known/matrix/server"


async def test_a_server_is_found_through_its_well_known_file_once_an_hour() -> None:
    http = FakeHttp(
        {
            WELL_KNOWN: {"m.server": "matrix.example.org:443"},
            f"https://matrix.example.org:443{USERINFO}": {"sub": f"@alice:{NAME}"},
        }
    )
    verifier = OpenIdVerifier(OpenIdSettings(), http, ManualClock())  # type: ignore[arg-type]
    for _ in range(3):
        assert await verifier.verify(NAME, "token") == f"@alice:{NAME}"
    assert http.asked.count(WELL_KNOWN) == 1


async def test_a_server_without_a_well_known_file_is_asked_on_the_federation_port() -> None:
    http = FakeHttp({f"https://{NAME}:8448{USERINFO}": {"sub": f"@alice:{NAME}"}})
    verifier = OpenIdVerifier(OpenIdSettings(), http, ManualClock())  # type: ignore[arg-type]
    assert await verifier.verify(NAME, "token") == f"@alice:{NAME}"


async def test_a_server_that_cannot_be_reached_is_not_asked_again_for_a_minute() -> None:
    http, clock = FakeHttp({}), ManualClock()
    verifier = OpenIdVerifier(OpenIdSettings(), http, clock)  # type: ignore[arg-type]
    for _ in range(5):
        assert await refusal(verifier) == "homeserver_unreachable"
    assert len(http.asked) == 2  # the well-known file and the federation port, once
    clock.advance(FAILED_SECONDS + 1)
    assert await refusal(verifier) == "homeserver_unreachable"
    assert len(http.asked) == 4


def test_names_with_a_port_or_an_address_are_taken_as_they_are() -> None:
    assert [needs_well_known(name) for name in ("a.example", "a.example:1", "1.2.3.4", "[::1]")] == [
        True,
        False,
        False,
        False,
    ]
    assert direct_url("a.example") == "https://a.example:8448"
    assert direct_url("a.example:443") == "https://a.example:443"
    assert direct_url("[::1]") == "https://[::1]:8448"


@pytest.mark.parametrize("document", [None, [], {}, {"m.server": 5}, {"m.server": "a b"}, {"m.server": "x/y"}])
def test_a_delegation_that_makes_no_sense_is_none(document: Any) -> None:
    assert delegation(document) is None


def test_a_user_id_may_hold_a_colon_in_its_server_name_only() -> None:
    assert owned_user({"sub": "@a:localhost:8448"}, "localhost:8448") == "@a:localhost:8448"
    with pytest.raises(PeerError):
        owned_user({"sub": "@a:localhost:8448"}, "localhost")
