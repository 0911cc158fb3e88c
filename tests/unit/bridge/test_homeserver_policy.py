"""A homeserver that is refused, or may only join, at every way into a call and during one."""

from __future__ import annotations

import pytest

from appservice.federation.records import Level
from media.relay.seams import Grants
from palabre.base.errors import CallerError
from palabre.base.ids import UserId
from tests.support.bridge_fakes import ALICE, ROOM
from tests.support.bridge_world import World

CAROL = UserId("@carol:other.example")


@pytest.fixture
async def world(bridge_world: World) -> World:
    bridge_world.matrix.rooms[ROOM].members[CAROL] = "Carol"
    return bridge_world


async def refusal(world: World, user: UserId) -> str:
    with pytest.raises(CallerError) as caught:
        await world.join(user)
    return caught.value.code


async def test_people_of_a_server_that_may_only_join_come_in_when_somebody_opened_the_call(world: World) -> None:
    await world.homeservers.store.decide("other.example", Level.JOIN, listed=True)
    assert await refusal(world, CAROL) == "server_may_only_join"
    assert await world.refusal("call", sender=CAROL) == "server_may_only_join"
    await world.join(ALICE)
    room, identity = await world.join(CAROL)
    assert identity in {person.identity for person in world.relay.participants(room)}


async def test_a_server_that_is_refused_during_a_call_loses_its_people_in_it_and_they_do_not_come_back(
    world: World,
) -> None:
    room, alice = await world.join(ALICE)
    _, carol = await world.join(CAROL)
    watching = world._tasks.spawn("homeserver decisions", world.homeservers.watch())
    await world.settled()
    await world.homeservers.store.decide("other.example", Level.REFUSE, listed=False)
    await world.until(lambda: {person.identity for person in world.relay.participants(room)} == {alice})
    assert carol != alice
    assert await refusal(world, CAROL) == "server_not_allowed"
    with pytest.raises(CallerError) as caught:  # with the token that they still hold
        await world.service.admission.admit(Grants("key", carol, room=room, room_join=True))
    assert caught.value.code == "server_not_allowed"
    watching.cancel()


async def test_a_call_that_is_just_ending_does_not_come_back_for_people_who_may_only_join(world: World) -> None:
    """The relay's room has ended, and the service has not heard of it yet."""
    await world.homeservers.store.decide("other.example", Level.JOIN, listed=True)
    await world.take_seat(world.person(ALICE))
    world.relay.state.clear()
    await world.take_seat(world.person(CAROL))
    assert world.relay.state == {}
    await world.take_seat(world.person(ALICE))
    assert len(world.relay.state) == 1
