"""livekit-client in Chromium over narrow and interrupted links: which layer comes through, and how soon again.

Ann publishes 1280 x 720 in three layers that cost what they may; Ben's network is the bad one unless it says otherwise.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright

from tests.support.links import turn
from tests.support.links.browser import tab_at
from tests.support.links.call import keep, relay_in
from tests.support.links.model import PERFECT, Profile, Step
from tests.support.links.network import Leg, Network, network
from tests.support.livekit_tab import FOLDERS, RED, ROOM, Tab
from tests.support.relay import RunningRelay

pytestmark = [pytest.mark.long, pytest.mark.alone, pytest.mark.browser]
both_modes = pytest.mark.parametrize("single", [False, True], ids=["dual", "single"])

TONE = 440
FULL, LOW = 1280, 320
LOOK_EVERY = 0.1  # seconds
BACK = 5.0  # seconds until the high layer is back after a squeeze


@dataclass
class Scene:
    relay: RunningRelay
    net: Network
    ann: Tab
    ben: Tab

    def leg(self, tab: Tab) -> Leg:
        return self.net.legs[tab.name]


@asynccontextmanager
async def scene(folder: Path, *, single: bool, **settings: Any) -> AsyncIterator[Scene]:
    """Ann publishes and Ben watches, each in a browser and a network of their own."""
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network("ann", "ben"))
        if "turn" in settings:
            await stack.enter_async_context(turn.coturn(net, folder))
        relay = await stack.enter_async_context(relay_in(net, static=FOLDERS, **settings))
        playwright = await stack.enter_async_context(async_playwright())
        tabs = [await stack.enter_async_context(tab_at(leg, relay, playwright, folder)) for leg in net.legs.values()]
        made = Scene(relay, net, *tabs)
        await made.ann.join(single=single)
        await made.ben.join(single=single)
        await made.ann.call("publish", RED[0], TONE, {"restless": True})
        await made.ben.sees("ann", RED[1], width=FULL)
        await made.ben.hears("ann", TONE)
        yield made


async def watch(tab: Tab, seconds: float) -> list[tuple[float, int, int]]:
    """What Ben sees of Ann for a while: (when, number, width)."""
    seen = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        looked = await tab.page.evaluate("who => look(who)", "ben<ann:camera")
        if looked:
            seen.append((time.monotonic(), looked["number"], looked["width"]))
        await asyncio.sleep(LOOK_EVERY)
    return seen


def longest_still(seen: list[tuple[float, int, int]]) -> float:
    """Seconds for which the picture did not move."""
    longest, since, number = 0.0, seen[0][0], seen[0][1]
    for at, now, _ in seen:
        if now != number:
            since, number = at, now
        longest = max(longest, at - since)
    return longest


async def back_at_full(tab: Tab, since: float, seconds: float) -> float:
    """Seconds after `since` until the high layer is seen again."""
    while time.monotonic() < since + seconds:
        looked = await tab.page.evaluate("who => look(who)", "ben<ann:camera")
        if looked and looked["width"] == FULL:
            return time.monotonic() - since
        await asyncio.sleep(LOOK_EVERY)
    return float("inf")


@both_modes
async def test_half_a_megabit_carries_sound_and_a_moving_picture(single: bool, tmp_path: Path) -> None:
    async with scene(tmp_path, single=single) as it:
        began = await it.leg(it.ben).follow(down=[Step(0, Profile(rate=500_000))])
        await asyncio.sleep(5)
        seen = await watch(it.ben, 20)
        await it.ben.hears("ann", TONE)
        trace = await it.leg(it.ben).report()
    stills, widths = longest_still(seen), sorted({width for _, _, width in seen})
    keep(
        f"rate-500-{'single' if single else 'dual'}",
        began=began,
        leg=trace,
        figures={"longest still picture": f"{stills:.1f} s", "widths seen": widths},
    )
    assert stills <= 2.0
    assert max(widths) < FULL


@both_modes
async def test_the_high_layer_is_back_within_seconds_after_a_squeeze(single: bool, tmp_path: Path) -> None:
    squeeze = [Step(0, Profile(rate=300_000)), Step(15, PERFECT)]
    async with scene(tmp_path, single=single) as it:
        began = await it.leg(it.ben).follow(down=squeeze)
        await asyncio.sleep(4)
        seen = await watch(it.ben, 10.5)
        await asyncio.sleep(max(0.0, began + 15 - time.monotonic()))
        back = await back_at_full(it.ben, began + 15, 40)
        await it.ben.hears("ann", TONE)
        await asyncio.sleep(3)
        trace = await it.leg(it.ben).report()
    widths = sorted({width for _, _, width in seen})
    keep(
        f"squeeze-300-{'single' if single else 'dual'}",
        began=began,
        leg=trace,
        figures={"widths seen meanwhile": widths, "high layer back after": f"{back:.1f} s"},
    )
    assert max(widths) < FULL
    assert back <= BACK


@both_modes
async def test_a_publisher_on_a_narrow_line_sends_what_it_carries(single: bool, tmp_path: Path) -> None:
    squeeze = [Step(0, Profile(rate=500_000)), Step(20, PERFECT)]
    async with scene(tmp_path, single=single) as it:
        began = await it.leg(it.ann).follow(up=squeeze)
        await asyncio.sleep(6)
        seen = await watch(it.ben, 14)
        back = await back_at_full(it.ben, began + 20, 60)
        await it.ben.hears("ann", TONE)
        trace = await it.leg(it.ann).report()
    keep(
        f"publisher-500-{'single' if single else 'dual'}",
        began=began,
        leg=trace,
        figures={"longest still picture": f"{longest_still(seen):.1f} s", "high layer back after": f"{back:.1f} s"},
    )
    assert longest_still(seen) <= 3.0
    assert back < float("inf")


@both_modes
async def test_an_outage_of_ten_seconds_leaves_the_call_as_it_was(single: bool, tmp_path: Path) -> None:
    outage = [Step(0, Profile(blocked=True)), Step(10, PERFECT)]
    async with scene(tmp_path, single=single) as it:
        sid = await it.ben.run("return room.localParticipant.sid")
        began = await it.leg(it.ben).follow(up=outage, down=outage)
        await asyncio.sleep(10)
        await it.ben.sees("ann", RED[1])
        moved = time.monotonic() - began - 10
        await it.ben.until("return room.state === 'connected'", "connected")
        await it.ben.hears("ann", TONE)
        assert await it.ben.run("return room.localParticipant.sid") == sid
        assert not [event for event in it.relay.events if event[0] == "participant_left"]
        trace = await it.leg(it.ben).report()
    keep(
        f"browser-outage-10-{'single' if single else 'dual'}",
        began=began,
        leg=trace,
        figures={"picture moves again after": f"{moved:.1f} s"},
    )


@both_modes
async def test_a_browser_that_changes_its_network_goes_on(single: bool, tmp_path: Path) -> None:
    async with scene(tmp_path, single=single) as it:
        sid = await it.ben.run("return room.localParticipant.sid")
        moved = time.monotonic()
        it.leg(it.ben).move()
        await asyncio.sleep(1)
        await it.ben.sees("ann", RED[1])
        back = time.monotonic() - moved
        await it.ben.until("return room.state === 'connected'", "connected")
        await it.ben.hears("ann", TONE)
        assert await it.ben.run("return room.localParticipant.sid") == sid
        assert not [event for event in it.relay.events if event[0] == "participant_left"]
        paths = {path.address[0] for path in it.relay.control.ports._selected.values()}
        assert paths & set(it.leg(it.ben).addresses(it.leg(it.ben).host))
        trace = await it.leg(it.ben).report()
    keep(
        f"browser-moved-{'single' if single else 'dual'}",
        began=moved,
        leg=trace,
        figures={"picture moves again after": f"{back:.1f} s"},
    )


@both_modes
async def test_turn_over_tls_carries_a_call(single: bool, tmp_path: Path) -> None:
    url = f"turns:{turn.ADDRESS}:{turn.TLS_PORT}?transport=tcp"
    settings = {"urls": (url,), "secret": turn.SECRET, "force": True}
    async with scene(tmp_path, single=single, turn=settings) as it:
        assert {path.address[0] for path in it.relay.control.ports._selected.values()} == {turn.ADDRESS}
        assert len(it.relay.control.participants(ROOM)) == 2
