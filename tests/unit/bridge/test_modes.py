"""Which encryption a call gets, and who may come into it."""

from __future__ import annotations

import itertools

import pytest

from bridge.modes import (
    MODE_AUTO,
    MODE_END_TO_END,
    MODE_SERVER,
    ROOM_MODES,
    Way,
    opened_mode,
    require_way,
    shown_mode,
)
from bridge.people import rtc_identity
from bridge.sessions import Proof
from palabre.base.errors import CallerError
from palabre.base.ids import UserId
from tests.support.bridge_fakes import ALICE, BOB, ROOM
from tests.support.bridge_world import World

RTC, LINK = Way.MATRIX_RTC, Way.LINK


def outcome(wanted: str, way: Way, *, encrypted: bool) -> str:
    try:
        return opened_mode(wanted, way, encrypted=encrypted)
    except CallerError as refusal:
        return refusal.code


def test_the_room_the_way_in_and_the_rooms_encryption_decide_the_mode() -> None:
    table = {
        (MODE_AUTO, RTC, True): MODE_END_TO_END,
        (MODE_AUTO, LINK, True): MODE_SERVER,
        (MODE_END_TO_END, RTC, True): MODE_END_TO_END,
        (MODE_END_TO_END, LINK, True): "end_to_end_only",
        (MODE_SERVER, RTC, True): "not_end_to_end",
        (MODE_SERVER, LINK, True): MODE_SERVER,
        (MODE_AUTO, RTC, False): MODE_SERVER,
        (MODE_AUTO, LINK, False): MODE_SERVER,
        (MODE_SERVER, RTC, False): MODE_SERVER,
        (MODE_SERVER, LINK, False): MODE_SERVER,
        (MODE_END_TO_END, RTC, False): "end_to_end_only",
        (MODE_END_TO_END, LINK, False): "end_to_end_only",
    }
    for wanted, way, encrypted in itertools.product(ROOM_MODES, Way, (True, False)):
        assert outcome(wanted, way, encrypted=encrypted) == table[wanted, way, encrypted]


def test_whoever_opened_a_call_may_join_it_and_whoever_was_refused_may_not() -> None:
    for wanted, way, encrypted in itertools.product(ROOM_MODES, Way, (True, False)):
        mode = outcome(wanted, way, encrypted=encrypted)
        if mode in ROOM_MODES:
            require_way(mode, way, encrypted=encrypted)
    for mode, way, code in ((MODE_END_TO_END, LINK, "end_to_end_only"), (MODE_SERVER, RTC, "not_end_to_end")):
        with pytest.raises(CallerError) as caught:
            require_way(mode, way, encrypted=True)
        assert caught.value.code == code
    require_way(MODE_SERVER, RTC, encrypted=False)


def test_what_a_room_promises_before_a_call_is_never_more_than_its_encryption_allows() -> None:
    assert shown_mode(MODE_AUTO, encrypted=True) == MODE_END_TO_END
    assert {shown_mode(mode, encrypted=False) for mode in ROOM_MODES} == {MODE_SERVER}
    assert shown_mode(MODE_SERVER, encrypted=True) == MODE_SERVER


@pytest.mark.parametrize("device", ["", "8448:DEV", ":", "DEV:", "8448/tab", "a b", "a\nb", "x" * 256, "a\0"])
def test_a_device_that_would_make_two_identities_collide_is_refused(device: str) -> None:
    with pytest.raises(CallerError) as caught:
        rtc_identity(ALICE, device)
    assert caught.value.code == "bad_device"


@pytest.mark.parametrize("device", ["DEVALICE", "fJ8+/kQ", "0123456789", "Gerät-1", "{curly}~"])
def test_devices_of_every_other_shape_are_taken_as_they_are(device: str) -> None:
    assert rtc_identity(ALICE, device) == f"{ALICE}:{device}"


def test_an_identity_longer_than_the_relay_takes_is_refused_here() -> None:
    with pytest.raises(CallerError):
        rtc_identity(UserId(f"@{'a' * 240}:example.org"), "DEVICEDEVICE")


async def seat(world: World, who: UserId, device: str, mode: str) -> tuple[str, str]:
    """Mode and identity of a seat for a Matrix client's page."""
    meeting = await world.meeting()
    _, session = await world.service.entrance._sessions.open(world.person(who), meeting, Proof.OPENID)
    seat = await world.service.entrance.join(session, meeting, device, mode)
    return seat.mode, seat.identity


async def test_a_calls_mode_stays_though_the_room_changes_its_mind(bridge_world: World) -> None:
    assert await seat(bridge_world, ALICE, "DEV", MODE_END_TO_END) == (MODE_END_TO_END, f"{ALICE}:DEV")
    await bridge_world.command("encryption", "server")
    assert "stays end-to-end encrypted" in bridge_world.matrix.texts()[-1]
    await bridge_world.restart()
    assert (await seat(bridge_world, BOB, "DEV", MODE_END_TO_END))[0] == MODE_END_TO_END
    with pytest.raises(CallerError, match="end-to-end"):
        await seat(bridge_world, BOB, "tab", MODE_SERVER)
    (room,) = bridge_world.relay.state
    bridge_world.relay.finish(room)
    await bridge_world.settled()
    with pytest.raises(CallerError, match="server only"):
        await seat(bridge_world, ALICE, "DEV", MODE_END_TO_END)
    assert await seat(bridge_world, ALICE, "tab", MODE_SERVER) == (MODE_SERVER, f"{ALICE}/tab")


async def test_the_room_is_told_which_encryption_its_call_has(bridge_world: World) -> None:
    await seat(bridge_world, ALICE, "DEV", MODE_END_TO_END)
    (room,) = bridge_world.relay.state
    bridge_world.relay.join(room, f"{ALICE}:DEV")
    await bridge_world.settled()
    await bridge_world.until(lambda: len(bridge_world.matrix.sent) == 2)
    started = list(bridge_world.matrix.sent.values())[-1]
    assert "end-to-end encrypted" in started["body"]
    assert "/m/" not in started["body"]
    assert started["extra"]["org.palabre.call"]["mode"] == MODE_END_TO_END
    assert '"mode":"e2ee"' in bridge_world.relay.state[room].metadata


async def test_encryption_is_chosen_by_whoever_may_open_calls_and_shown_to_them(bridge_world: World) -> None:
    await bridge_world.command("encryption")
    assert "started in a Matrix client" in bridge_world.matrix.texts()[-1]
    await bridge_world.command("encryption", "e2ee")
    assert "Nobody can join them by link" in bridge_world.matrix.texts()[-1]
    stranger = UserId("@stranger:example.org")
    assert await bridge_world.refusal("encryption", "server", sender=stranger) == "not_in_room"
    with pytest.raises(CallerError, match="end-to-end"):
        await seat(bridge_world, ALICE, "tab", MODE_SERVER)


async def test_an_unencrypted_room_cannot_promise_end_to_end_encryption(bridge_world: World) -> None:
    bridge_world.matrix.rooms[ROOM].encrypted = False
    assert await bridge_world.refusal("encryption", "e2ee") == "room_not_encrypted"
    await bridge_world.command("encryption", "auto")
    assert "not encrypted" in bridge_world.matrix.texts()[-1]
    assert await seat(bridge_world, ALICE, "DEV", MODE_END_TO_END) == (MODE_SERVER, f"{ALICE}:DEV")
    assert await seat(bridge_world, BOB, "tab", MODE_SERVER) == (MODE_SERVER, f"{BOB}/tab")
