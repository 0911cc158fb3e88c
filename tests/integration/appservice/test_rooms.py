"""Rooms and widgets that the bot makes on a real homeserver."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest

from appservice.seams import MeetingRoomSpec, Widget
from palabre.base.errors import CallerError
from palabre.base.ids import RoomId, UserId, random_id
from palabre.demo.homeserver import HomeserverError
from tests.support.bot import RunningBot, StartBot
from tests.support.matrix_client import MakeUser

WIDGET = Widget("palabre", "Call", "https://meet.example.org/widget?room=$matrix_room_id", {"meeting": "m1"})


def spec_for(bot: RunningBot, asker: str, version: str = "11", invite: tuple[str, ...] = ()) -> MeetingRoomSpec:
    alias = f"{bot.settings.prefix}{random_id()}"
    return MeetingRoomSpec(alias, "Budget 2027", UserId(asker), tuple(UserId(user) for user in invite), version)


@pytest.mark.parametrize("version", ["11", "12"])
async def test_a_meetings_room_is_ready_for_its_call(start_bot: StartBot, matrix_user: MakeUser, version: str):
    bot, alice, bob = await start_bot(), await matrix_user("alice"), await matrix_user("bob")
    spec = spec_for(bot, alice.user_id, version, (bob.user_id,))
    room = await bot.bot.create_meeting_room(spec)
    assert await bot.bot.create_meeting_room(spec) == room  # a retry adopts what exists
    await alice.join(room)
    await bob.join(room)
    view = await bot.bot.view(room, UserId(alice.user_id))
    assert (view.version, view.encrypted, view.name, view.membership) == (version, True, "Budget 2027", "join")
    assert view.power >= 100
    assert view.bot_power >= 100
    assert (await bot.bot.view(room, UserId(bob.user_id))).power == 0
    await bob.set_state(
        room, "org.matrix.msc3401.call.member", {"application": "m.call"}, f"_{bob.user_id}_DEVICE_m.call"
    )
    with pytest.raises(HomeserverError, match="403"):
        await bob.set_state(room, "im.vector.modular.widgets", {"url": "https://evil"}, "x")
    assert await bot.bot.put_widget(room, WIDGET)
    await bot.bot.send_text(room, "Come in", key="come in")
    assert (await bob.expect(room, lambda m: m.body == "Come in")).encrypted


async def test_two_requests_at_once_make_one_room(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    spec = spec_for(bot, alice.user_id)
    rooms = await asyncio.gather(*(bot.bot.create_meeting_room(spec) for _ in range(3)))
    assert len(set(rooms)) == 1


async def test_a_refused_invitation_is_said_and_does_not_stop_the_meeting(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice, bob = await start_bot(), await matrix_user("alice"), await matrix_user("bob")
    spec = spec_for(bot, alice.user_id, "12", ("@nobody:nowhere.invalid", bob.user_id))
    room = await bot.bot.create_meeting_room(spec)
    await alice.join(room)
    await bob.join(room)
    told = await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
    assert told.body == "I could not invite @nobody:nowhere.invalid: their server refused."


async def test_a_room_version_that_the_homeserver_lacks_is_said(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    with pytest.raises(CallerError) as refused:
        await bot.bot.create_meeting_room(spec_for(bot, alice.user_id, "99"))
    assert refused.value.code == "unknown_room_version"


async def test_the_address_of_somebody_elses_room_is_refused(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    spec = spec_for(bot, alice.user_id)
    room = await bot.bot.create_meeting_room(spec)
    await alice.join(room)
    token, user = bot.settings.as_token.get_secret_value(), quote(bot.bot.user_id)
    path = f"/_matrix/client/v3/rooms/{quote(room)}/leave?user_id={user}"
    await asyncio.to_thread(alice.homeserver.request, "POST", path, {}, token=token)
    with pytest.raises(CallerError) as refused:
        await bot.bot.create_meeting_room(spec)
    assert refused.value.code == "alias_taken"


async def test_a_widget_is_written_and_pinned_once(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await bot.bot.create_meeting_room(spec_for(bot, alice.user_id))
    await alice.join(room)
    assert await bot.bot.put_widget(room, WIDGET)
    assert not await bot.bot.put_widget(room, WIDGET)
    widget = await alice.state(room, "im.vector.modular.widgets", "palabre")
    assert (widget["type"], widget["url"], widget["data"]) == ("m.custom", WIDGET.url, WIDGET.data)
    layout = await alice.state(room, "io.element.widgets.layout")
    assert layout["widgets"]["palabre"]["container"] == "top"
    renamed = Widget(WIDGET.widget_id, "Meeting", WIDGET.url, WIDGET.data)
    assert await bot.bot.put_widget(room, renamed)
    assert (await alice.state(room, "im.vector.modular.widgets", "palabre"))["name"] == "Meeting"


async def test_a_widget_without_the_power_is_refused_with_what_is_missing(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = RoomId(await alice.create_room("Budget", invite=[bot.bot.user_id]))
    await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
    with pytest.raises(CallerError) as refused:
        await bot.bot.put_widget(room, WIDGET)
    assert refused.value.code == "missing_power"
    assert refused.value.params == {"needed": 50, "have": 0, "event": "im.vector.modular.widgets"}
    levels = await alice.state(room, "m.room.power_levels")
    # Version 12: alice, the creator, stands above the levels and is not in them.
    await alice.set_state(room, "m.room.power_levels", levels | {"users": {bot.bot.user_id: 50}})
    asked = await alice.send(room, "!palabre status")
    await alice.expect(room, lambda m: m.thread == asked)
    assert await bot.bot.put_widget(room, WIDGET)


async def test_the_bot_sees_nothing_of_rooms_that_it_is_not_in(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = RoomId(await alice.create_room("Private"))
    view = await bot.bot.view(room, UserId(alice.user_id))
    assert (view.bot_joined, view.membership, view.name) == (False, "leave", "")
    with pytest.raises(CallerError) as refused:
        await bot.bot.send_text(room, "hello", key="x")
    assert refused.value.code == "not_in_room"
