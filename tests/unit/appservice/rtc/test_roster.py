"""Who is in the calls of a room, as events come in any order and time passes; on a real database."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from appservice.events import RoomEvent
from appservice.roomstore import RoomStore
from appservice.rtc import store as rtc_store
from appservice.rtc.roster import Roster, sticky_events
from appservice.rtc.store import RtcStore
from appservice.schema import upgrade_table
from appservice.seams import Change, RoomChange
from palabre.base.clock import ManualClock
from palabre.base.database import open_database
from tests.unit.appservice.rtc.test_members import NOW, SESSION, STICKY

ROOM, ALICE, BOB = "!room", "@alice:hs", "@bob:hs"
numbers = itertools.count(1)


class Room:
    """A room with Alice and Bob in it, and what is told of it."""

    def __init__(self, rooms: RoomStore, store: RtcStore) -> None:
        self.rooms = rooms
        self.clock = ManualClock(NOW)
        self.told: list[tuple[Change, str | None]] = []
        self.roster = Roster(store, self.clock, self._changed)

    async def _changed(self, change: RoomChange) -> None:
        assert change.room_id == ROOM
        self.told.append((change.what, change.user_id))

    def event(
        self,
        kind: str,
        content: dict[str, Any],
        sender: str,
        key: str | None = None,
        *,
        at: float = NOW,
        sticky: int = 0,
    ) -> RoomEvent:
        return RoomEvent(f"${next(numbers)}", ROOM, sender, kind, key, content, {}, int(at * 1000), sticky)

    async def state(self, content: dict[str, Any], sender: str = ALICE, key: str = "_k", at: float = NOW) -> None:
        await self.roster.take_state(self.event("org.matrix.msc3401.call.member", content, sender, key, at=at))

    async def sticky(self, content: dict[str, Any], at: float = NOW, sender: str = BOB, seconds: float = 600) -> None:
        kind = "org.matrix.msc4143.rtc.member"
        event = self.event(kind, content, sender, at=at, sticky=int(seconds * 1000))
        await self.roster.take_sticky(event, kind, content)

    async def names(self) -> list[str]:
        return [f"{member.user_id}/{member.device_id}" for member in await self.roster.members(ROOM)]


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    pool, (database,) = await open_database(f"sqlite:///{tmp_path}/rtc.db", [upgrade_table])
    rooms = RoomStore(database)
    made = Room(rooms, RtcStore(database))
    await rooms.replace(
        ROOM, [made.event("m.room.member", {"membership": "join"}, user, user) for user in (ALICE, BOB)]
    )
    yield made
    await pool.stop()


async def test_a_member_comes_and_goes(room: Room) -> None:
    await room.state(SESSION)
    assert await room.names() == ["@alice:hs/DEVALICE"]
    await room.state({})
    assert await room.names() == []
    assert room.told == [(Change.RTC, ALICE), (Change.RTC, ALICE)]
    await room.state({})  # nobody left by that
    assert len(room.told) == 2


async def test_the_oldest_is_first(room: Room) -> None:
    await room.state(SESSION, ALICE, "_a")
    await room.state(SESSION | {"device_id": "OLD", "created_ts": int(NOW * 1000) - 60_000}, BOB, "_b")
    assert await room.names() == ["@bob:hs/OLD", "@alice:hs/DEVALICE"]


async def test_who_overwrites_another_members_state_key_takes_its_place_in_their_own_name(room: Room) -> None:
    await room.state(SESSION, ALICE, "_@alice:hs_DEVALICE_m.call")
    await room.state(SESSION, BOB, "_@alice:hs_DEVALICE_m.call")
    assert await room.names() == ["@bob:hs/DEVALICE"]


async def test_who_is_not_in_the_room_is_in_no_call_of_it(room: Room) -> None:
    await room.state(SESSION)
    await room.rooms.apply(room.event("m.room.member", {"membership": "ban"}, BOB, ALICE))
    assert await room.names() == []
    room.told.clear()
    await room.roster.gone(ROOM, ALICE)
    await room.roster.gone(ROOM, BOB)
    assert room.told == [(Change.RTC, ALICE)]


async def test_time_ends_a_membership_and_is_told(room: Room) -> None:
    await room.state(SESSION | {"expires": 60_000})
    await room.sticky(STICKY, seconds=7200)  # an hour is the most
    room.told.clear()
    room.clock.advance(61)
    assert await room.names() == ["@bob:hs/DEVBOB"]
    await room.roster.expire()
    assert room.told == [(Change.RTC, ALICE)]
    room.clock.advance(3600)
    await room.roster.expire()
    assert room.told == [(Change.RTC, ALICE), (Change.RTC, BOB)]
    assert await room.names() == []


async def test_a_membership_that_is_over_already_is_none(room: Room) -> None:
    await room.state(SESSION | {"created_ts": 1, "expires": 2})
    await room.sticky(STICKY, at=NOW - 700)
    assert (await room.names(), room.told) == ([], [])


async def test_the_newest_sticky_event_of_a_key_counts_in_whatever_order_they_come(room: Room) -> None:
    await room.sticky({"msc4354_sticky_key": "a-uuid"}, at=NOW + 2)
    await room.sticky(STICKY, at=NOW + 1)
    assert await room.names() == []
    await room.sticky(STICKY, at=NOW + 3)
    assert await room.names() == ["@bob:hs/DEVBOB"]


async def test_a_sticky_key_is_its_senders_alone(room: Room) -> None:
    await room.sticky(STICKY)
    await room.sticky({"msc4354_sticky_key": "a-uuid"}, at=NOW + 1, sender=ALICE)
    assert await room.names() == ["@bob:hs/DEVBOB"]


async def test_a_refresh_makes_nobody_younger(room: Room) -> None:
    await room.sticky(STICKY, at=NOW - 100)
    await room.sticky(STICKY, at=NOW)
    (member,) = await room.roster.members(ROOM)
    assert (member.created_at, member.expires_at) == (NOW - 100, NOW + 600)


async def test_what_is_not_sticky_announces_nobody(room: Room) -> None:
    await room.sticky(STICKY, seconds=0)
    assert (await room.names(), room.told) == ([], [])


async def test_a_room_read_anew_keeps_its_sticky_members(room: Room) -> None:
    await room.state(SESSION)
    await room.sticky(STICKY)
    joins = [room.event("m.room.member", {"membership": "join"}, user, user) for user in (ALICE, BOB)]
    other = room.event("org.matrix.msc3401.call.member", SESSION | {"device_id": "OTHER"}, ALICE, "_other")
    await room.rooms.replace(ROOM, [*joins, other])
    assert sorted(await room.names()) == ["@alice:hs/OTHER", "@bob:hs/DEVBOB"]
    await room.rooms.forget(ROOM)
    assert await room.names() == []


async def test_a_crowd_of_devices_pushes_nobody_out(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtc_store, "MOST_MEMBERS", 3)
    await room.state(SESSION)
    for number in range(5):
        await room.state(SESSION | {"device_id": f"D{number}"}, BOB, f"_{number}")
    await room.state(SESSION | {"expires": 20_000_000})  # who has a place keeps it
    (first, *rest) = await room.roster.members(ROOM)
    assert (first.device_id, first.expires_at, len(rest)) == ("DEVALICE", NOW + 20_000, 2)


def test_sticky_events_are_found_in_their_section_and_in_the_timeline() -> None:
    def raw(number: int, *, sticky: bool = True) -> dict[str, Any]:
        event = {"event_id": f"${number}", "sender": BOB, "type": "m.room.encrypted", "content": {}}
        return event | ({"msc4354_sticky": {"duration_ms": 1000}} if sticky else {})

    answer = {
        "rooms": {
            "join": {
                ROOM: {
                    "msc4354_sticky": {"events": [raw(1), 7]},
                    "timeline": {"events": [raw(2), raw(3, sticky=False)]},
                },
                "!other": {"timeline": {"events": None}},
                "!odd": [],
            }
        }
    }
    assert [(event.event_id, event.room_id) for event in sticky_events(answer)] == [("$1", ROOM), ("$2", ROOM)]
    assert list(sticky_events({"rooms": {"join": []}})) == []
