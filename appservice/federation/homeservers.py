"""The homeservers that we know: who may come in, where they are, and what changes while the service runs.

Everything here reads the database each time, because the command line writes into it while the service runs.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Protocol

import aiohttp
import structlog

from appservice.federation.client import NotListedError, Pinned
from appservice.federation.names import ServerName, parse_server_name
from appservice.federation.records import Level, Pin, Record, Rules, level_of, without_port
from appservice.federation.settings import HomeserverSettings
from appservice.federation.store import HomeserverStore
from palabre.base.clock import Clock
from palabre.base.database import Database
from palabre.base.errors import CallerError
from palabre.base.http import Tls
from palabre.base.ids import loggable

LOOK_SECONDS = 1.0  # between two looks for changes from the command line: a refused server's people leave within it

log = structlog.get_logger("federation")


class HomeserverListener(Protocol):
    """Told when what a server's people may do has changed. Implemented by bridge."""

    async def standing_changed(self, server_name: str) -> None: ...


class Homeservers:
    """Implements `appservice.federation.client.AddressBook`. `listener` is set before `watch` runs."""

    listener: HomeserverListener

    def __init__(self, settings: HomeserverSettings, database: Database, clock: Clock) -> None:
        self.rules = Rules(settings.own, Level(settings.default), settings.closed, frozenset(settings.allowed))
        self.contact = settings.contact or settings.own
        self.store = HomeserverStore(database, clock)
        self._given = {server.name.lower(): str(server.url).rstrip("/") for server in settings.servers}

    async def level(self, server_name: str) -> Level:
        """What people of that server may do now. A name that is none may do nothing."""
        name = parse_server_name(server_name)
        return Level.REFUSE if name is None else await self._level(name)

    async def _level(self, name: ServerName) -> Level:
        host = without_port(name)
        host_record = None if host is None else await self.store.get(host.key)
        return level_of(name, await self.store.get(name.key), host_record, self.rules)

    async def require(self, server_name: str) -> Level:
        """Raises `CallerError("server_not_allowed")` for a server whose people may not come in."""
        level = await self.level(server_name)
        if level is Level.REFUSE:
            raise CallerError(
                "server_not_allowed",
                f"People of {server_name} may not come into calls here. Whom to ask: {self.contact}.",
                status=403,
                server=server_name,
                contact=self.contact,
            )
        return level

    async def seen(self, server_name: str) -> None:
        """Somebody proved to be of that server, or tried to. The first time it becomes a record."""
        name = parse_server_name(server_name)
        if name is not None and await self.store.seen(name.key):
            log.info("a homeserver was seen for the first time", server=loggable(name.key))

    async def pinned(self, name: ServerName) -> Pinned | None:
        """Raises `NotListedError` in a closed federation for a server that nobody listed."""
        record = await self.store.get(name.key)
        if record is not None and record.pin.address:
            return Pinned(record.pin.address, tls_of(record.pin))
        if name.key in self._given:
            return Pinned(self._given[name.key])
        if self.rules.closed and (record is None or not record.listed) and name.key != self.rules.own.lower():
            raise NotListedError("the federation is closed and that server is not on its list")
        return None

    async def known(self) -> Sequence[tuple[Record, Level]]:
        """Every record with what its people may do; the own server is always among them."""
        if await self.store.get(self.rules.own.lower()) is None:
            await self.store.decide(self.rules.own.lower(), None, listed=True, own=True)
        result = []
        for record in await self.store.all():
            name = parse_server_name(record.name)
            if name is not None:
                result.append((record, await self._level(name)))
        return result

    async def watch(self) -> None:
        """Tell the listener of every decision, whoever made it where; until cancelled."""
        revision = await self.store.revision()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                for record in await self.store.changed_since(revision):
                    await self.listener.standing_changed(record.name)
                    revision = max(revision, record.revision)
            except Exception:
                log.exception("could not look for changed homeservers")


def tls_of(pin: Pin) -> Tls | None:
    """What the certificate is checked against; None: the machine's authorities."""
    if pin.fingerprint:
        return aiohttp.Fingerprint(bytes.fromhex(pin.fingerprint))
    if pin.authority:
        return ssl.create_default_context(cadata=pin.authority)
    return None
