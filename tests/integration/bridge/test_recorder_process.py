"""End-to-end encrypted calls recorded by consent: real Synapse, real Olm, LiveKit's SDK with encryption, and the
recorder's process beside the service's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from palabre.demo.people import read_speech
from tests.support.deployment import Deployment, Room
from tests.support.memory import holds, recorder_pid
from tests.support.recorded import Recorded, read_recording
from tests.support.rtc_client import SESSION
from tests.support.rtc_person import Device, RtcPerson
from tests.support.speech import CLIPS

pytestmark = pytest.mark.alone

ALICE, BOB, CAROL = 0, 1, 2
WORK_SECONDS = 90.0
ENGLISH, GERMAN = "jfk.flac", "watson_de-DE_NarrowbandModel_sample2.flac"


class EncryptedCall:
    """A call of an encrypted room, its people by number."""

    def __init__(self, deployment: Deployment, room: Room) -> None:
        self.deployment, self.room = deployment, room
        self.epoch = time.monotonic()
        self.people: dict[str, RtcPerson] = {}

    @property
    def focus(self) -> str:
        return f"{self.deployment.url}/livekit/jwt"

    async def join(self, name: str, number: int, **options: Any) -> RtcPerson:
        person = RtcPerson(self.room.people[name], self.room.room_id, number, self.epoch)
        self.people[name] = person
        await person.join(self.focus, **options)
        return person

    async def recorder(self) -> Device:
        """The recorder as a member, once its member event is there."""
        return (await self.until_members(lambda found: len(found) == 1)).pop()

    async def until_members(self, condition: Callable[[set[Device]], bool]) -> set[Device]:
        """Member events of the bot."""
        watcher = next(iter(self.people.values()))
        async with asyncio.timeout(30):
            while True:
                found = {device for device in await watcher.members() if device[0] == self.deployment.bot}
                if condition(found):
                    return found
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        await asyncio.gather(*(person.leave() for person in self.people.values()), return_exceptions=True)


@pytest.fixture
async def call(deployment: Deployment, make_room: Callable[..., Any]) -> AsyncIterator[EncryptedCall]:
    await deployment.start()
    room: Room = await make_room("alice", "bob", "carol")
    alice = room.people["alice"]
    levels = await alice.state(room.room_id, "m.room.power_levels")
    levels["events"] = levels.get("events", {}) | {SESSION: 0}
    await alice.set_state(room.room_id, "m.room.power_levels", levels)
    made = EncryptedCall(deployment, room)
    yield made
    await made.close()


async def film_of(call: EncryptedCall, *, patience: float = WORK_SECONDS) -> Recorded:
    message = await call.room.hears("alice", lambda m: m.body.endswith(".mp4"), patience=patience)
    content = await call.room.people["alice"].download(message)
    (call.deployment.folder / "film.mp4").write_bytes(content)  # to be looked at when something fails
    return await asyncio.to_thread(read_recording, content)


async def talk(*people: RtcPerson, times: int = 3) -> None:
    for _ in range(times):
        await asyncio.gather(*(person.speaker.beep() for person in people))
        await asyncio.sleep(1.0)


def numbers(film: Recorded, person: int) -> list[int]:
    """When the frames of somebody that the film shows were taken, in 15ths of a second of the call."""
    return [number for _, number in film.stamps.get(person, [])]


def service_pid(call: EncryptedCall) -> int:
    assert call.deployment.process is not None
    return call.deployment.process.pid


@pytest.mark.timeout(240)
async def test_an_encrypted_call_is_recorded_of_those_who_agreed_and_no_key_is_in_the_services_memory(
    call: EncryptedCall,
) -> None:
    alice, bob, carol = [await call.join(name, number) for number, name in enumerate(("alice", "bob", "carol"))]
    await talk(alice, bob, times=1)
    asked = time.monotonic() - call.epoch
    await call.room.command("alice", "record")
    user, device = await call.recorder()
    presence = f"{user}:{device}"
    await alice.user.until(lambda: presence in alice.speaker.room.remote_participants)
    shown = alice.speaker.room.remote_participants[presence]
    assert shown.attributes["palabre.recorder"] == "1"
    assert shown.name == "Palabre — recording"
    await call.room.command("bob", "agree")
    await call.room.command("carol", "decline")
    await asyncio.sleep(4)
    await talk(alice, bob, carol)

    keys = [key for person in (alice, bob, carol) for key in person.keys]
    service = service_pid(call)
    assert set(keys) <= holds(recorder_pid(service), keys), "the recorder has them all, so the search finds keys"
    assert holds(service, keys) == set()

    await call.room.command("alice", "stop")
    await call.until_members(lambda found: not found)
    stopped = time.monotonic() - call.epoch
    await alice.user.until(lambda: presence not in alice.speaker.room.remote_participants)
    await alice.user.until(lambda: all(person.index for person in (alice, bob, carol)))  # they have changed their keys
    await talk(alice, bob, times=2)
    film = await film_of(call)
    assert set(film.stamps) == {ALICE, BOB}
    for person in (alice, bob):
        assert len(film.beeps(person.speaker.number, 0.0)) == 3
        taken = numbers(film, person.speaker.number)
        assert min(taken) > (asked - 1) * 15, "nothing from before the recorder came"
        assert max(taken) < (stopped + 1) * 15, "nothing from after it left"
    assert film.beeps(CAROL, 0.0) == []


@pytest.mark.timeout(240)
@pytest.mark.long
async def test_keys_count_only_inside_olm_and_from_the_device_that_they_are_of(call: EncryptedCall) -> None:
    """Alice's real key goes nowhere: what others say of it must not make her readable, nor may theirs replace it."""
    alice, bob = await call.join("alice", ALICE), await call.join("bob", BOB)
    alice.hands_out = False
    await call.room.command("alice", "record")
    recorder = await call.recorder()
    await call.room.command("bob", "agree")
    await bob.send_key(recorder, claimed=alice.device[1], key=alice.key)  # the right key, from the wrong device
    await alice.send_key(recorder, claimed="OTHER")  # from the right device, which says it is another
    await alice.send_in_clear(recorder)
    await asyncio.sleep(5)
    await talk(alice, bob, times=2)
    before = time.monotonic() - call.epoch
    await alice.send_key(recorder)
    await asyncio.sleep(2)
    await talk(alice, bob, times=2)
    await call.room.command("alice", "stop")
    film = await film_of(call)
    assert len(film.beeps(BOB, 0.0)) == 4
    assert len(film.beeps(ALICE, 0.0)) == 2
    assert min(numbers(film, ALICE)) > (before - 1) * 15
    message = await call.room.hears("alice", lambda m: m.body.startswith("Recording of the call"))
    assert f"could not be decrypted: {call.room.people['alice'].user_id[1:].partition(':')[0]}." in message.body


