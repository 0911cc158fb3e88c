"""Twirp over HTTP: routing, bodies as protobuf or JSON, errors. What methods do is in `room_service`.

https://twitchtv.github.io/twirp/docs/spec_v7.html — errors are JSON whatever the request was.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from media.relay import tokens
from media.relay.seams import Grants
from media.relay.service import CORS, bearer
from media.relay.settings import RelaySettings
from palabre.base.clock import Clock
from palabre.base.errors import CallerError

MAX_BODY = 1024 * 1024  # bytes; metadata and attributes are 64 kB each
# Services of LiveKit that clients may ask for and that don't exist here.
UNIMPLEMENTED = frozenset({"livekit.Ingress", "livekit.SIP", "livekit.Connector"})
_STATUS = {
    "malformed": 400,
    "invalid_argument": 400,
    "unauthenticated": 401,
    "permission_denied": 403,
    "bad_route": 404,
    "not_found": 404,
    "deadline_exceeded": 408,
    "failed_precondition": 412,
    "resource_exhausted": 429,
    "unimplemented": 501,
    "unavailable": 503,
}
_CODE_OF_STATUS = {
    400: "invalid_argument",
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    408: "deadline_exceeded",
    409: "failed_precondition",
    412: "failed_precondition",
    429: "resource_exhausted",
    501: "unimplemented",
    503: "unavailable",
}


class TwirpError(Exception):
    """An answer that is not a result."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def require(granted: bool) -> None:
    """Raises `TwirpError`: the token lacks a grant."""
    if not granted:
        raise TwirpError("permission_denied", "permissions denied")


@dataclass(frozen=True)
class Method:
    """One method of a service; `run` raises `TwirpError` or `CallerError`."""

    request: type[Message]
    run: Callable[[Grants, Any], Awaitable[Message]]


class Twirp:
    """Serves methods below `/twirp/`."""

    def __init__(self, settings: RelaySettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._services: dict[str, Mapping[str, Method]] = {}

    def serve(self, service: str, methods: Mapping[str, Method]) -> None:
        self._services[service] = methods

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/twirp/{service}/{method}", self._handle)
        router.add_route("OPTIONS", "/twirp/{service}/{method}", self._preflight)

    async def _preflight(self, request: web.Request) -> web.Response:
        return web.Response(status=204, headers={**CORS, "Access-Control-Allow-Methods": "POST"})

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            return await self._answer(request)
        except TwirpError as error:
            return _failure(error.code, error.message)
        except CallerError as error:
            return _failure(_CODE_OF_STATUS.get(error.status, "invalid_argument"), error.sentence)

    async def _answer(self, request: web.Request) -> web.Response:
        method = self._method(request.match_info["service"], request.match_info["method"])
        as_json = request.content_type == "application/json"
        if not as_json and request.content_type != "application/protobuf":
            raise TwirpError("bad_route", f"unexpected Content-Type: {request.content_type}")
        grants = tokens.verify(bearer(request), self._settings.secrets, self._clock.wall())
        result = await method.run(grants, _decode(await _body(request), method.request(), as_json))
        if as_json:
            text = json_format.MessageToJson(result, preserving_proto_field_name=True, indent=None)
            return _json(200, text)
        return web.Response(body=result.SerializeToString(), content_type="application/protobuf", headers=CORS)

    def _method(self, service: str, name: str) -> Method:
        if service in UNIMPLEMENTED:
            raise TwirpError("unimplemented", f"{service} is not part of this server")
        method = self._services.get(service, {}).get(name)
        if method is None:
            raise TwirpError("bad_route", "no such method")
        return method


async def _body(request: web.Request) -> bytes:
    body = await request.content.read(MAX_BODY + 1)
    while len(body) <= MAX_BODY and not request.content.at_eof():
        body += await request.content.read(MAX_BODY + 1 - len(body))
    if len(body) > MAX_BODY:
        raise TwirpError("resource_exhausted", f"a request may have {MAX_BODY} bytes")
    return body


def _decode(body: bytes, message: Message, as_json: bool) -> Message:
    try:
        if as_json:
            json_format.Parse(body, message, ignore_unknown_fields=True, max_recursion_depth=32)
        else:
            message.ParseFromString(body)
    except (DecodeError, json_format.ParseError, RecursionError, UnicodeError, ValueError, TypeError) as error:
        raise TwirpError("malformed", "the request can't be read") from error
    return message


def _failure(code: str, message: str) -> web.Response:
    return _json(_STATUS[code], json.dumps({"code": code, "msg": message}))


def _json(status: int, text: str) -> web.Response:
    """LiveKit's JavaScript server SDK compares the content type with the bare one: no charset."""
    headers = {**CORS, "Content-Type": "application/json"}
    return web.Response(status=status, body=text.encode(), headers=headers)
