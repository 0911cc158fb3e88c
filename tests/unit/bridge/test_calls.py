"""What happens in calls, and what the room hears of it."""

from __future__ import annotations

from appservice.seams import MembershipChange
from palabre.base.ids import stable_id
from tests.support.bridge_fakes import ALICE, BOB, ROOM
from tests.support.bridge_world import World


async def test_a_call_is_posted_once_when_the_first_person_comes_and_once_when_it_ends(bridge_world: World) -> None:
    room, alice = await bridge_world.join(ALICE)
    await bridge_world.join(BOB)
    bridge_world.clock.advance(600)
    for identity in (alice, f"{BOB}/tab"):
        bridge_world.relay.leave(room, identity)
    await bridge_world.settled()
    bridge_world.clock.advance(20)
    bridge_world.relay.finish(room)
    await bridge_world.settled()
    await bridge_world.until(lambda: len(bridge_world.matrix.sent) == 3)
    _, started, ended = bridge_world.matrix.sent.values()
    assert "https://meet.example.org/m/" in started["body"]
    assert started["thread"] is None
    assert started["extra"]["org.palabre.call"]["mode"] == "server"
    assert (
        ended["thread"]
        == f"${next(key for key in bridge_world.matrix.sent if bridge_world.matrix.sent[key] is started)}"
    )
    assert "10 min" in ended["body"]
    assert "Alice, Bob" in ended["body"]


async def test_whoever_reloads_is_counted_once_and_the_call_goes_on(bridge_world: World) -> None:
    room, alice = await bridge_world.join(ALICE)
    bridge_world.relay.leave(room, alice, "DUPLICATE_IDENTITY")
    await bridge_world.join(ALICE)
    bridge_world.relay.finish(room)
    await bridge_world.settled()
    await bridge_world.until(lambda: len(bridge_world.matrix.sent) == 3)
    assert bridge_world.matrix.texts()[-1].endswith("Present: Alice.")


async def test_the_room_on_the_relay_keeps_its_name_through_a_call_and_never_has_it_again(bridge_world: World) -> None:
    first, _ = await bridge_world.join(ALICE)
    second, _ = await bridge_world.join(BOB)
    assert first == second
    assert ROOM not in first
    bridge_world.relay.finish(first)
    await bridge_world.settled()
    third, _ = await bridge_world.join(ALICE)
    assert third != first


async def test_a_call_to_which_nobody_came_is_not_posted(bridge_world: World) -> None:
    room, _ = await bridge_world.take_seat(bridge_world.person(ALICE))
    bridge_world.relay.finish(room)
    await bridge_world.settled()
    assert len(bridge_world.matrix.sent) == 1  # the answer to the command
    assert await bridge_world.service.listener._calls.all_open() == []


async def test_a_stranger_whom_the_relay_reports_is_not_stored(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    bridge_world.relay.join(room, "@stranger:example.org/tab")
    await bridge_world.settled()
    rows = await bridge_world.database.fetch("SELECT person FROM bridge_participant")
    assert [row["person"] for row in rows] == [ALICE]


async def test_after_a_crash_the_call_waits_for_its_people_and_is_the_same_call(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    await bridge_world.restart()
    assert [facts.name for facts in bridge_world.relay.rooms()] == [room]
    again, _ = await bridge_world.join(ALICE)
    assert again == room
    bridge_world.relay.finish(room)
    await bridge_world.settled()
    await bridge_world.until(lambda: len(bridge_world.matrix.sent) == 3)


async def test_a_call_that_nobody_comes_back_to_ended_when_it_was_last_alive(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    bridge_world.clock.advance(120)
    await bridge_world.service.listener._calls.touch(bridge_world.clock.wall())
    bridge_world.clock.advance(3600)
    await bridge_world.restart()
    bridge_world.relay.finish(room)
    await bridge_world.settled()
    await bridge_world.until(lambda: len(bridge_world.matrix.sent) == 3)
    assert "after 2 min" in bridge_world.matrix.texts()[-1]


async def test_a_crash_between_storing_and_sending_loses_and_doubles_nothing(bridge_world: World) -> None:
    bridge_world.matrix.refuse["send_text"] = RuntimeError("the service dies here")  # type: ignore[assignment]
    await bridge_world.database.execute("SELECT 1")
    meeting = await bridge_world.service.listener._meetings.for_room(
        ROOM, title="Budget", mode="server", language="en", created_by=ALICE
    )
    room, _ = await bridge_world.join(ALICE)
    assert bridge_world.matrix.sent == {}
    bridge_world.matrix.refuse.clear()
    await bridge_world.restart()
    await bridge_world.until(lambda: bridge_world.matrix.sent)
    await bridge_world.restart()
    call = await bridge_world.service.listener._calls.by_room(room)
    assert call is not None
    assert call.meeting == meeting.id
    assert list(bridge_world.matrix.sent) == [stable_id("call", call.id, "started")]


async def test_who_leaves_the_matrix_room_or_is_banned_leaves_the_call(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.join(BOB, "one")
    await bridge_world.join(BOB, "two")
    await bridge_world.service.commands.membership_changed(MembershipChange(ROOM, BOB, "ban", "join"))
    await bridge_world.settled()
    assert sorted(bridge_world.relay.removed) == [f"{BOB}/one", f"{BOB}/two"]


async def test_when_the_bot_is_thrown_out_the_call_ends_for_nobody_can_be_checked_any_more(bridge_world: World) -> None:
    room, _ = await bridge_world.join(ALICE)
    change = MembershipChange(ROOM, bridge_world.matrix.user_id, "leave", "join")
    await bridge_world.service.commands.membership_changed(change)
    await bridge_world.settled()
    assert room not in bridge_world.relay.state
    await bridge_world.service.commands.membership_changed(change)
