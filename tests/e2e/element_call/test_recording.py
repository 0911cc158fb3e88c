"""People in Element Call are recorded and transcribed by their consent: end to end, by a member that everybody sees."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from palabre.demo.matrix_user import MatrixUser
from tests.support import numbered, tones
from tests.support.element_call.caller import Caller
from tests.support.element_call.home import Home
from tests.support.element_call.meeting import meet
from tests.support.element_call.pages import COMPATIBLE_26, LEGACY_19, STICKY_26
from tests.support.element_call.stage import PICTURES, Stage
from tests.support.memory import holds, recorder_pid
from tests.support.page import until
from tests.support.recorded import read_recording
from tests.support.speech import CLIPS
from tests.support.synapse import unique_name
from tests.support.wer import word_error_rate

pytestmark = [pytest.mark.browser, pytest.mark.speech, pytest.mark.long]

RATE = 1000 / 66  # pictures a second of the numbered camera
EARLIEST, LATEST = 10.0, 3.0  # seconds before the recorder came and after it left, of which nothing may be in the film
TONES_SECONDS = 2.0  # before anybody speaks: words have every tone
LOUD = 0.03
WORK_SECONDS = 180.0  # the film and the transcript, beside two browsers
ENGLISH, GERMAN = "jfk", "watson_de-DE_NarrowbandModel_sample2"
ENDINGS = (".mp4", ".md", ".vtt", ".json", "recording-consents.json", "transcription-consents.json")


@asynccontextmanager
async def reader(home: Home, ana: Caller, folder: Path) -> AsyncIterator[MatrixUser]:
    """Somebody in the room with another Matrix client, who reads what comes back into it."""
    account = await asyncio.to_thread(home.homeserver.register, unique_name("reader"))
    user = MatrixUser(home.homeserver, account, folder / "reader")
    await user.start()
    try:
        path = f"/v3/rooms/{ana.room_id}/invite"
        await home.ask(ana.account, "POST", path, {"user_id": user.user_id})
        await user.join(ana.room_id)
        yield user
    finally:
        await user.close()


async def frame_of(person: Caller, seen_by: Caller) -> int:
    """Which of somebody's pictures another one sees now."""

    async def seen() -> int | None:
        return dict(await seen_by.frame.evaluate("readStamps()")).get(person.number)

    async with asyncio.timeout(numbered.PATIENCE):
        while (number := await seen()) is None:  # noqa: ASYNC110 - a picture tells nobody when it has come
            await asyncio.sleep(0.1)
    return number


async def recorder_is_member(home: Home, person: Caller, wanted: bool) -> None:
    assert home.palabre is not None
    bot = home.palabre.bot

    async def there() -> bool:
        return any(key.startswith(f"_{bot}_") for key in await home.member_events(person.account, person.room_id))

    async def agrees() -> bool:
        return await there() is wanted

    await until(agrees, f"the recorder's member event is {'there' if wanted else 'gone'}", numbered.PATIENCE)


async def recorder_is_seen(person: Caller) -> None:
    names = person.frame.locator('[data-testid="name_tag"]')

    async def there() -> bool:
        return any("Palabre" in name for name in await names.all_inner_texts())

    await until(there, f"{person.name} sees the recorder's tile", numbered.PATIENCE)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("release", [COMPATIBLE_26, LEGACY_19, STICKY_26], ids=["0.26", "0.19", "sticky-0.26"])
