"""The bot's device and room keys, across restarts, losses and late deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any
from urllib.parse import quote

import nio
import pytest
from aiohttp import ClientSession

from appservice import keysync
from appservice.identity import IdentityLostError
from palabre.demo.matrix_user import MatrixUser
from tests.support.bot import RunningBot, StartBot
from tests.support.matrix_client import MakeUser


async def talk(bot: RunningBot, user: MatrixUser) -> str:
    room = await user.create_room("Budget", invite=[bot.bot.user_id])
    await user.expect(room, lambda m: m.sender == bot.bot.user_id and bool(m.body))
    return room


async def obeyed(user: MatrixUser, room: str, asked: str) -> None:
    answer = await user.expect(room, lambda m: m.thread == asked and m.readable and bool(m.body))
    assert answer.encrypted


async def published(bot: RunningBot, user: MatrixUser) -> dict[str, Any]:
    """What the homeserver shows of the bot's keys."""
    return await user.call("POST", "/_matrix/client/v3/keys/query", {"device_keys": {bot.bot.user_id: []}})


def signers(keys: dict[str, Any], bot: RunningBot) -> tuple[str, set[str], set[str]]:
    """(master key, devices, devices signed by the self-signing key)."""
    user = bot.bot.user_id
    (signing_key,) = keys["self_signing_keys"][user]["keys"]
    devices = keys["device_keys"][user]
    signed = {name for name, device in devices.items() if signing_key in device["signatures"][user]}
    (master,) = keys["master_keys"][user]["keys"]
    return master, set(devices), signed


