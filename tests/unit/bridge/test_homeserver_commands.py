"""`!palabre homeservers …` in an admin room."""

from __future__ import annotations

import re

import pytest

from appservice.confirmations import ATTEMPTS, LIFETIME
from appservice.federation.records import Level
from palabre.base.errors import CallerError
from tests.support.bridge_fakes import ALICE, BOB, ROOM
from tests.support.bridge_world import World


@pytest.fixture
async def admins(bridge_world: World) -> World:
    """Alice has power in the admin room, Bob has none."""
    settings = bridge_world.settings.model_copy(update={"admin_rooms": (ROOM,)})
    bridge_world.service.commands._handlers["homeservers"].__self__._settings = settings  # type: ignore[attr-defined]
    return bridge_world


def code(world: World) -> str:
    found = re.search(r"homeservers confirm (\d{6})\b", world.matrix.texts()[-1])
    assert found, world.matrix.texts()[-1]
    return found[1]


async def level(world: World, name: str) -> Level:
    return await world.homeservers.level(name)


async def test_only_moderators_of_an_encrypted_admin_room_are_obeyed(admins: World) -> None:
    assert await admins.refusal("homeservers", "list", sender=BOB) == "admin_power"
    admins.matrix.rooms[ROOM].encrypted = False
    assert await admins.refusal("homeservers", "list") == "admin_room_unencrypted"
    admins.matrix.rooms[ROOM].encrypted = True
    del admins.matrix.rooms[ROOM].members[ALICE]
    assert await admins.refusal("homeservers", "list") == "admin_power"


async def test_in_other_rooms_nobody_is_obeyed(bridge_world: World) -> None:
    assert await bridge_world.refusal("homeservers", "deny", "evil.example") == "admin_room_only"


async def test_the_list_says_what_every_server_is_and_how_many_came(admins: World) -> None:
    await admins.join(ALICE)
    await admins.homeservers.store.decide("other.example", Level.REFUSE, listed=False)
    await admins.command("homeservers")
    text = admins.matrix.texts()[-1]
    assert "• example.org — own; open and join calls; people this month: 1, calls: 1, present now: 1" in text
    assert "• other.example — refused; nothing" in text


async def test_what_is_harmless_is_done_at_once(admins: World) -> None:
    await admins.homeservers.store.decide("other.example", Level.OPEN, listed=True)
    await admins.command("homeservers", "allow", "Other.example")
    assert await level(admins, "other.example") is Level.JOIN
    assert admins.matrix.texts()[-1] == "People of other.example may join calls."
    await admins.command("homeservers", "add", "third.example", "join", "https://gateway.example:8448")
    record = await admins.homeservers.store.get("third.example")
    assert record is not None
    assert (record.pin.address, record.level) == ("https://gateway.example:8448", Level.JOIN)


@pytest.mark.parametrize(
    ("words", "wanted"), [(("deny", "other.example"), Level.REFUSE), (("allow", "other.example", "open"), Level.OPEN)]
)
async def test_what_is_dangerous_waits_for_its_code(admins: World, words: tuple[str, ...], wanted: Level) -> None:
    await admins.homeservers.store.decide("other.example", Level.JOIN, listed=True)
    await admins.command("homeservers", *words)
    assert await level(admins, "other.example") is Level.JOIN
    given = code(admins)
    await admins.command("homeservers", "confirm", given)
    assert await level(admins, "other.example") is wanted
    assert await admins.refusal("homeservers", "confirm", given) == "code_wrong"  # it is used up


async def test_a_code_is_for_its_sender_its_command_and_five_minutes(admins: World) -> None:
    admins.matrix.rooms[ROOM].powers[BOB] = 50
    await admins.command("homeservers", "deny", "other.example")
    first = code(admins)
    assert await admins.refusal("homeservers", "confirm", first, sender=BOB) == "code_wrong"
    await admins.command("homeservers", "deny", "third.example")  # takes the place of the first
    second = code(admins)
    if first != second:
        assert await admins.refusal("homeservers", "confirm", first) == "code_wrong"
    admins.clock.advance(LIFETIME + 1)
    assert await admins.refusal("homeservers", "confirm", second) == "code_wrong"
    assert await level(admins, "third.example") is Level.OPEN


async def test_codes_cannot_be_tried_out_and_are_not_in_the_database(admins: World) -> None:
    await admins.command("homeservers", "deny", "other.example")
    good = code(admins)
    row = await admins.database.fetchrow("SELECT * FROM matrix_confirmation")
    assert row is not None
    assert good not in str(tuple(row))
    wrong = "000000" if good != "000000" else "000001"
    for _ in range(ATTEMPTS):
        assert await admins.refusal("homeservers", "confirm", wrong) == "code_wrong"
    assert await admins.refusal("homeservers", "confirm", good) == "code_wrong"
    assert await level(admins, "other.example") is Level.OPEN


async def test_a_command_that_comes_again_after_a_crash_is_not_done_twice(admins: World) -> None:
    await admins.command("homeservers", "deny", "other.example")
    await admins.command("homeservers", "confirm", code(admins), event="$confirm")
    await admins.homeservers.store.decide("other.example", Level.JOIN, listed=True)
    await admins.command("homeservers", "confirm", "000000", event="$confirm")
    assert await level(admins, "other.example") is Level.JOIN


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("explode",), "homeservers_usage"),
        (("deny",), "homeservers_usage"),
        (("deny", "a.example", "b.example"), "homeservers_usage"),
        (("allow", "a.example", "refuse"), "homeservers_usage"),
        (("check",), "homeservers_usage"),
        (("allow", "2130706433"), "homeserver_name"),
        (("add", "a.example", "join", "file:///etc/passwd"), "homeserver_pin"),
    ],
)
async def test_what_cannot_be_obeyed_is_said(admins: World, words: tuple[str, ...], refusal: str) -> None:
    assert await admins.refusal("homeservers", *words) == refusal


async def test_the_own_server_cannot_be_refused(admins: World) -> None:
    await admins.command("homeservers", "deny", "example.org")
    with pytest.raises(CallerError) as caught:
        await admins.command("homeservers", "confirm", code(admins))
    assert caught.value.code == "homeserver_own"
