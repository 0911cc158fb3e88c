"""What the room lets people do in its call, in real browsers: moderators mute and remove, and every page follows."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.page import Site, faults, sees, until

pytestmark = pytest.mark.browser

SHARE = "org.palabre.call.share"


async def change_power(site: Site, change: dict[str, Any]) -> None:
    """Ana changes the room's power levels: `users` and `events` of `change` are added to them."""
    path = f"/_matrix/client/v3/rooms/{quote(site.room_id, safe='')}/state/m.room.power_levels"
    levels = await site.ask("ana", "GET", path)
    for key, values in change.items():
        levels[key] = levels.get(key, {}) | values
    await site.ask("ana", "PUT", path, levels)


async def moderate(page: Page, name: str, entry: str) -> None:
    """Through the list of people, with the keyboard alone."""
    menu = page.get_by_role("complementary").get_by_role("button", name=f"Modérer {name}")
    await menu.focus()
    await page.keyboard.press("Enter")
    item = page.get_by_role("menuitem", name=entry)
    await item.wait_for()
    while not await item.evaluate("(element) => element === document.activeElement"):
        await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")


async def test_a_moderator_mutes_and_removes_and_who_it_is_done_to_is_told(site: Site, browser: Browser) -> None:
    ana = await site.come(browser, "ana")
    bruno = await site.come(browser, "bruno")
    await sees(ana, "Bruno")
    await sees(bruno, "Ana")
    await ana.keyboard.press("Control+Shift+L")
    assert await faults(ana) == []
    await moderate(ana, "Bruno Lefèvre", "Couper le micro")
    told = bruno.get_by_role("list", name="Avis")
    await expect(told).to_contain_text("Ana Pereira a coupé votre micro. Vous pouvez le rouvrir quand vous voulez.")
    await expect(bruno.get_by_role("alert")).to_contain_text("Ana Pereira a coupé votre micro.")
    await expect(ana.get_by_role("complementary")).to_contain_text("Micro coupé par Ana Pereira")

    await bruno.get_by_role("button", name="Micro coupé, activer").click()
    await expect(ana.get_by_role("article", name="Bruno Lefèvre, micro coupé")).to_have_count(0)
    await expect(ana.get_by_role("complementary")).not_to_contain_text("Micro coupé par")
    await bruno.keyboard.press("Control+Shift+L")
    await expect(bruno.get_by_role("complementary")).to_contain_text("Ana Pereira")
    await expect(bruno.get_by_role("button", name="Modérer")).to_have_count(0)

    tile = ana.get_by_role("article", name="Bruno Lefèvre")
    await tile.hover()
    await tile.get_by_role("button", name="Modérer Bruno Lefèvre").click()
    await ana.get_by_role("menuitem", name="Retirer de l’appel…").click()
    dialog = ana.get_by_role("dialog", name="Retirer Bruno Lefèvre de l’appel")
    await expect(dialog).to_contain_text("ne pourra pas y revenir avant la fin")
    assert await faults(ana) == []
    await ana.keyboard.press("Enter")  # the answer that is marked is no
    await expect(dialog).to_be_hidden()
    assert site.in_call() == ["Ana Pereira", "Bruno Lefèvre"]
    await moderate(ana, "Bruno Lefèvre", "Retirer de l’appel…")
    await ana.get_by_role("button", name="Retirer", exact=True).click()
    await expect(bruno.get_by_role("heading", level=1)).to_have_text("Vous ne faites plus partie de la réunion")
    await until(lambda: site.in_call() == ["Ana Pereira"], "Bruno is out")
    assert site.said == []


async def test_the_page_offers_what_the_room_allows_and_follows_it(site: Site, browser: Browser) -> None:
    ana = await site.come(browser, "ana")
    bruno = await site.come(browser, "bruno")
    await sees(ana, "Bruno")
    bruno_id = site.accounts["bruno"].user_id
    await expect(bruno.get_by_role("button", name="Partager votre écran")).to_be_visible()

    await change_power(site, {"events": {SHARE: 50}})
    locked = bruno.get_by_role("button", name="ce salon ne vous y autorise pas")
    await expect(locked).to_have_accessible_name("Partager : ce salon ne vous y autorise pas.")
    await expect(bruno.get_by_role("list", name="Avis")).to_contain_text("Partager votre écran")
    assert await faults(bruno) == []

    await change_power(site, {"users": {bruno_id: 50}})
    await expect(bruno.get_by_role("button", name="Partager votre écran")).to_be_visible()
    await bruno.keyboard.press("Control+Shift+L")
    await expect(bruno.get_by_role("complementary").get_by_role("button", name="Modérer Ana Pereira")).to_be_visible()

    await change_power(site, {"users": {bruno_id: -1}, "events": {"org.palabre.call.publish": 0}})
    await expect(bruno.get_by_role("region", name="Vous pouvez écouter et écrire")).to_be_visible()
    await expect(bruno.get_by_role("button", name="ce salon ne vous y autorise pas")).to_have_count(3)
    await expect(bruno.get_by_role("button", name="Modérer")).to_have_count(0)
    await expect(ana.get_by_role("article", name="Bruno Lefèvre, micro coupé")).to_be_visible()
    await expect(ana.locator("article video")).to_have_count(1)  # her own

    await change_power(site, {"users": {bruno_id: 0}})
    await bruno.get_by_role("button", name="Caméra coupée, activer").click()
    await sees(ana, "Bruno")
    assert site.said == []
