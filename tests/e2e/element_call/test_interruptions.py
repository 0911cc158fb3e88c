"""What breaks during a call, and what everybody sees of it: a browser, the service, the homeserver, a membership."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest

from tests.support.element_call.caller import Caller
from tests.support.element_call.home import Home
from tests.support.element_call.meeting import meet
from tests.support.element_call.pages import COMPATIBLE_26, LEGACY_19, PATIENT_19, STICKY_26, ElementCall
from tests.support.element_call.relay_view import answer_to, on_relay
from tests.support.element_call.stage import Stage
from tests.support.page import until

pytestmark = [pytest.mark.browser, pytest.mark.long]

A_MINUTE = 60.0
AGAIN = 5.0
BACK = 10.0  # seconds after the service is there again
# Where its port is closed meanwhile, clients try at 0, 0.3, 1.2, 2.7, 4.8 and then every 7 seconds; the first attempt
# that reaches a restarted service is to resume what it has no more, the next one is a connection from scratch.
CLIENTS_PACE = 20.0
RELEASES = [
    pytest.param(COMPATIBLE_26, id="0.26"),
    pytest.param(LEGACY_19, id="0.19"),
]


async def two_in_a_call(stage: Stage, home: Home, *calls: ElementCall) -> list[Caller]:
    """Ana and Bruno, who see and hear each other in an encrypted room."""
    people = await stage.people(*((home, call) for call in calls))
    await stage.gather(*people, encrypted=True)
    for caller in people:
        await caller.join()
    await meet(*people)
    return people


async def both_members(home: Home, *callers: Caller) -> None:
    """The room says of everybody that they are in the call."""

    async def all_there() -> bool:
        members = await home.member_events(callers[0].account, callers[0].room_id)
        return len(members) == len(callers)

    await until(all_there, "everybody is a member of the call", 30.0)


@pytest.mark.parametrize(
    "call", [*RELEASES, pytest.param(PATIENT_19, id="patient-0.19"), pytest.param(STICKY_26, id="sticky-0.26")]
)
async def test_a_killed_browser_leaves_no_ghost_in_the_call(stage: Stage, call: ElementCall) -> None:
    home = await stage.home()
    ana, bruno = await two_in_a_call(stage, home, call, call)
    await bruno.browser.kill()
    await ana.alone(patience=A_MINUTE)
    members = await home.member_events(ana.account, ana.room_id)
    assert not [key for key in members if bruno.user_id in key]


async def is_killed_during_a_call(stage: Stage, call: ElementCall, *, holds_port: bool, patience: float) -> None:
    home = await stage.home()
    palabre = home.palabre
    assert palabre is not None
    if holds_port:
        await palabre.stop()
        palabre.hold_port()
        await palabre.start()
    ana, bruno = await two_in_a_call(stage, home, call, call)
    await palabre.kill()
    await palabre.start()
    await meet(ana, bruno, patience=patience)


@pytest.mark.parametrize("call", RELEASES)
async def test_everybody_is_back_after_the_service_was_killed(stage: Stage, call: ElementCall) -> None:
    await is_killed_during_a_call(stage, call, holds_port=True, patience=BACK)


@pytest.mark.parametrize("call", RELEASES)
async def test_everybody_is_back_at_their_own_pace_where_the_port_was_closed(stage: Stage, call: ElementCall) -> None:
    await is_killed_during_a_call(stage, call, holds_port=False, patience=CLIENTS_PACE)


@pytest.mark.parametrize("call", [pytest.param(COMPATIBLE_26, id="0.26"), pytest.param(PATIENT_19, id="0.19")])
async def test_the_call_goes_on_while_the_homeserver_is_away_for_a_minute(stage: Stage, call: ElementCall) -> None:
    home = await stage.home()
    ana, bruno = await two_in_a_call(stage, home, call, call)
    await asyncio.to_thread(home.homeserver.stop)
    for _ in range(6):
        await asyncio.sleep(A_MINUTE / 6)
        await meet(ana, bruno)
    await asyncio.to_thread(home.homeserver.start)
    await meet(ana, bruno)
    await both_members(home, ana, bruno)


@pytest.mark.parametrize("how", ["kick", "ban"])
async def test_who_is_put_out_of_the_room_is_put_out_of_the_call(stage: Stage, how: str) -> None:
    home = await stage.home()
    ana, bruno = await two_in_a_call(stage, home, COMPATIBLE_26, LEGACY_19)
    palabre = home.palabre
    assert palabre is not None
    assert await answer_to(palabre, bruno) == (200, "")

    room = quote(ana.room_id, safe="")
    await home.ask(ana.account, "POST", f"/v3/rooms/{room}/{how}", {"user_id": bruno.user_id})

    async def only_ana() -> bool:
        return list(await on_relay(palabre)) == [f"{ana.user_id}:{ana.device_id}"]

    await until(only_ana, "only Ana is on the relay")
    await ana.alone()
    assert await answer_to(palabre, bruno) == (403, "M_FORBIDDEN")
    await asyncio.sleep(AGAIN)  # time in which Bruno's client tries to connect again
    assert await only_ana()
