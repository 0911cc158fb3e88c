"""LiveKit's Python SDK through the relay, in both modes: `/rtc` (two peer connections) and `/rtc/v1` (one)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from livekit import rtc

from tests.support.livekit_people import BLUE, GREEN, RED, Person, people
from tests.support.relay import RunningRelay, running_relay, until

ROOM = "council"
both_modes = pytest.mark.parametrize("single", [False, True], ids=["dual", "single"])


@pytest.fixture
async def relay() -> AsyncIterator[RunningRelay]:
    async with running_relay() as running:
        yield running


@both_modes
async def test_two_people_see_and_hear_each_other(relay: RunningRelay, single: bool) -> None:
    async with people("alice", "bob") as (alice, bob):
        await alice.join(relay, ROOM, single=single)
        await alice.show(RED)
        await alice.hum(440)
        await bob.join(relay, ROOM, single=single)
        await bob.show(BLUE)
        await bob.hum(880)
        await asyncio.gather(
            alice.sees("bob", BLUE), alice.hears("bob", 880), bob.sees("alice", RED), bob.hears("alice", 440)
        )
        await until(lambda: alice.saw("active_speakers_changed"), "speakers are told")
    assert relay.events[:4] == [
        ("room_started", ROOM),
        ("participant_joined", "alice"),
        ("track_published", "alice", "camera"),
        ("track_published", "alice", "microphone"),
    ]
    assert ("participant_left", "alice", "CLIENT_INITIATED") in relay.events
    unpublished = relay.events.index(("track_unpublished", "alice", "camera"))
    assert unpublished < relay.events.index(("participant_left", "alice", "CLIENT_INITIATED"))


async def test_clients_of_both_modes_meet_in_one_room(relay: RunningRelay) -> None:
    async with people("old", "new") as (old, new):
        await old.join(relay, ROOM, single=False)
        await new.join(relay, ROOM, single=True)
        await old.show(RED)
        await new.show(GREEN)
        await asyncio.gather(old.sees("new", GREEN), new.sees("old", RED))


@both_modes
async def test_data_reaches_those_it_is_addressed_to_and_names_its_sender(relay: RunningRelay, single: bool) -> None:
    async with people("alice", "bob", "carol") as (alice, bob, carol):
        for person in (alice, bob, carol):
            await person.join(relay, ROOM, single=single)
        send = alice.room.local_participant.publish_data
        await send(b"for everybody", reliable=True, topic="t")
        await send(b"for bob", reliable=True, destination_identities=["bob"])
        await until(lambda: len(bob.data) == 2 and len(carol.data) == 1, "the packets arrive")
        assert bob.data == [("alice", b"for everybody", "t"), ("alice", b"for bob", "")]
        relay.control.send_data(ROOM, b"from the relay", topic="srv", to=("carol",))
        await until(lambda: len(carol.data) == 2, "the relay's packet arrives")
        assert carol.data == [("alice", b"for everybody", "t"), ("", b"from the relay", "srv")]
        await send(b"quickly", reliable=False, topic="t")
        await until(lambda: len(bob.data) == 3, "the lossy packet arrives")
        assert bob.data[-1] == ("alice", b"quickly", "t")
        assert alice.data == []


@both_modes
async def test_calls_and_long_texts_pass(relay: RunningRelay, single: bool) -> None:
    async with people("alice", "bob") as (alice, bob):
        await bob.join(relay, ROOM, single=single)
        await alice.join(relay, ROOM, single=single)

        @bob.room.local_participant.register_rpc_method("greet")  # type: ignore[arg-type]
        async def greet(call: rtc.RpcInvocationData) -> str:
            return f"hello {call.payload}"

        answer = await alice.room.local_participant.perform_rpc(
            destination_identity="bob", method="greet", payload="Alice"
        )
        assert answer == "hello Alice"
        await alice.room.local_participant.send_text("é" * 50_000, topic="long")
        await until(lambda: bob.texts, "the text arrives")
        assert bob.texts == [("alice", "é" * 50_000)]


@both_modes
async def test_data_tracks_pass_under_their_own_handles(relay: RunningRelay, single: bool) -> None:
    frames: list[bytes] = []
    async with people("alice", "bob") as (alice, bob):
        readers = []

        @bob.room.on("data_track_published")
        def published(track: rtc.RemoteDataTrack, *_: object) -> None:
            async def read() -> None:
                async for frame in track.subscribe():
                    frames.append(bytes(frame.payload))

            readers.append(asyncio.create_task(read()))

        await bob.join(relay, ROOM, single=single)
        await alice.join(relay, ROOM, single=single)
        track = await alice.room.local_participant.publish_data_track(name="telemetry")
        await until(lambda: readers, "the data track is known")
        for number in range(200):
            track.try_push(rtc.DataTrackFrame(payload=b"frame %d" % number))
            await asyncio.sleep(0.02)
            if len(frames) >= 5:
                break
        assert len(frames) >= 5
        assert all(frame.startswith(b"frame ") for frame in frames)
        for reader in readers:
            reader.cancel()


@both_modes
async def test_who_may_changes_their_attributes_and_others_see_it(relay: RunningRelay, single: bool) -> None:
    async with people("alice", "bob") as (alice, bob):
        await bob.join(relay, ROOM, single=single)
        await alice.join(relay, ROOM, single=single, can_update_own_metadata=True, attributes={"role": "mayor"})
        await alice.room.local_participant.set_attributes({"hand": "up"})
        await until(
            lambda: bob.room.remote_participants["alice"].attributes == {"role": "mayor", "hand": "up"}, "seen by bob"
        )
        relay.control.set_attributes(ROOM, "alice", {"role": "", "palabre.consent.recording": "asked"})
        await until(
            lambda: (
                bob.room.remote_participants["alice"].attributes == {"hand": "up", "palabre.consent.recording": "asked"}
            ),
            "the server's attributes are seen",
        )
        relay.control.set_room_metadata(ROOM, '{"title": "x"}')
        relay.control.set_room_recording(ROOM, True)
        await until(lambda: bob.room.metadata == '{"title": "x"}' and bob.room.is_recording, "the room's state is seen")


async def test_without_the_grant_own_attributes_stay_as_they_are(relay: RunningRelay) -> None:
    async with people("alice", "bob") as (alice, bob):
        await bob.join(relay, ROOM)
        await alice.join(relay, ROOM, attributes={"palabre.consent.recording": "no"})
        await alice.room.local_participant.set_attributes({"palabre.consent.recording": "yes"})
        assert relay.control.participants(ROOM)[1].attributes == {"palabre.consent.recording": "no"}
        assert bob.room.remote_participants["alice"].attributes == {"palabre.consent.recording": "no"}


@both_modes
async def test_a_muted_track_is_not_forwarded_and_comes_back(relay: RunningRelay, single: bool) -> None:
    async with people("alice", "bob") as (alice, bob):
        await bob.join(relay, ROOM, single=single)
        await alice.join(relay, ROOM, single=single)
        await alice.show(RED)
        await bob.sees("alice", RED)
        assert alice.camera is not None
        alice.camera.track.mute()  # type: ignore[union-attr]
        await until(lambda: bob.saw("track_muted"), "bob is told")
        await asyncio.sleep(0.3)
        frames = bob.sights["alice"].frames
        await asyncio.sleep(0.4)
        assert bob.sights["alice"].frames == frames
        alice.camera.track.unmute()  # type: ignore[union-attr]
        await bob.sees("alice", RED)
    assert ("track_changed", "alice", "camera", True) in relay.events


@both_modes
async def test_a_track_ends_and_the_next_one_is_seen(relay: RunningRelay, single: bool) -> None:
    async with people("alice", "bob") as (alice, bob):
        await bob.join(relay, ROOM, single=single)
        await alice.join(relay, ROOM, single=single)
        first = await alice.show(RED)
        await bob.sees("alice", RED)
        await alice.room.local_participant.unpublish_track(first)
        await until(lambda: ("track_unpublished", "alice", "camera") in relay.events, "the relay knows")
        await until(lambda: bob.saw("track_unsubscribed"), "bob knows")
        second = await alice.show(GREEN)
        assert second != first
        await bob.sees("alice", GREEN)


@both_modes
async def test_a_cut_websocket_is_resumed_and_media_go_on(relay: RunningRelay, single: bool) -> None:
    async with people("alice", "bob") as (alice, bob):
        await bob.join(relay, ROOM, single=single)
        await alice.join(relay, ROOM, single=single)
        await alice.show(RED)
        await bob.sees("alice", RED)
        sid = alice.room.local_participant.sid
        await relay.cut(ROOM, "alice")
        await until(lambda: alice.saw("reconnected"), "alice resumes")
        assert alice.room.local_participant.sid == sid
        await bob.sees("alice", RED)
        await bob.show(BLUE)  # signalling works in both directions after it
        await alice.sees("bob", BLUE)
    assert [event for event in relay.events if event[0] == "participant_left"][:1] != [
        ("participant_left", "alice", "SIGNAL_CLOSE")
    ]


async def test_the_same_identity_joining_again_replaces_the_first(relay: RunningRelay) -> None:
    async with people("alice", "alice", "bob") as (first, second, bob):
        await bob.join(relay, ROOM)
        await first.join(relay, ROOM)
        await first.show(RED)
        await bob.sees("alice", RED)
        await second.join(relay, ROOM)
        await until(lambda: first.saw("disconnected"), "the first is told")
        assert ("disconnected", rtc.DisconnectReason.DUPLICATE_IDENTITY) in first.events
        await second.show(GREEN)
        await bob.sees("alice", GREEN)
    assert ("participant_left", "alice", "DUPLICATE_IDENTITY") in relay.events


async def test_who_does_not_subscribe_automatically_gets_what_it_chooses(relay: RunningRelay) -> None:
    async with people("alice", "bob") as (alice, bob):
        await alice.join(relay, ROOM)
        video, audio = await alice.show(RED), await alice.hum(440)
        await bob.join(relay, ROOM, auto_subscribe=False)
        await until(lambda: len(_publications(bob, "alice")) == 2, "bob knows of the tracks")
        await asyncio.sleep(0.3)
        assert not bob.sights
        assert not bob.sounds
        _publications(bob, "alice")[audio].set_subscribed(True)
        await bob.hears("alice", 440)
        assert not bob.sights
        _publications(bob, "alice")[video].set_subscribed(True)
        await bob.sees("alice", RED)
        _publications(bob, "alice")[video].set_subscribed(False)
        await until(lambda: bob.saw("track_unsubscribed"), "it ends")


async def test_a_publisher_chooses_who_gets_its_tracks(relay: RunningRelay) -> None:
    async with people("alice", "bob", "carol") as (alice, bob, carol):
        for person in (alice, bob, carol):
            await person.join(relay, ROOM)
        alice.room.local_participant.set_track_subscription_permissions(
            allow_all_participants=False,
            participant_permissions=[rtc.ParticipantTrackPermission(participant_identity="bob", allow_all=True)],
        )
        await alice.show(RED)
        await bob.sees("alice", RED)
        assert not carol.sights
        alice.room.local_participant.set_track_subscription_permissions(allow_all_participants=True)
        await carol.sees("alice", RED)


def _publications(person: Person, other: str) -> dict[str, rtc.RemoteTrackPublication]:
    return dict(person.room.remote_participants[other].track_publications)
