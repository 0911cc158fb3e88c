"""Bridge on PostgreSQL: the same statements, from the first command to the posted artefact and after a crash."""

from __future__ import annotations

import pytest

from media.relay.seams import EgressState, EgressWish, Grants
from tests.support.bridge_fakes import ALICE, BOB, ROOM
from tests.support.bridge_world import World


@pytest.mark.parametrize("bridge_world", ["postgres_url"], indirect=True)
async def test_a_recorded_call_and_a_crash_on_postgresql(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    await bridge_world.join(BOB)
    await bridge_world.command("record")
    await bridge_world.command("agree", sender=BOB)
    assert len(bridge_world.relay.open_taps()) == 2
    bridge_world.clock.advance(30)
    await bridge_world.restart()
    assert await bridge_world.join(BOB) == (room, f"{BOB}/tab")
    assert len(bridge_world.relay.open_taps()) == 1
    await bridge_world.consent({"recording": "no"}, sender=BOB, earlier="remove")
    await bridge_world.command("stop", sender=BOB)
    await bridge_world.until_states("posted")
    assert [cut["identity"] for cut in bridge_world.jobs[0]["cuts"]] == [f"{BOB}/tab"]
    await bridge_world.command("transcribe", sender=BOB)
    await bridge_world.command("stop", sender=BOB)
    await bridge_world.until_states("posted", "posted")
    await bridge_world.join(ALICE)
    await bridge_world.command("forget")
    await bridge_world.until(lambda: len(bridge_world.jobs) == 3)
    await bridge_world.until_states("posted", "posted")
    assert len(bridge_world.matrix.taken_back) == 3
    await bridge_world.command("consents")
    assert "Bob: recording, taken out up to" in bridge_world.matrix.texts()[-1]
    bridge_world.relay.finish(room)
    await bridge_world.settled()
    assert await bridge_world.refusal("record") == "no_call"
    for _ in range(2):
        await bridge_world.command("meeting", "Budget", BOB, event="$once")
    assert len(bridge_world.matrix.aliases) == 1
    token, _ = await bridge_world.service.entrance._sessions.open(bridge_world.person(ALICE), None)
    assert (await bridge_world.service.entrance.session(token)).person.key == ALICE
    meeting = await bridge_world.meeting(ROOM)
    assert len(meeting) == 12


@pytest.mark.parametrize("bridge_world", ["postgres_url"], indirect=True)
async def test_a_recording_for_a_program_and_an_agent_on_postgresql(bridge_world: World) -> None:
    room, alice = await bridge_world.join(ALICE)
    _, bob = await bridge_world.join(BOB)
    egress = bridge_world.service.egress
    wish = EgressWish(room, b"\x00request", track_sid=f"mic-{bob}")
    asked = await egress.start(Grants("key", "", room_record=True), wish)
    assert asked.state is EgressState.STARTING
    await bridge_world.command("agree", "recording", sender=BOB, event="$recording")
    await bridge_world.until(lambda: bridge_world.relay.egress[-1].state is EgressState.ACTIVE)
    await egress.stop(asked.id)
    await bridge_world.until(lambda: bridge_world.relay.egress[-1].state is EgressState.COMPLETE)
    assert [facts.wish for facts in await egress.find(room=room)] == [wish]
    assert await egress.find(room=room, active=True) == await egress.find(egress_id="EG_none") == ()
    bridge_world.relay.join(room, "agent-1", "Scribe", "agent")
    await bridge_world.until(lambda: bridge_world.relay.attributes(room, alice).get("palabre.consent.agent") == "asked")
    await bridge_world.command("agree", "agent", event="$agent")
    await bridge_world.until(lambda: bridge_world.relay.hearing.get("agent-1") == frozenset({alice}))
