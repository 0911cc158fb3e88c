"""What the relay is told about a token at every join and resume."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from media.relay.seams import Grants
from palabre.base.errors import CallerError
from tests.support.bridge_fakes import ALICE, BOB, EVE, ROOM
from tests.support.bridge_world import World


def grants(room: str, identity: str, **changes: Any) -> Grants:
    return dataclasses.replace(Grants("key", identity, room=room, room_join=True), **changes)


async def refusal(world: World, given: Grants) -> str:
    with pytest.raises(CallerError) as caught:
        await world.service.admission.admit(given)
    return caught.value.code


async def test_a_seat_that_was_given_is_admitted(bridge_world: World) -> None:
    room, identity = await bridge_world.join(ALICE)
    assert (await bridge_world.service.admission.admit(grants(room, identity))).can_publish


async def test_whoever_left_the_room_is_refused_though_their_token_is_valid(bridge_world: World) -> None:
    room, identity = await bridge_world.join(BOB)
    del bridge_world.matrix.rooms[ROOM].members[BOB]
    assert await refusal(bridge_world, grants(room, identity)) == "not_in_room"


async def test_an_identity_that_was_given_no_seat_is_refused(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    for identity in (f"{BOB}/tab", f"{ALICE}/other", f"{EVE}/tab", "", "guest:camille/tab"):
        assert await refusal(bridge_world, grants(room, identity)) == "unknown_identity"


async def test_a_seat_in_a_call_that_is_over_is_worth_nothing(bridge_world: World) -> None:
    room, identity = await bridge_world.join(ALICE)
    bridge_world.relay.finish(room)
    await bridge_world.settled()
    assert await refusal(bridge_world, grants(room, identity)) == "call_over"
    assert await refusal(bridge_world, grants("call-unknown", identity)) == "call_not_found"


@pytest.mark.parametrize("change", [{"hidden": True}, {"recorder": True}, {"agent": True}, {"kind": "egress"}])
async def test_nobody_comes_in_unseen_or_as_a_machine(bridge_world: World, change: dict[str, Any]) -> None:
    room, identity = await bridge_world.join(ALICE)
    assert await refusal(bridge_world, grants(room, identity, **change)) == "hidden_refused"


async def test_grants_to_administer_are_taken_away(bridge_world: World) -> None:
    room, identity = await bridge_world.join(ALICE)
    given = grants(room, identity, room_admin=True, room_create=True, room_list=True, room_record=True)
    admitted = await bridge_world.service.admission.admit(given)
    assert not any((admitted.room_admin, admitted.room_create, admitted.room_list, admitted.room_record))


async def test_a_guest_by_link_is_admitted_to_a_meeting_encrypted_to_the_server_only(bridge_world: World) -> None:
    room, identity = await bridge_world.join("camille")
    await bridge_world.service.admission.admit(grants(room, identity))
    await bridge_world.database.execute("UPDATE bridge_call SET mode = 'e2ee'")
    assert await refusal(bridge_world, grants(room, identity)) == "end_to_end_only"


async def test_names_and_attributes_are_those_of_the_seat_whatever_the_token_says(bridge_world: World) -> None:
    """A token may be signed by any holder of the API key, or refreshed with attributes that no longer hold."""
    room, identity = await bridge_world.join(BOB)
    forged = {"palabre.user": ALICE, "palabre.consent.recording": "yes"}
    given = grants(room, identity, name="Alice", attributes=forged, metadata="x", can_update_own_metadata=True)
    admitted = await bridge_world.service.admission.admit(given)
    assert (admitted.name, dict(admitted.attributes), admitted.metadata) == ("Bob", {"palabre.user": BOB}, "")
    assert not admitted.can_update_own_metadata


async def test_an_identity_is_never_given_to_a_second_person(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    call = await bridge_world.service.listener._calls.open_call(await bridge_world.meeting())
    assert call is not None
    with pytest.raises(CallerError) as caught:
        await bridge_world.service.listener._calls.expect(call.id, f"{ALICE}/tab", bridge_world.person(BOB))
    assert caught.value.code == "identity_taken"
