"""Who announces to be in a call, as a real homeserver delivers it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from appservice.rtc.members import hashed_identity
from appservice.seams import Change, RtcMember
from palabre.base.ids import RoomId
from palabre.demo.homeserver import Homeserver
from palabre.demo.matrix_user import MatrixUser
from tests.support.bot import RunningBot, StartBot, bot_settings
from tests.support.matrix_client import MakeUser, new_user
from tests.support.rtc_client import (
    SESSION,
    SWITCHES,
    join_session,
    leave_session,
    send_sticky,
    session_content,
    sticky_content,
)
from tests.support.synapse import make_slot

FOCUS = "https://meet.example.org/livekit/jwt"
NewHomeserver = Callable[..., Homeserver]


async def until_named(bot: RunningBot, room: RoomId, *identities: str) -> tuple[RtcMember, ...]:
    """The members, once they are these."""
    async with asyncio.timeout(60):
        while {member.identity for member in await bot.bot.rtc_members(room)} != set(identities):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return await bot.bot.rtc_members(room)


def identity(user: MatrixUser) -> str:
    return f"{user.user_id}:{user.account.device_id}"


async def call_room(bot: RunningBot, alice: MatrixUser, *others: MatrixUser, encrypted: bool = True) -> RoomId:
    """A room in which everybody may announce to be in a call."""
    invited = [bot.bot.user_id, *(user.user_id for user in others)]
    room = RoomId(await alice.create_room("Budget", invite=invited, encrypted=encrypted))
    levels = await alice.state(room, "m.room.power_levels")
    await alice.set_state(room, "m.room.power_levels", levels | {"events": levels["events"] | {SESSION: 0}})
    for user in others:
        await user.join(room)
    await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
    return room


async def test_people_on_element_call_are_seen_to_come_and_go(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice, bob = await start_bot(), await matrix_user("alice"), await matrix_user("bob")
    room = await call_room(bot, alice, bob)
    await join_session(alice, room, FOCUS)
    key = await join_session(bob, room, FOCUS)
    first, second = await until_named(bot, room, identity(alice), identity(bob))
    assert (first.user_id, first.foci, second.user_id, second.state_key) == (alice.user_id, (FOCUS,), bob.user_id, key)
    await leave_session(bob, room, key)
    await until_named(bot, room, identity(alice))
    told = [(change.what, change.user_id) for change in bot.handler.room_changes if change.what is Change.RTC]
    assert told == [(Change.RTC, alice.user_id), (Change.RTC, bob.user_id), (Change.RTC, bob.user_id)]


async def test_who_writes_anothers_state_key_is_seen_as_themselves(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice, bob = await start_bot(), await matrix_user("alice"), await matrix_user("bob")
    room = await call_room(bot, alice, bob)
    key = await join_session(alice, room, FOCUS)
    await until_named(bot, room, identity(alice))
    await bob.set_state(room, SESSION, session_content(alice.account.device_id, FOCUS), key)
    (member,) = await until_named(bot, room, f"{bob.user_id}:{alice.account.device_id}")
    assert member.user_id == bob.user_id


async def test_who_is_put_out_of_the_room_is_out_of_its_call(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice, bob = await start_bot(), await matrix_user("alice"), await matrix_user("bob")
    room = await call_room(bot, alice, bob)
    await join_session(bob, room, FOCUS)
    await until_named(bot, room, identity(bob))
    await alice.call("POST", f"/_matrix/client/v3/rooms/{room}/kick", {"user_id": bob.user_id})
    await until_named(bot, room)


async def test_a_member_who_never_withdraws_expires(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await call_room(bot, alice)
    await join_session(alice, room, FOCUS, expires=4000)
    async with asyncio.timeout(60):
        while len([c for c in bot.handler.room_changes if c.what is Change.RTC]) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # came, and expired without any event
    assert await bot.bot.rtc_members(room) == ()


async def test_calls_that_were_running_are_known_when_the_bot_comes_or_comes_back(
    start_bot: StartBot, matrix_user: MakeUser
):
    bot, alice, bob = await start_bot(), await matrix_user("alice"), await matrix_user("bob")
    room = RoomId(await alice.create_room("Budget"))
    await join_session(alice, room, FOCUS)
    levels = await alice.state(room, "m.room.power_levels")
    await alice.set_state(room, "m.room.power_levels", levels | {"events": levels["events"] | {SESSION: 0}})
    await alice.invite(room, bot.bot.user_id)
    await until_named(bot, room, identity(alice))
    assert Change.RTC in [change.what for change in bot.handler.room_changes]
    await alice.invite(room, bob.user_id)
    await bob.join(room)
    await bot.stop()
    await join_session(bob, room, FOCUS)
    await bot.start()
    await until_named(bot, room, identity(alice), identity(bob))


@pytest.fixture
async def sticky_world(
    new_homeserver: NewHomeserver, tmp_path: Path
) -> AsyncIterator[tuple[RunningBot, MatrixUser, MatrixUser]]:
    """A bot and two people on a homeserver that knows sticky events."""
    server = new_homeserver(extra=SWITCHES)
    slot = make_slot(server, "palabre")
    server.registrations.append(slot.registration())
    await asyncio.to_thread(server.start)
    alice, bob = await new_user(server, "alice", tmp_path), await new_user(server, "bob", tmp_path)
    bot = RunningBot(bot_settings(slot), tmp_path, slot.port)
    await bot.start()
    yield bot, alice, bob
    await bot.stop()
    await alice.close()
    await bob.close()


def hashed(user: MatrixUser, key: str) -> str:
    return hashed_identity(user.user_id, user.account.device_id, key)


@pytest.mark.parametrize("encrypted", [False, True])
async def test_sticky_members_are_read_in_rooms_of_either_kind(
    sticky_world: tuple[RunningBot, MatrixUser, MatrixUser], encrypted: bool
):
    bot, alice, bob = sticky_world
    room = await call_room(bot, alice, bob, encrypted=encrypted)
    for user in (alice, bob):
        await user.send(room, "hello")
    await send_sticky(alice, room, sticky_content(alice, FOCUS, "a-uuid"), encrypted=encrypted)
    await send_sticky(bob, room, sticky_content(bob, FOCUS, "b-uuid"), encrypted=encrypted)
    first, _ = await until_named(bot, room, hashed(alice, "a-uuid"), hashed(bob, "b-uuid"))
    assert (first.user_id, first.device_id, first.member_id, first.foci, first.sticky) == (
        alice.user_id,
        alice.account.device_id,
        "a-uuid",
        (FOCUS,),
        True,
    )
    await send_sticky(bob, room, {"msc4354_sticky_key": "b-uuid"}, encrypted=encrypted)
    await until_named(bot, room, hashed(alice, "a-uuid"))
    await bot.stop()
    await bot.start()
    await until_named(bot, room, hashed(alice, "a-uuid"))


@pytest.mark.parametrize("messages", [0, 60])
async def test_sticky_members_are_known_when_the_bot_comes_into_a_running_call(
    sticky_world: tuple[RunningBot, MatrixUser, MatrixUser], messages: int
):
    """Both where the event lies in the timeline that /sync shows, which then does not repeat it, and behind it."""
    bot, alice, _ = sticky_world
    room = RoomId(await alice.create_room("Budget", encrypted=False))
    await send_sticky(alice, room, sticky_content(alice, FOCUS, "a-uuid"), encrypted=False)
    for number in range(messages):
        await alice.send(room, f"message {number}")
    await alice.invite(room, bot.bot.user_id)
    await until_named(bot, room, hashed(alice, "a-uuid"))
