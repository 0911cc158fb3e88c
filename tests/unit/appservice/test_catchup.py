from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from appservice.catchup import GRACE, CatchUp, timeline_events
from appservice.events import read_event
from appservice.inbox import Inbox
from appservice.schema import upgrade_table
from palabre.base.clock import ManualClock
from palabre.base.database import open_database
from tests.unit.appservice.test_transaction import EVENT, ODD

BOT = "@palabre:example.org"
ROOM = EVENT["room_id"]


def answer(*events: Any, room: str = ROOM) -> dict[str, Any]:
    shown = [{name: value for name, value in event.items() if name != "room_id"} for event in events]
    return {"rooms": {"join": {room: {"timeline": {"events": shown, "limited": True}}}}}


def member(user: str, event_id: str, previous: str = "invite") -> dict[str, Any]:
    changed = {"type": "m.room.member", "state_key": user, "event_id": event_id, "content": {"membership": "join"}}
    return EVENT | changed | {"unsigned": {"prev_content": {"membership": previous}}}


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Inbox]:
    pool, (database,) = await open_database(f"sqlite:///{tmp_path}/test.db", [upgrade_table])
    yield Inbox(database)
    await pool.stop()


async def test_what_no_transaction_brings_in_time_is_taken_from_the_sync(inbox: Inbox) -> None:
    clock, arrived, refreshed = ManualClock(), [], []

    async def refresh(room_id: str) -> None:
        refreshed.append(room_id)

    net = CatchUp(inbox, BOT, clock, lambda: arrived.append(clock.wall()), refresh)
    brought = read_event(EVENT | {"event_id": "$brought"})
    assert brought is not None
    net.seen(answer(EVENT | {"event_id": "$brought"}, EVENT | {"event_id": "$lost"}, member("@alice:hs", "$joined")))
    await net.look()
    assert await inbox.unsettled() == 0  # there is time yet
    clock.advance(GRACE + 1)
    await inbox.store([brought], clock.wall())
    await net.look()
    assert [row.event_id for row in await inbox.next_waiting(9)] == ["$brought", "$lost", "$joined"]
    assert len(arrived) == 1
    await net.look()
    await net.look()
    assert refreshed == [ROOM]  # state from here may be old: the room's is read anew, once
    assert len(arrived) == 1


def test_what_was_said_before_the_bot_came_is_none_of_its_business() -> None:
    before, after = EVENT | {"event_id": "$before"}, EVENT | {"event_id": "$after"}
    shown = answer(before, member(BOT, "$join"), after, member(BOT, "$renamed", previous="join"))
    assert [event.event_id for event in timeline_events(shown, BOT)] == ["$join", "$after", "$renamed"]
    assert [event.event_id for event in timeline_events(answer(before, after), BOT)] == ["$before", "$after"]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: str(odd)[:12].encode("ascii", "replace").decode())
def test_any_json_in_any_place_of_a_sync_is_read_or_left_out(odd: Any) -> None:
    whole = answer(EVENT)
    for sync in (
        odd,
        {"rooms": odd},
        {"rooms": {"join": odd}},
        {"rooms": {"join": {ROOM: odd}}},
        {"rooms": {"join": {ROOM: {"timeline": odd}}}},
        {"rooms": {"join": {ROOM: {"timeline": {"events": odd}}}}},
        {"rooms": {"join": {ROOM: {"timeline": {"events": [odd]}}}}},
        {"rooms": {"join": {"no room": whole["rooms"]["join"][ROOM]}}},
    ):
        assert list(timeline_events(sync, BOT)) == []
