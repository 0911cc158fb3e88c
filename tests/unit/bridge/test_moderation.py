"""Muting and removing people in a call: who may, about whom, and what everybody hears of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

import pytest

from bridge.meetings import Meeting
from bridge.moderation import MUTED_ATTRIBUTE, Moderation
from bridge.people import guest_person
from media.relay.seams import Grants
from palabre.base.errors import CallerError
from palabre.base.ids import UserId
from tests.support.bridge_fakes import ALICE, BOB, EVE, ROOM
from tests.support.bridge_world import World

CARL = UserId("@carl:example.org")


@pytest.fixture
async def world(bridge_world: World) -> World:
    """Alice moderates with 100, Carl with 50; Bob does not."""
    bridge_world.matrix.rooms[ROOM].members[CARL] = "Carl"
    bridge_world.matrix.rooms[ROOM].powers[CARL] = 50
    return bridge_world


def moderation(world: World) -> Moderation:
    return world.service.commands._moderation


async def meeting(world: World) -> Meeting:
    return await world.service.commands._meetings.get(await world.meeting())


async def refused(act: Callable[[], Awaitable[object]]) -> str:
    with pytest.raises(CallerError) as caught:
        await act()
    return caught.value.code


async def admitted(world: World, room: str, identity: str) -> str:
    try:
        await world.service.admission.admit(Grants("key", identity, room=room, room_join=True))
    except CallerError as refusal:
        return refusal.code
    return ""


def heard(world: World, room: str, identity: str) -> list[bool]:
    return [not track.muted for track in world.relay.tracks(room, identity)]


async def test_a_moderator_mutes_somebody_on_every_device_and_they_are_told_by_whom_until_they_speak_again(
    world: World,
) -> None:
    await world.join(ALICE)
    room, one = await world.join(BOB, "one")
    _, two = await world.join(BOB, "two")
    await world.command("mute", BOB)
    for identity in (one, two):
        assert heard(world, room, identity) == [False]
        assert world.relay.attributes(room, identity)[MUTED_ATTRIBUTE] == "Alice"
    (track,) = world.relay.tracks(room, one)
    opened = dataclasses.replace(track, muted=False)
    world.relay.state[room].tracks[one][track.sid] = opened
    world.relay.listener.track_changed(room, one, opened)
    assert MUTED_ATTRIBUTE not in world.relay.attributes(room, one)
    assert MUTED_ATTRIBUTE in world.relay.attributes(room, two)


async def test_muting_one_device_leaves_the_others_and_says_how_many_tracks_were_open(world: World) -> None:
    await world.join(ALICE)
    room, one = await world.join(BOB, "one")
    _, two = await world.join(BOB, "two")
    by = world.person(ALICE)
    assert await moderation(world).mute_device(await meeting(world), by, one) == 1
    assert (heard(world, room, one), heard(world, room, two)) == ([False], [True])
    assert await moderation(world).mute_device(await meeting(world), by, one) == 0
    assert await refused(lambda: _mute(world, f"{EVE}/tab")) == "not_in_call"


async def _mute(world: World, identity: str) -> None:
    await moderation(world).mute_device(await meeting(world), world.person(ALICE), identity)


async def test_who_is_removed_stays_out_of_this_call_on_any_device_until_a_moderator_takes_it_back(
    world: World,
) -> None:
    await world.join(ALICE)
    room, one = await world.join(BOB, "one")
    await world.join(BOB, "two")
    await world.command("remove", BOB)
    assert sorted(world.relay.removed) == [f"{BOB}/one", f"{BOB}/two"]
    assert await admitted(world, room, one) == "removed_from_call"
    assert await refused(lambda: world.take_seat(world.person(BOB), "three")) == "removed_from_call"
    await world.until(lambda: "Alice removed Bob from the call." in world.matrix.texts())
    assert await world.refusal("readmit", CARL) == "not_removed"
    await world.command("readmit", BOB)
    assert await admitted(world, room, one) == ""


async def test_the_next_call_knows_nothing_of_it(world: World) -> None:
    room, _ = await world.join(ALICE)
    await world.join(BOB)
    await world.command("remove", BOB)
    world.relay.finish(room)
    await world.settled()
    following, again = await world.join(BOB)
    assert following != room
    assert await admitted(world, following, again) == ""


async def test_a_removal_survives_a_restart_and_the_same_command_is_obeyed_once(world: World) -> None:
    room, _ = await world.join(ALICE)
    _, identity = await world.join(BOB)
    await world.command("remove", BOB, event="$remove")
    await world.command("readmit", BOB)
    await world.command("remove", BOB, event="$remove")
    assert await admitted(world, room, identity) == ""
    await world.command("remove", BOB)
    await world.restart()
    assert await admitted(world, room, identity) == "removed_from_call"


async def test_only_moderators_moderate_and_nobody_removes_their_equals(world: World) -> None:
    for who in (ALICE, BOB, CARL):
        await world.join(who)
    for name in ("mute", "remove", "readmit"):
        assert await world.refusal(name, ALICE, sender=BOB) == "moderation_forbidden"
    assert await world.refusal("remove", ALICE, sender=CARL) == "removal_forbidden"
    world.matrix.rooms[ROOM].powers[BOB] = 50
    assert await world.refusal("remove", BOB, sender=CARL) == "removal_forbidden"
    assert world.relay.removed == []
    await world.command("mute", ALICE, sender=CARL)  # an open microphone knows no ranks
    world.matrix.rooms[ROOM].required_power = {"org.palabre.call.moderate": 75}
    assert await world.refusal("mute", BOB, sender=CARL) == "moderation_forbidden"


async def test_guests_are_moderated_and_never_moderate(world: World) -> None:
    await world.join(ALICE)
    room, identity = await world.join("camille")
    guest = guest_person("camille", "Camille")
    there = await meeting(world)
    assert await refused(lambda: moderation(world).mute_device(there, guest, identity)) == "moderation_forbidden"
    await moderation(world).remove_device(there, world.person(CARL), identity, key="x")
    assert await admitted(world, room, identity) == "removed_from_call"


async def test_there_is_nothing_to_moderate_without_a_call_or_without_the_person(world: World) -> None:
    assert await world.refusal("mute", BOB) == "no_call"
    await world.join(ALICE)
    assert await world.refusal("mute", BOB) == "not_in_call"
    assert await world.refusal("remove", BOB) == "not_in_call"
    assert await world.refusal("mute", ALICE, age=3600) == "command_too_old"
