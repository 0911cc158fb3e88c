"""LiveKit's server SDK for JavaScript against the relay: rooms, participants, and webhooks that it verifies."""

from __future__ import annotations

import pytest

from tests.support.js_server_sdk import SdkError, js_server_sdk
from tests.support.livekit_people import RED, people
from tests.support.relay import API_KEY, API_SECRET, running_relay, until
from tests.support.webhooks import webhook_receiver

ROOM = "council"


async def test_rooms_and_participants_are_managed() -> None:
    async with running_relay() as relay, js_server_sdk(relay.http, API_KEY, API_SECRET) as sdk:
        made = await sdk.call("room", "createRoom", {"name": ROOM, "emptyTimeout": 60, "maxParticipants": 5})
        assert (made["name"], made["emptyTimeout"], made["maxParticipants"]) == (ROOM, 60, 5)
        async with people("alice", "bob") as (alice, bob):
            await alice.join(relay, ROOM)
            await bob.join(relay, ROOM)
            sid = await alice.show(RED)
            await bob.sees("alice", RED)
            listed = await sdk.call("room", "listParticipants", ROOM)
            assert sorted(person["identity"] for person in listed) == ["alice", "bob"]
            changed = await sdk.call("room", "updateParticipant", ROOM, "bob", {"name": "Robert"})
            assert changed["name"] == "Robert"
            muted = await sdk.call("room", "mutePublishedTrack", ROOM, "alice", sid, True)
            assert muted["muted"]
            topic = {"topic": "notice", "destinationIdentities": ["bob"]}
            await sdk.call("room", "sendData", ROOM, {"$bytes": "hello"}, 0, topic)
            await until(lambda: bob.data == [("", b"hello", "notice")], "bob gets the packet")
            await sdk.call("room", "updateRoomMetadata", ROOM, "agenda")
            await until(lambda: alice.room.metadata == "agenda", "everybody sees the room's metadata")
            await sdk.call("room", "removeParticipant", ROOM, "bob")
            await until(lambda: bob.saw("disconnected"), "bob is out")
        await sdk.call("room", "deleteRoom", ROOM)
        assert await sdk.call("room", "listRooms") == []
        with pytest.raises(SdkError) as missing:
            await sdk.call("room", "getParticipant", ROOM, "alice")
        assert (missing.value.code, missing.value.message) == ("not_found", "requested room does not exist")


async def test_its_receiver_accepts_webhooks_and_no_others() -> None:
    async with (
        webhook_receiver() as receiver,
        running_relay(webhooks={"urls": [receiver.url]}) as relay,
        js_server_sdk(relay.http, API_KEY, API_SECRET) as sdk,
    ):
        await relay.control.create_room(ROOM)
        await until(lambda: receiver.events, "the room's start is told")
        _, authorization, body = receiver.requests[0]
        event = await sdk.call("webhook", "receive", body, authorization)
        assert (event["event"], event["room"]["name"]) == ("room_started", ROOM)
        with pytest.raises(SdkError):
            await sdk.call("webhook", "receive", body.replace("started", "finished"), authorization)
