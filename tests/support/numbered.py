"""Pictures and sounds in pages that say whose they are: numbered cameras, one tone per person, and reading both back.

What is read back is what was sent, not merely "connected": the number comes from decoded pixels at two instants, the
tone from the sound that the page plays.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from playwright.async_api import Frame, Page

from tests.support import stamps, tones
from tests.support.page import until

PATIENCE = 30.0
SCREEN = 16  # the screen of person n shows n + 16
_APART = 0.4  # seconds between two looks: six pictures of the numbered camera
_NEAR = 20  # Hz: a bin of the page's analyser is 6 wide
_STAMPED = (Path(__file__).parent / "browser" / "stamped.js").read_text(encoding="utf-8")


def numbered_devices(person: int) -> str:
    """A script that gives documents (and their frames) a numbered camera and a microphone with the person's tone."""
    wish = json.dumps({"person": person, "tone": tones.FREQUENCIES[person]})
    return f"{stamps.READER}\n({_STAMPED})({wish})"


async def moving(page: Page | Frame) -> set[int]:
    """The numbers of pictures that moved on between two looks."""
    before = dict(await page.evaluate("readStamps()"))
    await asyncio.sleep(_APART)
    after = dict(await page.evaluate("readStamps()"))
    return {person for person, frame in after.items() if person in before and before[person] != frame}


async def hears(page: Page | Frame) -> set[int]:
    """The tones of `tones.FREQUENCIES` that the page plays."""
    loudest = await page.evaluate("tones()")
    return {tone for tone in tones.FREQUENCIES if any(abs(tone - one) < _NEAR for one in loudest)}


async def shows(page: Page | Frame, *people: int, patience: float = PATIENCE) -> None:
    """Wait until the pictures of these people move in the page."""

    async def all_there() -> bool:
        return set(people) <= await moving(page)

    await until(all_there, f"pictures {people} move", patience)


async def plays(page: Page | Frame, *people: int, patience: float = PATIENCE) -> None:
    """Wait until the page plays these people's tones."""
    wanted = {tones.FREQUENCIES[person] for person in people}

    async def all_there() -> bool:
        return wanted <= await hears(page)

    await until(all_there, f"tones of {people} sound", patience)
