"""The bot and homeservers that are not its own, or not there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from palabre.base.ids import RoomId
from palabre.demo.homeserver import Homeserver
from palabre.demo.matrix_user import MatrixUser
from tests.support.bot import RunningBot, bot_settings
from tests.support.matrix_client import new_user
from tests.support.synapse import make_slot

NewHomeserver = Callable[..., Homeserver]


async def invited(user: MatrixUser, bot: str, *, encrypted: bool = True) -> str:
    return await user.create_room("Budget", invite=[bot], encrypted=encrypted)


async def test_people_of_other_servers_may_invite_only_where_a_setting_says_so(
    new_homeserver: NewHomeserver, tmp_path: Path
):
    ours, theirs = new_homeserver(federation=True), new_homeserver(federation=True)
    slot = make_slot(ours, "palabre")
    ours.registrations.append(slot.registration())
    await asyncio.gather(*(asyncio.to_thread(server.start) for server in (ours, theirs)))
    bob = await new_user(theirs, "bob", tmp_path)
    bot = RunningBot(bot_settings(slot), tmp_path, slot.port)
    await bot.start()
    try:
        room = await invited(bob, bot.bot.user_id)
        refusal = await bob.expect(room, lambda m: m.type == "m.room.member" and m.content.get("membership") == "leave")
        assert refusal.content["reason"] == (
            f"I only come when people of {ours.server_name} invite me. Ask somebody there to do it."
        )
        await bot.stop()
        bot.settings = bot_settings(slot, invited_by=(theirs.server_name,))
        await bot.start()
        room = await invited(bob, bot.bot.user_id)
        welcome = await bob.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
        assert welcome.encrypted
        asked = await bob.send(room, "!palabre status")
        await bob.expect(room, lambda m: m.thread == asked and m.readable and m.body == "status()")
    finally:
        await bot.stop()
        await bob.close()


async def test_what_is_sent_while_the_homeserver_is_away_arrives_once_and_in_order(
    new_homeserver: NewHomeserver, tmp_path: Path
):
    server = new_homeserver()
    slot = make_slot(server, "palabre")
    server.registrations.append(slot.registration())
    await asyncio.to_thread(server.start)
    alice = await new_user(server, "alice", tmp_path)
    bot = RunningBot(bot_settings(slot), tmp_path, slot.port)
    await bot.start()
    try:
        room = RoomId(await invited(alice, bot.bot.user_id))
        await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
        await asyncio.to_thread(server.stop)

        async def send_three() -> None:
            for number in range(3):
                await bot.bot.send_text(room, f"message {number}", key=f"message {number}")

        sending = asyncio.create_task(send_three())
        await asyncio.sleep(0.5)  # it has met the closed door by then; nothing is asserted on it
        assert not sending.done()
        await asyncio.to_thread(server.start)
        await sending
        await alice.expect(room, lambda m: m.body == "message 2")
        bodies = [m.body for m in alice.messages(room) if m.body.startswith("message")]
        assert bodies == ["message 0", "message 1", "message 2"]
        assert bot.bot.connected
    finally:
        await bot.stop()
        await alice.close()
