"""The bot on PostgreSQL: the same tables and statements."""

from __future__ import annotations

import pytest

from appservice.lock import AlreadyRunningError, ProcessLock
from tests.support.bot import StartBot
from tests.support.matrix_client import MakeUser


async def test_a_bot_on_postgresql_obeys_and_is_the_same_after_a_restart(
    start_bot: StartBot, matrix_user: MakeUser, postgres_url: str
):
    bot, alice = await start_bot(database_url=postgres_url), await matrix_user("alice")
    room = await alice.create_room("Budget", invite=[bot.bot.user_id])
    await alice.expect(room, lambda m: m.sender == bot.bot.user_id and m.encrypted and bool(m.body))
    asked = await alice.send(room, "!palabre status")
    await alice.expect(room, lambda m: m.thread == asked and m.body == "status()")
    with pytest.raises(AlreadyRunningError):
        await ProcessLock(bot.database).acquire()
    device = bot.bot.device_id
    await bot.stop()
    asked = await alice.send(room, "!palabre stop")
    await bot.start()
    await alice.expect(room, lambda m: m.thread == asked and m.body == "stop()")
    assert bot.bot.device_id == device
    answers = [m.body for m in alice.messages(room) if m.thread and m.body]
    assert answers == ["status()", "stop()"]
    await bot.bot._worker.sweep()
