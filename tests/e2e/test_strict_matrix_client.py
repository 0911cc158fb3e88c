"""What the bot sends is readable, without any warning, in a client that excludes unsigned devices."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

from appservice.seams import FilePost
from palabre.base.ids import EventId, RoomId
from tests.support.bot import StartBot
from tests.support.matrix_client import MakeUser
from tests.support.strict_client import MakeStrict


async def test_texts_and_files_are_readable_in_a_strict_client(
    start_bot: StartBot, strict_user: MakeStrict, tmp_path: Path
):
    bot, alice = await start_bot(), await strict_user("alice")
    room = RoomId(await alice.create_room("Budget", [bot.bot.user_id]))
    welcome = await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
    assert welcome.encrypted
    assert alice.shield(welcome) == 0
    asked = await alice.send(room, "!palabre status")
    answer = await alice.expect(room, lambda m: m.thread == asked and m.body == "status()")
    assert answer.encrypted
    assert alice.shield(answer) == 0

    film, picture = os.urandom(3 * 1024 * 1024 + 7), os.urandom(4000)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(film), 1024 * 1024):
            yield film[start : start + 1024 * 1024]

    post = FilePost("film.mp4", "video/mp4", len(film), chunks, "m.video", 640, 360, 5.0, picture, (320, 180))
    sent = await bot.bot.send_file(room, post, key="film", thread=EventId(asked))
    message = await alice.expect(room, lambda m: m.event_id == sent)
    assert message.encrypted
    assert alice.shield(message) == 0
    assert await alice.download(message, tmp_path) == film
    assert await alice.download(message, tmp_path, thumbnail=True) == picture


async def test_the_strict_client_would_notice_an_unsigned_device(strict_user: MakeStrict, matrix_user: MakeUser):
    """The judge judges: what a matrix-nio user (never cross-signed) writes is not readable to it."""
    alice, bob = await strict_user("alice"), await matrix_user("bob")
    room = await alice.create_room("Budget", [bob.user_id])
    await bob.join(room)
    await bob.until(lambda: alice.user_id in bob.client.rooms[room].users and bob.client.rooms[room].encrypted)
    said = await bob.send(room, "hello")
    while said not in alice.events:
        alice._news.clear()
        await alice._news.wait()
    assert not next(m for m in alice.messages(room) if m.event_id == said).readable
