"""Asking about rooms with and without the bot, and what holds while the homeserver is away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from appservice.seams import RoomView
from bridge.homeserver_policy import EverybodyMayCome
from bridge.people import guest_person, matrix_person
from bridge.room_questions import PAUSE_SECONDS, RoomQuestions
from palabre.base.clock import ManualClock
from palabre.base.errors import CallerError
from palabre.base.ids import RoomId, UserId
from tests.support.bridge_fakes import ALICE, BOB, ROOM, FakeMatrix, bridge_settings

AWAY = CallerError("homeserver_away", "away", status=503)
LIMIT = 100.0


class Asked:
    """Questions about a room without the bot."""

    def __init__(self, folder: Path, **focus: Any) -> None:
        self.clock = ManualClock()
        self.matrix = FakeMatrix()
        self.matrix.rooms[ROOM].bot_joined = False
        settings = bridge_settings(folder, policy={"unchecked_seconds": LIMIT}, focus=focus)
        self.questions = RoomQuestions(self.matrix, EverybodyMayCome(), settings, self.clock)

    async def membership(self, user_id: UserId = ALICE) -> str:
        return (await self.questions.view(ROOM, user_id)).membership

    async def refused(self, user_id: UserId = ALICE) -> str:
        with pytest.raises(CallerError) as caught:
            await self.questions.permissions(matrix_person(user_id), ROOM, "server")
        return caught.value.code

    def leave(self, *, away: bool) -> None:
        self.matrix.refuse = {"is_joined": AWAY} if away else {}


async def test_of_a_room_without_the_bot_the_homeserver_is_asked(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    assert await asked.membership() == "join"
    del asked.matrix.rooms[ROOM].members[BOB]
    assert await asked.refused(BOB) == "not_in_room"
    assert asked.matrix.asked == [ALICE, BOB]
    may = await asked.questions.permissions(matrix_person(ALICE), ROOM, "server")
    assert (may.publish, may.share, may.moderate) == (True, True, False)  # levels are not seen from afar


async def test_a_room_that_nobody_can_ask_about_follows_the_setting(tmp_path: Path) -> None:
    strict, trusting = Asked(tmp_path), Asked(tmp_path, uncheckable_rooms="allow")
    for asked in (strict, trusting):
        asked.matrix.checkable = False
    assert await strict.refused() == "bot_not_in_room"
    assert await trusting.membership() == "join"


async def test_a_guest_is_nobody_to_ask_the_homeserver_about(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    assert (await asked.questions.permissions(guest_person("camille", "Camille"), ROOM, "server")).publish
    assert asked.matrix.asked == []


async def test_while_the_homeserver_is_away_its_last_word_holds_and_no_longer_than_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = Asked(tmp_path)
    assert await asked.membership() == "join"
    asked.leave(away=True)
    for _ in range(3):
        asked.clock.advance(LIMIT / 4)
        assert await asked.membership() == "join"
    assert await asked.refused(BOB) == "homeserver_away"  # nobody has ever said that he is in the room
    asked.clock.advance(LIMIT)
    assert await asked.refused() == "homeserver_away"
    asked.leave(away=False)
    asked.clock.advance(PAUSE_SECONDS)
    assert await asked.membership() == "join"
    lines = capsys.readouterr().out
    assert lines.count("does not say who is in rooms") == 1
    assert lines.count("says again who is in rooms") == 1


async def test_what_it_said_while_it_was_there_is_not_overruled_by_what_it_said_before(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    assert await asked.membership() == "join"
    del asked.matrix.rooms[ROOM].members[ALICE]
    assert await asked.refused() == "not_in_room"
    asked.leave(away=True)
    assert await asked.refused() == "not_in_room"


async def test_a_homeserver_found_away_is_left_alone_for_a_moment(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    await asked.membership()
    asked.leave(away=True)
    await asked.membership()
    asked.leave(away=False)
    before = len(asked.matrix.asked)
    assert await asked.membership() == "join"
    assert len(asked.matrix.asked) == before
    asked.clock.advance(PAUSE_SECONDS)
    await asked.membership()
    assert len(asked.matrix.asked) == before + 1


async def test_a_room_with_the_bot_is_known_from_its_state_as_long_as_that_is_fresh_enough(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    asked.matrix.rooms[ROOM].bot_joined = True
    assert await asked.membership() == "join"
    asked.matrix.connected = False
    asked.clock.advance(LIMIT)
    assert await asked.membership() == "join"
    asked.clock.advance(1.0)
    assert await asked.refused() == "homeserver_away"
    asked.matrix.connected = True
    assert await asked.membership() == "join"
    assert asked.matrix.asked == []


async def test_a_homeserver_that_does_not_answer_the_bot_either_counts_as_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(tmp_path)

    async def silent(_room_id: RoomId, _user_id: UserId) -> RoomView:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(asked.matrix, "view", silent)
    monkeypatch.setattr("bridge.room_questions.ANSWER_SECONDS", 0.01)
    assert await asked.refused() == "homeserver_away"
