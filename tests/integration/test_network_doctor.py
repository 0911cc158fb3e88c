"""`palabre doctor --network` against a real relay: what is open, what is closed, and who may ask."""

from __future__ import annotations

import aiohttp

from media.relay.reach import MAX_OPEN
from palabre.base.clock import SystemClock
from palabre.network_doctor import NetworkDoctor
from palabre.network_findings import examine
from tests.support.relay import API_KEY, API_SECRET, RunningRelay, running_relay


def doctor(relay: RunningRelay, secret: str = API_SECRET) -> NetworkDoctor:
    return NetworkDoctor(relay.http, API_KEY, secret, SystemClock())


async def test_a_relay_that_works_is_reached_in_every_way_and_nobody_joins() -> None:
    async with running_relay() as relay:
        facts = await doctor(relay).facts()
        assert (facts.websocket, facts.reach, facts.public) == (401, 200, False)
        assert [(way.protocol, way.answers) for way in facts.ways] == [("udp", True), ("tcp", True)]
        assert all(finding.ok for finding in examine(facts, "fr"))
        assert relay.events == []


async def test_a_port_that_does_not_lead_here_is_told() -> None:
    async with running_relay(advertised=("127.0.0.9",)) as relay:
        ways = (await doctor(relay).facts()).ways
        assert [way.answers for way in ways] == [False, False]
        assert [finding.ok for finding in examine(await doctor(relay).facts(), "de")][-3:] == [False, False, True]


async def test_only_holders_of_the_key_may_try_and_only_some_at_a_time() -> None:
    async with running_relay() as relay, aiohttp.ClientSession() as http:
        assert (await doctor(relay, "another-secret-of-the-right-length").facts()).reach == 401

        async def ask(token: str) -> int:
            async with http.get(relay.http + "/rtc/reach", headers={"Authorization": f"Bearer {token}"}) as answer:
                return answer.status

        assert await ask(relay.token("ann", "room")) == 403
        listing = relay.token("ann", "", room_join=False, room_list=True)
        assert [await ask(listing) for _ in range(MAX_OPEN + 1)] == [200] * MAX_OPEN + [429]
