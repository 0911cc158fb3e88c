"""The focus for clients that ask through their homeserver (MSC4195): ours are served here or passed on, and other
homeservers' people get here through theirs. Who is let in decides `bridge.focus`, as for everybody else.
"""

from __future__ import annotations

import hmac

import structlog

from appservice.seams import MatrixPort
from bridge.focus import Focus, FocusSeat
from bridge.homeserver_policy import HomeserverPolicy
from bridge.proxied_requests import PATH, Proxied, federation_body, user_of
from bridge.settings import BridgeSettings
from palabre.base.errors import CallerError
from palabre.base.ids import UserId, loggable

log = structlog.get_logger("focus")

FEDERATION_PATH = f"/_matrix/federation/unstable/{PATH}/get_token"


class FocusProxy:
    """Concurrency: keeps nothing."""

    def __init__(
        self, settings: BridgeSettings, matrix: MatrixPort, focus: Focus, homeservers: HomeserverPolicy
    ) -> None:
        self._settings = settings
        self._matrix = matrix
        self._focus = focus
        self._homeservers = homeservers

    @property
    def enabled(self) -> bool:
        return self._settings.focus.homeserver_proxy and self._settings.focus.hs_token is not None

    def authenticate(self, token: str) -> None:
        """Raises `CallerError` unless it is the homeserver that asks."""
        expected = self._settings.focus.hs_token
        if not token or expected is None:
            raise CallerError("M_MISSING_TOKEN", "The homeserver's token is missing", status=401)
        if not hmac.compare_digest(token.encode(), expected.get_secret_value().encode()):
            raise CallerError("M_UNKNOWN_TOKEN", "That is not the homeserver's token", status=401)

    def own_user(self, header: str) -> UserId:
        """Whom our homeserver asks for. Raises `CallerError`."""
        if not header:
            raise _unauthorized()
        return user_of(header, self._matrix.server_name)

    async def seat(self, user_id: UserId, proxied: Proxied) -> FocusSeat:
        """For somebody of our homeserver, here or at another one's relay. Raises `CallerError`."""
        if proxied.server_name not in ("", self._matrix.server_name):
            return await self._elsewhere(user_id, proxied)
        self._require_ours(proxied)
        return await self._focus.seat(user_id, proxied.asked)

    async def delegate(self, user_id: UserId, proxied: Proxied) -> None:
        self._require_ours(proxied)
        await self._focus.delegate(user_id, proxied.asked)

    async def seat_for(self, origin: str, proxied: Proxied) -> FocusSeat:
        """For somebody of the homeserver `origin`, which has signed for them. Raises `CallerError`."""
        if not origin:
            raise _unauthorized()
        self._require_ours(proxied)
        user_id = user_of(proxied.user_id, origin)
        await self._homeservers.require_join(origin)
        await self._homeservers.seen(origin)
        return await self._focus.seat(user_id, proxied.asked)

    async def _elsewhere(self, user_id: UserId, proxied: Proxied) -> FocusSeat:
        """Our homeserver signs the question. What comes back is passed on as far as it makes sense."""
        await self._homeservers.require_join(proxied.server_name)
        await self._focus.require_member(user_id, proxied.asked.room_id)
        log.info("asking another homeserver's focus", server=loggable(proxied.server_name))
        body = federation_body(proxied, user_id)
        status, content = await self._matrix.federation_post(proxied.server_name, FEDERATION_PATH, body)
        answer = content if isinstance(content, dict) else {}
        jwt, errcode = answer.get("jwt"), answer.get("errcode")
        if status == 200 and isinstance(jwt, str) and jwt:
            return FocusSeat(proxied.url, jwt)
        if 400 <= status < 500 and isinstance(errcode, str) and errcode.startswith("M_"):
            raise CallerError(errcode[:64], str(answer.get("error", ""))[:500], status=status)
        raise CallerError("M_UNKNOWN", f"The focus of {proxied.server_name} did not answer as one", status=502)

    def _require_ours(self, proxied: Proxied) -> None:
        if proxied.url.rstrip("/") != self._settings.livekit.url.rstrip("/"):
            raise CallerError("M_INVALID_PARAM", "`url` is not this server's relay")


def _unauthorized() -> CallerError:
    return CallerError("M_UNAUTHORIZED", "The request could not be authorised.", status=401)
