"""A widget, a browser by link and LiveKit's Python SDK in one call: each decodes what the others show and say.

Pictures carry numbers and sounds are tones, so that what is read back is what was sent, not merely "connected".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import numpy as np
import pytest
from livekit import rtc
from playwright.async_api import Browser

from tests.support import stamps, tones
from tests.support.numbered import PATIENCE, SCREEN, numbered_devices, plays, shows
from tests.support.page import Site, frame_widget, until
from tests.support.speakers import RATE, Speaker

pytestmark = pytest.mark.browser

ANA, BRUNO, CHLOE = 1, 2, 3


class Witness:
    """What the SDK participant decoded: numbers in pictures, tones in sounds, by publisher's name."""

    def __init__(self, room: rtc.Room) -> None:
        self.numbers: dict[str, set[int]] = {}
        self.heard: dict[str, set[int]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        room.on("track_subscribed", self._subscribed)

    def forget(self) -> None:
        self.numbers.clear()
        self.heard.clear()

    def _subscribed(self, track: rtc.Track, _publication: object, participant: rtc.RemoteParticipant) -> None:
        look = self._listen if track.kind == rtc.TrackKind.KIND_AUDIO else self._watch
        self._tasks.append(asyncio.create_task(look(track, participant.name)))

    async def _watch(self, track: rtc.Track, name: str) -> None:
        async for event in rtc.VideoStream(track, format=rtc.VideoBufferType.I420):
            height, width = event.frame.height, event.frame.width
            luma = np.frombuffer(event.frame.data, np.uint8)[: height * width].reshape(height, width)
            if (stamp := stamps.read(luma)) is not None:
                self.numbers.setdefault(name, set()).add(stamp.person)

    async def _listen(self, track: rtc.Track, name: str) -> None:
        sound = np.zeros(0, np.float32)
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
            sound = np.concatenate([sound, np.frombuffer(event.frame.data, np.int16).astype(np.float32) / 32768])
            if len(sound) >= RATE // 5:
                for tone in tones.FREQUENCIES:
                    if float(np.median(tones.strength(sound, tone))) > 0.05:
                        self.heard.setdefault(name, set()).add(tone)
                sound = sound[:0]


class Hummer(Speaker):
    """A speaker whose tone never ends."""

    async def hum(self) -> None:
        moments = np.arange(RATE * 5) / RATE  # whole periods: it can be repeated without a click
        sound = (0.3 * 32767 * np.sin(2 * np.pi * self.tone * moments)).astype(np.int16)
        while True:
            await self.say(sound)


@asynccontextmanager
async def chloe_by_sdk(site: Site) -> AsyncIterator[Witness]:
    """Chloé comes with the SDK, by the token endpoint like anyone."""
    async with aiohttp.ClientSession() as http:
        proof = {"openid": await site.openid("chloe"), "room_id": site.room_id}
        async with http.post(f"{site.url}/api/session/openid", json=proof) as answer:
            session = await answer.json()
        path = f"{site.url}/api/meetings/{session['meeting']['id']}/join"
        bearer = {"Authorization": f"Bearer {session['session']}"}
        async with http.post(path, json={"device": "sdk"}, headers=bearer) as answer:
            ticket = await answer.json()
    speaker = Hummer(CHLOE, time.monotonic())
    witness = Witness(speaker.room)
    await speaker.join(ticket["url"], ticket["token"])
    humming = asyncio.create_task(speaker.hum())
    try:
        yield witness
    finally:
        humming.cancel()
        await speaker.leave()


async def test_widget_link_and_sdk_decode_each_other_through_a_reload_and_a_shared_screen(
    site: Site, browser: Browser, matrix_client_page: str
) -> None:
    ana = await site.new_page(browser, "ana", size=(1280, 800), theme="light")
    await ana.context.add_init_script(numbered_devices(ANA))
    await ana.goto(f"{site.url}/m/{site.meeting}")
    await site.sign_in(ana, "ana")
    await site.join(ana)
    devices = numbered_devices(BRUNO)
    page, widget = await frame_widget(site, browser, matrix_client_page, "bruno", script=devices)
    await widget.get_by_role("button", name="Rejoindre la réunion").click()
    bruno = page.frames[1]

    async with chloe_by_sdk(site) as chloe:
        await shows(ana, BRUNO, CHLOE)
        await shows(bruno, ANA, CHLOE)
        await plays(ana, BRUNO, CHLOE)
        await plays(bruno, ANA, CHLOE)
        await until(lambda: decoded(chloe, "Ana Pereira", ANA), "the SDK decodes Ana", PATIENCE)
        await until(lambda: decoded(chloe, "Bruno Lefèvre", BRUNO), "the SDK decodes Bruno", PATIENCE)

        await ana.reload()
        chloe.forget()
        await site.sign_in(ana, "ana")
        await site.join(ana)
        await shows(ana, BRUNO, CHLOE)
        await shows(bruno, ANA, CHLOE)
        await plays(bruno, ANA)
        await until(lambda: decoded(chloe, "Ana Pereira", ANA), "the SDK decodes Ana again", PATIENCE)
        assert site.in_call() == ["Ana Pereira", "Bruno Lefèvre", "Chloé Marchand"]

        await ana.get_by_role("button", name="Partager").click()
        await shows(bruno, SCREEN + ANA)
        await until(lambda: SCREEN + ANA in chloe.numbers["Ana Pereira"], "the SDK decodes the screen", PATIENCE)
    assert site.said == []


def decoded(witness: Witness, name: str, person: int) -> bool:
    tone = tones.FREQUENCIES[person]
    return person in witness.numbers.get(name, set()) and tone in witness.heard.get(name, set())
