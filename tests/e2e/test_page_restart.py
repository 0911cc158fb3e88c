"""The service is killed under people who are in a call with their browsers: they are back without doing anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.deployment import Deployment
from tests.support.page import PASSWORD, PEOPLE, Site, sees

BACK_SECONDS = 10.0  # after the service's return
FRAMES = """(name) => {
  const tiles = [...document.querySelectorAll('article')]
  const video = tiles.find((tile) => tile.getAttribute('aria-label').startsWith(name))?.querySelector('video')
  return video ? video.getVideoPlaybackQuality().totalVideoFrames : 0
}"""


async def moves(page: Page, name: str) -> bool:
    """Whether the picture of `name` moves on just now."""
    before = await page.evaluate(FRAMES, name)
    await asyncio.sleep(0.3)
    return bool(await page.evaluate(FRAMES, name) > before)


@pytest.mark.browser
@pytest.mark.timeout(240)
async def test_everybody_sees_each_other_again_after_the_service_was_killed(
    deployment: Deployment, make_room: Callable[..., Any], browser: Browser
) -> None:
    deployment.settings["web"]["dev_users"] = {
        who: {"password": PASSWORD, "display_name": PEOPLE[who].name} for who in ("ana", "bruno")
    }
    await deployment.start()
    room = await make_room("alice")
    asked = await room.command("alice", "encryption server")  # so that people come by link
    await room.hears("alice", lambda message: message.thread == asked)
    meeting = (await room.door("alice")).meeting
    # The service is a process of its own here.
    site = Site(cast(Any, None), deployment.url, deployment.homeserver, room.room_id, {}, "", meeting=meeting)
    ana, bruno = await site.come(browser, "ana"), await site.come(browser, "bruno")
    await sees(ana, "Bruno")
    await sees(bruno, "Ana")

    await deployment.kill()
    await asyncio.sleep(3.0)
    assert not await moves(ana, "Bruno")
    await deployment.start()
    returned = time.monotonic()
    while not (await moves(ana, "Bruno") and await moves(bruno, "Ana")):
        assert time.monotonic() - returned < 3 * BACK_SECONDS, "they see each other again"
    print(f"everybody was back {time.monotonic() - returned:.1f} s after the service")
    await expect(ana.get_by_role("article")).to_have_count(2)
    await expect(bruno.get_by_role("article")).to_have_count(2)
