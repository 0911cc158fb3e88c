"""The main job, once through on real parts: people talk in a call of an encrypted room, and what they agreed to have
recorded comes back into that room, encrypted.

One service process, one Synapse, three LiveKit SDK participants: Alice starts the recording and is muted for a while,
Bob comes late and agrees in the room, Carol declines and talks all the same.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from media.recorder.render import CLOSING
from palabre.demo.matrix_user import Message
from palabre.demo.people import read_speech
from tests.support.deployment import Deployment, Room
from tests.support.recorded import Recorded, read_recording
from tests.support.speakers import FRAMES, Speaker
from tests.support.speech import CLIPS
from tests.support.strict_client import MakeStrict, StrictClient
from tests.support.wer import word_error_rate

pytestmark = pytest.mark.alone

ALICE, BOB, CAROL = 0, 1, 2
BOTH = ("recording", "transcription")
ENGLISH, FRENCH, GERMAN = "jfk", "watson_fr-FR_Broadband_sample2", "watson_de-DE_NarrowbandModel_sample2"
WORK_SECONDS = 90.0


def text_of(clip: str) -> str:
    manifest = json.loads((CLIPS / "MANIFEST.json").read_text(encoding="utf-8"))
    return str(next(entry["text"] for entry in manifest if entry["file"] == f"{clip}.flac"))


def speech(clip: str) -> Any:
    return read_speech(CLIPS / f"{clip}.flac")


@dataclass
class Meeting:
    """What took place; times in seconds since the speakers' epoch."""

    alice: Speaker
    bob: Speaker
    carol: Speaker
    began: float  # the recording
    ended: float


async def meet(room: Room) -> Meeting:
    epoch = time.monotonic()
    alice, bob, carol = (Speaker(number, epoch) for number in (ALICE, BOB, CAROL))
    doors = {name: await room.door(name) for name in ("alice", "bob", "carol")}
    await alice.join(*await doors["alice"].join("tab"))
    await carol.join(*await doors["carol"].join("tab"))
    await doors["alice"].capture(*BOTH)
    began = time.monotonic() - epoch
    await doors["carol"].consent("no", *BOTH)
    await asyncio.gather(alice.say(speech(ENGLISH)), carol.say(speech(GERMAN)))
    await bob.join(*await doors["bob"].join("phone"))
    await room.command("bob", "agree")
    await agreed(bob)
    await bob.say(speech(FRENCH))
    await asyncio.sleep(1.5)
    for _ in range(3):
        await asyncio.gather(alice.beep(), bob.beep(), carol.beep())
        await asyncio.sleep(1.0)
    alice.mute(True)
    await asyncio.gather(alice.beep(), bob.beep())
    await asyncio.sleep(1.0)
    alice.mute(False)
    await asyncio.gather(alice.beep(), bob.beep())
    await asyncio.sleep(1.0)
    await doors["alice"]._ask("DELETE", f"/api/meetings/{doors['alice'].meeting}/capture", {"kinds": list(BOTH)})
    ended = time.monotonic() - epoch
    await asyncio.gather(alice.leave(), bob.leave(), carol.leave())
    return Meeting(alice, bob, carol, began, ended)


async def agreed(speaker: Speaker) -> None:
    """Until the call itself shows their yes to both."""
    async with asyncio.timeout(15):
        while True:
            attributes = speaker.room.local_participant.attributes
            if all(attributes.get(f"palabre.consent.{kind}") == "yes" for kind in BOTH):
                return
            await asyncio.sleep(0.05)


async def thread_of(room: Room) -> tuple[Message, list[Message]]:
    """The call's event and everything below it, once the last file is there."""
    root = await room.hears("alice", lambda message: "org.palabre.call" in message.content)

    def complete(message: Message) -> bool:
        names = [m.body for m in room.said("alice")]
        endings = (".mp4", ".md", ".vtt", ".json", ".transcription-consents.json")
        return all(any(name.endswith(ending) for name in names) for ending in endings)

    await room.hears("alice", complete, patience=WORK_SECONDS)
    await room.hears("alice", lambda message: "The call is over" in message.body)
    return root, [message for message in room.said("alice") if message.thread == root.event_id]


