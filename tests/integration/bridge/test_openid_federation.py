"""OpenID tokens of a federated homeserver, found and verified as federation does, over TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import pytest

from appservice.federation.client import FederationClient, Pinned
from appservice.federation.dns import Dns
from appservice.federation.names import ServerName
from bridge.homeserver_policy import EverybodyMayCome
from bridge.openid import OpenIdVerifier
from palabre.base.clock import SystemClock
from palabre.base.errors import CallerError
from palabre.base.http import OutboundHttp
from palabre.demo.homeserver import Homeserver


class Book:
    """Knows where one server is."""

    def __init__(self, name: str, url: str) -> None:
        self._name, self._url = name, url

    async def pinned(self, name: ServerName) -> Pinned | None:
        return Pinned(self._url) if name.text == self._name else None


async def refusal(verifier: OpenIdVerifier, server: str, token: str) -> str:
    with pytest.raises(CallerError) as caught:
        await verifier.verify(server, token)
    return caught.value.code


async def test_a_homeserver_vouches_for_its_own_people_over_federation(
    new_homeserver: Callable[..., Homeserver], homeserver: Homeserver
) -> None:
    other = new_homeserver(federation=True)
    await asyncio.to_thread(other.start)
    alice = await asyncio.to_thread(other.register, "alice")
    path = f"/_matrix/client/v3/user/{alice.user_id}/openid/request_token"
    answer = await asyncio.to_thread(other.request, "POST", path, {}, token=alice.access_token)
    token = answer["access_token"]
    trusting = ssl.create_default_context(cafile=str(other.folder / "tls.crt"))
    book = Book(homeserver.server_name, homeserver.url)
    http = OutboundHttp(allow_private=True, ssl_context=trusting)
    strict = OutboundHttp(allow_private=True)
    guarded = OutboundHttp()

    def verifier(client: OutboundHttp) -> OpenIdVerifier:
        return OpenIdVerifier(EverybodyMayCome(), FederationClient(client, book, Dns(), SystemClock()))

    try:
        assert await verifier(http).verify(other.server_name, token) == alice.user_id
        # Their token under another server's name, and a server whose certificate nobody vouches for or that is ours.
        assert await refusal(verifier(http), homeserver.server_name, token) == "openid_refused"
        assert await refusal(verifier(http), other.server_name, "forged") == "openid_refused"
        for client in (strict, guarded):
            assert await refusal(verifier(client), other.server_name, token) == "homeserver_unreachable"
    finally:
        for client in (http, strict, guarded):
            await client.close()
