"""Asks other homeservers over federation: finds them as the specification says, and remembers where, and who failed.

What is remembered is bounded, and a name that leads nowhere is left alone for a minute, whoever gives it: whoever can
make us look for servers must not be able to make us knock at a stranger's door again and again.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from appservice.federation.dns import SrvLookup, SrvUnknownError
from appservice.federation.names import ServerName, parse_server_name
from appservice.federation.resolving import (
    LIFETIME_DEFAULT,
    Srv,
    SrvRecord,
    Target,
    WellKnown,
    after_srv,
    after_well_known,
    delegation,
    first,
    lifetime,
)
from palabre.base.clock import Clock
from palabre.base.errors import PeerError
from palabre.base.http import Answer, OutboundFailedError, OutboundHttp, OutboundRefusedError, Tls
from palabre.base.ids import loggable

PATIENCE = 10.0  # seconds for finding a server and its answer together: somebody waits to get into a call
WELL_KNOWN_PATIENCE = 4.0  # seconds: a domain may have a homeserver and no web server that answers
FAILED_SECONDS = 60.0  # a name that leads nowhere is not asked again for a minute, whoever gives it
REMEMBERED = 1000  # names, so that strangers' names don't fill the memory

log = structlog.get_logger("federation")


@dataclass(frozen=True)
class Pinned:
    """A homeserver whose address somebody who runs the service gave: nothing is looked up."""

    url: str
    tls: Tls | None = None


class NotListedError(OutboundRefusedError):
    """The federation is closed and the server is not on its list."""


class AddressBook(Protocol):
    """What those who run the service know about where servers are."""

    async def pinned(self, name: ServerName) -> Pinned | None:
        """Its address, or None when federation is to find it. Raises `NotListedError`."""
        ...


@dataclass
class _Entry:
    """What is known of one name. Times are monotonic seconds."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    targets: tuple[Target, ...] = ()
    until: float = 0.0  # how long `targets` holds
    failed_until: float = 0.0
    proven: bool = False  # it answered at `targets`


class FederationClient:
    """One per process.

    Concurrency: the lock of a name is held until it has answered once, so that a hundred callers with the name of a
    dead server are one request; a name that has answered is asked by everybody side by side.
    """

    def __init__(
        self,
        http: OutboundHttp,
        book: AddressBook,
        srv: SrvLookup,
        clock: Clock,
        *,
        choose: Callable[[], float] = random.random,
    ) -> None:
        self._http = http
        self._book = book
        self._srv = srv
        self._clock = clock
        self._choose = choose
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    async def get(self, server_name: str, path: str) -> Answer:
        """`GET path` of the federation API of that server, unsigned, whatever the status.

        Raises `OutboundRefusedError` for a server that is not called, `OutboundFailedError` when it does not answer, or
        did not less than a minute ago, `PeerError` for an answer that breaks HTTP.
        """
        name = _parsed(server_name)
        pinned = await self._book.pinned(name)
        entry = self._entry(name)
        if not self._usable(entry, pinned):
            async with entry.lock:
                return await self._patiently(name, path, entry, pinned)
        return await self._patiently(name, path, entry, pinned)

    async def find(self, server_name: str) -> tuple[Target, ...]:
        """Where other servers find it, the best place first, whatever address is given for it here. Raises as `get`."""
        name = _parsed(server_name)
        entry = self._entry(name)
        async with entry.lock:
            if entry.until <= self._clock.monotonic():
                self._require_not_failed(entry)
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._resolve(name, entry)
            except TimeoutError:
                raise self._failed(
                    entry, OutboundFailedError("the server took too long to answer", code="timeout")
                ) from None
        return entry.targets

    def forget(self, server_name: str) -> None:
        """Look for it anew: somebody who runs the service asks, or has changed its address."""
        self._entries.pop(server_name.lower(), None)

    def _usable(self, entry: _Entry, pinned: Pinned | None) -> bool:
        return entry.proven and (pinned is not None or entry.until > self._clock.monotonic())

    def _entry(self, name: ServerName) -> _Entry:
        entry = self._entries.setdefault(name.key, _Entry())
        self._entries.move_to_end(name.key)
        while len(self._entries) > REMEMBERED:
            self._entries.popitem(last=False)
        return entry

    def _require_not_failed(self, entry: _Entry) -> None:
        if entry.failed_until > self._clock.monotonic():
            raise OutboundFailedError("the server did not answer less than a minute ago", code="recently")

    def _failed(self, entry: _Entry, error: PeerError) -> PeerError:
        entry.failed_until = self._clock.monotonic() + FAILED_SECONDS
        entry.proven = False
        return error

    async def _patiently(self, name: ServerName, path: str, entry: _Entry, pinned: Pinned | None) -> Answer:
        self._require_not_failed(entry)
        try:
            async with asyncio.timeout(PATIENCE):
                if pinned is not None:
                    answer = await self._ask_pinned(pinned, path)
                else:
                    await self._resolve(name, entry)
                    answer = await self._ask(entry.targets, path)
        except TimeoutError:
            raise self._failed(
                entry, OutboundFailedError("the server took too long to answer", code="timeout")
            ) from None
        except (OutboundFailedError, OutboundRefusedError) as error:
            log.info("homeserver unreachable", server=loggable(name.key), reason=str(error))
            raise self._failed(entry, error) from None
        entry.proven = True
        return answer

    async def _ask_pinned(self, pinned: Pinned, path: str) -> Answer:
        return await self._http.request("GET", pinned.url.rstrip("/") + path, redirects=0, trusted=True, tls=pinned.tls)

    async def _ask(self, targets: tuple[Target, ...], path: str) -> Answer:
        problem: PeerError = OutboundFailedError("the domain says that it has no such server", code="no_server")
        for target in targets:
            try:
                return await self._http.request("GET", target.url + path, server_name=target.name, redirects=0)
            except (OutboundFailedError, OutboundRefusedError) as error:
                problem = error
        raise problem

    async def _resolve(self, name: ServerName, entry: _Entry) -> None:
        """Fill in `targets` unless they still hold. Raises `OutboundRefusedError`."""
        now = self._clock.monotonic()
        if entry.targets and entry.until > now:
            return
        holds = LIFETIME_DEFAULT
        step = first(name)
        while not isinstance(step, tuple):
            if isinstance(step, WellKnown):
                delegated, holds = await self._well_known(step)
                step = after_well_known(step, delegated)
            else:
                records, known = await self._records(step)
                holds = holds if known else min(holds, FAILED_SECONDS)
                step = after_srv(step, records, self._choose)
        entry.targets, entry.until, entry.proven = step, now + holds, False

    async def _well_known(self, step: WellKnown) -> tuple[ServerName | None, float]:
        """What the name delegates to, and for how long. No answer, or nonsense, means that it does not delegate."""
        url = f"https://{step.host}/.well-known/matrix/server"
        try:
            async with asyncio.timeout(WELL_KNOWN_PATIENCE):
                answer = await self._http.request("GET", url)
            delegated = delegation(answer.json()) if answer.status == 200 else None
        except (PeerError, TimeoutError):
            return None, LIFETIME_DEFAULT
        return delegated, LIFETIME_DEFAULT if delegated is None else lifetime(answer.headers)

    async def _records(self, step: Srv) -> tuple[tuple[SrvRecord, ...], bool]:
        """The records, and whether a name server said so."""
        try:
            return await self._srv.srv(step), True
        except SrvUnknownError:
            return (), False


def _parsed(server_name: str) -> ServerName:
    name = parse_server_name(server_name)
    if name is None:
        raise OutboundRefusedError("that is no server name", code="no_server_name")
    return name
