"""What the relay refuses, and what it takes away during a call: enforced here, not at the client's goodwill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from livekit import api, rtc

from media.relay.seams import TrackSource
from palabre.base.errors import CallerError
from tests.support.livekit_people import BLUE, GREEN, RED, people
from tests.support.relay import API_KEY, API_SECRET, RunningRelay, running_relay, until

ROOM = "council"


@pytest.fixture
async def relay() -> AsyncIterator[RunningRelay]:
    async with running_relay() as running:
        yield running


@pytest.fixture
async def admin(relay: RunningRelay) -> AsyncIterator[api.LiveKitAPI]:
    async with api.LiveKitAPI(relay.http, API_KEY, API_SECRET) as client:
        yield client


async def test_who_may_only_listen_publishes_neither_tracks_nor_data(relay: RunningRelay) -> None:
    async with people("alice", "guest") as (alice, guest):
        await alice.join(relay, ROOM)
        await guest.join(relay, ROOM, can_publish=False, can_publish_data=False)
        await alice.show(RED)
        await guest.sees("alice", RED)
        publishing = asyncio.create_task(guest.show(BLUE))  # the SDK waits ten seconds for what will not come
        await guest.room.local_participant.publish_data(b"psst", reliable=True)
        await alice.room.local_participant.publish_data(b"hello", reliable=True)
        await until(lambda: guest.data, "data reach the guest")
        assert alice.data == []
        assert relay.control.tracks(ROOM, "guest") == ()
        assert not publishing.done()
        publishing.cancel()


async def test_a_source_that_was_not_granted_is_refused(relay: RunningRelay) -> None:
    async with people("alice", "bob") as (alice, bob):
        await bob.join(relay, ROOM)
        relay.door.narrowing["alice"] = {"can_publish_sources": (TrackSource.MICROPHONE,)}
        await alice.join(relay, ROOM)
        publishing = asyncio.create_task(alice.show(RED))
        await alice.hum(440)
        await bob.hears("alice", 440)
        assert [track.kind for track in relay.control.tracks(ROOM, "alice")] == ["audio"]
        publishing.cancel()


async def test_revoking_publication_stops_the_media_in_the_relay(relay: RunningRelay, admin: api.LiveKitAPI) -> None:
    async with people("alice", "bob") as (alice, bob):
        await bob.join(relay, ROOM)
        await alice.join(relay, ROOM)
        await alice.show(RED)
        await alice.hum(440)
        await asyncio.gather(bob.sees("alice", RED), bob.hears("alice", 440))
        permission = api.ParticipantPermission(can_publish=False, can_subscribe=True, can_publish_data=True)
        await admin.room.update_participant(
            api.UpdateParticipantRequest(room=ROOM, identity="alice", permission=permission)
        )
        assert relay.control.tracks(ROOM, "alice") == ()
        assert not relay.control._plane.up_stats()
        await until(lambda: bob.saw("track_unsubscribed"), "bob is told")
        await until(lambda: alice.saw("participant_permissions_changed"), "alice is told")
        frames = bob.sights["alice"].frames
        await asyncio.sleep(0.4)
        assert bob.sights["alice"].frames == frames


async def test_one_source_taken_away_ends_alone_and_may_be_given_back(relay: RunningRelay) -> None:
    async with people("alice", "bob") as (alice, bob):
        await bob.join(relay, ROOM)
        await alice.join(relay, ROOM)
        await alice.show(RED)
        await alice.hum(440)
        await asyncio.gather(bob.sees("alice", RED), bob.hears("alice", 440))
        relay.control.set_permissions(
            ROOM, "alice", can_publish=True, can_publish_sources=(TrackSource.MICROPHONE, TrackSource.SCREEN_SHARE)
        )
        assert [track.source for track in relay.control.tracks(ROOM, "alice")] == [TrackSource.MICROPHONE]
        await until(lambda: bob.saw("track_unsubscribed"), "bob is told")
        await until(lambda: alice.saw("participant_permissions_changed"), "alice is told")
        frames = bob.sights["alice"].frames
        again = asyncio.create_task(alice.show(BLUE))  # the SDK waits for what will not come
        await bob.hears("alice", 440)
        assert bob.sights["alice"].frames == frames
        assert not again.done()
        again.cancel()
        relay.control.set_permissions(ROOM, "alice", can_publish=True)
        await alice.show(GREEN)
        await bob.sees("alice", GREEN)


async def test_a_track_muted_by_another_is_silent_until_its_owner_unmutes(relay: RunningRelay) -> None:
    async with people("alice", "bob") as (alice, bob):
        await bob.join(relay, ROOM)
        await alice.join(relay, ROOM)
        sid = await alice.hum(440)
        await bob.hears("alice", 440)
        relay.control.mute_track(ROOM, "alice", sid)
        assert [track.muted for track in relay.control.tracks(ROOM, "alice")] == [True]
        await until(lambda: bob.saw("track_muted"), "bob is told")
        await until(lambda: alice.microphone is not None and alice.microphone.muted, "alice's client mutes itself")
        await until(lambda: bob.sounds["alice"].level < 10, "bob hears nothing")
        alice.microphone.track.unmute()  # type: ignore[union-attr]
        await bob.hears("alice", 440)
        with pytest.raises(CallerError, match="track is not published"):
            relay.control.mute_track(ROOM, "bob", sid)
        with pytest.raises(CallerError, match="participant does not exist"):
            relay.control.set_permissions(ROOM, "mallory", can_publish=False)


async def test_revoking_subscription_stops_what_flows(relay: RunningRelay, admin: api.LiveKitAPI) -> None:
    async with people("alice", "bob") as (alice, bob):
        await alice.join(relay, ROOM)
        await alice.show(RED)
        await bob.join(relay, ROOM)
        await bob.sees("alice", RED)
        none = api.ParticipantPermission(can_publish=True, can_subscribe=False, can_publish_data=True)
        await admin.room.update_participant(api.UpdateParticipantRequest(room=ROOM, identity="bob", permission=none))
        assert not relay.control._plane.down_stats()
        frames = bob.sights["alice"].frames
        await asyncio.sleep(0.4)
        assert bob.sights["alice"].frames <= frames + 1
        both = api.ParticipantPermission(can_publish=True, can_subscribe=True, can_publish_data=True)
        await admin.room.update_participant(api.UpdateParticipantRequest(room=ROOM, identity="bob", permission=both))
        await bob.sees("alice", RED)


async def test_a_moderator_mutes_and_only_the_owner_unmutes(relay: RunningRelay, admin: api.LiveKitAPI) -> None:
    async with people("alice", "bob") as (alice, bob):
        await bob.join(relay, ROOM)
        await alice.join(relay, ROOM)
        sid = await alice.hum(440)
        await bob.hears("alice", 440)
        muted = await admin.room.mute_published_track(
            api.MuteRoomTrackRequest(room=ROOM, identity="alice", track_sid=sid, muted=True)
        )
        assert muted.track.muted
        await until(lambda: bob.saw("track_muted"), "bob is told")
        with pytest.raises(api.TwirpError) as refused:
            await admin.room.mute_published_track(
                api.MuteRoomTrackRequest(room=ROOM, identity="alice", track_sid=sid, muted=False)
            )
        assert refused.value.code == "failed_precondition"


async def test_a_hidden_participant_may_not_listen_and_is_not_listed(relay: RunningRelay) -> None:
    async with people("spy", "meter", "alice") as (spy, meter, alice):
        with pytest.raises(rtc.ConnectError):
            await spy.join(relay, ROOM, hidden=True)
        await meter.join(relay, ROOM, hidden=True, can_subscribe=False)
        await alice.join(relay, ROOM)
        await alice.show(RED)
        await alice.room.local_participant.publish_data(b"secret", reliable=True)
        await asyncio.sleep(0.5)
        assert alice.room.remote_participants == {}
        assert meter.data == []
        assert not meter.sights


async def test_a_tap_reads_what_is_sent_and_nothing_while_muted(relay: RunningRelay) -> None:
    sink = Sink()
    async with people("alice", "bob") as (alice, bob):
        await bob.join(relay, ROOM)
        await alice.join(relay, ROOM)
        sid = await alice.hum(440)
        await until(lambda: relay.control.tracks(ROOM, "alice"), "the track is announced")
        tap = relay.control.open_tap(ROOM, "alice", sid, sink)
        await until(lambda: sink.packets > 10, "packets are tapped")
        assert sink.layers[0][2:] == ("audio/opus", 48000)
        assert alice.microphone is not None
        alice.microphone.track.mute()  # type: ignore[union-attr]
        await until(lambda: sink.calls[-1:] == ["muted"], "the tap is told")
        packets = sink.packets
        await asyncio.sleep(0.3)
        assert sink.packets == packets
        alice.microphone.track.unmute()  # type: ignore[union-attr]
        await until(lambda: sink.packets > packets, "it goes on")
        tap.close()
        assert sink.calls == ["muted", "unmuted", "closed"]
        packets = sink.packets
        await asyncio.sleep(0.2)
        assert sink.packets == packets
        other = Sink()
        relay.control.open_tap(ROOM, "alice", sid, other)
        await until(lambda: other.packets > 10, "another tap reads")
        await alice.room.local_participant.unpublish_track(sid)
        await until(lambda: other.calls == ["closed"], "the track's end closes it")


class Sink:
    """A `TapSink` that counts."""

    def __init__(self) -> None:
        self.layers: list[tuple[int, str, str, int]] = []
        self.packets = 0
        self.calls: list[str] = []

    def layer(self, ssrc: int, rid: str, payload_type: int, mime_type: str, clock_rate: int) -> None:
        self.layers.append((ssrc, rid, mime_type, clock_rate))

    def rtp(self, ssrc: int, packet: bytes, arrival: float) -> None:
        assert packet[0] >> 6 == 2
        self.packets += 1

    def sender_report(self, ssrc: int, ntp: int, rtp: int, arrival: float) -> None:
        assert ntp > 0

    def muted(self, muted: bool, arrival: float) -> None:
        self.calls.append("muted" if muted else "unmuted")

    def closed(self, arrival: float) -> None:
        self.calls.append("closed")
