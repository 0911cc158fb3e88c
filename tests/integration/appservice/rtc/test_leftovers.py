"""Clients that died without a word are taken out of the call on a real homeserver."""

from __future__ import annotations

import asyncio

import pytest

from appservice.rtc import leftovers
from appservice.seams import RtcMember
from palabre.base.ids import RoomId
from palabre.demo.matrix_user import MatrixUser
from tests.support.bot import RunningBot, StartBot
from tests.support.matrix_client import MakeUser
from tests.support.rtc_client import SESSION, join_session

OURS, THEIRS = "https://meet.example.org/livekit/jwt", "https://rtc.other.org/livekit/jwt"


class Relay:
    """In bridge's place: who is connected."""

    focus_urls = frozenset({OURS})

    def __init__(self) -> None:
        self.connected: set[str] = set()
        self.asked = 0

    async def present(self, room_id: RoomId) -> frozenset[str] | None:
        self.asked += 1
        return frozenset(self.connected)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(leftovers, "GONE_SECONDS", 0.5)
    monkeypatch.setattr(leftovers, "NEVER_SEEN_SECONDS", 0.5)


async def members(bot: RunningBot, room: str) -> set[str]:
    found: tuple[RtcMember, ...] = await bot.bot.rtc_members(RoomId(room))
    return {member.user_id for member in found}


async def until(bot: RunningBot, room: str, users: set[str]) -> None:
    async with asyncio.timeout(60):
        while await members(bot, room) != users:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def call_of(bot: RunningBot, alice: MatrixUser, *others: MatrixUser, level: int = 0) -> str:
    room = await alice.create_room("Budget", invite=[bot.bot.user_id, *(user.user_id for user in others)])
    levels = await alice.state(room, "m.room.power_levels")
    await alice.set_state(room, "m.room.power_levels", levels | {"events": levels["events"] | {SESSION: level}})
    for user in others:
        await user.join(room)
    await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
    return room


async def test_who_is_gone_from_our_relay_is_withdrawn_and_nobody_else(
    start_bot: StartBot, matrix_user: MakeUser, impatient: None
):
    relay = Relay()
    bot = await start_bot(relay=relay)
    alice, bob, carol = await matrix_user("alice"), await matrix_user("bob"), await matrix_user("carol")
    room = await call_of(bot, alice, bob, carol)
    relay.connected = {f"{user.user_id}:{user.account.device_id}" for user in (alice, bob)}
    await join_session(alice, room, OURS)
    key = await join_session(bob, room, OURS)
    await join_session(carol, room, THEIRS)
    await until(bot, room, {alice.user_id, bob.user_id, carol.user_id})
    relay.connected.discard(f"{bob.user_id}:{bob.account.device_id}")
    await until(bot, room, {alice.user_id, carol.user_id})
    assert await alice.state(room, SESSION, key) == {}
    asked = relay.asked
    async with asyncio.timeout(60):
        while relay.asked < asked + 12:  # noqa: ASYNC110  many looks later
            await asyncio.sleep(0.05)
    assert await members(bot, room) == {alice.user_id, carol.user_id}


async def test_without_the_power_the_bot_leaves_the_member_alone(
    start_bot: StartBot, matrix_user: MakeUser, impatient: None
):
    relay = Relay()
    bot, alice = await start_bot(relay=relay), await matrix_user("alice")
    room = await call_of(bot, alice, level=50)
    await join_session(alice, room, OURS)
    async with asyncio.timeout(60):
        while relay.asked < 20:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await members(bot, room) == {alice.user_id}
