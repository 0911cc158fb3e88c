"""The whole way through a meeting without touching the mouse."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.page import PASSWORD, Site

pytestmark = pytest.mark.browser

FOCUSED = "() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim()"
MOST_STOPS = 25  # a page where one presses Tab more often than that is not usable by keyboard


async def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    """Press `key` until the focus is on `name`."""
    seen = []
    for _ in range(MOST_STOPS):
        await page.keyboard.press(key)
        seen.append(await page.evaluate(FOCUSED))
        if seen[-1] == name:
            return
    raise AssertionError(f"{name} was not reached, but {seen}")


async def test_join_mute_share_and_leave_by_keyboard_alone(site: Site, browser: Browser) -> None:
    bruno = await site.come(browser, "bruno")
    page = await site.visit(browser, "ana")

    await page.locator("input[name=user]").wait_for()
    await tab_to(page, "")  # the first field has no text of its own; its label is tied to it
    while await page.evaluate("document.activeElement.name") != "user":
        await page.keyboard.press("Tab")
    await page.keyboard.type("ana")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.locator("#meeting-title").wait_for()
    await tab_to(page, "Rejoindre la réunion")
    await page.keyboard.press("Enter")
    await page.locator("#controls").wait_for()

    ana = bruno.get_by_role("article", name="Ana Pereira")
    await expect(ana).to_be_visible()
    await page.keyboard.press("Control+d")
    await expect(ana).to_have_attribute("aria-label", "Ana Pereira, micro coupé")
    await page.keyboard.press("Control+Shift+E")
    await expect(bruno.get_by_role("article", name="Écran partagé par Ana Pereira")).to_be_visible()
    switch = page.get_by_role("toolbar").get_by_role("button", name="Arrêter le partage")
    await expect(switch).to_be_enabled()  # until then it is still starting, and deaf
    await page.keyboard.press("Control+Shift+E")
    await expect(bruno.get_by_role("article", name="Écran partagé par Ana Pereira")).to_be_hidden()

    await page.keyboard.press("Control+Shift+M")
    await expect(page.get_by_role("heading", name="Messages")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("complementary")).to_be_hidden()

    await page.keyboard.press("F6")  # the stage
    await page.keyboard.press("F6")  # the controls: one stop, arrows inside
    await tab_to(page, "Quitter la réunion", "ArrowRight")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Vous avez quitté la réunion")
    await expect(ana).to_be_hidden()
    assert site.said == []


async def test_the_question_of_consent_is_one_key_away(site: Site, browser: Browser) -> None:
    ana = await site.come(browser, "ana")
    bruno = await site.come(browser, "bruno")
    await ana.keyboard.press("F6")
    await ana.keyboard.press("F6")
    await tab_to(ana, "Plus de commandes", "ArrowRight")
    await ana.keyboard.press("Enter")
    await tab_to(ana, "Transcrire la réunion…", "ArrowDown")
    await ana.keyboard.press("Enter")
    await expect(ana.get_by_role("button", name="Transcrire")).to_be_focused()
    await ana.keyboard.press("Enter")

    await expect(bruno.get_by_role("region", name="Ana Pereira souhaite transcrire la réunion.")).to_be_visible()
    await bruno.keyboard.press("F6")
    await expect(bruno.get_by_role("button", name="J’accepte")).to_be_focused()
    await bruno.keyboard.press("Enter")
    await expect(bruno.get_by_role("button", name="J’accepte")).to_be_hidden()
    await bruno.keyboard.press("Control+Shift+L")
    people = bruno.get_by_role("complementary")
    await expect(people.get_by_text("Accepte la transcription")).to_have_count(2)
