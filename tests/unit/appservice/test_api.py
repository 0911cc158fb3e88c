from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from mautrix.api import Method
from mautrix.errors import MatrixConnectionError, MatrixRequestError, MForbidden

from appservice import api
from appservice.api import (
    LONGEST_DELAY,
    LONGEST_WISH,
    SERVER_FAULTS,
    HomeserverApi,
    RateLimitedError,
    as_caller_error,
    delay_before_retry,
    refusal,
)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_homeserver_that_restarts_is_waited_for_without_end(status: int) -> None:
    problem = refusal(status, {}, b"<html>Bad gateway</html>")
    delays = [delay_before_retry(problem, attempt, 1.0) or 0 for attempt in range(100)]
    assert delays == sorted(delays)
    assert 0 < delays[0] < delays[-1] == LONGEST_DELAY


@pytest.mark.parametrize("status", [500, 502])
def test_an_error_of_the_homeserver_itself_is_tried_again_a_few_times_only(status: int) -> None:
    problem = refusal(status, {}, b'{"errcode": "M_UNKNOWN", "error": "Failed to reach the server"}')
    assert delay_before_retry(problem, SERVER_FAULTS - 1, 0.5) is not None
    assert delay_before_retry(problem, SERVER_FAULTS, 0.5) is None


def test_a_refusal_is_not_tried_again() -> None:
    problem = refusal(403, {}, b'{"errcode": "M_FORBIDDEN", "error": "No"}')
    assert isinstance(problem, MForbidden)
    assert delay_before_retry(problem, 0, 0.5) is None
    assert as_caller_error(problem).params["reason"] == "No"


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "5"}, b"{}", 5.0),
        ({}, b'{"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1500}', 1.5),
        ({"Retry-After": "5"}, b'{"retry_after_ms": 1500}', 5.0),
        ({"Retry-After": "999999"}, b"no json", LONGEST_WISH),
        ({"Retry-After": "-1"}, b"[]", 0.25),
        ({}, b'{"retry_after_ms": "soon"}', 0.25),
    ],
)
def test_a_busy_homeserver_is_given_the_time_it_asks_for(headers: dict[str, str], body: bytes, seconds: float) -> None:
    problem = refusal(429, headers, body)
    assert isinstance(problem, RateLimitedError)
    assert delay_before_retry(problem, 0, 0.0) == seconds


def test_the_crowd_is_spread() -> None:
    problem = MatrixConnectionError("refused")
    assert delay_before_retry(problem, 3, 0.0) != delay_before_retry(problem, 3, 1.0)


@pytest.mark.parametrize("body", [b"", b"[" * 100_000, b'{"errcode": 7, "error": {}}', b'"no"', b"\xff"])
def test_any_error_page_is_a_refusal(body: bytes) -> None:
    assert refusal(418, {}, body).http_status == 418


Serve = Callable[[Callable[[web.Request], Awaitable[web.Response]]], Awaitable[HomeserverApi]]


@pytest.fixture
async def serve(monkeypatch: pytest.MonkeyPatch):
    """A homeserver that answers as told; waiting takes no time."""
    monkeypatch.setattr(api, "FIRST_DELAY", 0.001)
    servers: list[TestServer] = []
    session = api.open_session()

    async def start(answer: Callable[[web.Request], Awaitable[web.Response]]) -> HomeserverApi:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        servers.append(TestServer(app))
        await servers[-1].start_server()
        return HomeserverApi(str(servers[-1].make_url("/")), "token", session)

    yield start
    await session.close()
    for server in servers:
        await server.close()


async def test_a_request_is_repeated_until_the_homeserver_is_back(serve: Serve) -> None:
    statuses = [503, 429, 502, 200]
    seen: list[bytes] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(await request.read())
        return web.json_response({"event_id": "$x"}, status=statuses[len(seen) - 1])

    made = iter([b"first", b"second", b"third", b"fourth"])

    def body() -> AsyncIterator[bytes]:
        return _stream(next(made))

    homeserver = await serve(answer)
    assert await homeserver.request(Method.POST, "upload", body, {"Content-Type": "x/y"}) == {"event_id": "$x"}
    assert seen == [b"first", b"second", b"third", b"fourth"]


async def _stream(piece: bytes) -> AsyncIterator[bytes]:
    yield piece


async def test_patience_has_an_end_where_it_was_given(serve: Serve) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=503)

    homeserver = await serve(answer)
    homeserver._patience = 0.05
    with pytest.raises(MatrixRequestError):
        await homeserver.request(Method.GET, "versions")
