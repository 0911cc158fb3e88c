"""The bot's process is killed at every point of a command's way; the command is obeyed once all the same."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession

from appservice import catchup
from appservice.events import RoomEvent
from appservice.inbox import Inbox
from palabre.demo.matrix_user import MatrixUser
from tests.support.bot import StartBot, bot_settings
from tests.support.bot_process import POINTS
from tests.support.matrix_client import MakeUser
from tests.support.synapse import AppserviceSlot


@asynccontextmanager
async def bot_process(slot: AppserviceSlot, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Started and ready; killed at the end if it still lives."""
    settings = bot_settings(slot).model_dump(mode="json")
    secrets = {"as_token": slot.as_token, "hs_token": slot.hs_token, "secret": f"secret of {slot.id} 0123456789012345"}
    arguments = [json.dumps(settings | secrets), str(folder), str(slot.port)]
    with (folder / "bot.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.bot_process", *arguments, stdout=asyncio.subprocess.PIPE, stderr=log
        )
    try:
        assert process.stdout is not None
        ready = await process.stdout.readline()
        assert ready == b"ready\n", (folder / "bot.log").read_text()[-3000:]
        yield process
    except BaseException:
        print((folder / "bot.log").read_text()[-6000:])
        raise
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def answers(user: MatrixUser, room: str, asked: str) -> tuple[list[str], list[str]]:
    """Bodies and reactions with which a command was answered."""
    texts = [m.body for m in user.messages(room) if m.thread == asked]
    return texts, [emoji for _, emoji in user.reactions(asked)]


async def test_a_command_is_obeyed_once_wherever_the_process_is_killed(
    appservice_slot: AppserviceSlot, matrix_user: MakeUser, tmp_path: Path
):
    alice = await matrix_user("alice")
    asked: dict[str, str] = {}
    async with bot_process(appservice_slot, tmp_path):
        room = await alice.create_room(
            "Budget", invite=[f"@{appservice_slot.bot_localpart}:{alice.user_id.split(':', 1)[1]}"]
        )
        await alice.expect(room, lambda m: m.sender != alice.user_id and bool(m.body))
    for point, *_ in POINTS:
        async with bot_process(appservice_slot, tmp_path) as process:
            if asked:
                last = list(asked.values())[-1]
                await alice.until(lambda last=last: answers(alice, room, last)[1] == ["✅"], patience=60)  # type: ignore[misc]
            (tmp_path / f"die-{point}").touch()
            asked[point] = await alice.send(room, f"!palabre call {point}")
            assert await process.wait() == -9
    async with bot_process(appservice_slot, tmp_path):
        last = await alice.send(room, "!palabre call end")
        await alice.until(lambda: answers(alice, room, last)[1] == ["✅"])
    for point, event_id in asked.items():
        assert answers(alice, room, event_id) == ([f"call({point})"], ["✅"]), point


async def test_a_transaction_in_many_copies_is_obeyed_once(
    start_bot: StartBot, appservice_slot: AppserviceSlot, matrix_user: MakeUser
):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await alice.create_room("Forum", invite=[bot.bot.user_id], encrypted=False)
    welcome = await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
    thread = {"rel_type": "m.thread", "event_id": welcome.event_id}  # the event itself only we know
    event = {
        "event_id": "$" + "x" * 43,
        "room_id": room,
        "sender": alice.user_id,
        "type": "m.room.message",
        "content": {"msgtype": "m.text", "body": "!palabre call copies", "m.relates_to": thread},
        "origin_server_ts": 1,
    }
    url = f"{appservice_slot.url}/_matrix/app/v1/transactions/copies"
    headers = {"Authorization": f"Bearer {appservice_slot.hs_token}"}
    async with ClientSession(headers=headers) as http:

        async def push(name: str = "") -> None:
            async with http.put(url + name, json={"events": [event]}) as answer:
                assert answer.status == 200

        await asyncio.gather(push(), push(), push())
        await alice.expect(room, lambda m: m.body == "call(copies)")
        await bot.settled()
        await bot.stop()
        await bot.start()
        await push()
        await push("-again")
    last = await alice.send(room, "!palabre status")
    await alice.expect(room, lambda m: m.thread == last)
    assert [command.name for command in bot.handler.commands] == ["call", "status"]


async def test_an_event_that_no_transaction_brings_is_found_all_the_same(
    start_bot: StartBot, matrix_user: MakeUser, monkeypatch: pytest.MonkeyPatch
):
    """Synapse can forget one when the service has just come back; here the inbox looks away for a moment instead."""
    monkeypatch.setattr(catchup, "GRACE", 0.5)
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await alice.create_room("Budget", invite=[bot.bot.user_id])
    await alice.expect(room, lambda m: m.sender != alice.user_id and bool(m.body))
    await bot.settled()
    dropped = asyncio.Event()
    store = Inbox.store

    async def drop(_inbox: Inbox, events: Sequence[RoomEvent], _now: float) -> int:
        if any(event.sender == alice.user_id for event in events):
            monkeypatch.setattr(Inbox, "store", store)
            dropped.set()
        return 0

    monkeypatch.setattr(Inbox, "store", drop)
    asked = await alice.send(room, "!palabre status")
    await dropped.wait()
    answer = await alice.expect(room, lambda m: m.thread == asked and bool(m.body))
    assert answer.body == "status()"
