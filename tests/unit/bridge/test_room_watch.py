"""A running call follows its Matrix room: by events where the bot is in it, by asking where it is not."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest

from appservice.seams import Change, MembershipChange, RoomChange
from media.relay.seams import TrackSource
from palabre.base.errors import CallerError
from palabre.base.ids import UserId
from tests.support.bridge_fakes import ALICE, BOB, EVE, ROOM
from tests.support.bridge_world import World

CARL = UserId("@carl:example.org")
TALK = (True, (TrackSource.MICROPHONE, TrackSource.CAMERA))
ALL = (True, ())
AWAY = CallerError("homeserver_away", "away", status=503)


@pytest.fixture
def world(bridge_world: World) -> World:
    bridge_world.matrix.rooms[ROOM].members |= {CARL: "Carl", EVE: "Eve"}
    return bridge_world


async def told(world: World, what: Change) -> None:
    await world.service.commands.room_changed(RoomChange(ROOM, what))
    await all_done(world)


async def all_done(world: World) -> None:
    """Looks that were begun have ended."""
    names = {"room changed", "arrival"}
    await asyncio.gather(*(task for task in world._tasks._tasks if task.get_name() in names))
    await world.settled()


async def test_a_loss_of_power_narrows_what_somebody_may_publish_and_a_gain_gives_it_back(world: World) -> None:
    room, identity = await world.join(BOB)
    facts = world.matrix.rooms[ROOM]
    facts.required_power = {"org.palabre.call.share": 10, "org.palabre.call.publish": 0}
    await told(world, Change.POWER)
    assert world.relay.publishing(room, identity) == TALK
    facts.powers[BOB] = -1
    await told(world, Change.POWER)
    assert world.relay.publishing(room, identity) == (False, ())
    facts.powers[BOB] = 50
    await told(world, Change.POWER)
    assert world.relay.publishing(room, identity) == ALL
    assert world.relay.removed == []


async def test_who_may_record_and_moderate_is_shown_and_follows_the_room(world: World) -> None:
    room, identity = await world.join(BOB)
    facts = world.matrix.rooms[ROOM]
    facts.powers[BOB] = 50
    await told(world, Change.POWER)
    assert world.relay.attributes(room, identity)["palabre.may"] == "capture moderate"
    facts.powers[BOB] = 0
    facts.required_power = {"org.palabre.call.record": 50}
    await told(world, Change.POWER)
    assert "palabre.may" not in world.relay.attributes(room, identity)


async def test_a_server_that_the_room_excludes_loses_its_people_from_the_call_and_nobody_else_is_lost(
    world: World,
) -> None:
    await world.join(ALICE)
    _, one = await world.join(EVE, "one")
    _, two = await world.join(EVE, "two")
    world.matrix.rooms[ROOM].denied_servers = frozenset({"evil.example"})
    await told(world, Change.ACL)
    assert sorted(world.relay.removed) == [one, two]


async def test_guests_go_when_a_room_turns_against_people_from_outside(world: World) -> None:
    await world.join(ALICE)
    _, identity = await world.join("camille")
    world.matrix.rooms[ROOM].access_rule = "restricted"
    await told(world, Change.ACCESS_RULE)
    assert world.relay.removed == [identity]


async def test_changes_that_decide_nothing_here_are_not_looked_at(world: World) -> None:
    await world.join(BOB)
    await all_done(world)
    del world.matrix.rooms[ROOM].members[BOB]
    for change in (MembershipChange(ROOM, BOB, "join", "invite"), MembershipChange(ROOM, BOB, "knock", "leave")):
        await world.service.commands.membership_changed(change)
    await all_done(world)
    assert world.relay.removed == []


async def test_a_ban_between_admission_and_entry_is_seen_when_they_arrive(world: World) -> None:
    """The event came while the relay did not have them yet: nothing was there to remove."""
    room, identity = await world.take_seat(world.person(BOB))
    del world.matrix.rooms[ROOM].members[BOB]
    await world.service.commands.membership_changed(MembershipChange(ROOM, BOB, "ban", "join"))
    assert world.relay.removed == []
    world.relay.join(room, identity)
    await all_done(world)
    assert world.relay.removed == [identity]


async def test_a_device_whose_media_still_connect_is_judged_too(world: World) -> None:
    room, identity = await world.take_seat(world.person(EVE))
    listener, world.relay.listener = world.relay.listener, Mock()
    world.relay.join(room, identity)
    world.relay.listener = listener
    world.matrix.rooms[ROOM].denied_servers = frozenset({"evil.example"})
    await told(world, Change.ACL)
    assert world.relay.removed == [identity]


async def test_a_room_without_the_bot_is_asked_about_everybody_present_once_however_many_devices(world: World) -> None:
    _, alice = await world.join(ALICE)
    await world.join(BOB, "one")
    await world.join(BOB, "two")
    _, carl = await world.join(CARL)
    world.relay.leave((await seat_room(world)), carl)
    await all_done(world)
    facts = world.matrix.rooms[ROOM]
    facts.bot_joined = False
    await world.service.watch.look()
    assert sorted(world.matrix.asked) == [ALICE, BOB]
    del facts.members[BOB]
    world.matrix.asked.clear()
    await world.service.watch.look()
    assert sorted(world.relay.removed) == [f"{BOB}/one", f"{BOB}/two"]
    assert [facts.identity for facts in world.relay.participants(await seat_room(world))] == [alice]


async def test_while_the_homeserver_is_away_calls_go_on_and_when_it_is_back_all_is_checked(world: World) -> None:
    await world.join(ALICE)
    _, identity = await world.join(BOB)
    facts = world.matrix.rooms[ROOM]
    facts.bot_joined = False
    await world.service.watch.look()
    del facts.members[BOB]
    world.matrix.refuse["is_joined"] = AWAY
    await world.service.watch.look()
    assert world.relay.removed == []
    world.matrix.refuse.clear()
    world.clock.advance(5)
    await world.service.watch.look()
    assert world.relay.removed == [identity]


async def test_a_homeserver_away_for_longer_than_the_limit_ends_what_nobody_can_check(world: World) -> None:
    _, identity = await world.join(ALICE)
    world.matrix.rooms[ROOM].bot_joined = False
    await world.service.watch.look()
    world.matrix.refuse["is_joined"] = AWAY
    world.clock.advance(world.settings.policy.unchecked_seconds + 1)
    await world.service.watch.look()
    assert world.relay.removed == [identity]


async def test_of_two_looks_the_later_one_has_the_last_word(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first has read the room and is slow to act; the second reads what has changed since."""
    room, identity = await world.join(BOB)
    await all_done(world)
    questions = world.service.watch._questions
    ask, gate, first = questions.permissions, asyncio.Event(), True

    async def slowly(*arguments: object) -> object:
        nonlocal first
        may = await ask(*arguments)  # type: ignore[arg-type]
        if first:
            first = False
            await gate.wait()
        return may

    monkeypatch.setattr(questions, "permissions", slowly)
    looks = [asyncio.create_task(world.service.watch.look())]
    await world.until(lambda: not first)
    world.matrix.rooms[ROOM].required_power = {"org.palabre.call.publish": 5, "org.palabre.call.share": 5}
    looks.append(asyncio.create_task(world.service.watch.look()))
    await asyncio.sleep(0.01)
    gate.set()
    await asyncio.gather(*looks)
    assert world.relay.publishing(room, identity) == (False, ())


async def seat_room(world: World) -> str:
    (facts,) = world.relay.rooms()
    return facts.name
