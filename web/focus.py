"""The token service of MatrixRTC below `/livekit/jwt`, as lk-jwt-service answers it; `bridge.focus` decides.

Pages of any origin ask, without cookies, so every answer allows them, refusals too: without the headers a browser tells
its page nothing of what went wrong.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from aiohttp import web

from bridge.focus import Focus
from bridge.focus_requests import Asked, OpenIdToken, read_delegation, read_get_token, read_sfu_get
from bridge.settings import FOCUS_PATH
from palabre.base import metrics
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from web.headers import plain_headers
from web.limits import FOCUS, SIGN_IN, RateLimit, caller_address
from web.settings import WebSettings

log = structlog.get_logger("focus")

BODY_LIMIT = 64 * 1024  # bytes; requests have some 500, the reference takes a megabyte
CORS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Accept, Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token",
}
# The errcode for what bridge refuses in its own words, by status.
ERRCODES = {
    400: "M_BAD_JSON",
    401: "M_UNAUTHORIZED",
    403: "M_FORBIDDEN",
    404: "M_NOT_FOUND",
    409: "M_FORBIDDEN",
    413: "M_TOO_LARGE",
    429: "M_LIMIT_EXCEEDED",
}
# Clients know the reference's statuses alone.
STATUSES = {409: 403}

Answer = Callable[[bytes], Awaitable[Mapping[str, Any]]]
Read = Callable[[bytes], tuple[OpenIdToken, Asked]]

_answers = metrics.counter("focus_answers", "Requests to the MatrixRTC token service", ["route", "status"])


class FocusRoutes:
    """Keeps nothing but the rate limits."""

    def __init__(self, settings: WebSettings, focus: Focus, clock: Clock) -> None:
        self._settings = settings
        self._focus = focus
        self._clock = clock
        self._addresses = RateLimit(SIGN_IN)
        self._users = RateLimit(FOCUS)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        for path, read in (("/sfu/get", read_sfu_get), ("/get_token", read_get_token)):
            router.add_route("*", FOCUS_PATH + path, self._route(path, self._token(read)))
        path = "/delegate_delayed_leave"
        router.add_route("*", FOCUS_PATH + path, self._route(path, self._delegation))
        router.add_route("*", FOCUS_PATH + "/healthz", _healthz)

    def _token(self, read: Read) -> Answer:
        async def answer(body: bytes) -> Mapping[str, Any]:
            token, asked = read(body)
            user_id = await self._focus.verify(token, asked)
            self._users.take(user_id, self._clock.monotonic())
            seat = await self._focus.seat(user_id, asked)
            return {"url": seat.url, "jwt": seat.jwt}

        return answer

    async def _delegation(self, body: bytes) -> Mapping[str, Any]:
        """Clients try with an empty question whether there is delegation here: anything but 404 says yes."""
        token, asked = read_delegation(body)
        user_id = await self._focus.verify(token, asked)
        self._users.take(user_id, self._clock.monotonic())
        await self._focus.delegate(user_id, asked)
        return {}

    def _route(self, path: str, answer: Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            if request.method != "POST":
                return web.Response(status=200 if request.method == "OPTIONS" else 405, headers=_headers())
            response = await self._post(request, answer)
            _answers.labels(path, str(response.status)).inc()
            return response

        return serve

    async def _post(self, request: web.Request, answer: Answer) -> web.Response:
        async def counted() -> Mapping[str, Any]:
            self._addresses.take(self._address(request), self._clock.monotonic())
            return await answer(await read_body(request))

        return await answer_json(counted)

    def _address(self, request: web.Request) -> str:
        forwarded = request.headers.get("X-Forwarded-For", "")
        return caller_address(request.remote or "", forwarded, self._settings.trusted_proxies)


async def answer_json(answer: Callable[[], Awaitable[Mapping[str, Any]]]) -> web.Response:
    """What `answer` returns, or the refusal that it raises, in Matrix's form."""
    try:
        return _json(200, await answer())
    except CallerError as refusal:
        log.info("refused", code=refusal.code)
        return refused(refusal)
    except Exception:  # ours: logged with a reference, told as such
        reference = secrets.token_hex(4)
        log.exception("request failed", reference=reference)
        sentence = f"Something went wrong on the focus's side (reference {reference})"
        return _json(500, {"errcode": "M_UNKNOWN", "error": sentence})


def refused(refusal: CallerError) -> web.Response:
    status = STATUSES.get(refusal.status, refusal.status)
    errcode = refusal.code if refusal.code.startswith("M_") else ERRCODES.get(refusal.status, "M_UNKNOWN")
    answer: dict[str, Any] = {"errcode": errcode, "error": refusal.sentence}
    headers = {}
    if "retry_after" in refusal.params:
        headers["Retry-After"] = str(refusal.params["retry_after"])
        answer["retry_after_ms"] = int(refusal.params["retry_after"]) * 1000
    return _json(status, answer, headers)


async def read_body(request: web.Request) -> bytes:
    """Whatever its content type: a client's first, empty question has none. Raises `CallerError`."""
    body = bytearray()
    async for chunk in request.content.iter_chunked(4096):
        body += chunk
        if len(body) > BODY_LIMIT:
            raise CallerError("M_TOO_LARGE", f"The request has more than {BODY_LIMIT} bytes", status=413)
    return bytes(body)


async def _healthz(request: web.Request) -> web.Response:
    return web.Response(status=200 if request.method in ("GET", "HEAD") else 405, headers=plain_headers())


def _headers() -> dict[str, str]:
    return {**plain_headers(), **CORS, "Content-Type": "application/json"}


def _json(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> web.Response:
    encoded = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(status=status, body=encoded, headers={**_headers(), **(headers or {})})
