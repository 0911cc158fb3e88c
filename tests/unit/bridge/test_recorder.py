"""End-to-end calls on the service's side: who is told what when, and what follows when the recorder's process ends."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from appservice.seams import RtcMember
from bridge.consent_store import Kind
from bridge.meetings import Meeting
from bridge.modes import MODE_END_TO_END
from bridge.recorder import MOST_DEATHS
from bridge.sessions import Proof
from palabre.base.errors import CallerError
from palabre.base.ids import EventId, UserId
from tests.support.bridge_fakes import ALICE, BOB, ROOM, FakeLink, track
from tests.support.bridge_world import World

RECORDER = "@palabre:example.org:RECORDER"


async def encrypted_call(world: World) -> str:
    """Alice and Bob are in an end-to-end call under MatrixRTC's identities, and publish encrypted microphones."""
    meeting = await world.service._stores.meetings.get(await world.meeting())
    call = await world.service.listener.open(meeting, MODE_END_TO_END)
    for user in (ALICE, BOB):
        await world.service._stores.calls.expect(call.id, f"{user}:PHONE", world.person(user))
        world.relay.join(call.room, f"{user}:PHONE")
        world.relay.publish(call.room, f"{user}:PHONE", track(f"mic-{user}", encrypted=True))
    world.matrix.rooms[ROOM].rtc = [member(ALICE), member(BOB)]
    await world.settled()
    return call.room


def member(user: UserId, focus: str = "https://meet.example.org/livekit/jwt") -> RtcMember:
    return RtcMember(
        user, "PHONE", "", f"{user}:PHONE", "m.call#ROOM", (focus,), False, 0.0, 1e12, EventId("$e"), "k", False
    )


def process(world: World) -> FakeLink:
    return world.links[-1]


def settled(world: World, links: int) -> bool:
    """Another process runs, or it was given up."""
    return len(world.links) > links or not world.service._recordings.recorder._calls


async def resting(world: World) -> None:
    """Until the process that prepared the device has ended."""
    await world.until(lambda: world.links and process(world).closed)


async def test_the_device_is_made_known_and_signed_at_the_start_and_then_there_is_no_process(
    bridge_world: World,
) -> None:
    await resting(bridge_world)
    assert bridge_world.matrix.recorder_port.signed == [{"device_id": "RECORDER"}]
    assert process(bridge_world).start["device_id"] == "RECORDER"


async def test_the_recorder_is_in_the_call_before_anybody_is_read(bridge_world: World) -> None:
    await resting(bridge_world)
    room = await encrypted_call(bridge_world)
    await bridge_world.command("record")
    port = bridge_world.matrix.recorder_port
    assert port.log == ["enter"]
    assert bridge_world.relay.state[room].presences == {RECORDER: "Palabre — recording"}
    link = process(bridge_world)
    assert link.ordered("delays")[-1] == {"delays": [stay.delay_id for stay in port.stays]}
    assert link.ordered("members")[-1]["members"] == [[f"{u}:PHONE", u, "PHONE"] for u in (ALICE, BOB)]
    assert [one["identity"] for one in link.ordered("track")] == [f"{ALICE}:PHONE"]
    await bridge_world.command("agree", sender=BOB)
    assert [one["user"] for one in link.ordered("track")] == [ALICE, BOB]
    (tap, _) = bridge_world.relay.taps
    tap.sink.rtp(7, b"ciphertext", 1.0)
    assert link.packets == [(link.ordered("track")[0]["track"], b"ciphertext")]


