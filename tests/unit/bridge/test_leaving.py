"""Delegated leaves against a homeserver on a real socket, and through a crash of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.focus_requests import CALL_SLOT, Asked, Delay
from bridge.homeserver_policy import Standing
from palabre.base.errors import CallerError
from palabre.base.http import OutboundHttp
from palabre.base.ids import UserId
from tests.support.bridge_fakes import ALICE, BOB, ROOM
from tests.support.bridge_world import World

HOUR = 3600.0


class Homeserver:
    """Takes requests about delayed events; answers what `answers` holds for them, 200 otherwise."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []  # delay id and action, as they came
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        raw = request.raw_path.removeprefix("/_matrix/client/unstable/org.matrix.msc4140/delayed_events/")
        delay_id, _, action = raw.rpartition("/")
        self.asked.append((delay_id, action))
        assert await request.json() == {}
        status, headers = self.answers.pop(0) if self.answers else (200, {})
        return web.json_response({}, status=status, headers=headers)


@pytest.fixture
async def homeserver() -> AsyncIterator[Homeserver]:
    homeserver = Homeserver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", homeserver.handle)
    server = TestServer(app)
    await server.start_server()
    homeserver.url = str(server.make_url("")).rstrip("/")
    yield homeserver
    await server.close()


@pytest.fixture
async def world(bridge_world: World, homeserver: Homeserver) -> World:
    """Whose own homeserver is that one, also after `restart`."""
    settings = bridge_world.settings
    focus = settings.focus.model_copy(
        update={
            "homeserver": settings.focus.model_validate(
                {"homeserver": {"name": "example.org", "url": homeserver.url}}
            ).homeserver
        }
    )
    bridge_world.settings = settings.model_copy(update={"focus": focus})
    bridge_world.trusted = [homeserver.url]
    await bridge_world.restart()
    return bridge_world


def asked(delay_id: str = "syd_1", timeout: float = HOUR, member: str = "") -> Asked:
    return Asked(ROOM, CALL_SLOT, "DEV", member, delay=Delay(delay_id, timeout))


async def seat(world: World, wanted: Asked, user: UserId = ALICE) -> tuple[str, str]:
    """LiveKit room and identity of somebody who delegated their leaving along with asking for a token."""
    await world.service.focus.seat(user, wanted)
    (room,) = world.relay.state
    return room, f"{user}:DEV"


async def later(world: World, seconds: float) -> None:
    world.clock.advance(seconds)
    world.service._leaves._wake.set()


async def stored(world: World) -> int:
    return int(await world.database.fetchval("SELECT COUNT(*) FROM bridge_leave"))


async def test_a_leaving_is_put_off_while_its_client_is_there_and_sent_when_it_is_not(
    world: World, homeserver: Homeserver
) -> None:
    room, identity = await seat(world, asked())
    assert homeserver.asked == []
    world.relay.join(room, identity)
    await world.until(lambda: homeserver.asked == [("syd_1", "restart")])
    await world.settled()
    await later(world, 0.8 * HOUR)
    await world.until(lambda: homeserver.asked == [("syd_1", "restart")] * 2)
    world.relay.leave(room, identity, "SIGNAL_CLOSE")
    await world.settled()
    assert len(homeserver.asked) == 2
    await later(world, 5)
    await world.until(lambda: homeserver.asked[2:] == [("syd_1", "send")])
    await world.until(lambda: not world.service._leaves._leaves)
    assert await stored(world) == 0


async def test_a_client_that_is_there_already_is_put_off_at_once(world: World, homeserver: Homeserver) -> None:
    await world.service.focus.seat(ALICE, Asked(ROOM, CALL_SLOT, "DEV"))
    (room,) = world.relay.state
    world.relay.join(room, f"{ALICE}:DEV")
    await world.settled()
    await seat(world, asked())
    await world.until(lambda: homeserver.asked == [("syd_1", "restart")])


async def test_a_second_delegation_of_the_same_client_replaces_the_first(world: World, homeserver: Homeserver) -> None:
    room, identity = await seat(world, asked("syd_1"))
    await seat(world, asked("syd_2"))
    world.relay.join(room, identity)
    await world.until(lambda: homeserver.asked == [("syd_2", "restart")])
    assert await stored(world) == 1


