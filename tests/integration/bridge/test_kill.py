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
from livekit import rtc

from palabre.demo.door import Door
from palabre.demo.homeserver import Account
from palabre.demo.matrix_user import Message
from tests.support.deployment import Deployment, Room
from tests.support.recorded import Recorded, read_recording
from tests.support.speakers import Speaker

pytestmark = pytest.mark.alone

LONGEST = 1.2  # seconds after a command; on an idle machine it is answered after half of that
BOTH = ["recording", "transcription"]
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


class Kept:
    """A call of Alice and Bob, both recorded, by the clock of their stamps."""

    def __init__(self, deployment: Deployment, room: Room) -> None:
        self.deployment = deployment
        self.room = room
        self.epoch = time.monotonic()
        self.speakers = {"alice": Speaker(0, self.epoch), "bob": Speaker(1, self.epoch)}
        self.doors: dict[str, Door] = {}
        self.began = 0.0

    async def begin(self) -> None:
        for name, speaker in self.speakers.items():
            self.doors[name] = await self.room.door(name)
            await speaker.join(*await self.doors[name].join("tab"))
        await self.doors["alice"].capture("recording")
        self.began = time.monotonic()
        await self.doors["bob"].consent("yes", "recording")

    async def are_seen(self, number: int) -> None:
        """Until both are in the call and shown as recorded, by what the relay tells the one of that number."""
        async with asyncio.timeout(30):
            while not self._complete(list(self.speakers.values())[number]):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def _complete(self, speaker: Speaker) -> bool:
        people = [speaker.room.local_participant, *speaker.room.remote_participants.values()]
        recorded = [one.attributes.get("palabre.consent.recording") == "yes" for one in people]
        return speaker.room.connection_state == rtc.ConnectionState.CONN_CONNECTED and recorded == [True, True]

    async def leave(self) -> None:
        await asyncio.gather(*(speaker.leave() for speaker in self.speakers.values()))

    async def film(self) -> tuple[Recorded, Message]:
        """What is posted, and the message with it."""
        video = await self.room.hears("bob", lambda m: m.content.get("msgtype") == "m.video", patience=90.0)
        message = await self.room.hears("bob", lambda m: m.body.startswith("Recording of the call"))
        assert message.thread == video.thread
        content = await self.room.people["bob"].download(video)
        return await asyncio.to_thread(read_recording, content), message

    async def is_posted_once(self) -> None:
        await asyncio.sleep(SETTLED)
        assert sum(m.content.get("msgtype") == "m.video" for m in self.room.said("bob")) == 1


@pytest.mark.timeout(240)
async def test_a_recording_that_is_killed_goes_on_when_its_people_are_back(
    deployment: Deployment, make_room: Callable[..., Any]
) -> None:
    await deployment.start()
    kept = Kept(deployment, await make_room("alice", "bob"))
    await kept.begin()
    await asyncio.sleep(5.0)
    killed = time.monotonic()
    await deployment.kill()
    await deployment.start()
    returned = time.monotonic()
    await asyncio.gather(kept.are_seen(0), kept.are_seen(1))
    print(f"away for {returned - killed:.1f} s, everybody back {time.monotonic() - returned:.1f} s later")
    state = await kept.doors["alice"].state()
    assert state["capture"]["recording"]["since"] < time.time() - (time.monotonic() - kept.began) + 1.0
    await asyncio.sleep(5.0)
    await kept.doors["alice"]._ask("DELETE", f"/api/meetings/{kept.doors['alice'].meeting}/capture", {"kinds": BOTH})
    ended = time.monotonic()
    film, message = await kept.film()
    assert film.duration == pytest.approx(ended - kept.began, abs=1.0)
    assert "interrupted" not in message.body
    assert "the service was restarted meanwhile" in message.body
    away = (killed - kept.began, returned - kept.began)
    for person in (0, 1):
        before = [at for at, _ in film.stamps[person] if at < away[0] + 1.0]
        after = [at for at, _ in film.stamps[person] if at > away[1] - 1.0]
        assert before[-1] > away[0] - 2.0, "at most two seconds are lost"
        assert after, "and the rest is there"
        assert film.duration - after[-1] < 2.0
        assert not [at for at, _ in film.stamps[person] if away[0] + 1.0 < at < away[1] - 0.5]
    await kept.leave()
    await kept.is_posted_once()


@pytest.mark.timeout(240)
@pytest.mark.long
async def test_a_recording_whose_people_do_not_come_back_is_posted_and_marked_interrupted(
    deployment: Deployment, make_room: Callable[..., Any]
) -> None:
    deployment.settings["bridge"]["return_seconds"] = 5
    await deployment.start()
    kept = Kept(deployment, await make_room("alice", "bob"))
    await kept.begin()
    await asyncio.sleep(7.0)
    await deployment.kill()
    recorded = time.monotonic() - kept.began
    await kept.leave()
    await deployment.start()
    await kept.room.hears("bob", lambda m: m.body.startswith("The recording has stopped"))
    await asyncio.sleep(chance_of_work())
    await deployment.kill()  # once more, most likely while the film is made
    await deployment.start()
    film, message = await kept.film()
    assert recorded - 2.0 <= film.duration <= recorded + 1.0
    assert set(film.stamps) == {0, 1}
    assert "interrupted by a failure" in message.body
    state = await kept.doors["alice"].state()
    assert state["capture"] == {"recording": None, "transcription": None}
    await kept.is_posted_once()