async def test_the_film_and_the_transcript_hold_only_who_agreed(stage: Stage, tmp_path: Path, release: Any) -> None:
    home = await stage.home()
    ana, bruno = await stage.people((home, release), (home, release))
    await stage.gather(ana, bruno, encrypted=True)
    async with reader(home, ana, tmp_path) as room:
        await ana.join()
        await bruno.join()
        await meet(ana, bruno)
        before = await frame_of(ana, bruno)
        await ana.write("!palabre record")
        await ana.write("!palabre transcribe")
        await recorder_is_member(home, ana, True)
        await bruno.write("!palabre decline")
        await recorder_is_seen(ana)
        await recorder_is_seen(bruno)
        await room.expect(ana.room_id, lambda m: m.sender != ana.user_id and ana.name in m.body)
        await asyncio.sleep(TONES_SECONDS)  # of tones and pictures in the film
        await asyncio.gather(ana.speak(CLIPS / f"{ENGLISH}.flac"), bruno.speak(CLIPS / f"{GERMAN}.flac"))
        await stage.picture("recorded")
        await keys_are_with_the_recorder_alone(home, ana, bruno)
        await ana.write("!palabre stop")
        await recorder_is_member(home, ana, False)
        after = await frame_of(ana, bruno)
        await meet(ana, bruno)  # with the keys that nobody gave the recorder
        files = await files_in_room(room, ana.room_id)

    (PICTURES / "recorded.mp4").write_bytes(files[".mp4"])
    film = await asyncio.to_thread(read_recording, files[".mp4"])
    assert set(film.stamps) == {ana.number}, "nobody else has a single readable picture"
    numbers = [number for _, number in film.stamps[ana.number]]
    print("pictures", min(numbers), "to", max(numbers), "the recorder was there from", before, "to", after)
    assert min(numbers) >= before - EARLIEST * RATE
    assert max(numbers) <= after + LATEST * RATE
    first = film.stamps[ana.number][0][0]
    for person, audible in ((ana, True), (bruno, False)):
        heard = tones.heard(film.sound, tones.FREQUENCIES[person.number], first, first + TONES_SECONDS)
        assert (heard > LOUD) is audible, person.name

    document = json.loads(files[".json"])
    said = " ".join(line["text"] for line in document["lines"])
    assert {line["speaker"] for line in document["lines"]} == {ana.name}
    assert word_error_rate(text_of(ENGLISH), said, "en") < 0.3
    for kind in ("recording", "transcription"):
        people = {one["id"]: one for one in json.loads(files[f"{kind}-consents.json"])["people"]}
        assert people[ana.user_id]["consented"]
        assert people[bruno.user_id]["consented"] == []
        proof = next(one["proof"] for one in people[bruno.user_id]["answers"] if one["answer"] == "no")
        assert proof["device_id"] == bruno.device_id


async def keys_are_with_the_recorder_alone(home: Home, *people: Caller) -> None:
    """The service, which carries the media, has no key of theirs in its memory; the recorder has."""
    assert home.palabre is not None
    assert home.palabre.process is not None
    service = home.palabre.process.pid
    keys = {base64.b64decode(one["key"]) for person in people for one in await person.deliveries()}
    needles = [*keys, *(base64.b64encode(key).rstrip(b"=") for key in keys)]
    assert await asyncio.to_thread(holds, service, needles) == set()
    found = await asyncio.to_thread(holds, await asyncio.to_thread(recorder_pid, service), list(keys))
    assert len(found) >= len(people), "the search finds keys where they are"


def text_of(clip: str) -> str:
    manifest = json.loads((CLIPS / "MANIFEST.json").read_text(encoding="utf-8"))
    return str(next(entry["text"] for entry in manifest if entry["file"] == f"{clip}.flac"))


async def files_in_room(room: MatrixUser, room_id: str) -> dict[str, bytes]:
    """What was posted, by the ends of names; the transcript's JSON is the one that is no receipt."""
    found: dict[str, bytes] = {}
    for ending in sorted(ENDINGS, key=len, reverse=True):

        def fits(message: Any, ending: str = ending) -> bool:
            receipt = message.body.endswith("-consents.json")
            return "file" in message.content and message.body.endswith(ending) and receipt is ("consents" in ending)

        found[ending] = await room.download(await room.expect(room_id, fits, patience=WORK_SECONDS))
    return found
