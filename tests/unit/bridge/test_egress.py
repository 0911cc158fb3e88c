"""Recordings that a program asks for with an API key: nobody is recorded before they agree, and it learns what came."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.capture_store import Capture, State
from bridge.consent_store import Kind
from bridge.egress import INTERRUPTED, NOBODY, NOT_MADE, state_after
from bridge.egress_store import Egress
from bridge.jobs import WorkerDiedError
from bridge.people import program_person
from media.relay.seams import EgressFacts, EgressState, EgressWish, Grants
from palabre.base.errors import CallerError
from palabre.base.ids import CallId
from tests.support.bridge_fakes import ALICE, BOB, ROOM
from tests.support.bridge_world import World

STARTING, ACTIVE, ENDING = EgressState.STARTING, EgressState.ACTIVE, EgressState.ENDING
COMPLETE, FAILED, ABORTED = EgressState.COMPLETE, EgressState.FAILED, EgressState.ABORTED
ASKED = Egress("EG_1", CallId("call"), "capture", "RM_1", EgressWish("room", b""), STARTING, 1000.0, 1000.0)


def capture(state: State) -> Capture:
    program = program_person("key", "A program")
    return Capture("capture", CallId("call"), Kind.RECORDING, program, 1000.0, None, interrupted=False, state=state)


@pytest.mark.parametrize(
    ("state", "reads", "has_files", "expected"),
    [
        (State.RUNNING, False, False, (STARTING, "")),
        (State.RUNNING, True, False, (ACTIVE, "")),
        (State.ENDED, False, False, (ENDING, "")),
        (State.RENDERED, False, False, (ENDING, "")),
        (State.POSTED, False, True, (COMPLETE, "")),
        (State.POSTED, False, False, (ABORTED, NOBODY)),
        (State.FAILED, False, False, (FAILED, NOT_MADE)),
    ],
)
def test_its_state_follows_from_its_capture(
    state: State, reads: bool, has_files: bool, expected: tuple[EgressState, str]
) -> None:
    assert state_after(ASKED, capture(state), reads=reads, has_files=has_files) == expected


def test_one_whose_capture_never_began_is_aborted() -> None:
    assert state_after(ASKED, None, reads=False, has_files=False) == (ABORTED, INTERRUPTED)


async def ask(world: World, **wish: Any) -> EgressFacts:
    room = (await world.call()).room
    return await world.service.egress.start(Grants("key", "", room_record=True), EgressWish(room, b"", **wish))


def told(world: World) -> list[EgressState]:
    return [facts.state for facts in world.relay.egress]


async def test_it_waits_until_somebody_agrees_and_ends_with_the_film_in_the_room(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.join(BOB)
    facts = await ask(bridge_world)
    assert facts.state is STARTING
    assert not bridge_world.relay.taps
    await bridge_world.until(lambda: "“key”" in bridge_world.matrix.texts()[-1])  # everybody is told who asks
    await bridge_world.command("agree", sender=BOB)
    await bridge_world.until(lambda: told(bridge_world) == [STARTING, ACTIVE])
    assert [tap.key[1] for tap in bridge_world.relay.taps] == [f"{BOB}/tab"]
    bridge_world.clock.advance(65)
    stopping = await bridge_world.service.egress.stop(facts.id)
    assert stopping.state in (ENDING, COMPLETE)
    await bridge_world.until(lambda: told(bridge_world)[-1] is COMPLETE)
    assert told(bridge_world) == [STARTING, ACTIVE, ENDING, COMPLETE]
    (found,) = await bridge_world.service.egress.find(room=facts.wish.room)
    film, receipt = found.files
    assert film.location.startswith(f"https://matrix.to/#/{ROOM}/$")
    assert receipt.name.endswith("-consents.json")
    assert found.ended_at is not None
    assert found.started_at is not None
    assert found.ended_at - found.started_at == 65


async def test_where_nobody_agrees_it_is_aborted_and_nothing_was_read(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    facts = await ask(bridge_world)
    await bridge_world.command("decline")
    bridge_world.worker_error = CallerError("recording_empty", "Nothing was captured.")
    await bridge_world.service.egress.stop(facts.id)
    await bridge_world.until(lambda: told(bridge_world)[-1] is ABORTED)
    assert bridge_world.relay.egress[-1].error == NOBODY
    assert not bridge_world.relay.taps


async def test_a_program_consents_for_nobody(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await ask(bridge_world)
    history = await bridge_world.service._stores.consents.history((await bridge_world.call()).id)
    assert [(consent.person, consent.answer.value) for consent in history] == [(ALICE, "asked")]


async def test_of_one_track_only_its_publisher_is_asked_and_nothing_else_is_read(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    room, bob = await bridge_world.join(BOB)
    await ask(bridge_world, track_sid=f"mic-{bob}")
    history = await bridge_world.service._stores.consents.history((await bridge_world.call()).id)
    assert [(consent.person, consent.answer.value) for consent in history] == [(BOB, "asked")]
    await bridge_world.command("agree")  # of Alice, whom nobody asked
    await bridge_world.command("agree", sender=BOB)
    assert [tap.key[2] for tap in bridge_world.relay.taps] == [f"mic-{bob}"]
    bridge_world.relay.unpublish(room, bob, f"mic-{bob}")
    await bridge_world.settled()
    await bridge_world.until(lambda: told(bridge_world)[-1] is COMPLETE)


async def test_one_that_failed_says_so(bridge_world: World) -> None:
    bridge_world.worker_error = WorkerDiedError("ended with -9")
    await bridge_world.join(ALICE)
    facts = await ask(bridge_world)
    await bridge_world.command("agree")
    await bridge_world.service.egress.stop(facts.id)
    await bridge_world.until(lambda: told(bridge_world)[-1] is FAILED)
    assert bridge_world.relay.egress[-1].error == NOT_MADE


async def test_a_call_that_is_recorded_already_gets_no_second_recording(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.command("record")
    with pytest.raises(CallerError) as refused:
        await ask(bridge_world)
    assert refused.value.code == "capture_running"
    assert await bridge_world.service.egress.find() == ()


async def test_where_members_need_a_power_to_record_a_program_may_not(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    bridge_world.matrix.rooms[ROOM].required_power["org.palabre.call.record"] = 50
    with pytest.raises(CallerError) as refused:
        await ask(bridge_world)
    assert refused.value.code == "capture_forbidden"


async def test_rooms_that_are_no_rooms_call_are_not_found(bridge_world: World) -> None:
    with pytest.raises(CallerError) as refused:
        await bridge_world.service.egress.start(Grants("key", "", room_record=True), EgressWish("elsewhere", b""))
    assert refused.value.code == "not_found"


async def test_it_outlives_a_crash_of_the_service(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    facts = await ask(bridge_world)
    await bridge_world.command("agree")
    await bridge_world.until(lambda: told(bridge_world) == [STARTING, ACTIVE])
    await bridge_world.restart()
    await bridge_world.join(ALICE)
    (found,) = await bridge_world.service.egress.find(egress_id=facts.id)
    assert found.state is ACTIVE
    await bridge_world.service.egress.stop(facts.id)
    await bridge_world.until(lambda: told(bridge_world)[-1:] == [COMPLETE])
