"""Where homeservers pass on what clients and others of them ask of the focus (MSC4512). `bridge.focus_proxy` answers.

The homeserver proves itself with its token and says in a header for whom it speaks. Without the setting there is
nothing here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from bridge.focus_proxy import FocusProxy
from bridge.proxied_requests import PATH, STABLE_PATH, read_proxied, read_proxied_delegation
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from web.focus import answer_json, read_body
from web.limits import FOCUS, RateLimit

USER_HEADER = "X-Matrix-User-Identifier"
ORIGIN_HEADER = "X-Matrix-Origin"

Answer = Callable[[str, bytes], Awaitable[Mapping[str, Any]]]


class FocusProxyRoutes:
    """Keeps nothing but the rate limit by user; homeservers limit how often somebody asks, too."""

    def __init__(self, proxy: FocusProxy, clock: Clock) -> None:
        self._proxy = proxy
        self._clock = clock
        self._users = RateLimit(FOCUS)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        if not self._proxy.enabled:
            return
        for side, header, actions in (
            ("client", USER_HEADER, {"get_token": self._get_token, "delegate_delayed_leave": self._delegate}),
            ("federation", ORIGIN_HEADER, {"get_token": self._get_token_for}),
        ):
            for below in (f"unstable/{PATH}", f"v1/{STABLE_PATH}"):
                for name, answer in actions.items():
                    router.add_post(f"/_matrix/{side}/{below}/{name}", self._route(header, answer))

    def _route(self, header: str, answer: Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            async def authenticated() -> Mapping[str, Any]:
                scheme, _, token = request.headers.get("Authorization", "").partition(" ")
                self._proxy.authenticate(token.strip() if scheme.lower() == "bearer" else "")
                return await answer(request.headers.get(header, ""), await read_body(request))

            return await answer_json(authenticated)

        return serve

    async def _get_token(self, user: str, body: bytes) -> Mapping[str, Any]:
        user_id = self._proxy.own_user(user)
        self._users.take(user_id, self._clock.monotonic())
        seat = await self._proxy.seat(user_id, read_proxied(body))
        return {"url": seat.url, "jwt": seat.jwt}

    async def _delegate(self, user: str, body: bytes) -> Mapping[str, Any]:
        user_id = self._proxy.own_user(user)
        self._users.take(user_id, self._clock.monotonic())
        await self._proxy.delegate(user_id, read_proxied_delegation(body))
        return {}

    async def _get_token_for(self, origin: str, body: bytes) -> Mapping[str, Any]:
        if not origin:
            raise CallerError("M_UNAUTHORIZED", "The request could not be authorised.", status=401)
        self._users.take(origin, self._clock.monotonic())
        seat = await self._proxy.seat_for(origin, read_proxied(body))
        return {"url": seat.url, "jwt": seat.jwt}
