"""Every screen, in two languages and both themes, as axe sees it: no serious finding, contrast included."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.page import Site, faults

PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
pytestmark = pytest.mark.browser


async def check(page: Page, screen: str, found: dict[str, list[str]]) -> None:
    """Looks at a screen in both themes."""
    for theme in ("light", "dark"):
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # no colour half-way to another
        await page.evaluate(PAINTED)
        if findings := await faults(page):
            found[f"{screen}, {theme}"] = findings


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("fr-FR", {"more": "Plus de commandes", "record": "Enregistrer la réunion", "start": "Enregistrer"}),
        pytest.param(
            "de-DE",
            {"more": "Mehr Funktionen", "record": "Besprechung aufzeichnen", "start": "Aufzeichnen"},
            marks=pytest.mark.long,
        ),
    ],
)
async def test_no_screen_has_a_serious_finding(
    site: Site, browser: Browser, locale: str, words: dict[str, str]
) -> None:
    found: dict[str, list[str]] = {}
    bruno = await site.come(browser, "bruno", locale=locale)
    page = await site.visit(browser, "ana", locale=locale)
    await page.locator("input[name=user]").wait_for()
    await check(page, "sign-in", found)
    await site.sign_in(page, "ana")
    await page.locator("video").wait_for()
    await check(page, "pre-join", found)
    await site.join(page)
    await check(page, "call", found)

    await page.keyboard.press("Control+Shift+M")
    await page.get_by_role("textbox").fill("Bonjour https://example.org/")
    await page.keyboard.press("Enter")
    await check(page, "chat", found)
    await page.keyboard.press("Control+Shift+L")
    await page.get_by_role("button", name=words["more"]).click()
    await check(page, "menu", found)
    await page.get_by_role("menuitem", name=words["record"]).click()
    await check(page, "dialog", found)
    await page.get_by_role("button", name=words["start"], exact=True).click()
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(page.get_by_text("sans réponse" if locale == "fr-FR" else "keine Antwort")).to_have_count(2)
    await check(page, "people", found)
    await bruno.locator("[data-region] section button").first.wait_for()
    await check(bruno, "consent", found)
    await page.get_by_role("toolbar").get_by_role("button").last.click()
    await page.locator("h1").wait_for()
    await check(page, "ended", found)
    assert not found, json.dumps(found, indent=1)
    assert site.said == []
