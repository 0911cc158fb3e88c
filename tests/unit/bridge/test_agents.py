"""Programs in a room's call: everybody is told and asked, and they hear whoever agreed, as long as they agree."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bridge.consent import Event
from bridge.consent_store import Answer, Kind
from bridge.modes import MODE_END_TO_END
from media.relay.seams import Grants, TrackSource
from palabre.base.errors import CallerError
from palabre.base.ids import CallId
from tests.support.bridge_fakes import ALICE, BOB, ROOM
from tests.support.bridge_world import World

SCRIBE = "agent-scribe"
NOBODY: frozenset[str] = frozenset()


async def come(world: World, room: str, identity: str = SCRIBE, name: str = "Scribe") -> None:
    world.relay.join(room, identity, name, "agent")
    people = [one.identity for one in world.relay.participants(room) if one.kind != "agent"]

    def known() -> bool:
        shown = all("palabre.consent.agent" in world.relay.attributes(room, one) for one in people)
        return shown and identity in world.relay.hearing

    await world.until(known)


def asked(world: World) -> list[str]:
    return [text for text in world.matrix.texts() if "takes part" in text]


async def test_an_agent_hears_nobody_until_they_agree_and_then_only_them(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    _, bob = await bridge_world.join(BOB)
    await come(bridge_world, room)
    assert bridge_world.relay.hearing == {SCRIBE: NOBODY}
    assert bridge_world.relay.attributes(room, bob)["palabre.consent.agent"] == "asked"
    await bridge_world.command("agree", "agent", sender=BOB)
    await bridge_world.until(lambda: bridge_world.relay.hearing[SCRIBE] == {bob})
    assert bridge_world.relay.attributes(room, bob)["palabre.consent.agent"] == "yes"
    assert not bridge_world.relay.taps  # nothing is recorded by it


async def test_the_room_is_told_and_everybody_present_mentioned_once(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    await come(bridge_world, room)
    await bridge_world.until(lambda: asked(bridge_world))
    (text,) = asked(bridge_world)
    assert "Scribe" in text
    assert "Alice" in text
    await bridge_world.join(ALICE, "phone")
    assert len(asked(bridge_world)) == 1


async def test_a_consent_taken_back_shuts_its_ears_before_the_answer_is_acknowledged(bridge_world: World) -> None:
    room, alice = await bridge_world.join(ALICE)
    await come(bridge_world, room)
    await bridge_world.command("agree", "agent")
    await bridge_world.until(lambda: bridge_world.relay.hearing[SCRIBE] == {alice})
    await bridge_world.command("decline")  # of everything
    assert bridge_world.relay.hearing[SCRIBE] == NOBODY


async def test_a_no_that_comes_while_the_call_is_looked_at_holds(bridge_world: World) -> None:
    room, alice = await bridge_world.join(ALICE)
    _, bob = await bridge_world.join(BOB)
    await come(bridge_world, room)
    for sender in (ALICE, BOB):
        await bridge_world.command("agree", "agent", sender=sender)
    await bridge_world.until(lambda: bridge_world.relay.hearing[SCRIBE] == {alice, bob})
    agents = bridge_world.service._agents
    happen = agents._gate.happen

    said_no: list[bool] = []

    async def says_no_meanwhile(call: CallId, person: str, *rest: Any) -> Answer:
        """Alice's answer is read; then she says no, before that of Bob is."""
        if person == BOB:
            await happen(call, ALICE, Kind.AGENT, Event.DECLINE, "page")
            said_no.append(True)
        return await happen(call, person, *rest)

    agents._gate.happen = says_no_meanwhile  # type: ignore[method-assign, assignment]
    heard: list[frozenset[str]] = []
    set_hearing = bridge_world.relay.set_hearing

    def written_down(room: str, identity: str, of: frozenset[str]) -> None:
        if said_no:
            heard.append(of)
        set_hearing(room, identity, of)

    bridge_world.relay.set_hearing = written_down  # type: ignore[method-assign]
    agents.moved(room)
    await bridge_world.until(lambda: heard)
    assert all(alice not in one for one in heard)


