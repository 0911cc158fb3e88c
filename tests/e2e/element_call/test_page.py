"""Palabre's own page as a MatrixRTC client, meeting itself and Element Call: encrypted from person to person."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support.element_call.meeting import carried, keys_came_by_olm, meet
from tests.support.element_call.page_caller import PageCaller
from tests.support.element_call.pages import COMPATIBLE_26, LEGACY_19, OUR_PAGE, STICKY_26, ElementCall
from tests.support.element_call.relay_view import on_relay
from tests.support.element_call.stage import Stage
from tests.support.page import faults, until

pytestmark = pytest.mark.browser


async def test_two_pages_meet_end_to_end_encrypted_write_and_leave(stage: Stage) -> None:
    home = await stage.home()
    ana, bruno = await stage.people((home, OUR_PAGE), (home, OUR_PAGE))
    assert isinstance(ana, PageCaller)
    await stage.gather(ana, bruno, encrypted=True)
    await ana.open()
    await expect(ana.frame.get_by_text("Chiffré de bout en bout")).to_be_visible()
    await ana.enter_call()
    await bruno.join()
    await meet(ana, bruno)
    await keys_came_by_olm(ana, bruno)
    assert all(person.encrypted for person in await carried(ana, bruno))
    assert await faults(ana.frame) == []

    await ana.frame.get_by_role("button", name="Chiffré de bout en bout").click()
    await expect(ana.frame.get_by_role("dialog")).to_contain_text("sans pouvoir les lire")
    await ana.frame.page.keyboard.press("Escape")
    await bruno.frame.get_by_role("button", name="Messages").click()
    await bruno.frame.get_by_label("Écrire un message").fill("Bonjour")
    await bruno.frame.page.keyboard.press("Enter")
    await ana.frame.get_by_role("button", name="Messages, 1 non lu").click()
    await expect(ana.frame.get_by_role("log")).to_contain_text("Bonjour")
    await stage.picture("met")

    await bruno.leave()
    await ana.alone()
    assert len(await home.member_events(ana.account, ana.room_id)) == 1


@pytest.mark.long
@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "encrypted"])
@pytest.mark.parametrize("call", [COMPATIBLE_26, LEGACY_19, STICKY_26], ids=["0.26-compatible", "0.19", "0.26-sticky"])
async def test_a_page_and_an_element_call_meet(stage: Stage, call: ElementCall, encrypted: bool) -> None:
    home = await stage.home()
    ana, bruno = await stage.people((home, OUR_PAGE), (home, call))
    await stage.gather(ana, bruno, encrypted=encrypted)
    await ana.join()
    await bruno.join()
    await meet(ana, bruno)
    assert {person.encrypted for person in await carried(ana, bruno)} == {encrypted}
    await stage.picture("met")
    await bruno.leave()
    await ana.alone()


@pytest.mark.long
async def test_a_page_that_is_closed_is_gone_and_comes_back(stage: Stage) -> None:
    home = await stage.home()
    ana, bruno = await stage.people((home, OUR_PAGE), (home, OUR_PAGE))
    assert isinstance(bruno, PageCaller)
    await stage.gather(ana, bruno, encrypted=True)
    await ana.join()
    await bruno.join()
    await meet(ana, bruno)
    await bruno.open()  # the frame goes away with the call in it, and opens anew

    async def withdrawn() -> bool:
        return len(await home.member_events(ana.account, ana.room_id)) == 1

    await until(withdrawn, "Bruno's member event is withdrawn")
    await ana.alone()
    await bruno.enter_call()
    await meet(ana, bruno)


@pytest.mark.long
@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "encrypted"])
@pytest.mark.parametrize("call", [OUR_PAGE, COMPATIBLE_26], ids=["page", "0.26"])
async def test_each_sends_to_their_own_palabre_and_hears_the_others(
    stage: Stage, call: ElementCall, encrypted: bool
) -> None:
    here, there = await stage.federation()
    ana, bruno = await stage.people((here, OUR_PAGE), (there, call))
    await stage.gather(ana, bruno, encrypted=encrypted)
    await ana.join()
    await bruno.join()
    await meet(ana, bruno)
    for home in (here, there):
        assert home.palabre is not None
        people = (await on_relay(home.palabre)).values()
        assert sorted(person.tracks for person in people) == [0, 2]
        assert all(person.encrypted == encrypted for person in people if person.tracks)
    if encrypted:
        await keys_came_by_olm(ana, bruno)
    await stage.picture("met")


@pytest.mark.long
async def test_a_killed_browser_leaves_no_ghost(stage: Stage) -> None:
    home = await stage.home()
    ana, bruno = await stage.people((home, OUR_PAGE), (home, OUR_PAGE))
    await stage.gather(ana, bruno, encrypted=True)
    await ana.join()
    await bruno.join()
    await meet(ana, bruno)
    await bruno.browser.kill()
    await ana.alone(patience=60)
    assert not [key for key in await home.member_events(ana.account, ana.room_id) if bruno.user_id in key]
