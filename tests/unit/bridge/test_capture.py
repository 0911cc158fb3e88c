"""Who is asked, whose tracks are read, and what everybody sees of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.consent_store import Answer, Evidence, Kind
from media.relay.seams import TrackSource
from palabre.base.errors import CallerError
from tests.support.bridge_fakes import ALICE, BOB, track
from tests.support.bridge_world import World

RECORDING, TRANSCRIPTION = Kind.RECORDING, Kind.TRANSCRIPTION


def mic(who: str) -> tuple[str, str]:
    return f"{who}/tab", f"mic-{who}/tab"


def shown(world: World, room: str) -> dict[str, Any]:
    return json.loads(world.relay.state[room].metadata)["capture"]


async def test_whoever_starts_is_recorded_and_everyone_else_only_asked(bridge_world: World) -> None:
    room, alice = await bridge_world.join(ALICE)
    _, bob = await bridge_world.join(BOB)
    await bridge_world.command("record")
    assert bridge_world.relay.open_taps() == {mic(ALICE)}
    assert bridge_world.relay.consents(room, alice) == {"recording": "yes"}
    assert bridge_world.relay.consents(room, bob) == {"recording": "asked"}
    assert shown(bridge_world, room)["recording"]["by"] == "Alice"
    assert shown(bridge_world, room)["transcription"] is None
    assert bridge_world.relay.state[room].recording


async def test_a_yes_opens_and_a_no_after_it_closes_at_once(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    _, bob = await bridge_world.join(BOB)
    await bridge_world.command("record")
    await bridge_world.command("agree", sender=BOB)
    assert bridge_world.relay.open_taps() == {mic(ALICE), mic(BOB)}
    await bridge_world.command("decline", sender=BOB)
    assert bridge_world.relay.open_taps() == {mic(ALICE)}
    assert bridge_world.relay.consents(room, bob) == {"recording": "no"}
    (files,) = bridge_world.files.values()
    assert files.withdrawals == [bob]
    assert files.tracks[mic(BOB)].is_closed


async def test_silence_and_a_no_are_not_recorded_however_many_tracks_appear(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    _, bob = await bridge_world.join(BOB)
    await bridge_world.command("record")
    bridge_world.relay.publish(room, bob, track("cam", TrackSource.CAMERA))
    await bridge_world.settled()
    await bridge_world.command("decline", sender=BOB)
    bridge_world.relay.publish(room, bob, track("screen", TrackSource.SCREEN_SHARE))
    await bridge_world.settled()
    assert bridge_world.relay.open_taps() == {mic(ALICE)}


async def test_a_latecomer_is_asked_and_one_who_agreed_before_joining_is_read_at_once(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    await bridge_world.command("record")
    await bridge_world.join("camille")
    assert bridge_world.relay.consents(room, "guest:camille/tab") == {"recording": "asked"}
    await bridge_world.command("agree", sender=BOB)
    assert mic(BOB) not in bridge_world.relay.open_taps()
    await bridge_world.join(BOB)
    assert bridge_world.relay.open_taps() == {mic(ALICE), mic(BOB)}


async def test_tracks_published_later_by_somebody_who_agreed_are_read_at_their_best_layer(bridge_world: World) -> None:
    room, alice = await bridge_world.join(ALICE)
    await bridge_world.command("record")
    bridge_world.relay.publish(room, alice, track("cam", TrackSource.CAMERA))
    bridge_world.relay.publish(room, alice, track("screen", TrackSource.SCREEN_SHARE))
    bridge_world.relay.publish(room, alice, track("secret", encrypted=True))
    await bridge_world.settled()
    layers = {tap.key[2]: tap.max_layer for tap in bridge_world.relay.taps}
    assert layers == {f"mic-{alice}": 1, "cam": 1, "screen": 2}


async def test_a_transcription_reads_voices_and_no_pictures(bridge_world: World) -> None:
    room, alice = await bridge_world.join(ALICE)
    await bridge_world.command("transcribe")
    bridge_world.relay.publish(room, alice, track("cam", TrackSource.CAMERA))
    bridge_world.relay.publish(room, alice, track("loud screen", TrackSource.SCREEN_SHARE_AUDIO))
    await bridge_world.settled()
    assert bridge_world.relay.open_taps() == {mic(ALICE)}


async def test_consent_is_for_one_kind_and_each_kind_has_its_own_tap(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.join(BOB)
    service = bridge_world.service
    meeting = await service.listener._meetings.get(await bridge_world.meeting())
    bob = bridge_world.person(BOB)
    await bridge_world.command("record")
    await service.captures.answer(
        meeting, bob, [RECORDING], agree=True, how="page", proof=Evidence(bridge_world.clock.wall())
    )
    await bridge_world.command("transcribe")
    call = await service.listener._calls.open_call(meeting.id)
    assert call is not None
    answers = await service.captures._gate.answers(call.id, bob.key)
    assert (answers[RECORDING], answers[TRANSCRIPTION]) == (Answer.YES, Answer.ASKED)
    assert sum(tap.key[1] == f"{BOB}/tab" for tap in bridge_world.relay.taps) == 1


async def test_stopping_closes_everything_and_ends_the_consents(bridge_world: World) -> None:
    room, alice = await bridge_world.join(ALICE)
    await bridge_world.command("record")
    await bridge_world.command("stop", sender=BOB)
    assert bridge_world.relay.open_taps() == set()
    assert shown(bridge_world, room) == {"recording": None, "transcription": None}
    assert not bridge_world.relay.state[room].recording
    assert bridge_world.relay.consents(room, alice) == {}
    assert all(files.closed for files in bridge_world.files.values())
    await bridge_world.command("record", sender=BOB)
    assert bridge_world.relay.consents(room, alice) == {"recording": "asked"}
    assert bridge_world.relay.open_taps() == set()


async def test_a_second_device_of_somebody_who_agreed_is_read_too_and_withdrawn_with_the_first(
    bridge_world: World,
) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.command("record")
    await bridge_world.join(ALICE, "phone")
    assert len(bridge_world.relay.open_taps()) == 2
    await bridge_world.command("decline")
    assert bridge_world.relay.open_taps() == set()


async def test_without_a_call_or_with_nobody_in_it_nothing_starts(bridge_world: World) -> None:
    assert await bridge_world.refusal("record") == "no_call"
    await bridge_world.command("call")
    assert await bridge_world.refusal("transcribe") == "no_call"
    await bridge_world.take_seat(bridge_world.person(ALICE))
    assert await bridge_world.refusal("record") == "no_call"
    assert bridge_world.files == {}


async def test_starting_what_runs_changes_nothing(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.join(BOB)
    await bridge_world.command("record")
    await bridge_world.command("record", sender=BOB)
    assert len(bridge_world.files) == 1
    assert bridge_world.relay.open_taps() == {mic(ALICE)}


async def test_a_record_command_handed_over_again_after_a_crash_starts_no_second_recording(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.command("record", event="$once")
    await bridge_world.restart()
    await bridge_world.join(ALICE)
    await bridge_world.command("record", event="$once")
    assert len(bridge_world.files) == 1
    assert await bridge_world.capture_states() == ["running"]


async def test_the_call_ending_ends_its_captures(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    await bridge_world.command("record")
    bridge_world.relay.finish(room)
    await bridge_world.settled()
    assert bridge_world.relay.open_taps() == set()
    await bridge_world.until_states("posted")
    assert [job["interrupted"] for job in bridge_world.jobs] == [False]


async def test_a_full_disk_ends_the_capture_and_not_the_call(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    await bridge_world.command("record")
    (capture,) = bridge_world.files
    await bridge_world.service.captures.broke(capture)
    assert bridge_world.relay.open_taps() == set()
    assert shown(bridge_world, room)["recording"] is None
    assert room in bridge_world.relay.state


async def test_a_disk_that_takes_nothing_refuses_the_recording(
    bridge_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("bridge.recordings.open_journals", full)
    await bridge_world.join(ALICE)
    assert await bridge_world.refusal("record") == "capture_not_stored"
    assert bridge_world.relay.open_taps() == set()


async def test_a_guest_may_not_start_a_recording_but_is_asked(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.join("camille")
    _, session = await bridge_world.service.entrance._sessions.open(_guest(), None)
    with pytest.raises(CallerError, match="may not record"):
        await bridge_world.service.conference.start_capture(session, await bridge_world.meeting(), [RECORDING])


def _guest() -> Any:
    from bridge.people import guest_person

    return guest_person("camille", "Camille")
