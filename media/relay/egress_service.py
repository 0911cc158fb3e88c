"""LiveKit's Egress service: recordings through an API key. Twirp carries it; who implements `EgressRequests` records.

What the recorder makes is a film, and it goes where the service keeps its recordings. Everything else that LiveKit's
egress can do is refused with a sentence: nothing is streamed or uploaded to an address that a request names.

https://docs.livekit.io/home/egress/overview/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from livekit.protocol import egress

from media.relay.seams import EgressFacts, EgressFile, EgressRequests, EgressWish, Grants
from media.relay.twirp import Method, TwirpError, require

NANOSECONDS = 1_000_000_000
UPLOADS = ("s3", "gcp", "azure", "aliOSS")
_FILM_TYPES = (egress.DEFAULT_FILETYPE, egress.MP4)


class EgressService:
    """Stateless. Every method needs the grant `roomRecord`; a token for one room reaches that room only."""

    def __init__(self, requests: EgressRequests) -> None:
        self._requests = requests

    def methods(self) -> Mapping[str, Method]:
        return {
            "StartEgress": Method(egress.StartEgressRequest, self.start),
            "StartRoomCompositeEgress": Method(egress.RoomCompositeEgressRequest, self.start_room_composite),
            "StartTrackEgress": Method(egress.TrackEgressRequest, self.start_track),
            "ListEgress": Method(egress.ListEgressRequest, self.list),
            "StopEgress": Method(egress.StopEgressRequest, self.stop),
            "StartWebEgress": _refused(egress.WebEgressRequest, "web pages are not recorded"),
            "StartParticipantEgress": _refused(
                egress.ParticipantEgressRequest, "one participant is not recorded alone: ask for a track, or the room"
            ),
            "StartTrackCompositeEgress": _refused(
                egress.TrackCompositeEgressRequest, "chosen tracks are not put together: ask for one, or the room"
            ),
            "UpdateLayout": _refused(egress.UpdateLayoutRequest, "the recorder has one layout"),
            "UpdateStream": _refused(egress.UpdateStreamRequest, "nothing is streamed to other servers"),
        }

    async def start(self, grants: Grants, request: egress.StartEgressRequest) -> egress.EgressInfo:
        """Of a room; the other sources have no way to say one track alone."""
        require(grants.room_record)
        if request.WhichOneof("source") not in (None, "template"):
            raise unimplemented("only rooms and single tracks are recorded")
        if request.HasField("storage") or any(output.HasField("storage") for output in request.outputs):
            raise unimplemented(_NO_UPLOAD)
        if any(output.WhichOneof("config") != "file" for output in request.outputs):
            raise unimplemented(_FILES_ONLY)
        _check_files([output.file for output in request.outputs])
        _check_template(request.template, request.webhooks)
        return await self._start(grants, request.room_name, egress.EgressInfo(egress=request))

    async def start_room_composite(
        self, grants: Grants, request: egress.RoomCompositeEgressRequest
    ) -> egress.EgressInfo:
        require(grants.room_record)
        if request.WhichOneof("output") not in (None, "file"):
            raise unimplemented(_FILES_ONLY)
        if request.stream_outputs or request.segment_outputs or request.image_outputs:
            raise unimplemented(_FILES_ONLY)
        _check_files([*request.file_outputs, *([request.file] if request.HasField("file") else [])])
        _check_template(request, request.webhooks)
        return await self._start(grants, request.room_name, egress.EgressInfo(room_composite=request))

    async def start_track(self, grants: Grants, request: egress.TrackEgressRequest) -> egress.EgressInfo:
        require(grants.room_record)
        if request.WhichOneof("output") == "websocket_url":
            raise unimplemented("nothing is streamed to other servers")
        if request.file.WhichOneof("output") is not None:
            raise unimplemented(_NO_UPLOAD)
        if request.webhooks:
            raise unimplemented(_NO_WEBHOOKS)
        if not request.track_id:
            raise TwirpError("invalid_argument", "track_id is missing")
        return await self._start(grants, request.room_name, egress.EgressInfo(track=request), request.track_id)

    async def _start(
        self, grants: Grants, room: str, request: egress.EgressInfo, track_sid: str = ""
    ) -> egress.EgressInfo:
        if not room:
            raise TwirpError("invalid_argument", "room_name is missing")
        require(grants.room in ("", room))
        return message_of(await self._requests.start(grants, EgressWish(room, request.SerializeToString(), track_sid)))

    async def list(self, grants: Grants, request: egress.ListEgressRequest) -> egress.ListEgressResponse:
        require(grants.room_record)
        room = request.room_name or grants.room
        require(grants.room in ("", room))
        found = await self._requests.find(room=room, egress_id=request.egress_id, active=request.active)
        return egress.ListEgressResponse(items=[message_of(facts) for facts in found])

    async def stop(self, grants: Grants, request: egress.StopEgressRequest) -> egress.EgressInfo:
        require(grants.room_record)
        found = await self._requests.find(room=grants.room, egress_id=request.egress_id) if request.egress_id else ()
        if not found:
            raise TwirpError("not_found", "egress does not exist")
        if found[0].state.value not in ("EGRESS_STARTING", "EGRESS_ACTIVE"):
            # LiveKit's words.
            sentence = f"egress with status {found[0].state.value} cannot be stopped"
            raise TwirpError("failed_precondition", sentence)
        return message_of(await self._requests.stop(request.egress_id))


_NO_UPLOAD = "recordings are not uploaded to other storage: they are posted, encrypted, in the call's room"
_FILES_ONLY = "recordings are files: nothing is streamed, cut into segments or made into pictures"
_NO_WEBHOOKS = "webhooks go to the addresses of the server's settings only"


def unimplemented(sentence: str) -> TwirpError:
    return TwirpError("unimplemented", sentence)


def _refused(request: type[Any], sentence: str) -> Method:
    async def run(grants: Grants, _message: object) -> egress.EgressInfo:
        require(grants.room_record)
        raise unimplemented(sentence)

    return Method(request, run)


def _check_files(files: Sequence[Any]) -> None:
    """Of the outputs that a request names; a path in it is not used, the recorder has its own names."""
    if len(files) > 1:
        raise unimplemented("one film is made of a recording, not several")
    for file in files:
        if file.file_type not in _FILM_TYPES:
            raise unimplemented("recordings are MP4 films")
        if "output" in file.DESCRIPTOR.oneofs_by_name and file.WhichOneof("output") in UPLOADS:
            raise unimplemented(_NO_UPLOAD)


def _check_template(template: Any, webhooks: Sequence[Any]) -> None:
    if template.audio_only or template.video_only:
        raise unimplemented("a recording has both sound and picture")
    if template.custom_base_url:
        raise unimplemented("the recorder has one layout, and opens no web page")
    if webhooks:
        raise unimplemented(_NO_WEBHOOKS)


def message_of(facts: EgressFacts) -> egress.EgressInfo:
    """As LiveKit's clients know it. Its times are nanoseconds."""
    info = egress.EgressInfo()
    info.ParseFromString(facts.wish.request)
    info.egress_id = facts.id
    info.room_id = facts.room_sid
    info.room_name = facts.wish.room
    info.source_type = egress.EGRESS_SOURCE_TYPE_SDK  # no browser is involved
    status: Any = egress.EgressStatus.Value(facts.state.value)
    info.status = status
    info.started_at = _nanoseconds(facts.started_at)
    info.ended_at = _nanoseconds(facts.ended_at)
    info.updated_at = _nanoseconds(facts.updated_at)
    info.error = facts.error
    info.file_results.extend(_file(facts, file) for file in facts.files)
    if facts.files:
        info.file.CopyFrom(info.file_results[0])  # where older clients look
    return info


def _file(facts: EgressFacts, file: EgressFile) -> egress.FileInfo:
    return egress.FileInfo(
        filename=file.name,
        location=file.location,
        size=file.size,
        duration=_nanoseconds(file.duration),
        started_at=_nanoseconds(facts.started_at),
        ended_at=_nanoseconds(facts.ended_at),
    )


def _nanoseconds(seconds: float | None) -> int:
    return round((seconds or 0.0) * NANOSECONDS)
