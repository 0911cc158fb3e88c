"""What people see of the bot in their rooms."""

from __future__ import annotations

from tests.support.bot import StartBot
from tests.support.matrix_client import MakeUser


async def test_an_encrypted_command_is_obeyed_and_answered_in_a_thread(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await alice.create_room("Budget", invite=[bot.bot.user_id])
    welcome = await alice.expect(room, lambda m: m.sender == bot.bot.user_id and m.readable and m.body != "")
    assert welcome.encrypted
    assert len(welcome.body.splitlines()) == 2
    asked = await alice.send(room, "!palabre call Budget 2027")
    answer = await alice.expect(room, lambda m: m.body == "call(Budget 2027)")
    assert answer.encrypted
    assert answer.thread == asked
    assert answer.content["msgtype"] == "m.notice"
    await alice.until(lambda: (bot.bot.user_id, "✅") in alice.reactions(asked))
