"""A small Internet on the loopback address: names from a real DNS server, machines with real TLS sockets.

`async with internet() as net:` then `net.machine("matrix.example", {443: site})`. Only the ports are not real: what
listens "on 443" listens on a free port, and the resolver of the tests says which.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from appservice.federation.client import AddressBook, FederationClient, Pinned
from appservice.federation.dns import Dns, DnsResolver
from appservice.federation.names import ServerName
from palabre.base.clock import ManualClock
from palabre.base.http import OutboundHttp
from palabre.demo.certificates import write_self_signed
from tests.support.nameserver import NameServer, name_server

Site = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Ports(AbstractResolver):
    """The addresses that DNS says, on the free ports that stand for the well-known ones."""

    def __init__(self, inner: AbstractResolver, ports: Mapping[tuple[str, int], int]) -> None:
        self._inner = inner
        self._ports = ports

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        return [ResolveResult({**one, "port": self._ports.get((host, port), port)}) for one in found]

    async def close(self) -> None:
        """Nothing stays open."""


class NoBook:
    """An address book without a page."""

    async def pinned(self, _name: ServerName) -> Pinned | None:
        return None


@dataclass
class Internet:
    folder: Path
    dns: NameServer
    stack: AsyncExitStack
    clock: ManualClock = field(default_factory=ManualClock)
    ports: dict[tuple[str, int], int] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # machine, Host header, path
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    def name(self, host: str, kind: str, *answers: list[str]) -> None:
        """Answers of the DNS, one look-up after the other; the last one stays."""
        self.dns.records[host, kind] = [list(answer) for answer in answers]

    async def machine(
        self,
        host: str,
        site: Site,
        *ports: int,
        certificate: str = "",
        address: str = "127.0.0.1",
        trusted: bool = True,
    ) -> int:
        """A machine with that name. Returns the port that it really listens on."""
        named = certificate or host
        files = self.folder / f"{named}.pem", self.folder / f"{named}.key"
        write_self_signed(named, *files)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*files)
        if trusted:
            self.trust.load_verify_locations(files[0])

        async def answer(request: web.Request) -> web.StreamResponse:
            self.asked.append((host, request.headers["Host"], request.path))
            return await site(request)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        self.stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        real: int = runner.addresses[0][1]
        self.ports |= {(host, port): real for port in ports}
        self.name(host, "A", [address])
        return real

    @property
    def srv(self) -> Dns:
        return Dns([self.dns.address])

    @property
    def resolver(self) -> AbstractResolver:
        return _Ports(DnsResolver(self.srv), self.ports)

    def http(self, **options: Any) -> OutboundHttp:
        http = OutboundHttp(resolver=self.resolver, ssl_context=self.trust, **options)
        self.stack.push_async_callback(http.close)
        return http

    def client(self, book: AddressBook | None = None, **options: Any) -> FederationClient:
        """Allowed to call private addresses unless told otherwise: these machines have no others."""
        http = self.http(**({"allow_private": True} | options))
        return FederationClient(http, book or NoBook(), self.srv, self.clock, choose=lambda: 0.0)


@asynccontextmanager
async def internet(folder: Path) -> AsyncIterator[Internet]:
    async with AsyncExitStack() as stack:
        dns = await stack.enter_async_context(name_server({}))
        yield Internet(folder, dns, stack)


def answering(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Site:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(document, status=status, headers=headers)

    return answer


async def missing(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound
