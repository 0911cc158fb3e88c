"""People of two homeservers in one call: on one Palabre, and on one Palabre each, where each sends to their own."""

from __future__ import annotations

import pytest

from tests.support.element_call.meeting import carried, keys_came_by_olm, meet
from tests.support.element_call.pages import COMPATIBLE_26, LEGACY_19, STICKY_26, ElementCall
from tests.support.element_call.relay_view import on_relay
from tests.support.element_call.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.long]

PAIRS = [
    pytest.param(COMPATIBLE_26, COMPATIBLE_26, id="0.26-and-0.26"),
    pytest.param(LEGACY_19, LEGACY_19, id="0.19-and-0.19"),
    pytest.param(LEGACY_19, COMPATIBLE_26, id="0.19-and-0.26"),
    pytest.param(STICKY_26, STICKY_26, id="sticky-0.26-and-0.26"),
]


@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "encrypted"])
@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_people_of_two_servers_meet_on_the_palabre_of_one(
    stage: Stage, first: ElementCall, second: ElementCall, encrypted: bool
) -> None:
    here, there = await stage.federation(palabres=1)
    ana, bruno = await stage.people((here, first), (there, second))
    await stage.gather(ana, bruno, encrypted=encrypted)
    await ana.join()
    await bruno.join()
    await meet(ana, bruno)
    assert {person.encrypted for person in await carried(ana, bruno)} == {encrypted}
    if encrypted:
        await keys_came_by_olm(ana, bruno)
    await stage.picture("met")


@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "encrypted"])
@pytest.mark.parametrize("call", [COMPATIBLE_26, STICKY_26], ids=["0.26", "sticky-0.26"])
async def test_each_sends_to_the_palabre_of_their_own_server_and_receives_from_the_others(
    stage: Stage, call: ElementCall, encrypted: bool
) -> None:
    here, there = await stage.federation()
    ana, bruno = await stage.people((here, call), (there, call))
    await stage.gather(ana, bruno, encrypted=encrypted)
    await ana.join()
    await bruno.join()
    await meet(ana, bruno)
    for home in (here, there):
        assert home.palabre is not None
        people = (await on_relay(home.palabre)).values()
        assert sorted(person.tracks for person in people) == [0, 2]  # their own sends here, the other only receives
        assert all(person.encrypted == encrypted for person in people if person.tracks)
    if encrypted:
        await keys_came_by_olm(ana, bruno)
    await stage.picture("met")


async def test_three_people_of_two_servers_with_two_releases_meet_on_two_palabres(stage: Stage) -> None:
    """Tchap's release sends to the relay of whoever was first; today's to their own server's."""
    here, there = await stage.federation()
    ana, bruno, chloe = await stage.people((here, COMPATIBLE_26), (there, COMPATIBLE_26), (there, LEGACY_19))
    await stage.gather(ana, bruno, chloe, encrypted=True)
    for caller in (ana, bruno, chloe):
        await caller.join()
    await meet(ana, bruno, chloe)
    await keys_came_by_olm(ana, bruno, chloe)
    await stage.picture("met")
