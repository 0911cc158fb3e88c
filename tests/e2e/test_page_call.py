"""Two people in one call, each in a real browser: they see each other, write, and come back after a reload."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.page import Site, until

pytestmark = pytest.mark.browser

SEES = """(name) => {
  const tile = [...document.querySelectorAll('article')].find((t) => t.getAttribute('aria-label').startsWith(name))
  const video = tile?.querySelector('video')
  return video ? video.videoWidth > 0 && video.currentTime > 0.5 && !video.paused : false
}"""


async def sees(page: Page, name: str) -> None:
    """The tile of `name` shows a picture that moves on."""
    await page.wait_for_function(SEES, arg=name)


async def test_two_people_see_each_other_write_and_agree_to_a_recording(site: Site, browser: Browser) -> None:
    ana = await site.come(browser, "ana")
    bruno = await site.come(browser, "bruno", locale="de-DE", theme="dark")
    await sees(ana, "Bruno")
    await sees(bruno, "Ana")

    await bruno.get_by_role("button", name="Nachrichten").click()
    await bruno.get_by_label("Nachricht schreiben").fill("Guten Morgen")
    await bruno.keyboard.press("Enter")
    await ana.get_by_role("button", name="Messages, 1 non lu").click()
    await expect(ana.get_by_role("log")).to_contain_text("Guten Morgen")

    await ana.get_by_role("button", name="Plus de commandes").click()
    await ana.get_by_role("menuitem", name="Enregistrer la réunion").click()
    await ana.get_by_role("button", name="Enregistrer", exact=True).click()
    await expect(ana.get_by_role("button", name="Enregistrement")).to_be_visible()
    await bruno.get_by_role("button", name="Ich lehne ab").click()
    await ana.keyboard.press("Control+Shift+L")
    people = ana.get_by_role("complementary")
    await expect(people).to_contain_text("Refuse l’enregistrement")
    await expect(people).to_contain_text("Accepte la transcription")

    await ana.get_by_role("button", name="Quitter la réunion").click()
    await expect(ana.get_by_role("heading", level=1)).to_have_text("Vous avez quitté la réunion")
    await expect(ana.locator("main")).to_contain_text("L’enregistrement et la transcription seront publiés")
    await until(lambda: site.in_call() == ["Bruno Lefèvre"], "only Bruno is left")
    assert site.said == []
