"""The service's own presence in a room: seen by everybody, counted as nobody."""

from __future__ import annotations

import pytest
from livekit.protocol import models, rtc

from media.relay.presences import Presences
from media.relay.room import RoomOptions
from media.relay.seams import Grants
from palabre.base.errors import CallerError
from tests.support.relay_fakes import FakeClient, World

BOT = "@palabre:example.org:RECORDER"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def alice(world: World) -> FakeClient:
    return world.join("alice")


def presences(world: World) -> Presences:
    return world.rooms.get("room").presences


def show(world: World, name: str = "Palabre", **attributes: str) -> None:
    presences(world).put(BOT, name, attributes or {"palabre.recorder": "1"}, world.clock.wall())
    world.settle()


def seen(client: FakeClient) -> models.ParticipantInfo:
    found: models.ParticipantInfo = client.sees()[BOT]
    return found


def test_who_is_there_and_who_comes_later_see_it(world: World, alice: FakeClient) -> None:
    show(world)
    bob = world.join("bob")
    for client in (alice, bob):
        info = seen(client)
        assert (info.name, info.state) == ("Palabre", models.ParticipantInfo.ACTIVE)
        assert info.attributes["palabre.recorder"] == "1"
        assert info.kind == models.ParticipantInfo.STANDARD
        assert info.permission == models.ParticipantPermission()


def test_it_shows_what_changes_and_leaves_as_a_participant_does(world: World, alice: FakeClient) -> None:
    show(world)
    before = seen(alice)
    show(world, "Palabre, still", **{"palabre.other": "2"})
    after = seen(alice)
    assert (after.name, dict(after.attributes), after.sid) == ("Palabre, still", {"palabre.other": "2"}, before.sid)
    assert after.version > before.version
    presences(world).remove(BOT)
    world.settle()
    last = alice.got("update")[-1].participants[0]
    assert (last.identity, last.state) == (BOT, models.ParticipantInfo.DISCONNECTED)
    with pytest.raises(CallerError, match="does not exist"):
        presences(world).remove(BOT)


def test_it_is_nobody(world: World, alice: FakeClient) -> None:
    room = world.rooms.get("room")
    show(world)
    assert room.facts().participants == 1
    assert room.info().num_participants == 1
    assert ("participant_joined", BOT) not in world.events
    room.look_speakers({})
    alice.request(leave=rtc.LeaveRequest())
    world.settle()
    world.clock.advance(room.options.departure_timeout + 1)
    assert room.expired(world.clock.monotonic()), "the room does not stay open for it"


def test_a_room_that_is_full_of_people_still_shows_it(world: World) -> None:
    world.rooms.create("room", RoomOptions(300.0, 20.0, 2))
    show(world)
    world.join("alice")
    assert not world.rooms.get("room").full_for("bob")


def test_nobody_joins_under_its_identity(world: World, alice: FakeClient) -> None:
    show(world)
    with pytest.raises(CallerError) as refusal:
        world.rooms.check_enter(Grants("key", BOT, room="room", room_join=True))
    assert refusal.value.code == "identity_taken"
