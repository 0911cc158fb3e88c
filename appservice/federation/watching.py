"""Looks at every known homeserver from time to time, and stores what was seen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from appservice.federation.client import FederationClient, NotListedError
from appservice.federation.homeservers import Homeservers
from appservice.federation.names import parse_server_name
from appservice.federation.records import Level, Record
from appservice.federation.survey import Survey, Surveyor
from palabre.base.clock import Clock
from palabre.base.http import OutboundHttp
from palabre.base.ids import loggable
from palabre.base.metrics import gauge

AT_ONCE = 4  # servers looked at side by side: a large federation must not be a burst
JITTER = 0.2  # of the interval, so that many Palabres don't knock at the same moment
FORGET_AFTER = 30 * 86_400.0  # seconds: servers that nobody decided about and nobody came from are not looked at

log = structlog.get_logger("federation")
failing = gauge("homeservers_failing", "Known homeservers that did not answer when last looked at")


class HomeserverWatch:
    """`look` for one server, `run` for all of them for ever."""

    def __init__(
        self,
        homeservers: Homeservers,
        client: FederationClient,
        http: OutboundHttp,
        clock: Clock,
        interval: float,
        *,
        own_url: str = "",
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._homeservers = homeservers
        self._client = client
        self._surveyor = Surveyor(http, client, homeservers, clock)
        self._clock = clock
        self._interval = interval
        self._own_url = own_url
        self._pause = pause

    async def look(self, server_name: str, *, afresh: bool = False) -> Survey:
        """`afresh`: somebody asks, so what is remembered of where it is does not count."""
        name = parse_server_name(server_name)
        key = server_name if name is None else name.key
        record = await self._homeservers.store.get(key)
        if afresh:
            self._client.forget(key)
        rules = self._homeservers.rules
        try:
            survey = await self._surveyor.look(
                key,
                signing_key="" if record is None else record.pin.signing_key,
                client_url=self._own_url if key == rules.own.lower() else "",
                closed=rules.closed,
            )
        except NotListedError as refusal:
            return Survey(problem=refusal.reason)
        reached = survey.reached and not survey.key_problem
        await self._homeservers.store.observed(key, survey.facts(), reached=reached)
        if not reached and record is not None and record.failing_since is None:
            log.warning("a homeserver fails", server=loggable(key), reason=survey.problem or survey.key_problem)
        return survey

    async def look_at_all(self) -> None:
        """Every server that its people may come from, a few at a time."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(record: Record) -> None:
            async with gate:
                await self.look(record.name)

        known = await self._homeservers.known()
        wanted = [record for record, level in known if self._worth_a_look(record, level)]
        await asyncio.gather(*(one(record) for record in wanted))
        failing.set(sum(record.failing_since is not None for record, _ in await self._homeservers.known()))

    def _worth_a_look(self, record: Record, level: Level) -> bool:
        if record.own or record.listed:
            return True
        return level is not Level.REFUSE and self._clock.wall() - (record.last_seen or 0.0) < FORGET_AFTER

    async def run(self) -> None:
        while True:
            await self._pause(self._interval * (1 + JITTER * (2 * random.random() - 1)))  # noqa: S311  not a secret
            try:
                await self.look_at_all()
            except Exception:
                log.exception("could not look at homeservers")
