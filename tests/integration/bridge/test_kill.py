"""`kill -9` at any moment: nothing is lost, nothing happens twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from palabre.demo.homeserver import Account
from tests.support.deployment import Deployment, Room
from tests.support.recorded import read_recording
from tests.support.speakers import Speaker

LONGEST = 1.2  # seconds after a command; on an idle machine it is answered after half of that
SETTLED = 2.0  # seconds without news before counting


async def admin(deployment: Deployment, account: Account, path: str) -> dict[str, Any]:
    return await asyncio.to_thread(deployment.homeserver.request, "GET", path, token=account.access_token)


async def rooms_named(deployment: Deployment, account: Account, title: str) -> list[str]:
    found = await admin(deployment, account, f"/_synapse/admin/v1/rooms?search_term={quote(title)}")
    return [room["room_id"] for room in found["rooms"] if room["name"] == title]


async def said_in(deployment: Deployment, account: Account, room_id: str) -> int:
    """Encrypted messages of the bot in a room."""
    path = f"/_synapse/admin/v1/rooms/{quote(room_id)}/messages?dir=b&limit=100"
    events = (await admin(deployment, account, path))["chunk"]
    return sum(event["type"] == "m.room.encrypted" and event["sender"] == deployment.bot for event in events)


def chance_of_work() -> float:
    return random.uniform(0.2, 2.0)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("points", [4, pytest.param(20, marks=pytest.mark.long)])
async def test_a_meeting_command_that_is_killed_anywhere_makes_one_room_and_one_answer(
    deployment: Deployment, make_room: Callable[..., Any], points: int
) -> None:
    await deployment.start()
    root: Account = await asyncio.to_thread(deployment.homeserver.register, f"root-{deployment.slot.id}", admin=True)
    room: Room = await make_room("alice")
    chance = random.Random()
    commands: dict[str, str] = {}
    waits = []
    for number in range(points):
        title = f"Budget {deployment.slot.id} {number}"
        commands[title] = await room.command("alice", f'meeting "{title}"')
        waits.append(chance.uniform(0.0, LONGEST))
        await asyncio.sleep(waits[-1])
        await deployment.kill()
        await deployment.start()
    print("killed after", [round(wait, 2) for wait in waits])

    def answers() -> Counter[str | None]:
        return Counter(message.thread for message in room.said("alice") if message.readable)

    alice = room.people["alice"]
    await alice.until(lambda: all(answers()[event] for event in commands.values()), patience=60.0)
    await asyncio.sleep(SETTLED)
    assert [answers()[event] for event in commands.values()] == [1] * points
    for title in commands:
        (made,) = await rooms_named(deployment, root, title)
        assert await said_in(deployment, root, made) == 1  # its welcome
        (answer,) = [m for m in room.said("alice") if m.thread == commands[title]]
        assert made in answer.body
    assert all(("✅" in {emoji for _, emoji in alice.reactions(event)}) for event in commands.values())


@pytest.mark.timeout(240)
async def test_a_recording_that_is_killed_is_posted_after_the_restart_and_marked_interrupted(
    deployment: Deployment, make_room: Callable[..., Any]
) -> None:
    await deployment.start()
    room: Room = await make_room("alice", "bob")
    epoch = time.monotonic()
    alice, bob = Speaker(0, epoch), Speaker(1, epoch)
    doors = {name: await room.door(name) for name in ("alice", "bob")}
    await alice.join(*await doors["alice"].join("tab"))
    await bob.join(*await doors["bob"].join("tab"))
    await doors["alice"].capture("recording")
    began = time.monotonic()
    await doors["bob"].consent("yes", "recording")
    await asyncio.sleep(7.0)
    await deployment.kill()
    recorded = time.monotonic() - began
    await deployment.start()
    await asyncio.sleep(chance_of_work())
    await deployment.kill()  # once more, most likely while the film is made
    await deployment.start()

    video = await room.hears("bob", lambda message: message.content.get("msgtype") == "m.video", patience=90.0)
    film = await asyncio.to_thread(read_recording, await room.people["bob"].download(video))
    assert recorded - 2.0 <= film.duration <= recorded + 1.0
    assert set(film.stamps) == {0, 1}
    message = await room.hears("bob", lambda m: m.body.startswith("Recording of the call"))
    assert "interrupted by a failure" in message.body
    assert message.thread == video.thread

    # Nobody is recorded any more, and the call itself goes on for those who come back.
    state = await doors["alice"].state()
    assert state["capture"] == {"recording": None, "transcription": None}
    await asyncio.gather(alice.leave(), bob.leave())
    await asyncio.sleep(SETTLED)
    assert sum(m.content.get("msgtype") == "m.video" for m in room.said("bob")) == 1
