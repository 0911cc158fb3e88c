"""Files that the bot posts, as another client downloads them."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from appservice.seams import FilePost
from palabre.base.errors import CallerError
from palabre.base.ids import EventId, RoomId
from tests.support.bot import StartBot
from tests.support.matrix_client import MakeUser

MIB = 1024 * 1024


def pieces_of(path: Path) -> Callable[[], AsyncIterator[bytes]]:
    async def read() -> AsyncIterator[bytes]:
        with path.open("rb") as file:
            while piece := file.read(MIB):
                yield piece

    return read


async def test_a_film_of_several_megabytes_arrives_encrypted_and_whole(
    start_bot: StartBot, matrix_user: MakeUser, tmp_path: Path
):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = RoomId(await alice.create_room("Budget", invite=[bot.bot.user_id]))
    root = await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
    film = tmp_path / "film.mp4"
    film.write_bytes(os.urandom(7 * MIB + 123))
    picture = os.urandom(5000)
    post = FilePost(
        "film.mp4", "video/mp4", film.stat().st_size, pieces_of(film), "m.video", 640, 360, 12.0, picture, (320, 180)
    )
    sent = await bot.bot.send_file(room, post, key="film", thread=EventId(root.event_id))
    assert await bot.bot.send_file(room, post, key="film", thread=EventId(root.event_id)) == sent
    message = await alice.expect(room, lambda m: m.event_id == sent and m.readable)
    assert message.encrypted
    assert message.thread == root.event_id
    assert (message.content["msgtype"], message.body) == ("m.video", "film.mp4")
    assert message.content["info"]["duration"] == 12_000
    downloaded = await alice.download(message)
    assert hashlib.sha256(downloaded).digest() == hashlib.sha256(film.read_bytes()).digest()
    assert await alice.download(message, thumbnail=True) == picture


async def test_a_file_for_a_room_without_encryption_is_readable_by_name_and_type(
    start_bot: StartBot, matrix_user: MakeUser, tmp_path: Path
):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = RoomId(await alice.create_room("Forum", invite=[bot.bot.user_id], encrypted=False))
    await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
    transcript = tmp_path / "x"
    transcript.write_text("Bonjour")
    post = FilePost("compte rendu.md", "text/markdown", 7, pieces_of(transcript))
    await bot.bot.send_file(room, post, key="transcript")
    message = await alice.expect(room, lambda m: m.body == "compte rendu.md")
    assert not message.encrypted
    assert await alice.download(message) == b"Bonjour"


async def test_a_file_above_the_homeservers_limit_is_refused_before_it_is_read(
    start_bot: StartBot, matrix_user: MakeUser
):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = RoomId(await alice.create_room("Budget", invite=[bot.bot.user_id]))
    await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
    limit = await bot.bot.upload_limit()
    assert limit == 50 * MIB

    def never() -> AsyncIterator[bytes]:
        raise AssertionError("read")

    with pytest.raises(CallerError) as refused:
        await bot.bot.send_file(room, FilePost("film.mp4", "video/mp4", limit + 1, never), key="big")
    assert (refused.value.code, refused.value.params["limit"]) == ("file_too_large", 52)


@pytest.mark.parametrize("claimed", [9, 11])
async def test_a_file_that_is_not_as_long_as_said_is_our_own_error(
    start_bot: StartBot, matrix_user: MakeUser, claimed: int
):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = RoomId(await alice.create_room("Budget", invite=[bot.bot.user_id]))
    await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))

    async def ten_bytes() -> AsyncIterator[bytes]:
        for piece in itertools.repeat(b"x", 10):
            yield piece

    with pytest.raises(ValueError, match="other than"):
        await bot.bot.send_file(room, FilePost("x", "text/plain", claimed, ten_bytes), key="x")
