"""The page as a widget inside a Matrix client of another origin, which vouches for the person."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from palabre.demo.homeserver import HomeserverError
from tests.support.page import Site, faults, frame_widget, until

pytestmark = pytest.mark.browser


async def test_a_member_joins_from_the_room_without_typing_anything(
    site: Site, browser: Browser, matrix_client_page: str
) -> None:
    ana = await site.come(browser, "ana")
    page, widget = await frame_widget(site, browser, matrix_client_page, "bruno", language="de")
    await widget.get_by_role("button", name="An der Besprechung teilnehmen").click()
    await expect(widget.get_by_role("article", name="Ana Pereira")).to_be_visible()
    await expect(ana.get_by_role("article", name="Bruno Lefèvre")).to_be_visible()
    assert 'answer capabilities {"capabilities":["m.always_on_screen"]}' in await page.evaluate("heard")
    await until(lambda: _heard(page, 'request set_always_on_screen {"value":true}'), "it asks to stay on screen")

    await page.evaluate("ask('theme_change', { name: 'dark' })")
    await expect(widget.locator("html")).to_have_attribute("data-theme", "dark")
    assert await faults(page.frames[1]) == []

    await widget.get_by_role("button", name="Besprechung verlassen").click()
    await expect(widget.get_by_role("heading", level=1)).to_have_text("Sie haben die Besprechung verlassen")
    await until(lambda: _heard(page, 'request set_always_on_screen {"value":false}'), "it needs the screen no more")
    assert site.said == []


async def test_somebody_who_left_the_room_is_told_so(site: Site, browser: Browser, matrix_client_page: str) -> None:
    room = site.room_id.replace("!", "%21").replace(":", "%3A")
    await site.ask("bruno", "POST", f"/_matrix/client/v3/rooms/{room}/leave", {})
    with pytest.raises(HomeserverError):
        await site.ask("bruno", "GET", f"/_matrix/client/v3/rooms/{room}/joined_members")
    _, widget = await frame_widget(site, browser, matrix_client_page, "bruno")
    await expect(widget.get_by_role("heading", level=1)).to_have_text("Vous n’êtes pas dans le salon de cette réunion")
    await expect(widget.locator("code")).to_have_text("not_in_room")


async def test_somebody_whose_client_does_not_vouch_is_told_so(
    site: Site, browser: Browser, matrix_client_page: str
) -> None:
    _, widget = await frame_widget(site, browser, matrix_client_page, "bruno", vouch=False)
    await expect(widget.get_by_role("heading", level=1)).to_have_text("Votre identité n’a pas été partagée")
    await expect(widget.get_by_role("button", name="Réessayer")).to_be_visible()


async def test_another_site_may_not_frame_the_page(site: Site, browser: Browser, matrix_client_page: str) -> None:
    page = await site.new_page(browser, "ana", size=(600, 640), theme="light")
    await page.goto(matrix_client_page.replace("127.0.0.1", "localhost"))
    await page.evaluate("(url) => frame(url)", site.url + site.widget_path(matrix_client_page))
    await until(lambda: page.frames[-1].url.startswith("chrome-error:"), "the browser shows an error in the frame")


async def _heard(page: Page, message: str) -> bool:
    return message in await page.evaluate("heard")
