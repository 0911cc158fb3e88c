"""RoomService over Twirp, called with LiveKit's own `livekit-api` (protobuf) and as its JavaScript SDK does (JSON)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from livekit import api, rtc

from tests.support.livekit_people import RED, people
from tests.support.relay import API_KEY, API_SECRET, RunningRelay, running_relay, until

ROOM = "council"


@pytest.fixture
async def relay() -> AsyncIterator[RunningRelay]:
    async with running_relay() as running:
        yield running


@pytest.fixture
async def admin(relay: RunningRelay) -> AsyncIterator[api.LiveKitAPI]:
    async with api.LiveKitAPI(relay.http, API_KEY, API_SECRET) as client:
        yield client


async def test_rooms_are_created_once_listed_changed_and_deleted(relay: RunningRelay, admin: api.LiveKitAPI) -> None:
    first = await admin.room.create_room(api.CreateRoomRequest(name="new", metadata="m", max_participants=3))
    again = await admin.room.create_room(api.CreateRoomRequest(name="new", metadata="other"))
    assert (first.sid, first.metadata, first.max_participants) == (again.sid, "m", 3)
    assert (first.empty_timeout, first.departure_timeout) == (300, 20)
    await admin.room.create_room(api.CreateRoomRequest(name="second"))
    listed = await admin.room.list_rooms(api.ListRoomsRequest(names=["new"]))
    assert [room.name for room in listed.rooms] == ["new"]
    changed = await admin.room.update_room_metadata(api.UpdateRoomMetadataRequest(room="new", metadata="changed"))
    assert changed.metadata == "changed"
    await admin.room.delete_room(api.DeleteRoomRequest(room="new"))
    assert [room.name for room in (await admin.room.list_rooms(api.ListRoomsRequest())).rooms] == ["second"]
    assert relay.events == [("room_started", "new"), ("room_started", "second"), ("room_finished", "new")]


async def test_participants_are_listed_changed_addressed_and_removed(
    relay: RunningRelay, admin: api.LiveKitAPI
) -> None:
    async with people("alice", "bob") as (alice, bob):
        await alice.join(relay, ROOM)
        await bob.join(relay, ROOM)
        sid = await alice.show(RED)
        await bob.sees("alice", RED)
        listed = await admin.room.list_participants(api.ListParticipantsRequest(room=ROOM))
        assert [(p.identity, p.state, [t.sid for t in p.tracks]) for p in listed.participants] == [
            ("alice", api.ParticipantInfo.ACTIVE, [sid]),
            ("bob", api.ParticipantInfo.ACTIVE, []),
        ]
        found = await admin.room.get_participant(api.RoomParticipantIdentity(room=ROOM, identity="bob"))
        assert found.sid == bob.room.local_participant.sid
        update = api.UpdateParticipantRequest(room=ROOM, identity="bob", metadata="md", name="Robert")
        update.attributes["a"] = "1"
        changed = await admin.room.update_participant(update)
        assert (changed.metadata, changed.name, dict(changed.attributes)) == ("md", "Robert", {"a": "1"})
        assert changed.version > found.version
        await admin.room.send_data(
            api.SendDataRequest(room=ROOM, data=b"notice", topic="srv", destination_identities=["bob"])
        )
        await until(lambda: bob.data == [("", b"notice", "srv")], "bob gets the packet")
        await admin.room.update_subscriptions(
            api.UpdateSubscriptionsRequest(room=ROOM, identity="bob", track_sids=[sid], subscribe=False)
        )
        assert not relay.control._plane.down_stats()
        await admin.room.remove_participant(api.RoomParticipantIdentity(room=ROOM, identity="bob"))
        await until(lambda: ("disconnected", rtc.DisconnectReason.PARTICIPANT_REMOVED) in bob.events, "bob learns why")
        await admin.room.delete_room(api.DeleteRoomRequest(room=ROOM))
        await until(lambda: ("disconnected", rtc.DisconnectReason.ROOM_DELETED) in alice.events, "alice learns why")
    assert relay.events[-1] == ("room_finished", ROOM)


async def test_the_server_calls_a_method_of_a_participant(relay: RunningRelay, admin: api.LiveKitAPI) -> None:
    async with people("alice") as (alice,):
        await alice.join(relay, ROOM)

        @alice.room.local_participant.register_rpc_method("greet")  # type: ignore[arg-type]
        async def greet(call: rtc.RpcInvocationData) -> str:
            return f"hello {call.payload}"

        status, answer = await twirp(
            relay,
            "PerformRpc",
            {"room": ROOM, "destinationIdentity": "alice", "method": "greet", "payload": "you"},
            room_admin=True,
        )
        assert (status, answer) == (200, {"payload": "hello you"})
        status, answer = await twirp(
            relay,
            "PerformRpc",
            {"room": ROOM, "destination_identity": "alice", "method": "nothing", "payload": ""},
            room_admin=True,
        )
        assert (status, answer["code"]) == (412, "failed_precondition")


async def test_missing_things_are_not_found_in_livekits_words(relay: RunningRelay, admin: api.LiveKitAPI) -> None:
    with pytest.raises(api.TwirpError) as no_room:
        await admin.room.get_participant(api.RoomParticipantIdentity(room=ROOM, identity="x"))
    assert (no_room.value.code, no_room.value.message) == ("not_found", "requested room does not exist")
    await admin.room.create_room(api.CreateRoomRequest(name=ROOM))
    with pytest.raises(api.TwirpError) as nobody:
        await admin.room.get_participant(api.RoomParticipantIdentity(room=ROOM, identity="x"))
    assert (nobody.value.code, nobody.value.message) == ("not_found", "participant does not exist")


async def twirp(
    relay: RunningRelay, method: str, body: object, *, service: str = "RoomService", token: str = "", **grants: Any
) -> tuple[int, dict[str, Any]]:
    """As livekit-server-sdk for JavaScript calls."""
    token = token or relay.token("", ROOM, room_join=False, **grants)
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.post(f"{relay.http}/twirp/livekit.{service}/{method}", json=body) as response,
    ):
        assert response.headers["Content-Type"] == "application/json"
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("method", "body", "grants"),
    [
        ("CreateRoom", {"name": "x"}, {"room_admin": True}),
        ("ListRooms", {}, {"room_create": True}),
        ("DeleteRoom", {"room": ROOM}, {"room_admin": True}),
        ("ListParticipants", {"room": ROOM}, {"room_create": True, "room_list": True}),
        ("ListParticipants", {"room": "another"}, {"room_admin": True}),
        ("SendData", {"room": "another", "data": ""}, {"room_admin": True}),
    ],
)
async def test_each_method_needs_its_grant_for_its_room(
    relay: RunningRelay, method: str, body: object, grants: dict[str, Any]
) -> None:
    status, answer = await twirp(relay, method, body, **grants)
    assert (status, answer["code"]) == (403, "permission_denied")


async def test_json_is_taken_in_both_spellings_and_answered(relay: RunningRelay) -> None:
    body = {"name": "x", "emptyTimeout": 7, "departure_timeout": 9, "unknownField": 1}
    status, answer = await twirp(relay, "CreateRoom", body, room_create=True)
    assert (status, answer["name"], answer["empty_timeout"], answer["departure_timeout"]) == (200, "x", 7, 9)


async def test_other_services_and_methods_say_what_they_are(relay: RunningRelay) -> None:
    assert (await twirp(relay, "CreateIngress", {}, service="Ingress"))[0] == 501
    assert (await twirp(relay, "StartWebEgress", {}, service="Egress", room_record=True))[0] == 501
    assert (await twirp(relay, "ListEgress", {}, service="Egress"))[0] == 403
    status, answer = await twirp(relay, "Nonsense", {})
    assert (status, answer["code"]) == (404, "bad_route")
    status, answer = await twirp(relay, "CreateRoom", {"name": {}}, room_create=True)
    assert (status, answer["code"]) == (400, "malformed")
    status, answer = await twirp(relay, "ListRooms", {}, token="e30.e30.")
    assert (status, answer["code"]) == (401, "unauthenticated")
