"""Notifications and declines between a person's client and the bot, on a real homeserver."""

from __future__ import annotations

import asyncio

import pytest

from palabre.base.ids import RoomId
from tests.support.bot import StartBot
from tests.support.matrix_client import MakeUser

NOTIFICATION, DECLINE = "org.matrix.msc4075.rtc.notification", "org.matrix.msc4310.rtc.decline"


@pytest.mark.parametrize("encrypted", [True, False])
async def test_the_bot_rings_and_hears_who_rings_and_who_declines(
    start_bot: StartBot, matrix_user: MakeUser, encrypted: bool
):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = RoomId(await alice.create_room("Budget", invite=[bot.bot.user_id], encrypted=encrypted))
    await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
    content = {
        "notification_type": "ring",
        "m.mentions": {"user_ids": [alice.user_id], "room": False},
        "lifetime": 90_000,
    }
    rung = await bot.bot.send_event(room, NOTIFICATION, content, key="ring")
    assert await bot.bot.send_event(room, NOTIFICATION, content, key="ring") == rung
    heard = await alice.expect(room, lambda m: m.event_id == rung and m.type == NOTIFICATION)
    assert (heard.encrypted, heard.content["notification_type"]) == (encrypted, "ring")
    about = {"m.relates_to": {"rel_type": "m.reference", "event_id": rung}}
    await alice.send_event(room, DECLINE, about)
    await alice.send_event(room, NOTIFICATION, {"notification_type": "notification"})
    async with asyncio.timeout(60):
        while len(bot.handler.rings) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    declined, notified = bot.handler.rings
    assert (declined.sender, declined.declined, declined.room_id) == (alice.user_id, rung, room)
    assert (notified.declined, notified.rings) == (None, False)
