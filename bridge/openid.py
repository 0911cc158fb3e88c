"""Verifies Matrix OpenID tokens with the homeserver that owns the user id; trusts nothing else that the client says.

The client names a server and shows a token; we find the server as federation does, ask it whose token that is, and
believe the answer only for users of that very server: a hostile server can vouch for its own people alone.
https://spec.matrix.org/v1.16/server-server-api/#openid

Servers are found through `.well-known/matrix/server` and port 8448. SRV records are not looked up, because Python's
resolver does not give them: for such a server `bridge.openid.servers` names its address.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import structlog

from bridge.settings import OpenIdSettings
from palabre.base.clock import Clock
from palabre.base.errors import CallerError, PeerError
from palabre.base.http import OutboundFailedError, OutboundHttp, OutboundRefusedError
from palabre.base.ids import UserId, loggable

log = structlog.get_logger("openid")

# https://spec.matrix.org/v1.16/appendices/#server-name; whatever else passes is refused when connecting.
SERVER_NAME = re.compile(r"(?:[A-Za-z0-9.-]{1,230}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
IP_LITERAL = re.compile(r"(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
USER_ID_LIMIT = 255  # bytes, https://spec.matrix.org/v1.16/appendices/#user-identifiers
TOKEN_LIMIT = 1024  # characters; Synapse's have some 20
FEDERATION_PORT = 8448
FOUND_SECONDS = 3600.0  # how long a well-known answer holds; the specification says a day, an hour heals mistakes
FAILED_SECONDS = 60.0  # a name that leads nowhere is not asked again for a minute, whoever gives it
REMEMBERED = 1000  # names, so that strangers' names don't fill the memory


@dataclass(frozen=True)
class _Discovery:
    base_url: str  # empty: the server could not be reached
    until: float  # monotonic seconds


class OpenIdVerifier:
    """Asks homeservers. Addresses from `settings.servers` must be among the trusted origins of `http`."""

    def __init__(self, settings: OpenIdSettings, http: OutboundHttp, clock: Clock) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._given = {server.name: str(server.url).rstrip("/") for server in settings.servers}
        self._found: OrderedDict[str, _Discovery] = OrderedDict()

    async def verify(self, server_name: str, access_token: str) -> UserId:
        """The user id whose token it is.

        Raises `CallerError`: `openid_refused` (the token proves nothing), `server_not_allowed`, or
        `homeserver_unreachable`.
        """
        if not SERVER_NAME.fullmatch(server_name) or not 0 < len(access_token) <= TOKEN_LIMIT:
            raise _refused()
        if self._settings.allowed and server_name not in self._settings.allowed:
            raise CallerError(
                "server_not_allowed", f"People of {server_name} may not come in here.", status=403, server=server_name
            )
        try:
            base_url = await self._base_url(server_name)
            answer = await self._http.request(
                "GET",
                f"{base_url}/_matrix/federation/v1/openid/userinfo?access_token={quote(access_token, safe='')}",
                redirects=0,
            )
        except (OutboundFailedError, OutboundRefusedError) as error:
            self._remember(server_name, "", FAILED_SECONDS)
            log.info("homeserver unreachable", server=loggable(server_name), reason=str(error))
            raise _unreachable(server_name) from error
        except PeerError as error:
            raise _refused() from error
        if answer.status != 200:
            raise _refused()
        try:
            return owned_user(answer.json(), server_name)
        except PeerError as error:
            log.warning("openid answer refused", server=loggable(server_name), reason=str(error))
            raise _refused() from error

    async def _base_url(self, server_name: str) -> str:
        """Where the server's federation API is. Raises like `verify`, and the errors of `http`."""
        if given := self._given.get(server_name):
            return given
        if (found := self._found.get(server_name)) and found.until > self._clock.monotonic():
            if not found.base_url:
                raise _unreachable(server_name)
            return found.base_url
        delegated = None
        if needs_well_known(server_name):
            delegated = await self._well_known(server_name)
        base_url = direct_url(delegated or server_name)
        self._remember(server_name, base_url, FOUND_SECONDS)
        return base_url

    async def _well_known(self, server_name: str) -> str | None:
        """What the server delegates to. No answer, or one that makes no sense, means that it does not delegate."""
        try:
            answer = await self._http.request("GET", f"https://{server_name}/.well-known/matrix/server")
            return delegation(answer.json()) if answer.status == 200 else None
        except OutboundRefusedError:
            raise
        except PeerError:
            return None

    def _remember(self, server_name: str, base_url: str, seconds: float) -> None:
        if server_name in self._given:
            return
        self._found[server_name] = _Discovery(base_url, self._clock.monotonic() + seconds)
        self._found.move_to_end(server_name)
        while len(self._found) > REMEMBERED:
            self._found.popitem(last=False)


def needs_well_known(server_name: str) -> bool:
    """Steps 1 and 2 of https://spec.matrix.org/v1.16/server-server-api/#resolving-server-names: neither IP nor port."""
    return not IP_LITERAL.fullmatch(server_name) and urlsplit(f"//{server_name}").port is None


def direct_url(server_name: str) -> str:
    """The server at the name itself, on its own port or the federation port."""
    parts = urlsplit(f"//{server_name}")
    try:
        port = parts.port
    except ValueError as error:
        raise _refused() from error
    return f"https://{server_name}" if port is not None else f"https://{server_name}:{FEDERATION_PORT}"


def delegation(document: object) -> str | None:
    """`m.server` of a well-known file, if it is a server name."""
    name = document.get("m.server") if isinstance(document, dict) else None
    return name if isinstance(name, str) and SERVER_NAME.fullmatch(name) else None


def owned_user(document: object, server_name: str) -> UserId:
    """`sub` of a userinfo answer. Raises `PeerError` unless it is a user id of exactly that server."""
    sub = document.get("sub") if isinstance(document, dict) else None
    if not isinstance(sub, str) or not sub.startswith("@") or len(sub.encode()) > USER_ID_LIMIT:
        raise PeerError("sub is not a user id")
    localpart, _, owner = sub[1:].partition(":")
    if not localpart or not localpart.isprintable() or owner != server_name:
        raise PeerError("sub is not a user of the server that was asked")
    return UserId(sub)


def _refused() -> CallerError:
    return CallerError(
        "openid_refused", "Your homeserver did not confirm who you are. Close the call and open it again.", status=401
    )


def _unreachable(server_name: str) -> CallerError:
    return CallerError(
        "homeserver_unreachable",
        f"{server_name} could not be reached to confirm who you are. Try again in a minute.",
        status=502,
        server=server_name,
    )
