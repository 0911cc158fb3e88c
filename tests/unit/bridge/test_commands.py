"""What people write after `!palabre`, handed over as the bot does: possibly twice."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from appservice.seams import CallLevels, Command, MembershipChange
from bridge.settings import RoomPolicy
from palabre.base.errors import CallerError
from palabre.base.ids import EventId, UserId
from palabre.base.words import LANGUAGES, catalogue
from tests.support.bridge_fakes import ALICE, BOB, EVE, ROOM
from tests.support.bridge_world import World


async def test_call_puts_the_widget_into_the_room_and_answers_in_a_thread(bridge_world: World) -> None:
    event = await bridge_world.command("call")
    (widget,) = bridge_world.matrix.rooms[ROOM].widgets
    assert widget.url.startswith("https://meet.example.org/widget?roomId=$matrix_room_id&")
    (answer,) = bridge_world.matrix.sent.values()
    assert answer["thread"] == event
    assert f"https://meet.example.org/m/{await bridge_world.meeting()}" in answer["body"]


async def test_call_without_the_power_to_add_widgets_gives_the_link_and_says_which_power_lacks(
    bridge_world: World,
) -> None:
    bridge_world.matrix.refuse["put_widget"] = CallerError(
        "missing_power", "…", needed=50, event="im.vector.modular.widgets"
    )
    await bridge_world.command("call")
    (text,) = bridge_world.matrix.texts()
    assert "https://meet.example.org/m/" in text
    assert "power level 50" in text


@pytest.mark.parametrize(
    ("may_mend", "asker", "says", "mended"),
    [
        (True, ALICE, "Everybody who may write here can now also join", True),
        (True, BOB, "If somebody with power level 100 writes “!palabre call”", False),
        (False, ALICE, "set the power level of “org.matrix.msc3401.call.member” to 0", False),
    ],
)
async def test_call_lets_members_in_for_whoever_could_do_it_themselves(
    bridge_world: World, may_mend: bool, asker: UserId, says: str, mended: bool
) -> None:
    room = bridge_world.matrix.rooms[ROOM]
    room.levels = CallLevels({"org.matrix.msc3401.call.member": 0}, 100, may_mend)
    await bridge_world.command("call", sender=asker)
    (answer,) = bridge_world.matrix.texts()
    assert says in answer
    assert (not room.levels.missing) is mended


async def test_call_twice_is_one_meeting(bridge_world: World) -> None:
    await bridge_world.command("call", "Budget", "2027")
    await bridge_world.command("call", "Other")
    rows = await bridge_world.database.fetch("SELECT title FROM bridge_meeting")
    assert [row["title"] for row in rows] == ["Budget 2027"]
    assert len(bridge_world.matrix.rooms[ROOM].widgets) == 1


async def test_meeting_makes_one_room_with_its_widget_and_one_answer_however_often_it_comes(
    bridge_world: World,
) -> None:
    for _ in range(3):
        await bridge_world.command("meeting", "Budget 2027", BOB, event="$meeting")
        await bridge_world.restart()
    (room_id,) = bridge_world.matrix.aliases.values()
    assert len(bridge_world.matrix.rooms[room_id].widgets) == 1
    welcome, answer = bridge_world.matrix.sent.values()
    assert welcome["room"] == room_id
    assert (answer["room"], answer["thread"]) == (ROOM, "$meeting")
    assert f"https://matrix.to/#/{room_id}" in answer["body"]


async def test_two_meeting_commands_make_two_rooms(bridge_world: World) -> None:
    await bridge_world.command("meeting", "One")
    await bridge_world.command("meeting", "One")
    assert len(bridge_world.matrix.aliases) == 2


async def test_meeting_needs_a_title_and_somebody_of_the_own_server(bridge_world: World) -> None:
    assert await bridge_world.refusal("meeting") == "title_missing"
    assert await bridge_world.refusal("meeting", "\u202e\n") == "title_missing"
    assert await bridge_world.refusal("meeting", "Budget", sender=EVE) == "meeting_forbidden"
    assert bridge_world.matrix.aliases == {}


async def test_commands_about_captures_leave_the_answer_to_the_bots_tick(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    for name in ("record", "agree", "decline", "stop"):
        await bridge_world.command(name)
    assert not [text for text in bridge_world.matrix.sent.values() if text["thread"] in ("$event2", "$event3")]


async def test_stop_handed_over_again_is_not_answered_with_a_refusal(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.command("record")
    await bridge_world.command("stop", event="$stop")
    await bridge_world.command("stop", event="$stop")
    assert await bridge_world.refusal("stop") == "nothing_to_stop"


async def test_consent_without_a_call_gets_a_sentence(bridge_world: World) -> None:
    assert await bridge_world.refusal("agree") == "no_call"
    assert await bridge_world.refusal("decline") == "no_call"


async def test_status_says_who_is_there_and_what_runs(bridge_world: World) -> None:
    await bridge_world.command("status")
    await bridge_world.join(ALICE)
    await bridge_world.join(BOB)
    await bridge_world.command("transcribe")
    await bridge_world.command("status")
    first, last = bridge_world.matrix.texts()[0], bridge_world.matrix.texts()[-1]
    assert first == "Nobody is in a call here."
    assert "Alice, Bob" in last
    assert "transcribed" in last
    assert "recorded" not in last


async def test_a_room_that_wants_power_for_recording_refuses_with_the_level(
    bridge_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = bridge_world.settings.model_copy(update={"policy": RoomPolicy(capture_power=50)})
    monkeypatch.setattr(bridge_world.service.commands, "_settings", strict)
    await bridge_world.join(ALICE)
    assert await bridge_world.refusal("record", sender=BOB) == "capture_forbidden"
    assert await bridge_world.refusal("stop", sender=BOB) == "capture_forbidden"


async def test_a_command_that_is_not_ours_is_a_mistake_of_the_bot(bridge_world: World) -> None:
    with pytest.raises(ValueError, match="no such command"):
        await bridge_world.command("dance")


async def test_a_command_waits_until_the_service_has_recovered(bridge_world: World) -> None:
    import asyncio

    bridge_world.service._recovered.clear()
    command = Command("call", (), ALICE, ROOM, EventId("$early"), None, "en", 0.0)
    waiting = asyncio.create_task(bridge_world.service.commands.handle(command))
    await asyncio.sleep(0.01)
    assert bridge_world.matrix.sent == {}
    bridge_world.service._recovered.set()
    await waiting
    assert len(bridge_world.matrix.sent) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_of_a_command_has_its_sentence(language: str) -> None:
    codes = (
        "no_call capture_forbidden call_forbidden meeting_forbidden title_missing nothing_to_stop meeting_not_ready "
        "bot_not_in_room capture_not_stored"
    )
    assert {f"error.{code}" for code in codes.split()} <= set(catalogue(language))


async def test_a_name_with_direction_overrides_is_shown_without_them(bridge_world: World) -> None:
    mallory = UserId("@mallory:example.org")
    bridge_world.matrix.rooms[ROOM].members[mallory] = "Mal\u202elory\n# heading" + "x" * 500
    await bridge_world.join(ALICE)
    await bridge_world.command("record", sender=mallory)
    await bridge_world.until(lambda: any("would like to record" in text for text in bridge_world.matrix.texts()))
    (text,) = [text for text in bridge_world.matrix.texts() if "would like to record" in text]
    assert "\u202e" not in text
    assert "would like to record" in text.splitlines()[0]
    assert len(text) < 400


async def test_a_yes_that_arrives_late_is_no_yes_to_what_runs_by_then(bridge_world: World) -> None:
    """Its room key was missing, or the service was down: it was meant for another recording."""
    room, _ = await bridge_world.join(ALICE)
    await bridge_world.join(BOB)
    await bridge_world.command("record")
    assert await bridge_world.refusal("agree", sender=BOB, age=3600.0) == "command_too_old"
    assert {identity for identity, _ in bridge_world.relay.open_taps()} == {f"{ALICE}/tab"}
    await bridge_world.command("decline", age=3600.0)
    assert bridge_world.relay.open_taps() == set()
    assert room in bridge_world.relay.state


async def test_a_recording_that_was_asked_for_long_ago_is_not_started(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    assert await bridge_world.refusal("record", age=3600.0) == "command_too_old"
    assert await bridge_world.refusal("transcribe", age=3600.0) == "command_too_old"
    assert await bridge_world.capture_states() == []


async def test_a_record_command_that_was_obeyed_is_not_refused_after_a_long_outage(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.command("record", event="$record")
    await bridge_world.command("record", event="$record", age=3600.0)
    assert len(await bridge_world.capture_states()) == 1


@pytest.mark.parametrize("membership", ["leave", "ban"])
async def test_whoever_is_put_out_while_their_media_connect_does_not_stay_in_the_call(
    bridge_world: World, membership: str
) -> None:
    """The relay has them, and tells of them only when their media flow."""
    room, identity = await bridge_world.take_seat(bridge_world.person(BOB))
    relay = bridge_world.relay
    listener, relay.listener = relay.listener, Mock()
    relay.join(room, identity)
    relay.listener = listener
    del bridge_world.matrix.rooms[ROOM].members[BOB]
    await bridge_world.service.commands.membership_changed(MembershipChange(ROOM, BOB, membership, "join"))
    assert relay.removed == [identity]
