"""Puts the parts together that find and judge other homeservers, for the service and for the command line alike."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from appservice.federation.client import FederationClient
from appservice.federation.dns import Dns, DnsResolver
from appservice.federation.homeservers import Homeservers
from appservice.federation.settings import HomeserverSettings
from palabre.base.addresses import PUBLIC_PORTS
from palabre.base.clock import Clock
from palabre.base.database import Database
from palabre.base.http import OutboundHttp


@dataclass(frozen=True)
class Federation:
    """`http` is closed by whoever opened this."""

    http: OutboundHttp
    homeservers: Homeservers
    client: FederationClient


def open_federation(
    settings: HomeserverSettings,
    database: Database,
    clock: Clock,
    *,
    trusted: Iterable[str] = (),
    ssl_context: ssl.SSLContext | None = None,
) -> Federation:
    """Inside the event loop, on a database with `appservice.schema.upgrade_table` applied.

    `trusted`: further addresses from the settings, which `http` may call wherever they lie.
    """
    dns = Dns(settings.nameservers)
    http = OutboundHttp(
        allow_private=settings.allow_private,
        ports=PUBLIC_PORTS | set(settings.ports) if settings.ports else None,
        trusted=[*(str(server.url) for server in settings.servers), *trusted],
        resolver=DnsResolver(dns) if settings.nameservers else None,
        ssl_context=ssl_context,
    )
    homeservers = Homeservers(settings, database, clock)
    return Federation(http, homeservers, FederationClient(http, homeservers, dns, clock))
