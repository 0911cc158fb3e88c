"""Who is mentioned in the room so that they know they are asked, how often, and who is left alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bridge import wording
from bridge.asking import Latecomers, ask_content, asked_in
from bridge.consent_store import Kind
from bridge.people import Person
from palabre.base.ids import CallId, UserId
from palabre.base.words import LANGUAGES
from tests.support.bridge_fakes import ALICE, BOB, ROOM
from tests.support.bridge_world import World

CARLA, DORA = UserId("@carla:example.org"), UserId("@dora:example.org")


class Batches:
    """Latecomers wait until a test says that it is time to ask them."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Event] = []

    async def pause(self, _latecomers: Latecomers) -> None:
        self._waiting.append(asyncio.Event())
        await self._waiting[-1].wait()

    async def over(self, world: World) -> None:
        await world.until(lambda: self._waiting)
        self._waiting.pop().set()


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Batches:
    made = Batches()
    monkeypatch.setattr(Latecomers, "_pause", lambda latecomers: made.pause(latecomers))
    return made


@pytest.fixture(autouse=True)
def others(bridge_world: World) -> None:
    bridge_world.matrix.rooms[ROOM].members |= {CARLA: "Carla", DORA: "Dora"}


def mentions(world: World) -> list[list[str]]:
    """Of each message that mentions somebody, whom."""
    extras = [message["extra"] or {} for message in world.matrix.sent.values()]
    found = [extra.get("m.mentions", {}).get("user_ids") for extra in extras]
    return [users for users in found if users]


async def test_those_present_are_mentioned_in_the_message_that_tells_of_the_recording(bridge_world: World) -> None:
    for who in (ALICE, BOB, CARLA):
        await bridge_world.join(who)
    await bridge_world.join("camille")  # a guest cannot read the room
    await bridge_world.command("record")
    await bridge_world.until(lambda: mentions(bridge_world))
    assert mentions(bridge_world) == [[BOB, CARLA]]
    asking: dict[str, Any] = next(m for m in bridge_world.matrix.sent.values() if "please answer" in m["body"])
    assert asking["extra"]["org.palabre.ask"] == {"call": (await bridge_world.call()).id, "kinds": ["recording"]}
    assert asking["thread"]


async def test_latecomers_are_asked_together_in_one_message_and_never_again(
    bridge_world: World, batches: Batches
) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.command("record")
    for who in (BOB, CARLA):
        await bridge_world.join(who)
    await batches.over(bridge_world)
    await bridge_world.until(lambda: mentions(bridge_world))
    assert mentions(bridge_world) == [[BOB, CARLA]]
    room, bob = await bridge_world.join(BOB)
    bridge_world.relay.leave(room, bob)
    await bridge_world.join(BOB)
    await bridge_world.join(DORA)
    await batches.over(bridge_world)
    await bridge_world.until(lambda: len(mentions(bridge_world)) == 2)
    assert mentions(bridge_world)[1] == [DORA]


async def test_a_latecomer_who_answers_meanwhile_is_left_alone(bridge_world: World, batches: Batches) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.command("record")
    for who in (BOB, CARLA, DORA):
        await bridge_world.join(who)
    await bridge_world.command("agree", sender=BOB)
    await bridge_world.command("decline", sender=CARLA)
    await batches.over(bridge_world)
    await bridge_world.until(lambda: mentions(bridge_world))
    assert mentions(bridge_world) == [[DORA]]


async def test_recording_and_transcription_that_start_together_are_one_question(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.join(BOB)
    _, session = await bridge_world.service.entrance._sessions.open(bridge_world.person(ALICE), None)
    await bridge_world.service.conference.start_capture(session, await bridge_world.meeting(), list(Kind))
    await bridge_world.until(lambda: mentions(bridge_world))
    asking = [text for text in bridge_world.matrix.texts() if "would like to" in text]
    assert len(asking) == 1
    assert "record this call and have it transcribed" in asking[0]


async def test_whoever_was_asked_before_a_crash_is_not_asked_again_after_it(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.join(BOB)
    await bridge_world.command("record")
    call = await bridge_world.call()
    contents = await bridge_world.service.captures._posts.contents(call.id, 0.0)
    assert asked_in(contents, [Kind.RECORDING]) == {BOB}
    assert asked_in(contents, [Kind.TRANSCRIPTION]) == set()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kinds", [[Kind.RECORDING], [Kind.TRANSCRIPTION], list(Kind)])
def test_names_in_a_question_are_links_and_never_markup(language: str, kinds: list[Kind]) -> None:
    people = [Person("@eve:example.org", '<img src=x onerror="1">\u202e'), Person("@bob:example.org", "Bob")]
    for words in (
        wording.latecomers_asked(language, kinds, "!palabre", people),
        wording.capture_started(language, kinds, "<b>Ada</b>", "!palabre", people),
    ):
        assert '<a href="https://matrix.to/#/@bob:example.org">Bob</a>' in words.html
        assert "<img" not in words.html
        assert "<b>" not in words.html
        assert "\u202e" not in words.body + words.html
        assert "\uffff" not in words.body + words.html
        assert "!palabre agree" in words.body
        content = ask_content(words, CallId("c"), kinds, people)
        assert content["extra"]["m.mentions"]["user_ids"] == ["@eve:example.org", "@bob:example.org"]
