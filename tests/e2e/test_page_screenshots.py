"""The pictures of the page in docs/screenshots, taken from a running Palabre; look at them before you commit them.

The test always takes them; it keeps them in docs/ when `PALABRE_SCREENSHOTS=1` is set, else in a temporary folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Browser, Page, expect

from tests.support.page import ROOT, Site, frame_widget, sees

pytestmark = [pytest.mark.browser, pytest.mark.long]

SIZE = (1280, 800)
COLOURS = 2000  # a picture with people in it has more; an empty page or a spinner has a few dozen
LOOKS = 8  # at a picture, on a machine that is slow to draw
SETTLED = 1500  # ms; people's pictures reach full size when the largest simulcast layer is there


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return ROOT / "docs" / "screenshots" if os.environ.get("PALABRE_SCREENSHOTS") == "1" else tmp_path


async def take(page: Page, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    for _ in range(LOOKS):
        await page.wait_for_timeout(SETTLED)
        await page.screenshot(path=path)
        with Image.open(path) as picture:
            if picture.convert("RGB").getcolors(COLOURS) is None:
                return
    pytest.fail(f"{path.name} shows next to nothing")


async def test_the_pictures_of_the_documentation(
    site: Site, browser: Browser, matrix_client_page: str, folder: Path
) -> None:
    bruno = await site.come(browser, "bruno", size=SIZE)
    chloe = await site.come(browser, "chloe", size=SIZE)
    ana = await site.visit(browser, "ana", size=SIZE)
    await site.sign_in(ana, "ana")
    await expect(ana.get_by_text("2 personnes sont déjà là")).to_be_visible()
    await take(ana, folder / "prejoin.png")

    await site.join(ana)
    for name in ("Bruno", "Chloé"):
        await sees(ana, name)
    await chloe.keyboard.press("Control+d")
    await bruno.keyboard.press("Control+d")
    await bruno.keyboard.press("Control+Shift+M")
    await bruno.get_by_role("textbox").fill("Bonjour à toutes et à tous, l’ordre du jour est dans le salon.")
    await bruno.keyboard.press("Enter")
    await ana.keyboard.press("Control+Shift+M")
    await ana.get_by_role("textbox").fill("Merci Bruno, commençons par la feuille de route.")
    await ana.keyboard.press("Enter")
    await take(ana, folder / "call-three.png")

    await chloe.keyboard.press("Control+Shift+E")
    await expect(ana.get_by_role("article", name="Écran partagé par Chloé Marchand")).to_be_visible()
    await take(ana, folder / "screen-share.png")
    await chloe.keyboard.press("Control+Shift+E")

    await bruno.keyboard.press("Control+Shift+M")
    await bruno.get_by_role("button", name="Plus de commandes").click()
    await bruno.get_by_role("menuitem", name="Enregistrer la réunion").click()
    await bruno.get_by_role("button", name="Enregistrer", exact=True).click()
    await ana.keyboard.press("Control+Shift+L")
    await expect(ana.get_by_role("button", name="J’accepte")).to_be_visible()
    await take(ana, folder / "consent.png")

    await bruno.get_by_role("button", name="Enregistrement").click()
    await bruno.get_by_role("button", name="Retirer mon accord").click()
    await expect(bruno.get_by_role("region", name="Que faire de ce qui a déjà été enregistré")).to_be_visible()
    await take(bruno, folder / "withdrawal.png")
    await bruno.get_by_role("button", name="Garder").click()
    await ana.get_by_role("button", name="Quitter la réunion").click()

    page, widget = await frame_widget(site, browser, matrix_client_page, "ana")
    await widget.get_by_role("button", name="Rejoindre la réunion").click()
    await widget.get_by_role("button", name="J’accepte").click()
    await expect(widget.get_by_role("article")).to_have_count(3)
    await take(page, folder / "widget.png")
