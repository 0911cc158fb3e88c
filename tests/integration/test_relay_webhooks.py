"""Webhooks of a real relay on a real HTTP server, verified by LiveKit's own `WebhookReceiver`."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from livekit import api
from pydantic import ValidationError

from media.relay.settings import RelaySettings
from tests.support.livekit_people import RED, people
from tests.support.relay import API_KEY, API_SECRET, running_relay, until
from tests.support.webhooks import webhook_receiver

ROOM = "council"


async def test_a_rooms_life_is_told_in_order_with_what_happened() -> None:
    async with webhook_receiver() as receiver, running_relay(webhooks={"urls": [receiver.url]}) as relay:
        async with people("alice", "bob") as (alice, bob):
            await alice.join(relay, ROOM)
            sid = await alice.show(RED)
            await bob.join(relay, ROOM)
            await bob.leave()
            await until(lambda: "participant_left" in receiver.names, "bob's leaving is told")
        async with api.LiveKitAPI(relay.http, API_KEY, API_SECRET) as admin:
            await admin.room.delete_room(api.DeleteRoomRequest(room=ROOM))
        await until(lambda: "room_finished" in receiver.names, "the room's end is told")
    names = [name for name in receiver.names if name != "track_unpublished"]
    assert names == [
        "room_started",
        "participant_joined",
        "track_published",
        "participant_joined",
        "participant_left",
        "participant_left",
        "room_finished",
    ]
    by_name = {event.event: event for event in reversed(receiver.events)}
    assert by_name["room_started"].room.name == ROOM
    assert by_name["participant_joined"].participant.identity == "alice"
    assert by_name["track_published"].track.sid == sid
    assert by_name["track_published"].participant.identity == "alice"
    assert by_name["participant_left"].participant.disconnect_reason == api.DisconnectReason.CLIENT_INITIATED
    assert len({event.id for event in receiver.events}) == len(receiver.events)


async def test_a_webhook_is_signed_as_livekit_signs_it() -> None:
    async with webhook_receiver() as receiver, running_relay(webhooks={"urls": [receiver.url]}) as relay:
        await relay.control.create_room(ROOM)
        await until(lambda: receiver.events, "the room's start is told")
    content_type, authorization, body = receiver.requests[0]
    assert content_type == "application/webhook+json"
    claims = jwt.decode(authorization, API_SECRET, algorithms=["HS256"])
    assert claims["iss"] == API_KEY
    assert claims["exp"] - claims["nbf"] == 300
    assert '"createdAt"' in body
    with pytest.raises(Exception, match="hash mismatch"):
        api.WebhookReceiver(api.TokenVerifier(API_KEY, API_SECRET)).receive(body + " ", authorization)


async def test_a_receiver_that_is_in_trouble_gets_everything_later_and_in_order() -> None:
    async with webhook_receiver() as receiver, running_relay(webhooks={"urls": [receiver.url]}) as relay:
        receiver.statuses.extend([503, 429])
        await relay.control.create_room(ROOM)
        await relay.control.close_room(ROOM)
        await until(lambda: len(receiver.events) == 2, "both are told")
    assert receiver.names == ["room_started", "room_finished"]
    assert len(receiver.requests) == 4


async def test_what_a_receiver_refuses_is_not_sent_again_and_counted() -> None:
    async with webhook_receiver() as receiver, running_relay(webhooks={"urls": [receiver.url]}) as relay:
        receiver.statuses.append(400)
        await relay.control.create_room(ROOM)
        await relay.control.close_room(ROOM)
        await until(lambda: receiver.events, "the second is told")
    assert [(event.event, event.num_dropped) for event in receiver.events] == [("room_finished", 1)]


async def test_an_address_that_does_not_answer_holds_up_no_other_and_not_the_relays_end() -> None:
    async with webhook_receiver() as receiver:
        urls = ["http://127.0.0.1:9/hook", receiver.url]
        async with running_relay(webhooks={"urls": urls}) as relay:
            await relay.control.create_room(ROOM)
            await until(lambda: receiver.events, "the other address is told")
        assert receiver.names == ["room_started", "room_finished"]


def test_where_there_are_several_keys_the_settings_say_which_one_signs() -> None:
    given: dict[str, Any] = {"api_keys": {"one": "1" * 32, "two": "2" * 32}}
    given["webhooks"] = {"urls": ["https://hooks.example.org/"]}
    with pytest.raises(ValidationError, match="api_key must name one of api_keys"):
        RelaySettings(**given)
    given["webhooks"]["api_key"] = "two"
    assert RelaySettings(**given).webhook_key == "two"
