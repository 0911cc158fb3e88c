"""What a Palabre's relay carries, asked over RoomService as its operator may, and whether it gives somebody a token."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
from livekit import api

from tests.support.deployment import Deployment
from tests.support.element_call.caller import Caller
from tests.support.element_call.home import focus_url


@dataclass(frozen=True)
class OnRelay:
    """One participant of one call, who is there for good: their media flow."""

    identity: str
    tracks: int
    encrypted: bool  # every track of theirs, end to end


async def on_relay(palabre: Deployment) -> dict[str, OnRelay]:
    """Everybody whose transport is up, by identity."""
    secrets = palabre.settings["secrets"]
    found = {}
    async with api.LiveKitAPI(palabre.url, secrets["livekit_api_key"], secrets["livekit_api_secret"]) as service:
        rooms = await service.room.list_rooms(api.ListRoomsRequest())
        for room in rooms.rooms:
            answer = await service.room.list_participants(api.ListParticipantsRequest(room=room.name))
            for person in answer.participants:
                if person.state != api.ParticipantInfo.ACTIVE:
                    continue
                sealed = bool(person.tracks) and all(t.encryption == api.Encryption.GCM for t in person.tracks)
                found[person.identity] = OnRelay(person.identity, len(person.tracks), sealed)
    return found


async def answer_to(palabre: Deployment, caller: Caller) -> tuple[int, str]:
    """Status and error code of the token service, asked as Element Call asks, with what the homeserver vouches."""
    path = f"/v3/user/{caller.user_id}/openid/request_token"
    proof = await caller.home.ask(caller.account, "POST", path, {})
    wish = {"room": caller.room_id, "openid_token": proof, "device_id": caller.device_id}
    url = f"{focus_url(palabre.url)}/sfu/get"
    async with aiohttp.ClientSession() as http, http.post(url, json=wish) as answer:
        return answer.status, (await answer.json()).get("errcode", "")
