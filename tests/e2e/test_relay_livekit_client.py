"""Unmodified livekit-client in Chromium through the relay, in both modes. What counts is read from the decoded picture
and heard in the sound; a connection state proves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests.support.livekit_people import GREEN, people
from tests.support.livekit_tab import BLUE, FOLDERS, RED, ROOM, Tab
from tests.support.page import CHROMIUM_FLAGS
from tests.support.relay import RunningRelay, running_relay

pytestmark = pytest.mark.browser
both_modes = pytest.mark.parametrize("single", [False, True], ids=["dual", "single"])


@pytest.fixture
async def relay() -> AsyncIterator[RunningRelay]:
    async with running_relay(static=FOLDERS, timeouts={"dynacast_pause": 0.5}) as running:
        yield running


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        arguments = [*CHROMIUM_FLAGS, "--autoplay-policy=no-user-gesture-required"]
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        yield browser
        await browser.close()


@pytest.fixture
async def tabs(relay: RunningRelay, chromium: Browser) -> list[Tab]:
    """Ann and Ben, not yet in the room."""
    opened = []
    for name in ("ann", "ben"):
        page = await (await chromium.new_context()).new_page()
        tab = Tab(relay, page, name)
        page.on("pageerror", tab.complain)
        opened.append(tab)
    return opened


@both_modes
async def test_who_is_muted_or_may_not_publish_any_more_is_silent_though_their_browser_goes_on(
    tabs: list[Tab], relay: RunningRelay, single: bool
) -> None:
    ann, ben = tabs
    await ben.join(single=single)
    await ann.join(single=single)
    camera, microphone = await ann.call("publish", RED[0], 440)
    await asyncio.gather(ben.sees("ann", RED[1]), ben.hears("ann", 440))

    # A client that does what it is told, then one that goes on sending.
    relay.control.mute_track(ROOM, "ann", microphone)
    await ann.until("return room.localParticipant.getTrackPublication('microphone').isMuted", "muted")
    await ben.until("return publications('ben', 'ann').some((p) => p.kind === 'audio' && p.isMuted)", "told")
    await ann.run("await room.localParticipant.getTrackPublication('microphone').unmute()")
    await ben.hears("ann", 440)
    # It neither mutes itself nor tells the relay that it has not, which would unmute.
    await ann.run("const { client } = room.engine; client.onRemoteMuteChanged = client.sendMuteTrack = () => {}")
    relay.control.mute_track(ROOM, "ann", camera)
    await ben.until("return publications('ben', 'ann').some((p) => p.kind === 'video' && p.isMuted)", "told")
    await asyncio.sleep(0.3)
    received, sent = (await ben.call("inbound", "ann"))["camera"], await ann.call("outbound")
    await asyncio.sleep(0.5)
    assert (await ben.call("inbound", "ann"))["camera"]["packets"] == received["packets"]
    assert sum(layer["packets"] for layer in (await ann.call("outbound")).values()) > sum(
        layer["packets"] for layer in sent.values()
    )

    # What is taken away ends for everybody; a browser that does not stop sends into the void.
    await ann.run("room.engine.client.onLocalTrackUnpublished = () => {}")
    relay.control.set_permissions(ROOM, "ann", can_publish=False)
    await ben.until("return room.remoteParticipants.get('ann').trackPublications.size === 0", "without her tracks")
    assert not relay.control._plane.up_stats()
    await ann.until("return !room.localParticipant.permissions.canPublish", "told that she may not")
    assert ann.complaints + ben.complaints == []


@both_modes
async def test_two_browsers_see_and_hear_each_other_and_choose_layers(tabs: list[Tab], single: bool) -> None:
    ann, ben = tabs
    await ann.join(single=single)
    await ann.call("publish", RED[0], 440)
    await ben.join(single=single)
    await ben.call("publish", BLUE[0], 880)
    await asyncio.gather(ann.sees("ben", BLUE[1]), ben.sees("ann", RED[1], width=1280))
    await asyncio.gather(ann.hears("ben", 880), ben.hears("ann", 440))
    for quality, width in ((0, 320), (1, 640), (2, 1280)):
        await ben.run(f"publications('ben', 'ann').forEach((p) => p.kind === 'video' && p.setVideoQuality({quality}))")
        await ben.sees("ann", RED[1], width=width)
    await ben.run("publications('ben', 'ann').forEach((p) => p.kind === 'video' && p.setEnabled(false))")
    await asyncio.sleep(0.5)
    stopped = (await ben.call("inbound", "ann"))["camera"]["packets"]
    await asyncio.sleep(0.5)
    assert (await ben.call("inbound", "ann"))["camera"]["packets"] == stopped
    await ben.run("publications('ben', 'ann').forEach((p) => p.kind === 'video' && p.setEnabled(true))")
    await ben.sees("ann", RED[1])
    received = (await ben.call("inbound", "ann"))["camera"]
    assert (received["lost"], received["freezes"]) == (0, received["freezes"])
    assert ann.complaints + ben.complaints == []


@both_modes
async def test_a_cut_websocket_is_resumed_and_a_reload_is_a_new_join(
    relay: RunningRelay, tabs: list[Tab], single: bool
) -> None:
    ann, ben = tabs
    await ann.join(single=single)
    await ann.call("publish", RED[0], 440)
    await ben.join(single=single)
    await ben.call("publish", BLUE[0], 880)
    await asyncio.gather(ann.sees("ben", BLUE[1]), ben.sees("ann", RED[1]))
    sid = await ben.run("return room.localParticipant.sid")
    await relay.cut(ROOM, "ben")
    await ben.until("return events.some((e) => e[1] === 'reconnected') && room.state === 'connected'", "resumes")
    assert await ben.run("return room.localParticipant.sid") == sid
    assert not [event for event in relay.events if event[0] == "participant_left"]
    await asyncio.gather(ann.sees("ben", BLUE[1]), ben.sees("ann", RED[1]))
    await ben.page.reload()
    await ben.join(single=single)
    await ben.call("publish", BLUE[0], 880)
    await asyncio.gather(ann.sees("ben", BLUE[1]), ben.sees("ann", RED[1]))
    assert await ben.run("return room.localParticipant.sid") != sid
    left = [event for event in relay.events if event[0] == "participant_left"]
    assert left in (
        [("participant_left", "ben", "CLIENT_INITIATED")],
        [("participant_left", "ben", "DUPLICATE_IDENTITY")],
    )


@both_modes
async def test_tracks_mute_end_and_come_again(tabs: list[Tab], single: bool) -> None:
    ann, ben = tabs
    await ann.join(single=single)
    await ben.join(single=single)
    await ann.call("publish", RED[0], 440)
    await ben.sees("ann", RED[1])
    await ann.run("for (const p of room.localParticipant.trackPublications.values()) await p.mute()")
    await ben.until("return events.filter((e) => e[1] === 'trackMuted').length === 2", "told of the muting")
    await ann.run("for (const p of room.localParticipant.trackPublications.values()) await p.unmute()")
    await ben.sees("ann", RED[1])
    await ben.hears("ann", 440)
    await ann.run(
        "for (const p of [...room.localParticipant.trackPublications.values()])"
        " await room.localParticipant.unpublishTrack(p.track)"
    )
    await ben.until("return publications('ben', 'ann').length === 0", "told of the end")
    await ann.call("publish", BLUE[0], 660)
    await ben.sees("ann", BLUE[1])
    await ben.hears("ann", 660)


async def test_browsers_of_both_modes_and_the_python_sdk_share_a_room(relay: RunningRelay, tabs: list[Tab]) -> None:
    ann, ben = tabs
    async with people("paul") as (paul,):
        await ann.join(single=True)
        await ben.join(single=False)
        await paul.join(relay, ROOM)
        await ann.call("publish", RED[0], 440)
        await ben.call("publish", BLUE[0], 880)
        await paul.show(GREEN)
        await paul.hum(660)
        await asyncio.gather(
            ann.sees("paul", GREEN), ben.sees("paul", GREEN), ann.sees("ben", BLUE[1]), ben.sees("ann", RED[1])
        )
        await paul.hears("ann", 440)
        await paul.hears("ben", 880)
        await asyncio.gather(ann.hears("paul", 660), ben.hears("ann", 440))
        await ann.run(
            "await room.localParticipant.publishData(new TextEncoder().encode('hi'), {reliable: true, topic: 't'})"
        )
        await ben.until("return room.received.some((m) => m.join() === 'ann,hi,t')", "gets the packet")
        assert ("ann", b"hi", "t") in paul.data
        await paul.room.local_participant.send_text("x" * 100_000, topic="long")
        await ann.until("return room.received.some((m) => m.join() === 'paul,100000,long')", "gets the long text")
        answer = await ann.run(
            "return room.localParticipant.performRpc({destinationIdentity: 'ben', method: 'greet', payload: 'x'})"
        )
        assert answer == "hello x from ben"


async def test_layers_nobody_watches_are_not_encoded(tabs: list[Tab]) -> None:
    ann, ben = tabs
    await ann.join(single=True, options={"dynacast": True})
    await ben.join(single=True)
    await ann.call("publish", RED[0], 440)
    await ben.sees("ann", RED[1], width=1280)
    await ben.run("publications('ben', 'ann').forEach((p) => p.kind === 'video' && p.setVideoQuality(0))")
    await ben.sees("ann", RED[1], width=320)
    await ann.until(
        "const o = await outbound('ann'); return o.q.active && !o.h.active && !o.f.active", "stops the upper layers"
    )
    await ben.run("publications('ben', 'ann').forEach((p) => p.kind === 'video' && p.setVideoQuality(2))")
    await ben.sees("ann", RED[1], width=1280)


@pytest.mark.parametrize("codec", ["vp9", "av1", "h264"])
async def test_other_codecs_are_forwarded(tabs: list[Tab], codec: str) -> None:
    ann, ben = tabs
    await ann.join(single=True)
    await ben.join(single=True)
    await ann.call("publish", RED[0], 440, {"videoCodec": codec})
    await ben.sees("ann", RED[1])


async def test_media_encrypted_end_to_end_are_forwarded_to_those_who_have_the_key(
    relay: RunningRelay, tabs: list[Tab], chromium: Browser
) -> None:
    ann, ben = tabs
    eve = Tab(relay, await (await chromium.new_context()).new_page(), "eve")
    for tab, passphrase in ((ann, "the right one"), (ben, "the right one"), (eve, "a wrong one")):
        await tab.join(single=True, options={"passphrase": passphrase})
    await ann.call("publish", RED[0], 440)
    await ben.sees("ann", RED[1], width=1280)
    await ben.hears("ann", 440)
    await ben.run("publications('ben', 'ann').forEach((p) => p.kind === 'video' && p.setVideoQuality(0))")
    await ben.sees("ann", RED[1], width=320)
    assert all(track.encrypted for track in relay.control.tracks(ROOM, "ann"))
    assert await eve.page.evaluate("who => look(who)", "eve<ann:camera") is None


async def test_what_the_page_shows_follows_the_server(relay: RunningRelay, tabs: list[Tab]) -> None:
    ann, ben = tabs
    await ann.join(single=True)
    await ben.join(single=False)
    sids = await ann.call("publish", RED[0], 440)
    await ben.hears("ann", 440)
    relay.control.set_room_metadata(ROOM, "title")
    relay.control.set_room_recording(ROOM, True)
    relay.control.set_attributes(ROOM, "ann", {"palabre.consent.recording": "asked"})
    await ben.until(
        "return room.metadata === 'title' && room.isRecording"
        " && room.remoteParticipants.get('ann').attributes['palabre.consent.recording'] === 'asked'",
        "shows the server's state",
    )
    await ben.until("return room.activeSpeakers.some((p) => p.identity === 'ann')", "shows who speaks")
    assert len(sids) == 2
    await relay.control.remove_participant(ROOM, "ann")
    await ann.until("return events.some((e) => e[1] === 'disconnected' && e[2] === '4')", "learns that it was removed")
    await ben.until("return room.remoteParticipants.size === 0", "sees ann leave")
