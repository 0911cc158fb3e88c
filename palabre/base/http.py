"""The one HTTP client of the service: for calling machines whose names strangers chose.

Bounded in everything: where it may go (`palabre.base.addresses`), how long it takes, how much it reads, how often it is
sent elsewhere. What an operator wrote into the settings (`trusted`) may lie in a private network; everything else is
checked at the moment of connecting, on the address itself, so that a name that changes between look-up and connection
(DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from palabre.base import metrics
from palabre.base.addresses import AddressRules
from palabre.base.errors import PeerError

TIMEOUT = 10.0  # seconds for the whole exchange, redirects included: somebody waits to get into a call
MAX_BYTES = 64 * 1024  # an OpenID answer or a well-known file has a few hundred bytes
MAX_REDIRECTS = 3  # well-known files are served from a www. name or with a slash added; more is a loop
CONNECTIONS = 32  # at once, so that strangers' names can't take every file descriptor
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_outcomes = metrics.counter("outbound_requests", "HTTP requests to other machines", ["outcome"])


class OutboundRefusedError(PeerError):
    """We don't call that address, and why: it was not asked."""


class OutboundFailedError(PeerError):
    """Nobody answered: unknown name, no connection, a certificate for somebody else, too slow. Later may be better."""


@dataclass(frozen=True)
class Answer:
    """A whole response; `body` is at most as long as was asked for."""

    status: int
    headers: Mapping[str, str]  # names in any case
    body: bytes

    def json(self) -> Any:
        """The body as JSON, whatever its content type says. Raises `PeerError`."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise PeerError("the answer is not JSON") from error


Tls = ssl.SSLContext | aiohttp.Fingerprint


@dataclass(frozen=True)
class _Trust:
    """What is taken on the operator's word for one address: that it may be called, and who must answer there."""

    address: bool = False
    tls: Tls | None = None


class _AddressRefusedError(OSError):
    """Raised where aiohttp opens its socket; the text has no address, so that several of them read the same."""