async def test_a_leaving_survives_a_crash_and_is_sent_if_its_client_does_not_come_back(
    world: World, homeserver: Homeserver
) -> None:
    room, identity = await seat(world, asked())
    world.relay.join(room, identity)
    await world.until(lambda: homeserver.asked == [("syd_1", "restart")])
    await world.settled()
    await world.restart()
    await later(world, 29)
    await world.settled()
    assert len(homeserver.asked) == 1
    await later(world, 2)
    await world.until(lambda: homeserver.asked[1:] == [("syd_1", "send")])


async def test_a_client_that_comes_back_after_a_crash_stays(world: World, homeserver: Homeserver) -> None:
    room, identity = await seat(world, asked())
    world.relay.join(room, identity)
    await world.until(lambda: len(homeserver.asked) == 1)
    await world.settled()
    await world.restart()
    await world.service.focus.seat(ALICE, Asked(ROOM, CALL_SLOT, "DEV"))
    world.relay.join(room, identity)
    await world.until(lambda: homeserver.asked == [("syd_1", "restart")] * 2)
    await later(world, 60)
    await world.settled()
    assert ("syd_1", "send") not in homeserver.asked


async def test_a_leaving_that_was_taken_over_and_never_heard_of_again_is_sent_after_a_crash_too(
    world: World, homeserver: Homeserver
) -> None:
    await seat(world, asked(timeout=100.0))
    await world.restart()
    await later(world, 50)
    assert homeserver.asked == []
    await later(world, 51)
    await world.until(lambda: homeserver.asked == [("syd_1", "send")])


async def test_what_is_long_over_is_forgotten_at_the_next_start(world: World, homeserver: Homeserver) -> None:
    await seat(world, asked(timeout=100.0))
    world.clock.advance(101)
    await world.restart()
    assert await stored(world) == 0
    assert homeserver.asked == []


async def test_a_homeserver_in_trouble_is_asked_again_when_it_said_and_one_that_refuses_is_not(
    world: World, homeserver: Homeserver
) -> None:
    homeserver.answers = [(502, {}), (429, {"Retry-After": "30"}), (200, {}), (403, {})]
    room, identity = await seat(world, asked())
    world.relay.join(room, identity)
    await world.until(lambda: len(homeserver.asked) == 1)
    await world.until(lambda: not world.service._leaves._busy)
    await later(world, 1)
    await world.until(lambda: len(homeserver.asked) == 2)
    await world.until(lambda: not world.service._leaves._busy)
    await later(world, 29)
    await world.settled()
    assert len(homeserver.asked) == 2
    await later(world, 2)
    await world.until(lambda: len(homeserver.asked) == 3)
    await world.until(lambda: not world.service._leaves._busy)
    await later(world, HOUR)
    await world.until(lambda: not world.service._leaves._leaves)
    assert len(homeserver.asked) == 4


@pytest.mark.parametrize("delay_id", ["a/b", "../../x", "a?b#c", "%2e%2e", "a b", "é"])
async def test_a_hostile_delay_id_stays_one_segment_of_the_path(
    world: World, homeserver: Homeserver, delay_id: str
) -> None:
    room, identity = await seat(world, asked(delay_id))
    world.relay.join(room, identity)
    await world.until(lambda: len(homeserver.asked) == 1)
    ((segment, action),) = homeserver.asked
    assert action == "restart"
    assert "/" not in segment
    assert "?" not in segment


async def test_only_servers_that_may_open_calls_delegate_and_nobody_without_limit(
    world: World, homeserver: Homeserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    focus = world.service.focus
    for number in range(20):
        await focus.delegate(ALICE, asked(member=f"uuid{number}"))
    with pytest.raises(CallerError) as caught:
        await focus.delegate(ALICE, asked(member="another"))
    assert caught.value.status == 429
    await focus.delegate(ALICE, asked("syd_2", member="uuid1"))
    await focus.delegate(BOB, asked())

    async def standing(_server: str) -> Standing:
        return Standing(may_join=True, may_open=False)

    monkeypatch.setattr(focus._policy, "standing", standing)
    refused: list[Any] = []
    for ask in (focus.delegate, focus.seat):
        with pytest.raises(CallerError, match="full access users") as caught:
            await ask(BOB, asked())
        refused.append((caught.value.status, caught.value.code))
    assert refused == [(403, "M_FORBIDDEN"), (400, "M_BAD_JSON")]


async def test_a_homeserver_whose_client_api_lies_in_a_private_network_is_not_asked(world: World) -> None:
    """Its well-known file may say whatever its owner likes."""
    private = OutboundHttp()
    world.service._leaves._http = private
    room, identity = await seat(world, asked())
    world.relay.join(room, identity)
    await world.until(lambda: not world.service._leaves._leaves)
    await private.close()
