"""Programs with an API key in the call of a real room: recordings and agents, by LiveKit's own SDKs, and by consent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from livekit import api

from tests.support.agents import agent_worker
from tests.support.deployment import Deployment, Room
from tests.support.js_server_sdk import js_server_sdk
from tests.support.recorded import read_recording
from tests.support.relay import API_KEY, API_SECRET
from tests.support.speakers import Speaker
from tests.support.webhooks import webhook_receiver

ALICE, BOB = 0, 1
WORK_SECONDS = 150.0


async def until(condition: Callable[[], Awaitable[Any]], what: str, *, seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := await condition():
            return value
        await asyncio.sleep(0.1)
    raise AssertionError(f"never happened: {what}")


async def call_of_two(room: Room) -> dict[str, Speaker]:
    epoch = time.monotonic()
    speakers = {"alice": Speaker(ALICE, epoch), "bob": Speaker(BOB, epoch)}
    for name, speaker in speakers.items():
        await speaker.join(*await (await room.door(name)).join("tab"))
    return speakers


async def agree(room: Room, who: str, kind: str) -> None:
    """By the event that a Matrix client sends."""
    root = await room.hears(who, lambda message: "org.palabre.call" in message.content)
    content = {"call": root.content["org.palabre.call"]["call"], "answers": {kind: "yes"}}
    await room.people[who].send_event(room.room_id, "org.palabre.consent", content)


def answer(speaker: Speaker, kind: str) -> str:
    return speaker.room.local_participant.attributes.get(f"palabre.consent.{kind}", "")


@pytest.mark.timeout(400)
async def test_an_egress_records_nobody_before_they_agreed_and_ends_with_the_film_in_the_room(
    deployment: Deployment, make_room: Callable[..., Any]
) -> None:
    async with webhook_receiver() as receiver:
        secrets = {"livekit_api_key": API_KEY, "livekit_api_secret": API_SECRET}
        deployment.settings["secrets"] |= secrets
        deployment.settings["relay"] = {"webhooks": {"urls": [receiver.url]}}
        await deployment.start()
        room: Room = await make_room("alice", "bob")
        speakers = await call_of_two(room)
        async with (
            api.LiveKitAPI(deployment.url, API_KEY, API_SECRET) as program,
            js_server_sdk(deployment.url, API_KEY, API_SECRET) as sdk,
        ):
            (call,) = (await program.room.list_rooms(api.ListRoomsRequest())).rooms
            output = api.EncodedFileOutput(file_type=api.EncodedFileType.MP4, filepath="ignored.mp4")
            request = api.RoomCompositeEgressRequest(room_name=call.name, file_outputs=[output])
            started = await program.egress.start_room_composite_egress(request)
            assert started.status == api.EgressStatus.EGRESS_STARTING
            await room.hears("bob", lambda message: f"A program (key “{API_KEY}”) would like to record" in message.body)
            await asyncio.gather(*(speaker.beep() for speaker in speakers.values()))
            await asyncio.sleep(2.0)
            (waiting,) = await sdk.call("egress", "listEgress", {"roomName": call.name, "active": True})
            assert waiting.get("status", "EGRESS_STARTING") == "EGRESS_STARTING"
            assert [answer(speaker, "recording") for speaker in speakers.values()] == ["asked", "asked"]
            assert speakers["bob"].room.is_recording  # everybody sees that a recording waits for them
            assert list((deployment.data / "captures").glob("*/tracks/track-*.journal")) == []

            await agree(room, "bob", "recording")

            async def active() -> bool:
                found = await program.egress.list_egress(api.ListEgressRequest(egress_id=started.egress_id))
                return found.items[0].status == api.EgressStatus.EGRESS_ACTIVE

            await until(active, "the egress is active")
            for _ in range(3):
                await asyncio.sleep(0.7)
                await asyncio.gather(*(speaker.beep() for speaker in speakers.values()))
            await asyncio.sleep(1.0)
            await program.egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
            await asyncio.gather(*(speaker.leave() for speaker in speakers.values()))

            async def over() -> api.EgressInfo | None:
                found = (await program.egress.list_egress(api.ListEgressRequest(egress_id=started.egress_id))).items[0]
                return found if found.status > api.EgressStatus.EGRESS_ENDING else None

            ended: api.EgressInfo = await until(over, "the egress is over", seconds=WORK_SECONDS)
            assert (ended.status, ended.error) == (api.EgressStatus.EGRESS_COMPLETE, "")
            film = ended.file_results[0]
            message = await room.people["bob"].expect(room.room_id, lambda one: one.body == film.filename)
            assert film.location == f"https://matrix.to/#/{room.room_id}/{message.event_id}"
            seen = await asyncio.to_thread(read_recording, await room.people["bob"].download(message))
            assert set(seen.stamps) == {BOB}
            assert seen.beeps(ALICE, 0.0) == []
            assert len(seen.beeps(BOB, 0.0)) >= 2
        told = [event for event in receiver.events if event.event.startswith("egress_")]
        assert [api.EgressStatus.Name(event.egress_info.status) for event in told] == [
            "EGRESS_STARTING",
            "EGRESS_ACTIVE",
            "EGRESS_ENDING",
            "EGRESS_COMPLETE",
        ]
        assert [event.event for event in told] == ["egress_started", "egress_updated", "egress_updated", "egress_ended"]


@pytest.mark.timeout(400)
async def test_an_agent_is_seen_by_everybody_and_hears_whoever_agreed(
    deployment: Deployment, make_room: Callable[..., Any]
) -> None:
    deployment.settings["secrets"] |= {"livekit_api_key": API_KEY, "livekit_api_secret": API_SECRET}
    await deployment.start()
    room: Room = await make_room("alice", "bob")
    speakers = await call_of_two(room)
    alice, bob = speakers["alice"], speakers["bob"]

    def agents(speaker: Speaker) -> list[Any]:
        kind: Any = api.ParticipantInfo.AGENT
        return [one for one in speaker.room.remote_participants.values() if one.kind == kind]

    def heard() -> str:
        return agents(alice)[0].attributes.get("heard", "") if agents(alice) else ""

    async with (
        api.LiveKitAPI(deployment.url, API_KEY, API_SECRET) as program,
        agent_worker(deployment.url.replace("http", "ws"), "scribe"),
    ):
        (call,) = (await program.room.list_rooms(api.ListRoomsRequest())).rooms
        dispatch = api.CreateAgentDispatchRequest(agent_name="scribe", room=call.name, metadata="minutes")
        await program.agent_dispatch.create_dispatch(dispatch)

        async def is_there() -> bool:
            return all(len(agents(speaker)) == 1 for speaker in speakers.values())

        await until(is_there, "both see the agent", seconds=90)
        await room.hears("bob", lambda message: "A program takes part in this call" in message.body)

        async def asked() -> bool:
            return [answer(speaker, "agent") for speaker in speakers.values()] == ["asked", "asked"]

        await until(asked, "both are asked")
        for _ in range(5):
            await asyncio.gather(alice.beep(), bob.beep())
            await asyncio.sleep(0.3)
        assert heard() == ""
        await agree(room, "bob", "agent")

        async def hears_bob() -> bool:
            await asyncio.gather(alice.beep(), bob.beep())
            return bool(heard())

        await until(hears_bob, "the agent hears somebody")
        assert heard() == bob.room.local_participant.identity
        await room.command("bob", "decline agent")

        async def no_more() -> bool:
            return answer(bob, "agent") == "no"

        await until(no_more, "Bob's no is shown")
        await asyncio.gather(*(speaker.leave() for speaker in speakers.values()))

        async def is_over() -> bool:
            return not (await program.room.list_rooms(api.ListRoomsRequest())).rooms

        await until(is_over, "the call ends with its people", seconds=40)


@pytest.mark.timeout(400)
async def test_of_one_track_nothing_else_is_recorded_and_nobody_else_is_asked(
    deployment: Deployment, make_room: Callable[..., Any]
) -> None:
    deployment.settings["secrets"] |= {"livekit_api_key": API_KEY, "livekit_api_secret": API_SECRET}
    await deployment.start()
    room: Room = await make_room("alice", "bob")
    speakers = await call_of_two(room)
    alice, bob = speakers["alice"], speakers["bob"]
    async with api.LiveKitAPI(deployment.url, API_KEY, API_SECRET) as program:
        (call,) = (await program.room.list_rooms(api.ListRoomsRequest())).rooms
        identity = bob.room.local_participant.identity

        async def camera_of_bob() -> str:
            asked = api.RoomParticipantIdentity(room=call.name, identity=identity)
            tracks = (await program.room.get_participant(asked)).tracks
            return next((track.sid for track in tracks if track.source == api.TrackSource.CAMERA), "")

        camera = await until(camera_of_bob, "Bob's camera is there")
        request = api.TrackEgressRequest(room_name=call.name, track_id=camera, file=api.DirectFileOutput())
        started = await program.egress.start_track_egress(request)
        await room.hears("alice", lambda message: "would like to record one track of" in message.body)

        async def asked() -> bool:
            return answer(bob, "recording") == "asked"

        await until(asked, "Bob is asked")
        assert answer(alice, "recording") == ""
        await agree(room, "alice", "recording")  # to what is not asked of her
        await agree(room, "bob", "recording")

        async def agreed() -> bool:
            return answer(bob, "recording") == "yes"

        await until(agreed, "Bob agrees")
        for _ in range(4):
            await asyncio.gather(*(speaker.beep() for speaker in speakers.values()))
            await asyncio.sleep(0.7)
        await asyncio.gather(*(speaker.leave() for speaker in speakers.values()))

        async def over() -> api.EgressInfo | None:
            found = (await program.egress.list_egress(api.ListEgressRequest(egress_id=started.egress_id))).items[0]
            return found if found.status > api.EgressStatus.EGRESS_ENDING else None

        ended: api.EgressInfo = await until(over, "the egress ends with its track", seconds=WORK_SECONDS)
        assert (ended.status, ended.error) == (api.EgressStatus.EGRESS_COMPLETE, "")
        message = await room.people["bob"].expect(room.room_id, lambda one: one.body == ended.file_results[0].filename)
        seen = await asyncio.to_thread(read_recording, await room.people["bob"].download(message))
        assert set(seen.stamps) == {BOB}
        assert seen.beeps(ALICE, 0.0) == seen.beeps(BOB, 0.0) == []