async def test_the_device_is_cross_signed_and_the_same_after_a_restart(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    before = signers(await published(bot, alice), bot)
    assert before[1] == before[2] == {bot.bot.device_id}
    recovery_key = await bot.bot.recovery_key()
    await bot.stop()
    await bot.start()
    assert signers(await published(bot, alice), bot) == before
    assert await bot.bot.recovery_key() == recovery_key


def hold_keys_back(user: MatrixUser, monkeypatch: pytest.MonkeyPatch) -> list[Awaitable[Any]]:
    """Room keys that `user` shares stay in the list until they are awaited."""
    held: list[Awaitable[Any]] = []
    send = user.client._send

    async def hold(response: type, *arguments: Any, **options: Any) -> Any:
        if response is not nio.ShareGroupSessionResponse:
            return await send(response, *arguments, **options)
        held.append(send(response, *arguments, **options))
        return response(*options["response_data"])

    monkeypatch.setattr(user.client, "_send", hold)
    return held


async def parked(bot: RunningBot) -> None:
    while not await bot.database.fetchval("SELECT 1 FROM matrix_inbox WHERE status='parked'"):  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def test_a_message_that_arrives_before_its_key_is_answered_when_the_key_comes(
    start_bot: StartBot, matrix_user: MakeUser, monkeypatch: pytest.MonkeyPatch
):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await talk(bot, alice)
    alice.rotate_session(room)
    held = hold_keys_back(alice, monkeypatch)
    asked = await alice.send(room, "!palabre status")
    await parked(bot)
    (key,) = held
    await key
    await obeyed(alice, room, asked)
    assert [command.event_id for command in bot.handler.commands] == [asked]


async def test_a_key_that_comes_while_the_bot_is_down_opens_what_it_parked(
    start_bot: StartBot, matrix_user: MakeUser, monkeypatch: pytest.MonkeyPatch
):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await talk(bot, alice)
    alice.rotate_session(room)
    held = hold_keys_back(alice, monkeypatch)
    asked = await alice.send(room, "!palabre status")
    await parked(bot)
    await bot.stop()
    (key,) = held
    await key
    await bot.start()
    await obeyed(alice, room, asked)


async def test_a_message_whose_key_never_comes_is_given_up(
    start_bot: StartBot, matrix_user: MakeUser, monkeypatch: pytest.MonkeyPatch
):
    bot, alice = await start_bot(wait_for_keys=1), await matrix_user("alice")
    room = await talk(bot, alice)
    alice.rotate_session(room)
    held = hold_keys_back(alice, monkeypatch)
    await alice.send(room, "!palabre status")
    await parked(bot)
    while await bot.bot.waiting():
        await bot.bot._worker.sweep()
        await asyncio.sleep(0.05)
    for key in held:
        await key
    assert bot.handler.commands == []


async def test_what_was_written_while_the_bot_was_away_is_answered(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await talk(bot, alice)
    await bot.stop()
    alice.rotate_session(room)
    asked = await alice.send(room, "!palabre status")
    await bot.start()
    await obeyed(alice, room, asked)


async def test_senders_who_find_no_one_time_key_left_use_the_fallback_key(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice, bob = await start_bot(), await matrix_user("alice"), await matrix_user("bob")
    room = await talk(bot, alice)
    await alice.invite(room, bob.user_id)
    await bob.join(room)
    await bot.stop()
    claim = {"one_time_keys": {bot.bot.user_id: {bot.bot.device_id: "signed_curve25519"}}}
    for _ in range(200):
        claimed = await alice.call("POST", "/_matrix/client/v3/keys/claim", claim)
        (key,) = claimed["one_time_keys"][bot.bot.user_id][bot.bot.device_id].values()
        if key.get("fallback"):
            break
    else:
        pytest.fail("no fallback key")
    asked = await bob.send(room, "!palabre status")
    await bot.start()
    await obeyed(bob, room, asked)


async def test_a_new_device_of_a_member_reads_what_follows(start_bot: StartBot, matrix_user: MakeUser, tmp_path):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await talk(bot, alice)
    login = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": alice.user_id},
        "password": alice.account.password,
    }
    answer = await alice.call("POST", "/_matrix/client/v3/login", login)
    account = type(alice.account)(alice.user_id, alice.account.password, answer["access_token"], answer["device_id"])
    second = MatrixUser(alice.homeserver, account, tmp_path / "second")
    await second.start()
    try:
        await second.knows(room)
        asked = await second.send(room, "!palabre status")
        await obeyed(second, room, asked)
        await obeyed(alice, room, asked)
    finally:
        await second.close()


async def test_who_left_gets_no_key_for_what_follows(start_bot: StartBot, matrix_user: MakeUser):
    bot, alice, bob = await start_bot(), await matrix_user("alice"), await matrix_user("bob")
    room = await talk(bot, alice)
    await alice.invite(room, bob.user_id)
    await bob.join(room)
    asked = await bob.send(room, "!palabre status")
    await obeyed(bob, room, asked)
    before = await bot.database.fetchval("SELECT session_id FROM crypto_megolm_outbound_session WHERE room_id=$1", room)
    await bob.call("POST", f"/_matrix/client/v3/rooms/{room}/leave", {})
    asked = await alice.send(room, "!palabre status")
    await obeyed(alice, room, asked)
    after = await bot.database.fetchval("SELECT session_id FROM crypto_megolm_outbound_session WHERE room_id=$1", room)
    assert before != after


async def test_a_lost_database_needs_the_recovery_key_and_keeps_the_identity(
    start_bot: StartBot, matrix_user: MakeUser
):
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await talk(bot, alice)
    master, (old_device,), _ = signers(await published(bot, alice), bot)
    recovery_key = await bot.bot.recovery_key()
    for table in ("matrix_secret", "matrix_inbox", "matrix_sent", "matrix_state", "matrix_room", "crypto_account"):
        await bot.database.execute(f"DELETE FROM {table}")
    await bot.stop()
    with pytest.raises(IdentityLostError, match="recovery_key"):
        await bot.start()
    await bot.stop()
    bot.settings = bot.settings.model_copy(update={"recovery_key": type(bot.settings.secret)(recovery_key or "")})
    await bot.start()
    new_master, devices, signed = signers(await published(bot, alice), bot)
    assert new_master == master
    assert devices == signed == {bot.bot.device_id}
    assert old_device not in devices
    asked = await alice.send(room, "!palabre status")
    await obeyed(alice, room, asked)


async def test_a_message_is_not_believed_to_be_from_somebody_else(start_bot: StartBot, matrix_user: MakeUser):
    """A homeserver that delivers what mallory encrypted under alice's name."""
    bot, alice, mallory = await start_bot(), await matrix_user("alice"), await matrix_user("mallory")
    room = await talk(bot, alice)
    await alice.invite(room, mallory.user_id)
    await mallory.join(room)
    said = await mallory.send(room, "hello")
    await alice.expect(room, lambda m: m.event_id == said and m.readable)
    assert mallory.client.olm is not None
    command = {"type": "m.room.message", "content": {"msgtype": "m.text", "body": "!palabre call"}}
    event = {
        "event_id": "$" + "f" * 43,
        "room_id": room,
        "sender": alice.user_id,
        "type": "m.room.encrypted",
        "content": mallory.client.olm.group_encrypt(room, command),
        "origin_server_ts": 1,
    }
    headers = {"Authorization": f"Bearer {bot.settings.hs_token.get_secret_value()}"}
    url = f"{str(bot.settings.listen_url).rstrip('/')}/_matrix/app/v1/transactions/forged"
    async with ClientSession(headers=headers) as http, http.put(url, json={"events": [event]}) as answer:
        assert answer.status == 200
    asked = await alice.send(room, "!palabre status")
    await obeyed(alice, room, asked)
    assert [command.name for command in bot.handler.commands] == ["status"]


async def test_a_device_that_was_deleted_is_followed_by_a_new_one(
    start_bot: StartBot, matrix_user: MakeUser, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(keysync, "PAUSE_AFTER_REFUSAL", 0.1)
    bot, alice = await start_bot(), await matrix_user("alice")
    room = await talk(bot, alice)
    before = signers(await published(bot, alice), bot)
    token, user = bot.settings.as_token.get_secret_value(), quote(bot.bot.user_id)
    path = f"/_matrix/client/v3/devices/{bot.bot.device_id}?user_id={user}"
    await asyncio.to_thread(alice.homeserver.request, "DELETE", path, token=token)

    def known() -> set[str]:
        return {device.id for device in alice.client.device_store.active_user_devices(bot.bot.user_id)}

    await alice.until(lambda: bool(known() - before[1]))
    asked = await alice.send(room, "!palabre status")
    await obeyed(alice, room, asked)
    after = signers(await published(bot, alice), bot)
    assert after[0] == before[0]  # the same identity
    assert after[1] == after[2] == {bot.bot.device_id} != before[1]
