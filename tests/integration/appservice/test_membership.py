"""Who is in rooms that the bot is not in, as a real homeserver tells; and what changes of rooms bridge hears of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from appservice.membership import How, Probe, probe
from appservice.registration import MEMBERSHIP_SCOPE
from appservice.seams import Change
from palabre.base.errors import CallerError
from palabre.base.ids import RoomId, UserId
from palabre.demo.homeserver import Homeserver
from palabre.doctor import examine_membership
from tests.support.bot import RunningBot, StartBot, bot_settings
from tests.support.matrix_client import MakeUser, new_user
from tests.support.synapse import AppserviceSlot, make_slot

NewHomeserver = Callable[..., Homeserver]


async def started(server: Homeserver, slot: AppserviceSlot, folder: Path, how: str, **options: str) -> RunningBot:
    bot = RunningBot(bot_settings(slot, membership=how, **options), folder, slot.port)
    await bot.start()
    return bot


def ours_and_theirs(
    new_homeserver: NewHomeserver, **registration: object
) -> tuple[Homeserver, Homeserver, AppserviceSlot]:
    ours = new_homeserver(federation=True, extra={"experimental_features": {"msc4502_enabled": True}})
    slot = make_slot(ours, "palabre")
    ours.registrations.append(slot.registration() | registration)
    return ours, new_homeserver(federation=True), slot


@pytest.mark.parametrize("how", ["msc4502", "admin"])
async def test_the_homeserver_tells_who_is_in_a_room_without_the_bot(
    new_homeserver: NewHomeserver, tmp_path: Path, how: str
):
    ours, theirs, slot = ours_and_theirs(new_homeserver, **{"io.element.msc4502.scopes": [MEMBERSHIP_SCOPE]})
    await asyncio.gather(*(asyncio.to_thread(server.start) for server in (ours, theirs)))
    alice, carol, bob = (
        await new_user(ours, "alice", tmp_path),
        await new_user(ours, "carol", tmp_path),
        await new_user(theirs, "bob", tmp_path),
    )
    bot = await started(ours, slot, tmp_path, how)
    try:
        if how == "admin":  # once, by a person who may
            refused = await probe(bot.settings)
            assert refused == Probe(How.ADMIN, 403, "M_FORBIDDEN")
            root = await asyncio.to_thread(ours.register, "root", admin=True)
            path = f"/_synapse/admin/v1/users/{quote(bot.settings.admin_user_id)}/admin"
            await asyncio.to_thread(ours.request, "PUT", path, {"admin": True}, token=root.access_token)
        assert examine_membership(await probe(bot.settings), "").ok
        room = RoomId(await alice.create_room("Private", invite=[bob.user_id]))

        async def told(user: str, where: RoomId = room) -> bool | None:
            return await bot.bot.is_joined(where, UserId(user))

        assert [await told(user) for user in (alice.user_id, carol.user_id, bob.user_id)] == [True, False, False]
        await bob.join(room)
        await alice.until(lambda: bob.user_id in alice.client.rooms[room].users)
        assert await told(bob.user_id)
        await alice.call("POST", f"/_matrix/client/v3/rooms/{quote(room)}/ban", {"user_id": bob.user_id})
        assert await told(bob.user_id) is False
        # Rooms that our homeserver is not in: of its own people it knows that they are not there, of others nothing.
        elsewhere = RoomId(await bob.create_room("Elsewhere"))
        assert await told(alice.user_id, elsewhere) is False
        assert await told(bob.user_id, elsewhere) is None
        await asyncio.to_thread(ours.stop)
        with pytest.raises(CallerError, match="does not answer"):
            await told(carol.user_id)
        await asyncio.to_thread(ours.start)
    finally:
        await bot.stop()
        for user in (alice, carol, bob):
            await user.close()


async def test_without_the_switch_or_the_scope_nobody_can_be_checked_and_doctor_says_why(
    new_homeserver: NewHomeserver, tmp_path: Path
):
    ours, _, slot = ours_and_theirs(new_homeserver)
    await asyncio.to_thread(ours.start)
    alice = await new_user(ours, "alice", tmp_path)
    bot = await started(ours, slot, tmp_path, "msc4502")
    try:
        room = RoomId(await alice.create_room("Private"))
        assert await bot.bot.is_joined(room, UserId(alice.user_id)) is None
        assert "io.element.msc4502.scopes" in examine_membership(await probe(bot.settings), "").sentence
        by_admin = bot_settings(slot, membership="admin", admin_token=alice.account.access_token)
        assert "appservice.admin_token" in examine_membership(await probe(by_admin), "").sentence
    finally:
        await bot.stop()
        await alice.close()


async def test_in_its_own_rooms_the_bot_asks_nobody(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice, bob = await start_bot(), await matrix_user("alice"), await matrix_user("bob")
    room = RoomId(await alice.create_room("Budget", invite=[bot.bot.user_id]))
    await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
    assert await bot.bot.is_joined(room, UserId(alice.user_id))
    assert await bot.bot.is_joined(room, UserId(bob.user_id)) is False
    assert await bot.bot.is_joined(RoomId("!nowhere"), UserId(alice.user_id)) is None
    assert (await probe(bot.settings)).how is How.NONE


async def test_bridge_is_told_when_power_servers_or_the_access_rule_change(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = RoomId(await alice.create_room("Budget", invite=[bot.bot.user_id]))
    await alice.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
    bot.handler.room_changes.clear()
    levels = await alice.state(room, "m.room.power_levels")
    await alice.set_state(room, "m.room.power_levels", levels | {"users_default": 5})
    await alice.set_state(room, "m.room.server_acl", {"allow": ["*"], "deny": ["*.evil.example"]})
    await alice.set_state(room, "im.vector.room.access_rules", {"rule": "restricted"})
    await alice.set_state(room, "m.room.name", {"name": "Renamed"})
    asked = await alice.send(room, "!palabre status")
    await alice.expect(room, lambda m: m.thread == asked)
    assert [(change.room_id, change.what) for change in bot.handler.room_changes] == [
        (room, Change.POWER),
        (room, Change.ACL),
        (room, Change.ACCESS_RULE),
    ]
    eve = await bot.bot.view(room, UserId("@eve:sub.evil.example"))
    assert (eve.server_allowed, eve.access_rule, eve.power) == (False, "restricted", 5)


async def test_rooms_known_before_an_upgrade_are_read_anew_once(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = RoomId(await alice.create_room("Budget", invite=[bot.bot.user_id]))
    await alice.set_state(room, "m.room.server_acl", {"allow": ["*"], "deny": ["evil.example"]})
    asked = await alice.send(room, "!palabre status")
    await alice.expect(room, lambda m: m.thread == asked)
    await bot.database.execute("UPDATE matrix_room SET kept = 1")  # as the version before left it
    await bot.database.execute("DELETE FROM matrix_state WHERE type = 'm.room.server_acl'")
    await bot.stop()
    await bot.start()
    assert not (await bot.bot.view(room, UserId("@eve:evil.example"))).server_allowed
    assert await bot.database.fetchval("SELECT COUNT(*) FROM matrix_room WHERE kept = 1") == 0