def check_film(film: Recorded, meeting: Meeting) -> None:
    assert film.codecs == ("h264", "aac")
    # The card at the end says that Carol is not in it.
    assert film.duration == pytest.approx(meeting.ended - meeting.began + CLOSING, abs=1.0)
    assert set(film.stamps) == {ALICE, BOB}  # and not a single readable frame of Carol's

    # What a stamp says was taken when, and where it stands in the film.
    lags = {person: [at - number / FRAMES for at, number in film.stamps[person]] for person in (ALICE, BOB)}
    zero = {person: sorted(values)[len(values) // 2] for person, values in lags.items()}
    assert abs(zero[ALICE] - zero[BOB]) < 0.2, "across participants"

    quiet = min(meeting.alice.beeps[0] + zero[ALICE], meeting.bob.beeps[0] + zero[BOB]) - 0.4  # words have every tone
    assert film.beeps(CAROL, quiet) == []
    sent = {ALICE: meeting.alice.beeps[:3] + meeting.alice.beeps[4:], BOB: meeting.bob.beeps}  # the fourth was muted
    for person in (ALICE, BOB):
        heard = film.beeps(person, quiet)
        apart = [at - left - zero[person] for at, left in zip(heard, sent[person], strict=True)]
        print("sound after picture, ms:", [round(1000 * seconds) for seconds in apart])
        assert all(abs(seconds) < 0.1 for seconds in apart), "a beep and the picture of its moment"


def check_transcript(document: dict[str, Any], markdown: str, vtt: str, who: dict[str, str]) -> None:
    said = dict.fromkeys(who.values(), "")
    for line in document["lines"]:
        said[line["speaker"]] += f" {line['text']}"
        assert 0 <= line["start"] < line["end"] <= document["duration"] + 1
    assert set(said) == set(who.values()), "nobody else has a line"
    rates = {
        "alice": word_error_rate(text_of(ENGLISH), said[who["alice"]], "en"),
        "bob": word_error_rate(text_of(FRENCH), said[who["bob"]], "fr"),
    }
    print("word error rate per clip:", {name: f"{rate:.0%}" for name, rate in rates.items()})
    assert rates["alice"] < 0.25
    assert rates["bob"] < 0.4
    assert said[who["carol"]] == ""
    for word in ("Geige", "Groschen", "Haus"):  # Carol's
        assert word not in markdown + vtt
    assert f"**{who['alice']}**" in markdown
    assert f"<v {who['bob']}>" in vtt


@pytest.mark.speech
@pytest.mark.timeout(240)
async def test_what_people_agreed_to_comes_back_into_the_room_encrypted(
    deployment: Deployment, make_room: Callable[..., Any], strict_user: MakeStrict
) -> None:
    deployment.settings["bridge"]["forget_seconds"] = 0
    await deployment.start()
    room: Room = await make_room("alice", "bob", "carol")
    judge = await strict_user("judge")
    await room.people["alice"].invite(room.room_id, judge.user_id)
    await judge.join(room.room_id)
    who = {name: user.user_id[1:].partition(":")[0] for name, user in room.people.items()}
    meeting = await meet(room)
    root, thread = await thread_of(room)
    assert all(message.encrypted for message in [root, *thread])

    texts = [message.body for message in thread if message.content["msgtype"] == "m.notice"]
    (recorded,) = [text for text in texts if text.startswith("Recording of the call")]
    (transcribed,) = [text for text in texts if text.startswith("Transcript of the call")]
    assert f"Not recorded, because they did not agree: {who['carol']}." in recorded
    assert f"Not transcribed, because they did not agree: {who['carol']}." in transcribed
    assert "fellow americans" in transcribed.lower()
    (over,) = [text for text in texts if text.startswith("The call is over")]
    assert all(name in over for name in who.values())
    assert len(texts) == len(set(texts)), "nothing is said twice"

    posted = [message for message in thread if message.content["msgtype"] != "m.notice"]
    receipts = [message for message in posted if message.body.endswith("-consents.json")]
    files = {message.body.rsplit(".", 1)[1]: message for message in posted if message not in receipts}
    assert set(files) == {"mp4", "md", "vtt", "json"}
    assert len(receipts) == 2
    content = {
        ending: await room.people["bob"].download(await same(room, message)) for ending, message in files.items()
    }
    video = files["mp4"]
    assert video.content["msgtype"] == "m.video"
    assert (await room.people["bob"].download(await same(room, video), thumbnail=True)).startswith(b"\xff\xd8")
    (deployment.folder / "film.mp4").write_bytes(content["mp4"])  # to be looked at when something below fails
    film = await asyncio.to_thread(read_recording, content["mp4"])
    check_film(film, meeting)
    check_transcript(json.loads(content["json"]), content["md"].decode(), content["vtt"].decode(), who)
    await judge_reads(judge, deployment, [root, *thread], content)

    await gone(deployment)


def is_event(event_id: str, message: Message) -> bool:
    return message.event_id == event_id


async def judge_reads(
    judge: StrictClient, deployment: Deployment, messages: list[Message], content: dict[str, bytes]
) -> None:
    """Element's own libraries, which believe cross-signed devices only, decrypt whatever the bot said and posted."""
    for message in [one for one in messages if one.sender == deployment.bot]:
        read = await judge.expect(message.room_id, partial(is_event, message.event_id))
        assert read.encrypted
        assert read.body == message.body
        assert judge.shield(read) == 0
        if "file" in read.content:
            downloaded = await judge.download(read, deployment.folder)
            if not read.body.endswith("-consents.json"):
                assert downloaded == content[read.body.rsplit(".", 1)[1]]


async def same(room: Room, message: Message) -> Message:
    """The same message as Bob's client decrypted it."""
    return await room.people["bob"].expect(room.room_id, lambda m: m.event_id == message.event_id and m.readable)


async def gone(deployment: Deployment) -> None:
    """The raw tracks are deleted once everything is acknowledged, and nothing on disk is in the clear."""
    captures = deployment.data / "captures"
    async with asyncio.timeout(10):
        while any(captures.iterdir()):  # noqa: ASYNC110 - the file system tells nobody
            await asyncio.sleep(0.05)
    for path in (deployment.data / "artefacts").rglob("*"):
        if path.is_file():
            head = path.read_bytes()[:64]
            assert b"ftyp" not in head
            assert b"WEBVTT" not in head
