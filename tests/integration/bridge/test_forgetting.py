"""Somebody has themselves taken out after everything was posted, and the receipts say who had agreed to what."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from media.recorder.render import CLOSING
from palabre.demo.matrix_user import Message
from palabre.demo.people import read_speech
from tests.support.deployment import Deployment, Room
from tests.support.recorded import Recorded, read_recording
from tests.support.speakers import Speaker
from tests.support.speech import CLIPS

ALICE, BOB = 0, 1
ENDINGS = (".mp4", ".recording-consents.json", ".md", ".vtt", ".transcription-consents.json")
WORK_SECONDS = 120.0
TAIL = 2.9  # seconds: the three beeps at the end, and no speech, which has every tone in it


async def meet(room: Room) -> None:
    """Alice has the call recorded and transcribed, Bob agrees by an encrypted event; both speak, and beep after it."""
    epoch = time.monotonic()
    speakers = {"alice": Speaker(ALICE, epoch), "bob": Speaker(BOB, epoch)}
    doors = {name: await room.door(name) for name in speakers}
    for name, speaker in speakers.items():
        await speaker.join(*await doors[name].join("tab"))
    await doors["alice"].capture("recording", "transcription")
    root = await room.hears("alice", lambda message: "org.palabre.call" in message.content)
    content = {
        "call": root.content["org.palabre.call"]["call"],
        "answers": {"recording": "yes", "transcription": "yes"},
    }
    await room.people["bob"].send_event(room.room_id, "org.palabre.consent", content)
    async with asyncio.timeout(20):
        while speakers["bob"].room.local_participant.attributes.get("palabre.consent.transcription") != "yes":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await speakers["alice"].say(read_speech(CLIPS / "jfk.flac"))
    await speakers["bob"].say(read_speech(CLIPS / "watson_fr-FR_Broadband_sample2.flac"))
    await asyncio.sleep(1.0)
    for _ in range(3):
        await asyncio.gather(*(speaker.beep() for speaker in speakers.values()))
        await asyncio.sleep(0.7)
    await asyncio.gather(*(speaker.leave() for speaker in speakers.values()))


async def posted(room: Room, count: int) -> dict[str, Message]:
    """The last files of each kind, once so many of each were posted."""

    def files(ending: str) -> list[Message]:
        return [message for message in room.said("alice") if message.body.endswith(ending)]

    people = room.people["alice"]
    await people.until(lambda: all(len(files(ending)) == count for ending in ENDINGS), patience=WORK_SECONDS)
    return {ending: files(ending)[-1] for ending in ENDINGS}


async def download(room: Room, message: Message) -> bytes:
    """As Bob's client decrypts it."""
    bob = room.people["bob"]
    same = await bob.expect(room.room_id, lambda m: m.event_id == message.event_id and m.readable)
    return bytes(await bob.download(same))


async def film(room: Room, files: dict[str, Message]) -> Recorded:
    return await asyncio.to_thread(read_recording, await download(room, files[".mp4"]))


async def is_gone(room: Room, message: Message) -> bool:
    path = f"/_matrix/client/v3/rooms/{quote(room.room_id)}/event/{quote(message.event_id)}"
    return not (await room.people["alice"].call("GET", path))["content"].get("ciphertext")


def answers_in_database(deployment: Deployment, kind: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"file:{deployment.data}/palabre.db?mode=ro", uri=True) as database:
        rows = database.execute(
            """SELECT person, answer, how, round(at, 3), event_id, device_id, fingerprint, device_trust
               FROM bridge_consent WHERE kind = ? ORDER BY seq""",
            (kind,),
        )
        return [tuple(value or None for value in row) for row in rows]


def answers_in_receipt(receipt: dict[str, Any]) -> list[tuple[Any, ...]]:
    found = []
    for person in receipt["people"]:
        for answer in person["answers"]:
            proof = answer["proof"] or {}
            keys = (proof.get(key) for key in ("event_id", "device_id", "fingerprint", "trust"))
            found.append((person["id"], answer["answer"], answer["how"], answer["at"], *keys))
    return sorted(found, key=lambda row: row[3])


@pytest.mark.speech
@pytest.mark.timeout(400)
@pytest.mark.long
async def test_whoever_has_themselves_taken_out_is_in_nothing_that_is_left_in_the_room(
    deployment: Deployment, make_room: Callable[..., Any]
) -> None:
    await deployment.start()
    room: Room = await make_room("alice", "bob")
    bob = room.people["bob"]
    name = bob.user_id[1:].partition(":")[0]
    await meet(room)
    before = await posted(room, 1)
    whole = await film(room, before)
    assert set(whole.stamps) == {ALICE, BOB}
    assert whole.beeps(BOB, whole.duration - TAIL)
    assert f"**{name}**" in (await download(room, before[".md"])).decode()

    for kind in ("recording", "transcription"):
        receipt = json.loads(await download(room, before[f".{kind}-consents.json"]))
        assert receipt["capture"]["kind"] == kind
        stored = answers_in_database(deployment, kind)
        assert answers_in_receipt(receipt) == sorted(stored, key=lambda row: row[3])
        (person,) = [one for one in receipt["people"] if one["id"] == bob.user_id]
        (yes,) = [one for one in person["answers"] if one["answer"] == "yes"]
        assert yes["proof"]["device_id"] == bob.client.device_id
        assert yes["proof"]["fingerprint"] == bob.client.olm.account.identity_keys["ed25519"]
        assert len(person["consented"]) == 1

    await room.command("bob", "forget")
    after = await posted(room, 2)
    assert all([await is_gone(room, message) for message in before.values()])
    without = await film(room, after)
    assert set(without.stamps) == {ALICE}
    length = without.duration - CLOSING  # the card at the end says that Bob is not in it
    assert length == pytest.approx(whole.duration, abs=0.2)
    assert without.beeps(BOB, length - TAIL) == []
    assert len(without.beeps(ALICE, length - TAIL)) == len(whole.beeps(ALICE, whole.duration - TAIL)) > 0
    markdown, vtt = [(await download(room, after[ending])).decode() for ending in (".md", ".vtt")]
    assert "fellow" in markdown.lower()
    assert f"**{name}**" not in markdown
    assert f"<v {name}>" not in vtt
    told = [m.body for m in room.said("alice") if m.body.startswith("Recording of the call")][-1]
    assert f"Taken out at their own request: {name}." in told
    receipt = json.loads(await download(room, after[".recording-consents.json"]))
    (person,) = [one for one in receipt["people"] if one["id"] == bob.user_id]
    assert person["removed_until"] > receipt["capture"]["started_at"]
