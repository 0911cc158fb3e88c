"""Puts the parts together that find and judge other homeservers, for the service and for the command line alike."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp.abc import AbstractResolver

from appservice.federation.client import FederationClient
from appservice.federation.dns import Dns, DnsResolver, SrvLookup
from appservice.federation.homeservers import Homeservers
from appservice.federation.settings import HomeserverSettings
from appservice.federation.watching import HomeserverWatch
from palabre.base.addresses import PUBLIC_PORTS
from palabre.base.clock import Clock
from palabre.base.database import Database
from palabre.base.http import OutboundHttp


@dataclass(frozen=True)
class Federation:
    """`http` is closed by whoever opened this."""

    database: Database
    http: OutboundHttp
    homeservers: Homeservers
    client: FederationClient
    watch: HomeserverWatch


def open_federation(
    settings: HomeserverSettings,
    database: Database,
    clock: Clock,
    *,
    trusted: Iterable[str] = (),
    resolver: AbstractResolver | None = None,
    srv: SrvLookup | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> Federation:
    """Inside the event loop, on a database with `appservice.schema.upgrade_table` applied.

    `trusted`: further addresses from the settings, which `http` may call wherever they lie. `resolver`, `srv` and
    `ssl_context` are for tests, whose machines have names and certificates of their own.
    """
    dns = Dns(settings.nameservers)
    http = OutboundHttp(
        allow_private=settings.allow_private,
        ports=PUBLIC_PORTS | set(settings.ports) if settings.ports else None,
        trusted=[*(str(server.url) for server in settings.servers), *trusted],
        resolver=resolver or (DnsResolver(dns) if settings.nameservers else None),
        ssl_context=ssl_context,
    )
    homeservers = Homeservers(settings, database, clock)
    client = FederationClient(http, homeservers, srv or dns, clock)
    own_url = next((str(server.url) for server in settings.servers if server.name == settings.own), "")
    watch = HomeserverWatch(homeservers, client, http, clock, settings.check_interval, own_url=own_url)
    return Federation(database, http, homeservers, client, watch)
