"""Two people in one call, each in a real browser: they see each other, write, and come back after a reload."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.support.page import Site, sees, until

pytestmark = pytest.mark.browser


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


async def test_a_reloaded_page_replaces_its_own_ghost(site: Site, browser: Browser) -> None:
    ana = await site.come(browser, "ana")
    bruno = await site.come(browser, "bruno")
    await sees(bruno, "Ana")
    await ana.reload()
    await site.sign_in(ana, "ana")
    await site.join(ana)
    await sees(bruno, "Ana")
    await sees(ana, "Bruno")
    await expect(bruno.get_by_role("article")).to_have_count(2)
    assert site.in_call() == ["Ana Pereira", "Bruno Lefèvre"]
    assert site.said == []


async def test_coming_in_without_camera_and_microphone_is_possible(site: Site, browser: Browser) -> None:
    bruno = await site.come(browser, "bruno")
    page = await site.visit(browser, "ana")
    await page.evaluate(
        """() => {
          navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'))
        }"""
    )
    await site.sign_in(page, "ana")
    await page.get_by_role("button", name="Rejoindre sans micro ni caméra").click()
    await expect(bruno.get_by_role("article", name="Ana Pereira, micro coupé")).to_be_visible()
    await page.get_by_role("button", name="Micro coupé, activer").click()
    await expect(page.get_by_role("list", name="Avis")).to_contain_text("Votre micro n’est pas accessible.")
    assert site.said == []


async def test_the_same_person_in_two_tabs_is_two_seats(site: Site, browser: Browser) -> None:
    first = await site.come(browser, "ana")
    await site.come(browser, "ana")
    await expect(first.get_by_role("article")).to_have_count(2)


async def test_a_wrong_password_and_a_wrong_link_are_told_in_words(site: Site, browser: Browser) -> None:
    page = await site.visit(browser, "ana")
    await page.locator("input[name=user]").fill("ana")
    await page.locator("input[name=password]").fill("wrong")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert").first).to_contain_text("Identifiant ou mot de passe incorrect")
    other = await site.visit(browser, "ana", path="/m/nothing2here")
    await other.locator("input[name=user]").fill("ana")
    await other.locator("input[name=password]").fill("demo")
    await other.keyboard.press("Enter")
    await expect(other.get_by_role("heading", level=1)).to_have_text("Cette réunion n’existe pas")
    await expect(other.locator("code")).to_have_text("meeting_not_found")


async def test_a_call_that_the_server_ends_says_why(site: Site, browser: Browser) -> None:
    page = await site.come(browser, "ana")
    (room,) = site.service.relay.rooms()
    (person,) = site.service.relay.participants(room.name)
    await site.service.relay.remove_participant(room.name, person.identity)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Vous ne faites plus partie de la réunion")
    await expect(page.get_by_role("button", name="Revenir dans la réunion")).to_be_hidden()
