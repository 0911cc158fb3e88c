"""What a Palabre's relay carries, asked over RoomService as its operator may."""

from __future__ import annotations

from dataclasses import dataclass

from livekit import api

from tests.support.deployment import Deployment


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