async def test_another_agent_makes_everybody_be_asked_anew(bridge_world: World) -> None:
    room, alice = await bridge_world.join(ALICE)
    await come(bridge_world, room)
    await bridge_world.command("agree", "agent")
    await bridge_world.until(lambda: bridge_world.relay.hearing[SCRIBE] == {alice})
    bridge_world.clock.advance(1)
    await come(bridge_world, room, "agent-other", "Other")
    await bridge_world.until(lambda: bridge_world.relay.hearing == {SCRIBE: NOBODY, "agent-other": NOBODY})
    assert bridge_world.relay.attributes(room, alice)["palabre.consent.agent"] == "asked"
    await bridge_world.until(lambda: len(asked(bridge_world)) == 2)


async def test_when_the_last_agent_has_left_no_consent_is_left(bridge_world: World) -> None:
    room, alice = await bridge_world.join(ALICE)
    await come(bridge_world, room)
    await bridge_world.command("agree", "agent")
    await bridge_world.until(lambda: bridge_world.relay.hearing[SCRIBE] == {alice})
    bridge_world.relay.leave(room, SCRIBE)
    await bridge_world.until(lambda: "palabre.consent.agent" not in bridge_world.relay.attributes(room, alice))
    del bridge_world.relay.hearing[SCRIBE]
    await come(bridge_world, room)
    assert bridge_world.relay.hearing[SCRIBE] == NOBODY


async def test_to_be_recorded_is_not_to_be_heard_by_an_agent(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    await bridge_world.command("record")
    await bridge_world.command("transcribe")
    await come(bridge_world, room)
    assert bridge_world.relay.hearing[SCRIBE] == NOBODY


async def test_an_agent_is_nobodys_coming(bridge_world: World) -> None:
    room, _ = await bridge_world.take_seat(bridge_world.person(ALICE))
    await come(bridge_world, room)
    await bridge_world.settled()
    assert (await bridge_world.call()).started_at is None


def agent(room: str, **changes: Any) -> Grants:
    return dataclasses.replace(
        Grants("key", SCRIBE, room=room, room_join=True, kind="agent", agent=True, room_record=True), **changes
    )


async def test_an_agent_is_admitted_to_hear_by_consent(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    given = agent(room, attributes={"palabre.user": ALICE, "lk.agent_name": "scribe"}, name="Scribe")
    admitted = await bridge_world.service.admission.admit(given)
    assert admitted.by_consent
    assert admitted.attributes == {"lk.agent_name": "scribe"}
    assert not admitted.room_record


async def test_an_agent_publishes_what_anybody_in_the_room_may(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    bridge_world.matrix.rooms[ROOM].required_power["org.palabre.call.share"] = 50
    admitted = await bridge_world.service.admission.admit(agent(room))
    assert admitted.can_publish_sources == (TrackSource.MICROPHONE, TrackSource.CAMERA)


async def refusal(world: World, given: Grants) -> str:
    with pytest.raises(CallerError) as caught:
        await world.service.admission.admit(given)
    return caught.value.code


async def test_an_agent_is_refused_hidden_under_somebodys_identity_and_where_members_may_not_record(
    bridge_world: World,
) -> None:
    room, alice = await bridge_world.join(ALICE)
    assert await refusal(bridge_world, agent(room, hidden=True)) == "hidden_refused"
    assert await refusal(bridge_world, agent(room, identity=alice)) == "identity_taken"
    bridge_world.matrix.rooms[ROOM].required_power["org.palabre.call.record"] = 50
    assert await refusal(bridge_world, agent(room)) == "capture_forbidden"


async def test_no_agent_is_in_an_end_to_end_call(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    await bridge_world.database.execute("UPDATE bridge_call SET mode = $1", MODE_END_TO_END)
    assert await refusal(bridge_world, agent(room)) == "end_to_end_only"
