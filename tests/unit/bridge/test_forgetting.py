"""Somebody has themselves taken out: of what runs, of what is being made, and of what is posted already."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bridge.consent_store import Kind
from palabre.base.errors import CallerError
from tests.support.bridge_fakes import ALICE, BOB
from tests.support.bridge_world import World


async def recorded_call(world: World) -> str:
    """Alice and Bob are recorded."""
    room, _ = await world.join(ALICE)
    await world.join(BOB)
    await world.command("record")
    await world.command("agree", sender=BOB)
    world.clock.advance(30)
    return room


async def posted(world: World) -> None:
    world.clock.advance(30)
    await world.command("stop")
    await world.until_states("posted")


def said(world: World) -> list[str]:
    """The messages that came with artefacts and are still in the room."""
    return [text for text in world.matrix.texts() if text.startswith("Recording of the call")]


async def test_whoever_declines_after_a_yes_is_asked_about_what_was_captured_before(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    event = await bridge_world.command("decline", sender=BOB)
    (asked,) = [m for m in bridge_world.matrix.sent.values() if m["thread"] == event]
    assert "unless you write “!palabre forget”" in asked["body"]
    again = await bridge_world.command("decline", sender=BOB)
    assert not [m for m in bridge_world.matrix.sent.values() if m["thread"] == again]


async def test_without_more_what_was_captured_before_stays(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    await bridge_world.command("decline", sender=BOB)
    await posted(bridge_world)
    (job,) = bridge_world.jobs
    assert job["cuts"] == []
    assert (job["missing"], job["partly"]) == ([], ["Bob"])


async def test_while_it_runs_forgetting_declines_and_leaves_the_earlier_part_out(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    until = bridge_world.clock.wall()
    await bridge_world.command("forget", sender=BOB)
    assert bridge_world.relay.open_taps() == {(f"{ALICE}/tab", f"mic-{ALICE}/tab")}
    await posted(bridge_world)
    (job,) = bridge_world.jobs
    (cut,) = job["cuts"]
    assert (cut["identity"], cut["end"]) == (f"{BOB}/tab", until)
    assert job["missing"] == ["Bob"]
    await bridge_world.until(lambda: said(bridge_world))
    assert "Taken out at their own request: Bob." in said(bridge_world)[0]
    assert bridge_world.matrix.taken_back == []


async def test_what_is_posted_is_taken_back_and_posted_anew_once(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    await posted(bridge_world)
    before = list(bridge_world.matrix.files)
    await bridge_world.command("forget", sender=BOB, event="$forget")
    await bridge_world.until(lambda: len(bridge_world.jobs) == 2)
    await bridge_world.until_states("posted")
    assert len(bridge_world.matrix.taken_back) == 3  # the message, the film, the receipt
    assert "Taken out" not in bridge_world.matrix.taken_back[-1]["body"]
    assert len(said(bridge_world)) == 1
    assert "Taken out at their own request: Bob." in said(bridge_world)[0]
    assert list(bridge_world.matrix.files) == before
    await bridge_world.command("forget", sender=BOB, event="$forget")  # handed over again after a crash
    assert len(bridge_world.jobs) == 2


async def test_whoever_agrees_again_is_in_it_from_then_on(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    await bridge_world.command("forget", sender=BOB)
    bridge_world.clock.advance(10)
    await bridge_world.command("agree", sender=BOB)
    assert (f"{BOB}/tab", f"mic-{BOB}/tab") in bridge_world.relay.open_taps()
    await posted(bridge_world)
    (job,) = bridge_world.jobs
    (cut,) = job["cuts"]
    assert cut["end"] == bridge_world.clock.wall() - 40


async def test_a_crash_between_taking_back_and_posting_anew_goes_on(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    await posted(bridge_world)
    bridge_world.worker_error = CallerError("models_missing", "so that it stops there")
    await bridge_world.command("forget", sender=BOB)
    await bridge_world.until_states("failed")
    assert said(bridge_world) == []
    bridge_world.worker_error = None
    await bridge_world.restart()
    await bridge_world.until_states("posted")
    assert len(said(bridge_world)) == 1


async def test_somebody_who_is_taken_out_while_the_film_is_made_is_not_in_what_is_posted(
    bridge_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await recorded_call(bridge_world)
    making, go_on = asyncio.Event(), asyncio.Event()
    work = bridge_world.service._recordings.artefacts._run_worker

    async def slowly(job: dict[str, Any], progress: Any) -> dict[str, Any]:
        result = await work(job, progress)
        making.set()
        await go_on.wait()
        return result

    monkeypatch.setattr(bridge_world.service._recordings.artefacts, "_run_worker", slowly)
    await bridge_world.command("stop")
    await making.wait()
    await bridge_world.command("forget", sender=BOB)
    go_on.set()
    await bridge_world.until_states("posted")
    assert [len(job["cuts"]) for job in bridge_world.jobs] == [0, 1]
    assert bridge_world.matrix.taken_back == []
    assert len(said(bridge_world)) == 1


async def test_all_devices_of_a_person_are_taken_out(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    await bridge_world.join(BOB, "phone")
    await bridge_world.command("forget", sender=BOB)
    await posted(bridge_world)
    assert {cut["identity"] for cut in bridge_world.jobs[0]["cuts"]} == {f"{BOB}/phone", f"{BOB}/tab"}


async def test_there_is_nothing_to_forget_of_who_was_not_captured(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    assert await bridge_world.refusal("forget") == "nothing_to_forget"
    await bridge_world.join(BOB)
    await bridge_world.command("record")
    assert await bridge_world.refusal("forget", sender=BOB) == "nothing_to_forget"
    assert await bridge_world.refusal("forget", "transcription") == "nothing_to_forget"


async def test_when_the_raw_tracks_are_gone_it_is_too_late_and_says_what_to_do(bridge_world: World) -> None:
    room = await recorded_call(bridge_world)
    await posted(bridge_world)
    bridge_world.relay.finish(room)
    await bridge_world.settled()
    bridge_world.clock.advance(7200)
    await bridge_world.service._recordings.artefacts._clean()
    assert await bridge_world.refusal("forget", sender=BOB) == "forget_too_late"


async def test_from_the_page_a_no_can_take_the_earlier_part_along_even_after_the_call(bridge_world: World) -> None:
    room = await recorded_call(bridge_world)
    await posted(bridge_world)
    bridge_world.relay.finish(room)
    await bridge_world.settled()
    _, session = await bridge_world.service.entrance._sessions.open(bridge_world.person(BOB), None)
    meeting = await bridge_world.meeting()
    for _ in range(2):  # again changes nothing
        await bridge_world.service.conference.answer(
            session, meeting, [Kind.RECORDING], agree=False, remove_earlier=True
        )
    await bridge_world.until(lambda: len(bridge_world.jobs) == 2)
    await bridge_world.until_states("posted")
    assert "Taken out at their own request: Bob." in said(bridge_world)[0]


async def test_an_event_can_say_that_the_earlier_part_goes_too(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    await bridge_world.consent({"recording": "no"}, sender=BOB, earlier="remove")
    await posted(bridge_world)
    assert len(bridge_world.jobs[0]["cuts"]) == 1


async def test_consents_shows_ones_own_answers_and_everybodys_to_who_may_record(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    await bridge_world.command("decline", sender=BOB)
    event = await bridge_world.command("consents")
    (told,) = [m["body"] for m in bridge_world.matrix.sent.values() if m["thread"] == event]
    assert [line.rpartition(" (")[0] for line in told.splitlines()] == [
        "Alice: recording, agreed",
        "Bob: recording, declined",
    ]
    bridge_world.settings = bridge_world.settings.model_copy(
        update={"policy": bridge_world.settings.policy.model_copy(update={"capture_power": 50})}
    )
    await bridge_world.restart()
    event = await bridge_world.command("consents", sender=BOB)
    (told,) = [m["body"] for m in bridge_world.matrix.sent.values() if m["thread"] == event]
    assert told.startswith("Bob: recording, declined")
    assert "Alice" not in told
