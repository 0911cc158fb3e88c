"""Two thousand people come and go, two hundred rooms live and end: the relay holds afterwards what it held before.

The relay is a process of its own. Its clients leave as people do: they say so, close the tab, or are just gone; some
resume, some come again under the same identity while they are still there. Every third publishes, and the others of
its room take it.
"""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.support.light.client import LightClient
from tests.support.measured_relay import Census, MeasuredRelay, measured_relay

pytestmark = [pytest.mark.long, pytest.mark.alone, pytest.mark.timeout(1500)]

WARM_UP = 400  # joins, until every pool and cache of the process has the size that it keeps
JOINS, LIVES = 2000, 200
AT_ONCE = 15  # people in all rooms together: thirty joins a second keep two cores from being the limit
ROOMS = 6
GOODBYES = ("leave", "tab", "gone")
SHARE = 1.05  # of what there was before, that there may be afterwards


class People:
    """Clients by number, all in this process."""

    def __init__(self, relay: MeasuredRelay, http: aiohttp.ClientSession) -> None:
        self._relay, self._http = relay, http
        self._places = asyncio.Semaphore(AT_ONCE)
        self.joined = 0

    async def visit(self, number: int, room: str, *, publishes: bool, stays: float) -> None:
        """One person's time in a room, with one connection or two by turns."""
        identity = f"{room}-{number}"
        token = self._relay.token(identity, room)
        client = LightClient(self._http, self._relay.http, identity, single=number % 2 == 0)
        await client.join(token)
        self.joined += 1
        if publishes:
            await client.publish("audio")
            await client.publish("video")
        await asyncio.sleep(stays)
        if number % 7 == 6:
            await client.resume(token)
        if number % 10 == 9:  # again, in another window; the one before is sent away
            again = LightClient(self._http, self._relay.http, identity, single=client.single)
            await again.join(token)
            await client.leave("gone")
            client = again
        await client.leave(GOODBYES[number % len(GOODBYES)])

    async def _visit(self, number: int) -> None:
        async with self._places:
            await self.visit(number, f"room-{number % ROOMS}", publishes=number % 3 == 0, stays=0.5)

    async def come_and_go(self, numbers: range) -> None:
        await asyncio.gather(*(self._visit(number) for number in numbers))

    async def _live(self, number: int) -> None:
        """A room of three, to its end."""
        async with self._places:
            people = [self.visit(each, f"life-{number}", publishes=each == 0, stays=0.3) for each in range(3)]
            await asyncio.gather(*people)

    async def live(self, numbers: range) -> None:
        await asyncio.gather(*(self._live(number) for number in numbers))


async def settled(relay: MeasuredRelay) -> Census:
    """Once everybody is gone and every room has ended."""
    async with asyncio.timeout(60):
        while (census := relay.census()).members or census.rooms:  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.2)
        await asyncio.sleep(6)  # the time that a WebSocket's close handshake is given, and the goodbyes of transports
    return relay.census(collect=True)


async def test_two_thousand_visits_and_two_hundred_rooms_leave_nothing_behind() -> None:
    times, ends = {"grace": 1.0}, {"departure_timeout": 0.5}
    connector = aiohttp.TCPConnector(limit=0)
    with measured_relay(timeouts=times, rooms=ends) as relay:
        async with aiohttp.ClientSession(connector=connector) as http:
            people = People(relay, http)
            await people.come_and_go(range(WARM_UP))
            await people.live(range(LIVES, LIVES + WARM_UP // 10))  # as many at once as later on
            before = await settled(relay)
            await people.come_and_go(range(WARM_UP, WARM_UP + JOINS))
            await people.live(range(LIVES))
        after = await settled(relay)
    assert people.joined == WARM_UP + JOINS + 3 * (LIVES + WARM_UP // 10)
    print(f"before {before}\nafter  {after}")
    for what in ("memory", "descriptors", "tasks", "threads"):
        assert getattr(after, what) <= getattr(before, what) * SHARE, what