@pytest.mark.timeout(240)
@pytest.mark.long
async def test_a_recorder_that_is_killed_comes_back_with_new_keys_and_the_gap_is_told(call: EncryptedCall) -> None:
    alice = await call.join("alice", ALICE)
    await call.room.command("alice", "record")
    before = await call.recorder()
    await asyncio.sleep(3)
    await talk(alice)
    service = service_pid(call)
    first = recorder_pid(service)
    used = alice.index
    os.kill(first, signal.SIGKILL)
    await call.until_members(lambda found: not found)  # seen to leave …
    assert await call.recorder() == before  # … and to come back as the same device
    await alice.user.until(lambda: alice.index > used and before in alice.sent_to)
    assert recorder_pid(service) != first
    await asyncio.sleep(2)
    await talk(alice, times=2)
    await call.room.command("alice", "stop")
    film = await film_of(call)
    assert len(film.beeps(ALICE, 0.0)) == 5
    message = await call.room.hears("alice", lambda m: m.body.startswith("Recording of the call"))
    assert "With a gap of" in message.body


@pytest.mark.timeout(240)
@pytest.mark.long
async def test_when_the_service_is_killed_the_recorder_leaves_and_with_its_return_the_recording_goes_on(
    call: EncryptedCall,
) -> None:
    alice = await call.join("alice", ALICE)
    await call.room.command("alice", "record")
    await call.recorder()
    await asyncio.sleep(3)
    await talk(alice)
    recorder = recorder_pid(service_pid(call))
    await call.deployment.kill()
    await call.until_members(lambda found: not found)
    await alice.user.until(lambda: not Path(f"/proc/{recorder}").exists())
    await call.deployment.start()
    await call.recorder()
    await call.room.command("alice", "stop")
    film = await film_of(call)
    assert len(film.beeps(ALICE, 0.0)) >= 3


@pytest.mark.speech
@pytest.mark.timeout(240)
@pytest.mark.long
async def test_an_encrypted_call_is_transcribed_of_those_who_agreed(call: EncryptedCall) -> None:
    alice, carol = await call.join("alice", ALICE, camera=False), await call.join("carol", CAROL, camera=False)
    await call.room.command("alice", "transcribe")
    await call.recorder()
    await call.room.command("carol", "decline")
    await asyncio.sleep(3)
    said = {alice: ENGLISH, carol: GERMAN}
    await asyncio.gather(*(person.speaker.say(read_speech(CLIPS / clip)) for person, clip in said.items()))
    await asyncio.sleep(1.5)
    await call.room.command("alice", "stop")
    message = await call.room.hears("alice", lambda m: m.body.endswith(".md"), patience=WORK_SECONDS)
    text = (await alice.user.download(message)).decode()
    assert "fellow americans" in text.lower()
    assert "country" in text.lower()
    for word in ("Geige", "Groschen", "Haus"):  # Carol's
        assert word not in text
