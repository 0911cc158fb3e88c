"""Being recorded in an end-to-end encrypted call, answered on Palabre's own page: agreeing, and taking it back.

A yes counts there only as an event that the person's own device encrypts, so what the page sends has to get through the
widget API, real Olm and the bot; what is stored then says which device it was.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest
from playwright.async_api import Frame, Locator, expect

from tests.support.element_call.caller import START_PATIENCE
from tests.support.element_call.home import Home
from tests.support.element_call.meeting import meet
from tests.support.element_call.page_caller import PageCaller
from tests.support.element_call.pages import OUR_PAGE
from tests.support.element_call.stage import Stage
from tests.support.page import ROOT, faults

pytestmark = [pytest.mark.browser, pytest.mark.long]

PATIENCE = START_PATIENCE * 1000  # ms: the recorder comes in first, and answers travel through the homeserver


async def stored(home: Home, room_id: str) -> dict[str, Any]:
    """Everybody in the receipt of the room's one recording, by user id: what `palabre consents export` writes."""
    assert home.palabre is not None
    config = str(home.palabre.folder / "palabre.yaml")
    export = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "palabre.cli", "consents", "export", "--dev", "--config", config, "--room", room_id),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await export.communicate()
    assert export.returncode == 0
    (receipt,) = json.loads(output)["receipts"]
    assert (receipt["call"]["encryption"], receipt["capture"]["kind"]) == ("e2ee", "recording")
    return {person["id"]: person for person in receipt["people"]}


async def start_recording(frame: Frame) -> None:
    await frame.get_by_role("button", name="Plus de commandes").click()
    await frame.get_by_role("menuitem", name="Enregistrer la réunion").click()
    await frame.get_by_role("checkbox", name="Transcrire aussi").uncheck()
    await frame.get_by_role("button", name="Enregistrer", exact=True).click()


async def take_back(frame: Frame) -> Locator:
    """Press the chip and withdraw; the question that follows."""
    await frame.get_by_role("button", name="Enregistrement", exact=True).click()
    await expect(frame.get_by_role("dialog")).to_contain_text("Vous avez accepté.")
    await frame.get_by_role("button", name="Retirer mon accord").click()
    question = frame.get_by_role("region", name="Que faire de ce qui a déjà été enregistré de vous")
    await expect(question).to_contain_text("Retiré, cela n’y sera pas, définitivement.", timeout=PATIENCE)
    await expect(question).to_contain_text("!palabre forget")
    return question


async def test_a_consent_is_given_and_taken_back_and_the_earlier_part_kept_or_removed(stage: Stage) -> None:
    home = await stage.home()
    ana, bruno = await stage.people((home, OUR_PAGE), (home, OUR_PAGE))
    assert isinstance(ana, PageCaller)
    assert isinstance(bruno, PageCaller)
    await stage.gather(ana, bruno, encrypted=True)
    await ana.join()
    await bruno.join()
    await meet(ana, bruno)
    await start_recording(ana.frame)
    await ana.frame.get_by_role("button", name="Participants", exact=True).click()
    people = ana.frame.get_by_role("complementary").get_by_role("listitem")
    of_ana, of_bruno = people.filter(has_text=ana.name), people.filter(has_text=bruno.name)
    await expect(of_ana).to_contain_text(
        "Accepte l’enregistrement", timeout=PATIENCE
    )  # by an event of her own: starting alone is no yes
    await expect(of_bruno).to_contain_text("Enregistrement : sans réponse")

    asked = bruno.frame.get_by_role("region", name="Ana Pereira souhaite enregistrer la réunion.")
    await asked.get_by_role("button", name="J’accepte").click()
    await expect(of_bruno).to_contain_text("Accepte l’enregistrement", timeout=PATIENCE)
    for person in (ana, bruno):
        answers = (await stored(home, person.room_id))[person.user_id]["answers"]
        assert [one["answer"] for one in answers] == ["asked", "yes"]
        proof = answers[-1]["proof"]
        assert (answers[-1]["how"], proof["device_id"]) == ("event", person.device_id)
        assert proof["event_id"].startswith("$")
        assert proof["fingerprint"]

    question = await take_back(bruno.frame)
    await expect(of_bruno).to_contain_text("Refuse l’enregistrement", timeout=PATIENCE)
    assert await faults(bruno.frame) == []
    await stage.picture("taken-back")
    await question.get_by_role("button", name="Retirer").click()
    await expect(bruno.frame.get_by_role("list", name="Avis")).to_contain_text(
        "Ce qui avait été gardé de vous est retiré."
    )
    await expect(question).to_be_hidden()
    kept = await take_back(ana.frame)
    await kept.get_by_role("button", name="Garder").click()
    await expect(of_ana).to_contain_text("Refuse l’enregistrement", timeout=PATIENCE)

    receipt = await stored(home, ana.room_id)
    for person in (ana, bruno):
        assert [one["answer"] for one in receipt[person.user_id]["answers"]] == ["asked", "yes", "no"]
    (_, until) = receipt[bruno.user_id]["consented"][-1]
    assert receipt[bruno.user_id]["removed_until"] >= until
    assert receipt[ana.user_id]["removed_until"] is None

    await ana.leave()  # she changes her mind on the page that follows
    await ana.frame.get_by_role("button", name="Retirer ma partie").click()
    await expect(ana.frame.get_by_role("button", name="Garder")).to_be_focused()
    assert await faults(ana.frame) == []
    await stage.picture("asked-afterwards")
    await ana.frame.get_by_role("button", name="Retirer", exact=True).click()
    await expect(ana.frame.get_by_text("Ce qui avait été gardé de vous est retiré.")).to_be_visible()
    await stage.picture("removed-afterwards")
    (_, until) = (await stored(home, ana.room_id))[ana.user_id]["consented"][-1]
    assert (await stored(home, ana.room_id))[ana.user_id]["removed_until"] >= until