async def test_stopping_withdraws_the_member_event_before_the_presence(
    bridge_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await resting(bridge_world)
    room = await encrypted_call(bridge_world)
    await bridge_world.command("record")
    await bridge_world.command("transcribe")
    port = bridge_world.matrix.recorder_port
    assert bridge_world.relay.state[room].presences == {RECORDER: "Palabre — recording and transcription"}
    gone: list[int] = []
    monkeypatch.setattr(bridge_world.relay, "remove_presence", lambda *_: gone.append(len(port.stays)))
    await bridge_world.service.captures.stop(await meeting_of(bridge_world), [Kind.TRANSCRIPTION])
    assert port.log == ["enter"], "one capture goes on"
    await bridge_world.command("stop")
    await bridge_world.until(lambda: process(bridge_world).closed)
    assert port.log == ["enter", "leave"]
    assert gone == [0]
    assert process(bridge_world).ordered("forget_room")


async def meeting_of(world: World) -> Meeting:
    return await world.service._stores.meetings.get(await world.meeting())


async def test_a_process_that_is_killed_is_followed_by_another_and_clients_see_the_recorder_leave_and_come_back(
    bridge_world: World,
) -> None:
    await resting(bridge_world)
    await encrypted_call(bridge_world)
    await bridge_world.command("record")
    first = process(bridge_world)
    bridge_world.relay.taps[0].sink.layer(7, "", 111, "audio/opus", 48_000)
    first.die()
    port = bridge_world.matrix.recorder_port
    await bridge_world.until(lambda: port.log == ["enter", "leave", "enter"])
    second = process(bridge_world)
    assert second is not first
    assert second.ordered("capture") == first.ordered("capture")
    assert second.ordered("track") == first.ordered("track")
    assert second.ordered("layer") == first.ordered("layer")
    await bridge_world.until(lambda: second.ordered("delays")[-1]["delays"] != first.ordered("delays")[-1]["delays"])
    bridge_world.relay.taps[0].sink.rtp(7, b"ciphertext", 1.0)
    assert second.packets
    assert await bridge_world.capture_states() == ["running"]


async def test_a_process_that_dies_again_and_again_ends_the_recording_and_says_so(bridge_world: World) -> None:
    await resting(bridge_world)
    await encrypted_call(bridge_world)
    await bridge_world.command("record")
    recorder = bridge_world.service._recordings.recorder
    deaths = 0
    while recorder._calls:
        count = len(bridge_world.links)
        process(bridge_world).die()
        deaths += 1
        await bridge_world.until(partial(settled, bridge_world, count))
    assert deaths == MOST_DEATHS + 1
    await bridge_world.until_states("posted")
    assert [job["interrupted"] for job in bridge_world.jobs] == [True]
    assert bridge_world.matrix.recorder_port.stays == set()


async def test_a_device_that_the_homeserver_knows_with_other_keys_is_replaced(bridge_world: World) -> None:
    await resting(bridge_world)
    await encrypted_call(bridge_world)
    starting = asyncio.create_task(bridge_world.command("record"))
    await bridge_world.until(lambda: not process(bridge_world).closed)
    process(bridge_world).heard("stale", {})
    process(bridge_world).die()
    await starting
    assert process(bridge_world).start["device_id"] == "RECORDER2"


async def test_a_leave_that_the_homeserver_made_happen_is_made_good(bridge_world: World) -> None:
    await resting(bridge_world)
    await encrypted_call(bridge_world)
    await bridge_world.command("record")
    port = bridge_world.matrix.recorder_port
    (stay,) = port.stays
    process(bridge_world).heard("left", {"delay": stay.delay_id})
    await bridge_world.until(lambda: port.log == ["enter", "leave", "enter"])


async def test_where_the_bot_may_not_be_a_member_nothing_is_recorded_and_the_sentence_says_why(
    bridge_world: World,
) -> None:
    await resting(bridge_world)
    room = await encrypted_call(bridge_world)
    bridge_world.matrix.recorder_port.refuse = CallerError("missing_power", "…", needed=50, have=0, event="e")
    assert await bridge_world.refusal("record") == "missing_power"
    assert await bridge_world.capture_states() == []
    assert bridge_world.relay.state[room].presences == {}


async def test_a_track_that_is_not_encrypted_is_not_read_in_an_encrypted_call_nor_the_other_way_round(
    bridge_world: World,
) -> None:
    await resting(bridge_world)
    room = await encrypted_call(bridge_world)
    await bridge_world.command("record")
    bridge_world.relay.publish(room, f"{ALICE}:PHONE", track("clear", encrypted=False))
    await bridge_world.settled()
    assert bridge_world.relay.open_taps() == {(f"{ALICE}:PHONE", f"mic-{ALICE}")}


async def test_a_key_frame_is_asked_of_the_publisher(bridge_world: World) -> None:
    await resting(bridge_world)
    await encrypted_call(bridge_world)
    await bridge_world.command("record")
    (order,) = process(bridge_world).ordered("track")
    process(bridge_world).heard("key_frame", {"track": order["track"]})
    process(bridge_world).heard("key_frame", {"track": 10_000})
    assert bridge_world.relay.key_frames == [(f"{ALICE}:PHONE", f"mic-{ALICE}")]


async def test_whoever_names_our_relay_itself_and_not_its_token_service_is_on_it(bridge_world: World) -> None:
    await resting(bridge_world)
    await encrypted_call(bridge_world)
    bridge_world.matrix.rooms[ROOM].rtc = [member(ALICE), member(BOB, bridge_world.settings.livekit.url)]
    await bridge_world.command("record")
    await bridge_world.command("stop")
    await bridge_world.until_states("posted")
    assert bridge_world.jobs[0]["unreached"] == []


async def test_people_on_another_relay_are_named_with_what_was_recorded(bridge_world: World) -> None:
    await resting(bridge_world)
    await encrypted_call(bridge_world)
    bridge_world.matrix.rooms[ROOM].rtc = [member(ALICE), member(BOB, "https://rtc.other.org/livekit/jwt")]
    await bridge_world.command("record")
    await bridge_world.command("agree", sender=BOB)
    await bridge_world.command("stop")
    await bridge_world.until_states("posted")
    assert bridge_world.jobs[0]["unreached"] == ["Bob"]
    assert bridge_world.jobs[0]["notices"] == ["Not reached, as their media went to another server: Bob."]
    assert any("Not reached, because their media go to another server: Bob." in t for t in bridge_world.matrix.texts())


async def test_after_a_crash_of_everything_the_recorder_withdraws_from_where_it_may_have_been_left(
    bridge_world: World,
) -> None:
    await resting(bridge_world)
    await encrypted_call(bridge_world)
    await bridge_world.command("record")
    bridge_world.links.clear()
    port = bridge_world.matrix.recorder_port
    await bridge_world.restart()
    await bridge_world.until(lambda: port.log[-1] == "leave")


@pytest.mark.parametrize("when", ["closed", "killed"])
async def test_a_capture_whose_end_was_not_confirmed_is_marked_interrupted(
    bridge_world: World, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.recorder.CLOSE_SECONDS", 0.05)
    await resting(bridge_world)
    await encrypted_call(bridge_world)
    await bridge_world.command("record")
    if when == "killed":
        monkeypatch.setattr(process(bridge_world), "order", lambda *_: None)
    await bridge_world.command("stop")
    await bridge_world.until_states("posted")
    assert [job["interrupted"] for job in bridge_world.jobs] == [when == "killed"]


async def test_only_an_encrypted_event_says_yes_in_an_end_to_end_call_and_a_no_counts_by_the_page_too(
    bridge_world: World,
) -> None:
    await resting(bridge_world)
    await encrypted_call(bridge_world)
    meeting = await meeting_of(bridge_world)
    _, session = await bridge_world.service.entrance._sessions.open(
        bridge_world.person(ALICE), meeting.id, Proof.OPENID
    )
    conference, kinds = bridge_world.service.conference, [Kind.RECORDING]
    await conference.start_capture(session, meeting.id, kinds)
    assert bridge_world.relay.open_taps() == set(), "starting by the page agrees to nothing"
    with pytest.raises(CallerError) as caught:
        await conference.answer(session, meeting.id, kinds, agree=True)
    assert caught.value.code == "consent_by_event"
    assert bridge_world.relay.open_taps() == set()
    await bridge_world.consent({"recording": "yes"})
    assert bridge_world.relay.open_taps() == {(f"{ALICE}:PHONE", f"mic-{ALICE}")}
    await conference.answer(session, meeting.id, kinds, agree=False)
    assert bridge_world.relay.open_taps() == set()
