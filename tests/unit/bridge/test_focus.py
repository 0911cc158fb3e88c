"""Who gets a token as a MatrixRTC client, and what the relay lets its holder do."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

import pytest

from appservice.federation.records import Level
from appservice.seams import Change, RoomChange, RtcMember
from bridge.focus_requests import CALL_SLOT, Asked, OpenIdToken
from bridge.homeserver_policy import Standing
from bridge.modes import MODE_END_TO_END, MODE_SERVER
from bridge.people import hashed_identity
from bridge.settings import FocusSettings, RoomPolicy
from media.relay.seams import Grants
from media.relay.tokens import verify
from palabre.base.errors import CallerError
from palabre.base.ids import EventId, RoomId, UserId
from tests.support.bridge_fakes import ALICE, API_SECRET, BOB, EVE, ROOM, FakeRoom, track
from tests.support.bridge_world import World

ELSEWHERE = RoomId("!elsewhere:example.org")


def asked(room: RoomId = ROOM, device: str = "DEV", member: str = "", slot: str = CALL_SLOT) -> Asked:
    return Asked(room, slot, device, member)


async def grants(world: World, user: UserId, wanted: Asked) -> Grants:
    """What the token of a seat says."""
    seat = await world.service.focus.seat(user, wanted)
    return verify(seat.jwt, {"key": API_SECRET}, world.clock.wall())


async def refusal(world: World, user: UserId, wanted: Asked) -> str:
    with pytest.raises(CallerError) as caught:
        await world.service.focus.seat(user, wanted)
    return caught.value.code


async def mode(world: World) -> str:
    return str(await world.database.fetchval("SELECT mode FROM bridge_call WHERE ended_at IS NULL"))


async def test_both_kinds_of_identity_lead_into_one_call_and_are_admitted(bridge_world: World) -> None:
    alice = await grants(bridge_world, ALICE, asked())
    bob = await grants(bridge_world, BOB, asked(member="uuid"))
    assert alice.identity == f"{ALICE}:DEV"
    assert bob.identity == hashed_identity(BOB, "DEV", "uuid")
    assert alice.room == bob.room != ROOM
    assert await mode(bridge_world) == MODE_END_TO_END
    for given, name in ((alice, "Alice"), (bob, "Bob")):
        admitted = await bridge_world.service.admission.admit(given)
        assert (admitted.can_publish, admitted.name) == (True, name)
    assert bridge_world.matrix.sent == {}


async def test_a_token_says_nobodys_name_and_what_it_grants_is_what_the_room_grants(bridge_world: World) -> None:
    seat = await bridge_world.service.focus.seat(BOB, asked())
    claims = json.loads(base64.urlsafe_b64decode(seat.jwt.split(".")[1] + "=="))
    assert seat.url == "wss://meet.example.org"
    assert "Bob" not in json.dumps(claims)
    assert not {"name", "metadata", "attributes"} & set(claims)
    assert claims["sub"] == f"{BOB}:DEV"
    assert claims["exp"] - claims["nbf"] == 3600
    assert claims["video"]["roomJoin"] is True
    assert (claims["video"]["canPublish"], claims["video"]["canUpdateOwnMetadata"]) == (True, False)
    strict = bridge_world.settings.model_copy(update={"policy": RoomPolicy(publish_power=50)})
    bridge_world.service.focus._settings = strict
    assert not (await grants(bridge_world, BOB, asked())).can_publish
    assert (await grants(bridge_world, ALICE, asked())).can_publish


@pytest.mark.parametrize("localpart", ["a>?~", "é", "日本", "a\x7f", "\\u003e>", "~~~???>>>"])
async def test_claims_are_decoded_by_atob_whatever_stands_in_an_identity(bridge_world: World, localpart: str) -> None:
    user = UserId(f"@{localpart}:example.org")
    bridge_world.matrix.rooms[ROOM].members[user] = "Somebody"
    seat = await bridge_world.service.focus.seat(user, asked(device="~DEV?>"))
    payload = seat.jwt.split(".")[1]
    assert not set("-_") & set(payload)
    claims = json.loads(base64.b64decode(payload + "=" * (-len(payload) % 4)).decode("ascii"))
    assert claims["sub"] == f"{user}:~DEV?>"
    assert verify(seat.jwt, {"key": API_SECRET}, bridge_world.clock.wall()).identity == claims["sub"]


async def test_whoever_is_not_in_the_room_gets_nothing(bridge_world: World) -> None:
    assert await refusal(bridge_world, EVE, asked()) == "not_in_room"
    bridge_world.matrix.rooms[ROOM].members[EVE] = "Eve"
    bridge_world.matrix.rooms[ROOM].denied_servers = frozenset({"evil.example"})
    assert await refusal(bridge_world, EVE, asked()) == "server_excluded"
    rows = await bridge_world.database.fetch("SELECT * FROM bridge_call")
    assert list(rows) == []


async def test_a_token_is_worth_nothing_once_its_holder_has_left_the_room(bridge_world: World) -> None:
    given = await grants(bridge_world, BOB, asked())
    del bridge_world.matrix.rooms[ROOM].members[BOB]
    with pytest.raises(CallerError, match="not in the room"):
        await bridge_world.service.admission.admit(given)


async def test_devices_that_could_be_somebody_elses_identity_are_refused_in_both_ways(bridge_world: World) -> None:
    for device in ("8448:DEV", "", "8448/tab"):
        assert await refusal(bridge_world, ALICE, asked(device=device)) == "bad_device"
        assert await refusal(bridge_world, ALICE, asked(device=device, member="uuid")) == "bad_device"


async def test_a_room_has_one_call_in_one_slot(bridge_world: World) -> None:
    assert await refusal(bridge_world, ALICE, asked(slot="m.call#other")) == "M_BAD_JSON"


async def test_a_server_that_may_only_join_gets_a_token_for_a_call_that_the_relay_does_not_have(
    bridge_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge_world.matrix.rooms[ROOM].members[EVE] = "Eve"

    async def standing(server_name: str) -> Standing:
        return Standing(may_join=True, may_open=server_name == "example.org")

    monkeypatch.setattr(bridge_world.service.focus._policy, "standing", standing)
    given = await grants(bridge_world, EVE, asked())
    with pytest.raises(CallerError) as caught:
        await bridge_world.service.admission.admit(given)
    assert caught.value.status == 404
    assert "requested room does not exist" in caught.value.sentence
    assert bridge_world.relay.state == {}
    opened = await grants(bridge_world, ALICE, asked())
    assert (await grants(bridge_world, EVE, asked())).room == opened.room


async def test_a_server_that_is_not_allowed_is_refused_before_anything_else(bridge_world: World) -> None:
    bridge_world.matrix.rooms[ROOM].members[EVE] = "Eve"
    await bridge_world.homeservers.store.decide("evil.example", Level.REFUSE, listed=False)
    assert await refusal(bridge_world, EVE, asked()) == "server_not_allowed"


async def test_power_to_open_calls_is_asked_for_and_not_to_join_them(
    bridge_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = bridge_world.settings.model_copy(update={"policy": RoomPolicy(call_power=50)})
    monkeypatch.setattr(bridge_world.service.focus, "_settings", strict)
    assert await refusal(bridge_world, BOB, asked()) == "call_forbidden"
    await grants(bridge_world, ALICE, asked())
    await grants(bridge_world, BOB, asked())


async def test_an_encrypted_rooms_call_to_the_server_is_closed_to_element_call(bridge_world: World) -> None:
    await bridge_world.join(BOB)
    assert await refusal(bridge_world, ALICE, asked()) == "not_end_to_end"
    bridge_world.matrix.rooms[ROOM].encrypted = False
    await grants(bridge_world, ALICE, asked())
    assert await mode(bridge_world) == MODE_SERVER


async def test_a_room_without_the_bot_is_open_to_whom_the_homeserver_knows_there_and_nothing_is_posted(
    bridge_world: World,
) -> None:
    bridge_world.matrix.rooms[ELSEWHERE] = FakeRoom(bot_joined=False)
    given = await grants(bridge_world, ALICE, asked(ELSEWHERE))
    assert await mode(bridge_world) == MODE_END_TO_END
    assert (await bridge_world.service.admission.admit(given)).can_publish
    assert await refusal(bridge_world, EVE, asked(ELSEWHERE)) == "not_in_room"
    bridge_world.relay.join(given.room, given.identity)
    bridge_world.relay.finish(given.room)
    await bridge_world.settled()
    assert bridge_world.matrix.sent == {}
    # The page's entrances are for rooms that hear of the call.
    meeting = await bridge_world.database.fetchval("SELECT id FROM bridge_meeting WHERE room_id = $1", ELSEWHERE)
    _, session = await bridge_world.service.entrance._sessions.open(bridge_world.person(ALICE), None)
    with pytest.raises(CallerError, match="Palabre is not in that room"):
        await bridge_world.service.entrance.join(session, meeting, "tab")


async def test_a_room_of_which_nobody_can_tell_is_refused_unless_the_settings_allow_it(
    bridge_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge_world.matrix.rooms[ELSEWHERE] = FakeRoom(bot_joined=False)
    bridge_world.matrix.checkable = False
    assert await refusal(bridge_world, ALICE, asked(ELSEWHERE)) == "bot_not_in_room"
    lenient = bridge_world.settings.model_copy(update={"focus": FocusSettings(uncheckable_rooms="allow")})
    monkeypatch.setattr(bridge_world.service.focus._rooms, "_settings", lenient)
    await grants(bridge_world, ALICE, asked(ELSEWHERE))


async def test_a_trial_connection_is_nobodys_coming(bridge_world: World) -> None:
    """Element Call opens one under a hash, drops it, and comes as `@user:server:DEVICE`."""
    trial = await grants(bridge_world, ALICE, asked(member="uuid"))
    bridge_world.relay.join(trial.room, trial.identity)
    bridge_world.relay.leave(trial.room, trial.identity)
    await bridge_world.settled()
    assert bridge_world.matrix.sent == {}
    real = await grants(bridge_world, BOB, asked())
    bridge_world.relay.join(real.room, real.identity)
    await bridge_world.settled()
    bridge_world.relay.finish(real.room)
    await bridge_world.settled()
    await bridge_world.until(lambda: len(bridge_world.matrix.sent) == 2)
    assert bridge_world.matrix.texts()[-1].endswith("Present: Bob.")


async def test_a_hashed_connection_that_shows_something_is_somebody_from_when_it_came(bridge_world: World) -> None:
    given = await grants(bridge_world, ALICE, asked(member="uuid"))
    came_at = bridge_world.clock.wall()
    bridge_world.relay.join(given.room, given.identity)
    await bridge_world.settled()
    bridge_world.clock.advance(5)
    bridge_world.relay.publish(given.room, given.identity, track("mic", encrypted=True))
    await bridge_world.settled()
    await bridge_world.until(lambda: len(bridge_world.matrix.sent) == 1)
    calls = bridge_world.service.listener._calls
    call = await calls.by_room(given.room)
    assert call is not None
    (attendance,) = await calls.attendances(call.id)
    assert (attendance.person.name, attendance.joined_at) == ("Alice", came_at)
    bridge_world.relay.finish(given.room)
    await bridge_world.settled()
    await bridge_world.until(lambda: len(bridge_world.matrix.sent) == 2)
    assert bridge_world.matrix.texts()[-1].endswith("Present: Alice.")


def announcement(user: UserId, member: str, *, identity: str = "") -> RtcMember:
    """As a sticky member event says it."""
    identity = identity or hashed_identity(user, "DEV", member)
    return RtcMember(user, "DEV", member, identity, CALL_SLOT, (), False, 0.0, 9e9, EventId("$e"), member, True)


async def test_a_hashed_connection_that_the_room_shows_as_a_member_is_somebody_though_they_only_listen(
    bridge_world: World,
) -> None:
    """Whichever comes first, the connection or the member event; and nobody announces for another."""
    given = await grants(bridge_world, ALICE, asked(member="uuid"))
    room = bridge_world.matrix.rooms[ROOM]
    room.rtc = [announcement(BOB, "uuid", identity=given.identity)]
    bridge_world.relay.join(given.room, given.identity)
    await bridge_world.settled()
    assert bridge_world.matrix.sent == {}
    room.rtc = [announcement(ALICE, "uuid")]
    await bridge_world.service.commands.room_changed(RoomChange(ROOM, Change.RTC))
    await bridge_world.until(lambda: len(bridge_world.matrix.sent) == 1)
    bridge_world.clock.advance(5)
    room.rtc.append(announcement(BOB, "other"))
    other = await grants(bridge_world, BOB, asked(member="other"))
    bridge_world.relay.join(other.room, other.identity)
    await bridge_world.settled()
    bridge_world.relay.finish(given.room)
    await bridge_world.settled()
    await bridge_world.until(lambda: len(bridge_world.matrix.sent) == 2)
    assert bridge_world.matrix.texts()[-1].endswith("Present: Alice, Bob.")


class Verifier:
    def __init__(self, user: UserId | CallerError) -> None:
        self._user = user

    async def verify(self, _server: str, _token: str) -> UserId:
        if isinstance(self._user, CallerError):
            raise self._user
        return self._user


@pytest.mark.parametrize(
    ("answer", "claimed", "expected"),
    [
        (ALICE, None, ALICE),
        (ALICE, ALICE, ALICE),
        (ALICE, BOB, "M_UNAUTHORIZED"),
        (CallerError("openid_refused", "…", status=401), None, "M_UNAUTHORIZED"),
        (CallerError("homeserver_unreachable", "…", status=502), None, "M_UNAUTHORIZED"),
        (CallerError("server_not_allowed", "…", status=403), None, "server_not_allowed"),
    ],
)
async def test_a_proof_is_believed_for_whom_it_proves(
    bridge_world: World, answer: Any, claimed: UserId | None, expected: str
) -> None:
    focus = bridge_world.service.focus
    focus._openid = Verifier(answer)  # type: ignore[assignment]
    wanted = dataclasses.replace(asked(), claimed_user_id=claimed)
    try:
        found: str = await focus.verify(OpenIdToken("example.org", "token"), wanted)
    except CallerError as caught:
        found = caught.code
    assert found == expected


async def test_a_call_that_is_just_ending_does_not_come_back_for_who_may_not_open_one(bridge_world: World) -> None:
    """The relay's room has ended, and the service has not heard of it yet."""
    bridge_world.matrix.rooms[ROOM].members[EVE] = "Eve"
    await bridge_world.homeservers.store.decide("evil.example", Level.JOIN, listed=True)
    opened = await grants(bridge_world, ALICE, asked())
    del bridge_world.relay.state[opened.room]
    late = await grants(bridge_world, EVE, asked())
    assert late.room == opened.room
    assert bridge_world.relay.state == {}
    await grants(bridge_world, ALICE, asked())
    assert set(bridge_world.relay.state) == {opened.room}


async def test_nor_does_it_for_members_without_the_power(bridge_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    strict = bridge_world.settings.model_copy(update={"policy": RoomPolicy(call_power=50)})
    monkeypatch.setattr(bridge_world.service.focus, "_settings", strict)
    monkeypatch.setattr(bridge_world.service.entrance, "_settings", strict)
    opened = await grants(bridge_world, ALICE, asked())
    bridge_world.relay.state.clear()
    assert (await grants(bridge_world, BOB, asked())).room == opened.room
    assert bridge_world.relay.state == {}
