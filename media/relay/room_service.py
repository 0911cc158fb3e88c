"""LiveKit's RoomService: rooms and participants through an API key. Twirp carries it; rooms do it.

https://docs.livekit.io/reference/server/server-apis/
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from livekit.protocol import models, room

from media.relay import permissions
from media.relay.connection import Connection
from media.relay.datachannels import from_server
from media.relay.room import Room, RoomOptions
from media.relay.rooms import Rooms
from media.relay.seams import Grants
from media.relay.tracks import PublishedTrack
from media.relay.twirp import Method, TwirpError, require


class RoomService:
    """Stateless: every method checks the grant that LiveKit asks for, then acts on the room."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def methods(self) -> Mapping[str, Method]:
        return {
            "CreateRoom": Method(room.CreateRoomRequest, self.create_room),
            "ListRooms": Method(room.ListRoomsRequest, self.list_rooms),
            "DeleteRoom": Method(room.DeleteRoomRequest, self.delete_room),
            "ListParticipants": Method(room.ListParticipantsRequest, self.list_participants),
            "GetParticipant": Method(room.RoomParticipantIdentity, self.get_participant),
            "RemoveParticipant": Method(room.RoomParticipantIdentity, self.remove_participant),
            "MutePublishedTrack": Method(room.MuteRoomTrackRequest, self.mute_published_track),
            "UpdateParticipant": Method(room.UpdateParticipantRequest, self.update_participant),
            "UpdateSubscriptions": Method(room.UpdateSubscriptionsRequest, self.update_subscriptions),
            "SendData": Method(room.SendDataRequest, self.send_data),
            "UpdateRoomMetadata": Method(room.UpdateRoomMetadataRequest, self.update_room_metadata),
            "PerformRpc": Method(room.PerformRpcRequest, self.perform_rpc),
            "ForwardParticipant": Method(room.ForwardParticipantRequest, self.elsewhere),
            "MoveParticipant": Method(room.MoveParticipantRequest, self.elsewhere),
        }

    # -- rooms

    async def create_room(self, grants: Grants, request: room.CreateRoomRequest) -> models.Room:
        require(grants.room_create)
        defaults = self._rooms.default_options()
        options = RoomOptions(
            request.empty_timeout or defaults.empty_timeout,
            request.departure_timeout or defaults.departure_timeout,
            request.max_participants or defaults.max_participants,
            request.metadata,
            tuple(request.agents),
        )
        return self._rooms.create(request.name, options).info()

    async def list_rooms(self, grants: Grants, request: room.ListRoomsRequest) -> room.ListRoomsResponse:
        require(grants.room_list)
        wanted = set(request.names)
        return room.ListRoomsResponse(
            rooms=[found.info() for found in self._rooms if not wanted or found.name in wanted]
        )

    async def delete_room(self, grants: Grants, request: room.DeleteRoomRequest) -> room.DeleteRoomResponse:
        require(grants.room_create)
        self._rooms.close(self._rooms.get(request.room), models.ROOM_DELETED)
        return room.DeleteRoomResponse()

    async def update_room_metadata(self, grants: Grants, request: room.UpdateRoomMetadataRequest) -> models.Room:
        found = self._administered(grants, request.room)
        found.set_metadata(request.metadata)
        return found.info()

    async def send_data(self, grants: Grants, request: room.SendDataRequest) -> room.SendDataResponse:
        found = self._administered(grants, request.room)
        sids = set(request.destination_sids)
        by_sid = {m.participant.identity for m in found.members.values() if m.participant.sid in sids}
        to = frozenset(request.destination_identities) | by_sid
        if sids and not to:
            return room.SendDataResponse()
        reliable = request.kind == models.DataPacket.RELIABLE
        found.send_packet(from_server(request.data, request.topic, to, reliable=reliable, nonce=request.nonce))
        return room.SendDataResponse()

    # -- participants

    async def list_participants(
        self, grants: Grants, request: room.ListParticipantsRequest
    ) -> room.ListParticipantsResponse:
        found = self._administered(grants, request.room)
        everybody = [*(member.participant for member in found.members.values()), *found.presences]
        return room.ListParticipantsResponse(participants=[participant.info() for participant in everybody])

    async def get_participant(self, grants: Grants, request: room.RoomParticipantIdentity) -> models.ParticipantInfo:
        return self._member(grants, request.room, request.identity)[1].participant.info()

    async def remove_participant(
        self, grants: Grants, request: room.RoomParticipantIdentity
    ) -> room.RemoveParticipantResponse:
        found, member = self._member(grants, request.room, request.identity)
        found.remove(member, models.PARTICIPANT_REMOVED)
        return room.RemoveParticipantResponse()

    async def mute_published_track(
        self, grants: Grants, request: room.MuteRoomTrackRequest
    ) -> room.MuteRoomTrackResponse:
        found, member = self._member(grants, request.room, request.identity)
        track = _track(member, request.track_sid)
        if not request.muted and track.info.muted:
            # LiveKit's default too: a microphone is opened by its owner only.
            raise TwirpError("failed_precondition", "remote unmute not enabled")
        if request.muted:
            found.publications.mute(member, track)
        return room.MuteRoomTrackResponse(track=track.info)

    async def update_participant(
        self, grants: Grants, request: room.UpdateParticipantRequest
    ) -> models.ParticipantInfo:
        found, member = self._member(grants, request.room, request.identity)
        participant = member.participant
        permissions.check_attributes(request.attributes)
        participant.update(metadata=request.metadata, name=request.name, attributes=request.attributes)
        found.update(participant)
        if request.HasField("permission"):
            found.set_grants(member, permissions.with_message(participant.grants, request.permission))
        return participant.info()

    async def update_subscriptions(
        self, grants: Grants, request: room.UpdateSubscriptionsRequest
    ) -> room.UpdateSubscriptionsResponse:
        found, member = self._member(grants, request.room, request.identity)
        sids = [*request.track_sids, *(sid for tracks in request.participant_tracks for sid in tracks.track_sids)]
        found.distribution.choose(member, sids, request.subscribe)
        return room.UpdateSubscriptionsResponse()

    async def perform_rpc(self, grants: Grants, request: room.PerformRpcRequest) -> room.PerformRpcResponse:
        found, _ = self._member(grants, request.room, request.destination_identity)
        routed, answer, seconds = found.calls.begin(request)
        found.send_packet(routed)
        try:
            async with asyncio.timeout(seconds):
                response = await answer
        except TimeoutError as error:
            raise TwirpError("deadline_exceeded", "the participant did not answer") from error
        if response.WhichOneof("value") == "error":
            raise TwirpError("failed_precondition", f"{response.error.code}: {response.error.message}")
        return room.PerformRpcResponse(payload=response.payload)

    async def elsewhere(self, grants: Grants, request: object) -> room.MoveParticipantResponse:
        """Between rooms of a cluster; one machine has no use for it."""
        raise TwirpError("unimplemented", "not supported")

    # -- who may

    def _administered(self, grants: Grants, name: str) -> Room:
        require(grants.room_admin and bool(name) and grants.room == name)
        return self._rooms.get(name)

    def _member(self, grants: Grants, name: str, identity: str) -> tuple[Room, Connection]:
        found = self._administered(grants, name)
        return found, found.member(identity)


def _track(member: Connection, sid: str) -> PublishedTrack:
    track = member.participant.tracks.get(sid)
    if track is None:
        raise TwirpError("not_found", "track is not found")
    return track
