"""What people see of the bot in their rooms."""

from __future__ import annotations

import asyncio

from palabre.base.errors import CallerError
from palabre.demo.matrix_user import MatrixUser, Message
from tests.support.bot import RunningBot, StartBot
from tests.support.matrix_client import MakeUser


async def talk(bot: RunningBot, user: MatrixUser, *, encrypted: bool = True) -> str:
    """A room of `user` in which the bot has introduced itself."""
    room = await user.create_room("Budget", invite=[bot.bot.user_id], encrypted=encrypted)
    await said(bot, user, room)
    return room


async def said(bot: RunningBot, user: MatrixUser, room: str, *, after: str | None = None) -> Message:
    """What the bot says: at all, or in the thread of `after`."""
    return await user.expect(
        room, lambda m: m.sender == bot.bot.user_id and bool(m.body) and (after is None or m.thread == after)
    )


async def reacted(bot: RunningBot, user: MatrixUser, event_id: str, emoji: str) -> None:
    await user.until(lambda: (bot.bot.user_id, emoji) in user.reactions(event_id))


async def test_an_encrypted_command_is_obeyed_and_answered_in_a_thread(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await alice.create_room("Budget", invite=[bot.bot.user_id])
    welcome = await said(bot, alice, room)
    assert welcome.encrypted
    assert len(welcome.body.splitlines()) == 2
    asked = await alice.send(room, "!palabre call Budget 2027")
    answer = await said(bot, alice, room, after=asked)
    assert answer.encrypted
    assert (answer.body, answer.content["msgtype"]) == ("call(Budget 2027)", "m.notice")
    await reacted(bot, alice, asked, "✅")
    again = await alice.send(room, "!palabre status", thread=asked)
    await alice.expect(room, lambda m: m.body == "status()" and m.thread == asked)
    assert bot.handler.commands[1].thread == asked
    assert bot.handler.commands[1].event_id == again


async def test_an_unencrypted_command_in_an_encrypted_room_gets_one_sentence_and_nothing_else(
    start_bot: StartBot, matrix_user: MakeUser
):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await talk(bot, alice)
    asked = await alice.send_in_clear(room, "!palabre call")
    answer = await said(bot, alice, room, after=asked)
    assert answer.encrypted
    assert "This room is encrypted but that message was not" in answer.body
    await reacted(bot, alice, asked, "❌")
    assert bot.handler.commands == []


async def test_what_cannot_be_obeyed_gets_one_clear_sentence(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await talk(bot, alice)
    unknown = await alice.send(room, "!palabre dance")
    answer = await said(bot, alice, room, after=unknown)
    assert answer.body == "I don't know “dance”. Write “!palabre help” to see what I can do."
    await reacted(bot, alice, unknown, "❌")
    bot.handler.refuse = CallerError("missing_power", "No power.", needed=50, have=0, event="m.room.name")
    forbidden = await alice.send(room, "!palabre call")
    answer = await said(bot, alice, room, after=forbidden)
    assert answer.body.startswith("I lack the power for that in this room: I have 0 and “m.room.name” needs 50.")
    await reacted(bot, alice, forbidden, "❌")


async def test_help_lists_the_commands_in_the_rooms_language(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(language="de"), await matrix_user("alice")
    room = await talk(bot, alice)
    asked = await alice.send(room, "!palabre")
    answer = await said(bot, alice, room, after=asked)
    assert "!palabre meeting" in answer.body
    assert "Dieser Raum ist verschlüsselt" in answer.body
    assert "<li><code>!palabre call [Titel]</code>" in answer.content["formatted_body"]


async def test_commands_are_obeyed_in_rooms_without_encryption(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await talk(bot, alice, encrypted=False)
    asked = await alice.send(room, "!palabre status")
    answer = await said(bot, alice, room, after=asked)
    assert (answer.encrypted, answer.body) == (False, "status()")


async def test_a_slow_command_is_shown_as_being_worked_on(start_bot: StartBot, matrix_user: MakeUser, monkeypatch):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await talk(bot, alice)
    may_end = asyncio.Event()
    handle = bot.handler.handle

    async def slowly(command):
        await may_end.wait()
        await handle(command)

    monkeypatch.setattr(bot.handler, "handle", slowly)
    asked = await alice.send(room, "!palabre call")
    await reacted(bot, alice, asked, "👀")
    may_end.set()
    await reacted(bot, alice, asked, "✅")
    watching = next(m for m in alice.messages(room) if (m.content.get("m.relates_to") or {}).get("key") == "👀")
    await alice.expect(room, lambda m: m.type == "m.room.redaction" and m.content.get("redacts") == watching.event_id)


async def test_what_bots_write_and_what_people_correct_is_no_command(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await talk(bot, alice)
    first = await alice.send(room, "hello")
    await alice.send_event(room, "m.room.message", {"msgtype": "m.notice", "body": "!palabre call"})
    edit = {"rel_type": "m.replace", "event_id": first}
    changed = {"msgtype": "m.text", "body": "!palabre call"}
    await alice.send_event(room, "m.room.message", changed | {"m.new_content": changed, "m.relates_to": edit})
    last = await alice.send(room, "!palabre status")
    await said(bot, alice, room, after=last)
    assert [command.name for command in bot.handler.commands] == ["status"]
    mine = [m for m in alice.messages(room) if m.sender == bot.bot.user_id and m.type == "m.room.message"]
    assert len(mine) == 2  # the welcome and one answer


async def test_bridge_is_told_who_comes_and_goes(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice, bob = await start_bot(), await matrix_user("alice"), await matrix_user("bob")
    room = await talk(bot, alice)
    await alice.invite(room, bob.user_id)
    await bob.join(room)
    await alice.call("POST", f"/_matrix/client/v3/rooms/{room}/ban", {"user_id": bob.user_id})
    asked = await alice.send(room, "!palabre status")
    await said(bot, alice, room, after=asked)
    bobs = [(change.previous, change.membership) for change in bot.handler.changes if change.user_id == bob.user_id]
    assert bobs == [("leave", "invite"), ("invite", "join"), ("join", "ban")]
    view = await bot.bot.view(bot.handler.commands[0].room_id, bot.handler.commands[0].sender)
    assert (view.membership, view.encrypted, view.bot_joined, view.name) == ("join", True, True, "Budget")
