"""Where the client API of a homeserver is: by the settings, or by the server's own well-known file; never by a client.

https://spec.matrix.org/v1.16/client-server-api/#well-known-uris
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog

from bridge.settings import ClientApi
from palabre.base.clock import Clock
from palabre.base.errors import CallerError, PeerError
from palabre.base.http import OutboundHttp
from palabre.base.ids import loggable

log = structlog.get_logger("focus")

FOUND_SECONDS = 3600.0  # how long an answer holds
FAILED_SECONDS = 60.0  # a server without one is not asked again for a minute, whoever names it
REMEMBERED = 1000  # servers


@dataclass(frozen=True)
class _Found:
    base_url: str  # empty: there is none
    until: float  # monotonic seconds


class ClientApis:
    """`settings` are addresses that must be among the trusted origins of `http`."""

    def __init__(self, settings: tuple[ClientApi, ...], http: OutboundHttp, clock: Clock) -> None:
        self._given = {api.name: str(api.url).rstrip("/") for api in settings}
        self._http = http
        self._clock = clock
        self._found: OrderedDict[str, _Found] = OrderedDict()

    async def find(self, server_name: str) -> str:
        """The base URL, without a slash at its end. Raises `CallerError`."""
        if given := self._given.get(server_name):
            return given
        known = self._found.get(server_name)
        if known is None or known.until <= self._clock.monotonic():
            known = await self._ask(server_name)
            self._found[server_name] = known
            self._found.move_to_end(server_name)
            while len(self._found) > REMEMBERED:
                self._found.popitem(last=False)
        if not known.base_url:
            raise CallerError("M_BAD_JSON", "Unable to resolve client-server API")
        return known.base_url

    async def _ask(self, server_name: str) -> _Found:
        now = self._clock.monotonic()
        try:
            host = urlsplit(f"//{server_name}").hostname or ""
            written = f"[{host}]" if ":" in host else host
            answer = await self._http.request("GET", f"https://{written}/.well-known/matrix/client")
            if answer.status != 200:
                raise PeerError(f"status {answer.status}")
            return _Found(base_url_in(answer.json()), now + FOUND_SECONDS)
        except (PeerError, ValueError) as error:
            log.info("no client API found", server=loggable(server_name), reason=str(error))
            return _Found("", now + FAILED_SECONDS)


def base_url_in(document: object) -> str:
    """`m.homeserver.base_url` of a well-known file. Raises `PeerError` unless it is an https address and no more."""
    homeserver = document.get("m.homeserver") if isinstance(document, dict) else None
    base_url = homeserver.get("base_url") if isinstance(homeserver, dict) else None
    if not isinstance(base_url, str) or len(base_url) > 1000 or not base_url.isprintable():
        raise PeerError("the well-known file names no client API")
    parts = urlsplit(base_url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise PeerError("the client API in the well-known file has no https address")
    return base_url.rstrip("/")
