"""What the homeserver calls: transactions, ping, and the questions whether a user or a room address exists.

https://spec.matrix.org/v1.16/application-service-api/#homeserver---application-service-api. An aiohttp sub-application
for `/_matrix/app`. It stores and answers; nothing is handled here.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from appservice.inbox import Inbox
from appservice.settings import AppserviceSettings
from appservice.transaction import read_transaction
from palabre.base.clock import Clock
from palabre.base.errors import PeerError
from palabre.base.metrics import counter

# Synapse sends at most 100 events of 64 KiB in one transaction, and what goes with them.
MAX_BODY = 16 * 1024 * 1024

log = structlog.get_logger("matrix")
refused = counter("matrix_homeserver_refused", "Requests refused to whoever claimed to be the homeserver", ["reason"])
received = counter("matrix_events", "Events received from the homeserver")
skipped = counter("matrix_events_skipped", "Events of the homeserver that could not be read", ["reason"])

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Endpoint:
    """The routes. `arrived` is called after a transaction is committed."""

    def __init__(self, settings: AppserviceSettings, inbox: Inbox, clock: Clock, arrived: Callable[[], None]) -> None:
        self._settings = settings
        self._inbox = inbox
        self._clock = clock
        self._arrived = arrived
        self._digest = _digest(settings.hs_token.get_secret_value())

    def app(self) -> web.Application:
        """Mount it below `/_matrix/app`."""
        app = web.Application(middlewares=[self._authenticated])
        app.add_routes(
            [
                web.put("/v1/transactions/{transaction}", self._transaction),
                web.post("/v1/ping", self._ping),
                web.get("/v1/users/{user}", self._user),
                web.get("/v1/rooms/{alias}", self._room),
            ]
        )
        return app

    @web.middleware
    async def _authenticated(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The token in the `Authorization` header and nowhere else: queries end up in logs."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if "access_token" in request.query:
            return _refusal("query_token", "Tokens in the query are refused; send an Authorization header.")
        if scheme.lower() != "bearer" or not token:
            return _refusal("missing_token", "An Authorization header with the hs_token is needed.")
        if not hmac.compare_digest(_digest(token), self._digest):
            return _refusal("wrong_token", "That is not the hs_token of this service's registration.")
        return await handler(request)

    async def _transaction(self, request: web.Request) -> web.Response:
        body = await _read(request)
        if body is None:
            return _error(413, "M_TOO_LARGE", "The transaction is too large.")
        try:
            transaction = read_transaction(body)
        except PeerError as problem:
            skipped.labels("transaction").inc()
            return _error(400, "M_BAD_JSON", str(problem))
        skipped.labels("malformed").inc(transaction.skipped)
        skipped.labels("oversized").inc(await self._inbox.store(transaction.events, self._clock.wall()))
        received.inc(len(transaction.events))
        self._arrived()
        return web.json_response({})

    async def _ping(self, _request: web.Request) -> web.Response:
        return web.json_response({})

    async def _user(self, request: web.Request) -> web.Response:
        """Users are registered at the start, before anybody can ask."""
        if request.match_info["user"] in (
            f"@{name}:{self._settings.server_name}" for name in self._settings.localparts
        ):
            return web.json_response({})
        return _error(404, "M_NOT_FOUND", "There is no such user.")

    async def _room(self, _request: web.Request) -> web.Response:
        return _error(404, "M_NOT_FOUND", "Rooms are made before their address is known, never on demand.")


def _digest(token: str) -> bytes:
    """Digests, so that the comparison takes the same time for tokens of any length and any characters."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


async def _read(request: web.Request) -> bytes | None:
    """The body, or None when it is larger than any transaction. Counted as it arrives, whatever its header claims."""
    body = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _refusal(reason: str, sentence: str) -> web.Response:
    refused.labels(reason).inc()
    return _error(403, "M_FORBIDDEN", sentence)


def _error(status: int, code: str, sentence: str) -> web.Response:
    return web.json_response({"errcode": code, "error": sentence}, status=status)
