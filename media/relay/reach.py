"""A way to try the media ports without a call: for holders of an API key, a session that only answers ICE checks.

`GET /rtc/reach` gives what a client of a call would get: candidates, a ufrag with its password, TURN servers with
credentials. Nothing is ever sent but answers to checks that prove the password, and it ends by itself.
"""

from __future__ import annotations

from aiohttp import web
from google.protobuf import json_format

from media.relay import tokens
from media.relay.environment import Environment
from media.relay.ice_servers import ice_servers
from media.relay.leg import Transport
from media.relay.service import CORS, bearer, refusal
from palabre.base.errors import CallerError

LIFETIME = 60.0  # seconds: each way in turn, with TURN over TLS last
MAX_OPEN = 8  # at once: operators, not clients


class _Nobody:
    """A transport's observer without interest: there is no peer connection behind it."""

    def transport_connected(self) -> None: ...

    def transport_closed(self, reason: str) -> None: ...

    def channel_opened(self, label: str) -> None: ...

    def channel_message(self, label: str, payload: bytes) -> None: ...


class Reach:
    """Concurrency: on the event loop; each session has one timer."""

    def __init__(self, environment: Environment) -> None:
        self._env = environment
        self._open: set[Transport] = set()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/rtc/reach", self._handle, allow_head=False)

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            grants = tokens.verify(bearer(request), self._env.settings.secrets, self._env.clock.wall())
            if not grants.room_list:
                raise CallerError("not_allowed", "This is for tokens that may list rooms.", status=403)
            if len(self._open) >= MAX_OPEN:
                raise CallerError("too_many", "Others are trying the ports: ask again in a minute.", status=429)
        except CallerError as error:
            return refusal(error)
        transport = self._env.make_transport(_Nobody())
        self._open.add(transport)
        self._env.later(LIFETIME, lambda: self._close(transport))
        servers = ice_servers(self._env.settings.turn, "reach", self._env.clock.wall())
        return web.json_response(
            {
                "candidates": list(self._env.candidates()),
                "ufrag": transport.ufrag,
                "password": transport.password,
                "ice_servers": [json_format.MessageToDict(server) for server in servers],
            },
            headers={**CORS, "Cache-Control": "no-store"},
        )

    def _close(self, transport: Transport) -> None:
        self._open.discard(transport)
        self._env.tasks.spawn("reach ends", transport.close())
