"""Power levels for calls, on a real homeserver, in both room versions."""

from __future__ import annotations

import asyncio

import pytest

from appservice.rtc.levels import CALL_TYPES
from palabre.base.ids import RoomId
from palabre.demo.homeserver import HomeserverError
from palabre.demo.matrix_user import MatrixUser
from tests.support.bot import RunningBot, StartBot
from tests.support.matrix_client import MakeUser
from tests.support.rtc_client import join_session

FOCUS = "https://meet.example.org/livekit/jwt"


async def room_of(bot: RunningBot, alice: MatrixUser, bob: MatrixUser, version: str) -> RoomId:
    room = await alice.create_room("Budget", invite=[bot.bot.user_id, bob.user_id], room_version=version)
    await bob.join(room)
    await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
    return RoomId(room)


async def empower(bot: RunningBot, alice: MatrixUser, room: str) -> None:
    levels = await alice.state(room, "m.room.power_levels")
    users = levels.get("users", {}) | {bot.bot.user_id: 100}
    await alice.set_state(room, "m.room.power_levels", levels | {"users": users})
    asked = await alice.send(room, "!palabre status")
    await alice.expect(room, lambda m: m.thread == asked)


@pytest.mark.parametrize("version", ["11", "12"])
async def test_members_can_call_after_the_bot_was_given_the_power_and_asked(
    start_bot: StartBot, matrix_user: MakeUser, version: str
):
    bot, alice, bob = await start_bot(), await matrix_user("alice"), await matrix_user("bob")
    room = await room_of(bot, alice, bob, version)
    with pytest.raises(HomeserverError, match="403"):
        await join_session(bob, room, FOCUS)
    refused = await bot.bot.mend_call_levels(room)
    assert not refused.may_mend
    assert "org.matrix.msc3401.call.member" in refused.missing
    before = await alice.state(room, "m.room.power_levels")
    await empower(bot, alice, room)
    assert (await bot.bot.call_levels(room)).missing  # having the power is not being asked
    assert not (await bot.bot.mend_call_levels(room)).missing
    await join_session(bob, room, FOCUS)
    after = await alice.state(room, "m.room.power_levels")
    assert {kind: level for kind, level in after["events"].items() if kind not in CALL_TYPES} == before["events"]


async def test_with_the_setting_the_bot_mends_a_room_once_when_it_gets_the_power(
    start_bot: StartBot, matrix_user: MakeUser
):
    bot = await start_bot(manage_power_levels=True)
    alice, bob = await matrix_user("alice"), await matrix_user("bob")
    room = await room_of(bot, alice, bob, "12")
    await empower(bot, alice, room)
    async with asyncio.timeout(60):
        while (await bot.bot.call_levels(room)).missing:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await join_session(bob, room, FOCUS)
    levels = await alice.state(room, "m.room.power_levels")
    strict = levels["events"] | {"org.matrix.msc3401.call.member": 50}
    await alice.set_state(room, "m.room.power_levels", levels | {"events": strict})  # somebody's decision
    asked = await alice.send(room, "!palabre status")
    await alice.expect(room, lambda m: m.thread == asked)
    await bot.settled()
    assert (await bot.bot.call_levels(room)).missing
