"""What the room hears of a call that starts, and the caller of those who decline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from appservice.seams import RingSignal
from bridge import ringing
from bridge.modes import MODE_SERVER
from palabre.base.ids import EventId, UserId
from tests.support.bridge_fakes import ALICE, BOB, ROOM
from tests.support.bridge_world import World

NOTIFICATION = "org.matrix.msc4075.rtc.notification"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ringing, "CLIENT_SECONDS", 0.0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def asked(world: World) -> None:
    """Wait until the call that just started has been decided about."""
    await world.service.listener.settled()
    while any("ringing" in task.get_name() for task in asyncio.all_tasks()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def signal(
    world: World, sender: UserId, *, rings: bool = False, declined: str = "", event: str = "$theirs"
) -> RingSignal:
    return RingSignal(sender, ROOM, EventId(event), rings, EventId(declined) if declined else None, world.clock.wall())


async def test_by_default_a_call_of_an_unencrypted_room_is_announced_to_those_who_are_not_in_it(
    bridge_world: World,
) -> None:
    bridge_world.matrix.rooms[ROOM].encrypted = False
    await bridge_world.join(ALICE)
    await until(lambda: bool(bridge_world.matrix.events))
    ((room_id, kind, content),) = bridge_world.matrix.events.values()
    assert (room_id, kind, content["notification_type"]) == (ROOM, NOTIFICATION, "notification")
    assert content["m.mentions"] == {"user_ids": [BOB], "room": False}


async def test_a_room_that_wants_its_group_rung_is_rung_once_for_one_call(bridge_world: World) -> None:
    bridge_world.matrix.rooms[ROOM].encrypted = False
    await bridge_world.command("ring", "ring")
    await bridge_world.join(ALICE)
    await until(lambda: bool(bridge_world.matrix.events))
    await bridge_world.join(BOB)
    await asked(bridge_world)
    ((_, _, content),) = bridge_world.matrix.events.values()
    assert content["notification_type"] == "ring"


async def test_what_the_callers_client_has_announced_is_not_announced_again(bridge_world: World) -> None:
    bridge_world.matrix.rooms[ROOM].encrypted = False
    await bridge_world.service.commands.ring_signal(signal(bridge_world, ALICE))
    await bridge_world.join(ALICE)
    await asked(bridge_world)
    assert bridge_world.matrix.events == {}


async def test_a_room_that_rings_is_rung_by_the_bot_when_the_client_only_notified(bridge_world: World) -> None:
    bridge_world.matrix.rooms[ROOM].encrypted = False
    await bridge_world.command("ring", "ring")
    await bridge_world.service.commands.ring_signal(signal(bridge_world, ALICE))
    await bridge_world.join(ALICE)
    await until(lambda: bool(bridge_world.matrix.events))


async def test_nobody_is_told_in_quiet_hours_or_where_the_room_wants_none(bridge_world: World) -> None:
    bridge_world.matrix.rooms[ROOM].encrypted = False
    await bridge_world.command("ring", "quiet", "00:00-00:00")
    await bridge_world.join(ALICE)
    await asked(bridge_world)
    assert bridge_world.matrix.events == {}


async def test_a_call_that_clients_cannot_join_rings_by_a_mention_beside_its_link(bridge_world: World) -> None:
    await bridge_world.command("ring", "ring")
    await bridge_world.join(ALICE)
    assert (await bridge_world.call()).mode == MODE_SERVER
    await until(lambda: any("is calling you" in text for text in bridge_world.matrix.texts()))
    (message,) = [sent for sent in bridge_world.matrix.sent.values() if "is calling you" in sent["body"]]
    assert message["extra"] == {"msgtype": "m.text", "m.mentions": {"user_ids": [BOB], "room": False}}
    assert bridge_world.matrix.events == {}


async def test_the_caller_reads_once_in_the_calls_thread_who_declined(bridge_world: World) -> None:
    bridge_world.matrix.rooms[ROOM].encrypted = False
    await bridge_world.join(ALICE)
    await until(lambda: bool(bridge_world.matrix.events))
    rung = f"${next(iter(bridge_world.matrix.events))}"
    for _ in range(2):
        await bridge_world.service.commands.ring_signal(signal(bridge_world, BOB, declined=rung, event="$no"))
    await until(lambda: "Bob declined the call." in bridge_world.matrix.texts())
    (said,) = [sent for sent in bridge_world.matrix.sent.values() if "declined" in sent["body"]]
    assert said["thread"] is not None
    assert said["extra"] == {"m.mentions": {"user_ids": [ALICE]}}


async def test_declining_something_else_says_nothing(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.service.commands.ring_signal(signal(bridge_world, BOB, declined="$other"))
    await bridge_world.service.listener.settled()
    assert not any("declined" in text for text in bridge_world.matrix.texts())


async def test_the_room_decides_by_a_command_of_its_moderators(bridge_world: World) -> None:
    await bridge_world.command("ring")
    assert bridge_world.matrix.texts()[-1] == "When a call starts here, members are notified, without ringing."
    assert await bridge_world.refusal("ring", "ring", sender=BOB) == "ring_forbidden"
    await bridge_world.command("ring", "ring")
    await bridge_world.command("ring", "quiet", "20:00-07:30")
    await bridge_world.restart()
    await bridge_world.command("ring", sender=BOB)
    assert "rings for all members" in bridge_world.matrix.texts()[-1]
    assert "20:00-07:30 (Europe/Paris)" in bridge_world.matrix.texts()[-1]
    await bridge_world.command("ring", "quiet", "off")
    assert "20:00" not in bridge_world.matrix.texts()[-1]
