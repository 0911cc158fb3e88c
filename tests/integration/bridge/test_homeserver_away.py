"""The homeserver is away: the call and its recording go on, answers by the page count, and what is to be said waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from palabre.demo.door import Door
from palabre.demo.homeserver import Homeserver
from palabre.demo.matrix_user import MatrixUser
from tests.support.deployment import Deployment, Room
from tests.support.matrix_client import new_user
from tests.support.recorded import read_recording
from tests.support.speakers import Speaker
from tests.support.synapse import AppserviceSlot, make_slot

AWAY_SECONDS = 20.0  # beside what stopping and starting it takes
SETTLED = 3.0


@pytest.fixture
async def own(
    new_homeserver: Callable[..., Homeserver],
    new_deployment: Callable[[Homeserver, AppserviceSlot], Deployment],
    tmp_path: Path,
) -> AsyncIterator[Room]:
    """Alice and Bob in a room on a homeserver of their own."""
    homeserver = new_homeserver()
    slot = make_slot(homeserver, "palabre")
    homeserver.registrations.append(slot.registration())
    await asyncio.to_thread(homeserver.start)
    deployment = new_deployment(homeserver, slot)
    await deployment.start()
    people: dict[str, MatrixUser] = {name: await new_user(homeserver, name, tmp_path) for name in ("alice", "bob")}
    room_id = await people["alice"].create_room("Budget", invite=[deployment.bot, people["bob"].user_id])
    await people["bob"].join(room_id)
    room = Room(deployment, room_id, people)
    await room.hears("alice", lambda message: message.type == "m.room.message")
    yield room
    for door in room.doors:
        await door.close()
    for user in people.values():
        await user.close()


@pytest.mark.timeout(300)
@pytest.mark.long
async def test_a_call_is_recorded_while_its_homeserver_is_away_and_posted_once_it_is_back(own: Room) -> None:
    epoch = time.monotonic()
    speakers = {"alice": Speaker(0, epoch), "bob": Speaker(1, epoch)}
    doors: dict[str, Door] = {name: await own.door(name) for name in speakers}
    for name, speaker in speakers.items():
        await speaker.join(*await doors[name].join("tab"))
    await own.hears("alice", lambda message: "org.palabre.call" in message.content)

    await asyncio.to_thread(own.deployment.homeserver.stop)
    await doors["alice"].capture("recording")
    began = time.monotonic()
    await doors["bob"].consent("yes", "recording")
    await asyncio.sleep(AWAY_SECONDS)
    attributes = speakers["alice"].room.remote_participants
    assert [one.attributes["palabre.consent.recording"] for one in attributes.values()] == ["yes"]
    path = f"/api/meetings/{doors['alice'].meeting}/capture"
    await doors["alice"]._ask("DELETE", path, {"kinds": ["recording"]})
    recorded = time.monotonic() - began
    assert (await doors["bob"].state())["call"]["participants"]
    await asyncio.to_thread(own.deployment.homeserver.start)

    video = await own.hears("bob", lambda message: message.content.get("msgtype") == "m.video", patience=120.0)
    film = await asyncio.to_thread(read_recording, await own.people["bob"].download(video))
    assert film.duration == pytest.approx(recorded, abs=1.0)
    assert set(film.stamps) == {0, 1}
    await asyncio.gather(*(speaker.leave() for speaker in speakers.values()))
    await asyncio.sleep(SETTLED)
    said = [message.body for message in own.said("bob")]
    assert sum(message.content.get("msgtype") == "m.video" for message in own.said("bob")) == 1
    assert sum("would like to record this call" in body for body in said) == 1
    assert sum(body.startswith("Recording of the call") for body in said) == 1
