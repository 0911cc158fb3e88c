"""The service is killed, or restarted, while people are recorded: they come back, and so does the recording."""

from __future__ import annotations

import json
from typing import Any

import pytest

from palabre.base.errors import CallerError
from tests.support.bridge_fakes import ALICE, BOB
from tests.support.bridge_world import World

RECORDING_OF_ALICE, RECORDING_OF_BOB = (f"{ALICE}/tab", f"mic-{ALICE}/tab"), (f"{BOB}/tab", f"mic-{BOB}/tab")


def shown(world: World, room: str) -> dict[str, Any]:
    return json.loads(world.relay.state[room].metadata)["capture"]


async def recorded_call(world: World) -> str:
    """Alice and Bob are recorded; Bob has agreed."""
    room, _ = await world.join(ALICE)
    await world.join(BOB)
    await world.command("record")
    await world.command("agree", sender=BOB)
    return room


async def test_a_recording_goes_on_with_the_same_consents_when_people_come_back(bridge_world: World) -> None:
    room = await recorded_call(bridge_world)
    (before,) = bridge_world.files
    await bridge_world.restart()
    assert shown(bridge_world, room)["recording"]["by"] == "Alice"  # before anybody is back
    await bridge_world.join(BOB)
    assert bridge_world.relay.open_taps() == {RECORDING_OF_BOB}
    assert bridge_world.relay.state[room].recording
    await bridge_world.join(ALICE)
    assert bridge_world.relay.open_taps() == {RECORDING_OF_ALICE, RECORDING_OF_BOB}
    assert list(bridge_world.files) == [before]
    assert set(bridge_world.files[before].consents) == {ALICE, BOB}
    await bridge_world.command("stop")
    await bridge_world.until_states("posted")
    assert [job["interrupted"] for job in bridge_world.jobs] == [False]
    assert not any("interrupted" in text for text in bridge_world.matrix.texts())


async def test_whoever_declined_before_the_crash_is_not_read_after_it(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    await bridge_world.command("decline", sender=BOB)
    await bridge_world.restart()
    await bridge_world.join(ALICE)
    await bridge_world.join(BOB)
    assert bridge_world.relay.open_taps() == {RECORDING_OF_ALICE}


async def test_an_answer_given_while_nobody_is_back_counts_when_they_are(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    await bridge_world.restart()
    await bridge_world.command("decline", sender=BOB)
    await bridge_world.join(BOB)
    assert bridge_world.relay.open_taps() == set()
    await bridge_world.command("agree", sender=BOB)
    assert bridge_world.relay.open_taps() == {RECORDING_OF_BOB}


async def test_when_nobody_comes_back_the_recording_ends_as_interrupted(bridge_world: World) -> None:
    room = await recorded_call(bridge_world)
    await bridge_world.restart()
    bridge_world.relay.finish(room)
    await bridge_world.until_states("posted")
    assert [job["interrupted"] for job in bridge_world.jobs] == [True]
    await bridge_world.until(lambda: any("interrupted" in text for text in bridge_world.matrix.texts()))


async def test_stopping_while_nobody_is_back_ends_it_as_interrupted(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    await bridge_world.restart()
    await bridge_world.command("stop")
    await bridge_world.until_states("posted")
    assert [job["interrupted"] for job in bridge_world.jobs] == [True]


async def test_after_a_long_outage_nobody_is_recorded_any_more(bridge_world: World) -> None:
    room = await recorded_call(bridge_world)
    bridge_world.clock.advance(3600)
    await bridge_world.restart()
    assert shown(bridge_world, room)["recording"] is None
    await bridge_world.join(ALICE)
    assert bridge_world.relay.open_taps() == set()
    assert bridge_world.relay.consents(room, f"{ALICE}/tab") == {}
    await bridge_world.until_states("posted")
    assert [job["interrupted"] for job in bridge_world.jobs] == [True]


async def test_a_service_that_ends_in_good_order_leaves_whole_files_and_goes_on_with_the_next_start(
    bridge_world: World,
) -> None:
    room = await recorded_call(bridge_world)
    await bridge_world.service.close()
    assert [files.closed for files in bridge_world.files.values()] == [True]
    assert bridge_world.relay.open_taps() == set()
    bridge_world.relay.finish(room)  # the relay ends after it
    await bridge_world.restart()
    await bridge_world.join(ALICE)
    assert bridge_world.relay.open_taps() == {RECORDING_OF_ALICE}
    assert await bridge_world.capture_states() == ["running"]


async def test_a_recorder_that_cannot_be_had_again_ends_the_recording_and_not_the_call(
    bridge_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await recorded_call(bridge_world)
    await bridge_world.restart()

    async def gone(*_: object) -> None:
        raise CallerError("recorder_unavailable", "no recorder", status=503)

    monkeypatch.setattr("bridge.recordings.open_journals", gone)
    await bridge_world.join(ALICE)
    assert bridge_world.relay.open_taps() == set()
    assert shown(bridge_world, room)["recording"] is None
    await bridge_world.until_states("posted")
    assert [job["interrupted"] for job in bridge_world.jobs] == [True]


async def test_a_crash_while_a_capture_ends_leaves_no_yes_for_the_next_one(
    bridge_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.join(BOB)
    await bridge_world.command("record")
    await bridge_world.command("agree", sender=BOB)

    async def killed(*_: object) -> None:
        raise RuntimeError("killed")

    captures = bridge_world.service.captures
    monkeypatch.setattr(captures._gate, "happen", killed)
    with pytest.raises(RuntimeError):
        await bridge_world.command("stop", event="$stop")
    monkeypatch.undo()
    monkeypatch.setattr("bridge.recordings.open_journals", bridge_world.open_files)
    await bridge_world.restart()
    await bridge_world.join(ALICE)
    await bridge_world.join(BOB)
    await bridge_world.command("stop", event="$stop")  # the bot hands it over again
    await bridge_world.command("record")
    assert bridge_world.relay.open_taps() == {RECORDING_OF_ALICE}
