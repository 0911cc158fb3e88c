"""Verifies Matrix OpenID tokens with the homeserver that owns the user id; trusts nothing else that the client says.

The client names a server and shows a token; we find the server as federation does, ask it whose token that is, and
believe the answer only for users of that very server: a hostile server can vouch for its own people alone.
https://spec.matrix.org/v1.16/server-server-api/#openid
"""

from __future__ import annotations

from urllib.parse import quote

import structlog

from appservice.federation.client import FederationClient
from appservice.federation.names import parse_server_name
from bridge.homeserver_policy import HomeserverPolicy
from palabre.base.errors import CallerError, PeerError
from palabre.base.http import OutboundFailedError, OutboundRefusedError
from palabre.base.ids import UserId, loggable

log = structlog.get_logger("openid")

USER_ID_LIMIT = 255  # bytes, https://spec.matrix.org/v1.16/appendices/#user-identifiers
TOKEN_LIMIT = 1024  # characters; Synapse's have some 20


class OpenIdVerifier:
    """Asks homeservers whose people may come in; the others are not even looked up."""

    def __init__(self, policy: HomeserverPolicy, federation: FederationClient) -> None:
        self._policy = policy
        self._federation = federation

    async def verify(self, server_name: str, access_token: str) -> UserId:
        """The user id whose token it is.

        Raises `CallerError`: `openid_refused` (the token proves nothing), `server_not_allowed`, or
        `homeserver_unreachable`.
        """
        if parse_server_name(server_name) is None or not 0 < len(access_token) <= TOKEN_LIMIT:
            raise _refused()
        try:
            await self._policy.require_join(server_name)
        except CallerError:
            await self._policy.seen(server_name)  # so that an admin finds who would like to come in
            raise
        path = f"/_matrix/federation/v1/openid/userinfo?access_token={quote(access_token, safe='')}"
        try:
            answer = await self._federation.get(server_name, path)
        except (OutboundFailedError, OutboundRefusedError) as error:
            raise _unreachable(server_name) from error
        except PeerError as error:
            raise _refused() from error
        if answer.status != 200:
            raise _refused()
        try:
            user_id = owned_user(answer.json(), server_name)
        except PeerError as error:
            log.warning("openid answer refused", server=loggable(server_name), reason=str(error))
            raise _refused() from error
        await self._policy.seen(server_name)
        return user_id


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