class OutboundHttp:
    """Build it inside the event loop, one per service; `close` when the service ends.

    `trusted` are origins from the settings (`http://synapse:8008`): neither their address nor their port is checked,
    but a redirect from there to elsewhere is. `ssl_context` is for tests with certificates of their own.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        ports: Collection[int] | None = None,
        trusted: Collection[str] = (),
        timeout: float = TIMEOUT,
        max_bytes: int = MAX_BYTES,
        resolver: AbstractResolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._rules = AddressRules(allow_private, None if ports is None else frozenset(ports))
        self._trusted = frozenset(URL(origin).origin() for origin in trusted)
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._resolver = resolver
        self._ssl = ssl_context
        self._guarded = self._session(guard=True)
        self._open = self._session(guard=False)

    def _session(self, *, guard: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=CONNECTIONS,
            force_close=True,  # calls are rare, and no connection outlives the check that it passed
            use_dns_cache=False,
            resolver=self._resolver,
            ssl=self._ssl or True,
            socket_factory=self._guarded_socket if guard else None,
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "Palabre", "Accept-Encoding": "identity"},
            auto_decompress=False,  # a small body must not become a large one
            trust_env=False,  # a proxy would connect in our place, unchecked
        )

    def _guarded_socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, where = info
        if (reason := self._rules.refuse_address(str(where[0]))) is not None:
            raise _AddressRefusedError(reason)
        return socket.socket(family, kind, protocol)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json_body: Any = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        server_name: str | None = None,
        redirects: int = MAX_REDIRECTS,
        max_bytes: int | None = None,
        trusted: bool = False,
        tls: Tls | None = None,
    ) -> Answer:
        """Ask once and read the whole answer, whatever its status.

        `body` is sent as it is; `headers` say of which type. `server_name` is what the certificate must name and the
        Host header says where that is not the URL's host: a Matrix server found through an SRV record. Redirects are
        followed for GET alone, never from https to http, and without the headers once they lead to another origin;
        with `redirects` 0 the redirect itself is the answer.
        `trusted`: somebody who runs the service gave this address, as those of the settings. `tls`: what the
        certificate is checked against instead of the machine's authorities; both end with the first redirect.

        Raises `OutboundRefusedError`, `OutboundFailedError`, or `PeerError` for an answer that is too long or leads
        nowhere.
        """
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._follow(
                    method,
                    _parse(url),
                    dict(headers or {}),
                    {"json": json_body} if json_body is not None else {"data": form if body is None else body},
                    server_name,
                    redirects if method == "GET" else 0,
                    max_bytes or self._max_bytes,
                    _Trust(trusted, tls),
                )
        except (PeerError, aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            outcome, declared = _declare(error)
            _outcomes.labels(outcome).inc()
            raise declared from (None if declared is error else error)
        _outcomes.labels("answered").inc()
        return answer

    async def _follow(
        self,
        method: str,
        url: URL,
        headers: dict[str, str],
        body: dict[str, Any],
        server_name: str | None,
        redirects: int,
        max_bytes: int,
        trust: _Trust,
    ) -> Answer:
        for remaining in range(redirects, -1, -1):
            answer = await self._ask(method, url, headers, body, server_name, max_bytes, trust)
            if not redirects or answer.status not in _REDIRECTS:
                return answer
            if not remaining:
                break
            target = url.join(_parse(answer.headers.get("Location", "")))
            if url.scheme == "https" and target.scheme == "http":
                raise PeerError("the answer leads from https to http")
            if (target.scheme, target.raw_host, target.port) != (url.scheme, url.raw_host, url.port):
                headers, server_name, trust = {}, None, _Trust()
            url = target
        raise PeerError(f"the answer leads elsewhere more than {redirects} times")

    async def _ask(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: Mapping[str, Any],
        server_name: str | None,
        max_bytes: int,
        trust: _Trust,
    ) -> Answer:
        session = self._open if trust.address else self._choose(url)
        named = _parse(f"https://{server_name}") if server_name else None
        sent = {**headers, "Host": named.raw_authority} if named else dict(headers)
        certificate_name = named.raw_host if named else None
        async with session.request(
            method,
            url,
            headers=sent,
            allow_redirects=False,
            server_hostname=certificate_name,
            ssl=trust.tls or True,
            **body,
        ) as response:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise PeerError("the answer is compressed, which was not asked for")
            return Answer(response.status, response.headers, await _read(response, max_bytes))

    def _choose(self, url: URL) -> aiohttp.ClientSession:
        """The session for `url`. Raises `OutboundRefusedError`."""
        if url.scheme in ("http", "https") and url.raw_host and url.origin() in self._trusted:
            return self._open
        if (reason := self._rules.refuse_url(url)) is not None:
            raise OutboundRefusedError(reason)
        return self._guarded

    async def certificate(self, host: str, port: int, server_name: str, *, trusted: bool = False) -> bytes:
        """The certificate that is shown for `server_name` there, in DER, whether it is any good or not.

        For telling an operator what is wrong with it; nothing is sent. Raises as `request`.
        """
        if not trusted and (reason := self._rules.refuse_url(_parse(f"https://{host}:{port}"))) is not None:
            raise OutboundRefusedError(reason)
        try:
            async with asyncio.timeout(self._timeout):
                return await self._shown(host, port, server_name, trusted)
        except (aiohttp.ClientError, OSError) as error:
            raise _declare(error)[1] from error

    async def _shown(self, host: str, port: int, server_name: str, trusted: bool) -> bytes:
        host = host.strip("[]")
        address, real_port = host, port
        if not _is_address(host):
            resolver = self._resolver or aiohttp.ThreadedResolver()
            found = (await resolver.resolve(host, port, socket.AF_UNSPEC))[0]
            address, real_port = str(found["host"]), found["port"]
        if not trusted and (reason := self._rules.refuse_address(address)) is not None:
            raise OutboundRefusedError(reason)
        look = ssl.create_default_context()
        look.check_hostname, look.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection(address, real_port, ssl=look, server_hostname=server_name)
        try:
            shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return shown or b""
        finally:
            writer.transport.abort()

    async def close(self) -> None:
        """End the connections that are open."""
        await self._guarded.close()
        await self._open.close()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _parse(url: str) -> URL:
    try:
        return URL(url)
    except ValueError as error:
        raise PeerError("that is no web address") from error


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_chunked(16 * 1024):
        body += piece
        if len(body) > max_bytes:
            raise PeerError(f"the answer is longer than {max_bytes} bytes")
    return bytes(body)


def _declare(error: Exception) -> tuple[str, PeerError]:
    """The outcome to count and the error to raise, whose text has no address in it."""
    match error:
        case OutboundRefusedError():
            return "refused", error
        case PeerError():
            return "broken", error
        case aiohttp.InvalidURL():
            return "refused", OutboundRefusedError("that is no web address")
        case aiohttp.ClientConnectorDNSError():
            return "failed", OutboundFailedError("no server has that name", code="unknown_name")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "failed", OutboundFailedError("the server has no valid certificate for its name", code="certificate")
        case aiohttp.ServerFingerprintMismatch():
            return "failed", OutboundFailedError(
                "the server has another certificate than the one that was given", code="another_certificate"
            )
        case aiohttp.ClientConnectorError(os_error=_AddressRefusedError() as refusal):
            return "refused", OutboundRefusedError(str(refusal))
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            return "broken", PeerError("the answer breaks HTTP", code="broken")
        case TimeoutError():
            return "failed", OutboundFailedError("the server took too long to answer", code="timeout")
        case _:
            return "failed", OutboundFailedError("the server could not be reached", code="unreachable")
