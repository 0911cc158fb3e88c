"""The webhooks of a relay: what happens in rooms, as LiveKit's `WebhookEvent`s.

Names and contents: https://docs.livekit.io/home/server/webhooks/ — events about tracks name room and participant only
by their ids, all others describe them.
"""

from __future__ import annotations

from typing import Any

from livekit.protocol import models
from livekit.protocol.agent import Job
from livekit.protocol.egress import EgressInfo
from livekit.protocol.webhook import WebhookEvent

from media.relay.observers import RoomObserver, RoomView
from media.relay.participant import Participant
from media.relay.sids import EVENT, new_sid
from media.relay.tracks import PublishedTrack
from media.relay.webhooks.delivery import Destination
from palabre.base.clock import Clock


class WebhookEvents(RoomObserver):
    def __init__(self, delivery: Destination, clock: Clock) -> None:
        self._delivery = delivery
        self._clock = clock

    def _tell(self, room_name: str, event: str, /, **content: Any) -> None:
        now = int(self._clock.wall())
        self._delivery.put(room_name, WebhookEvent(event=event, id=new_sid(EVENT), created_at=now, **content))

    def _tell_of_track(self, room: RoomView, participant: Participant, track: PublishedTrack, name: str) -> None:
        self._tell(
            room.name,
            name,
            room=models.Room(sid=room.sid, name=room.name),
            participant=models.ParticipantInfo(sid=participant.sid, identity=participant.identity),
            track=track.info,
        )

    # RoomObserver

    def room_started(self, room: RoomView) -> None:
        self._tell(room.name, "room_started", room=room.info())

    def room_finished(self, room: RoomView) -> None:
        self._tell(room.name, "room_finished", room=room.info())

    def participant_joined(self, room: RoomView, participant: Participant) -> None:
        self._tell(room.name, "participant_joined", room=room.info(), participant=participant.info())

    def participant_left(self, room: RoomView, participant: Participant, reason: str) -> None:
        self._tell(room.name, "participant_left", room=room.info(), participant=participant.info())

    def connection_aborted(self, room: RoomView, participant: Participant) -> None:
        self._tell(room.name, "participant_connection_aborted", room=room.info(), participant=participant.info())

    def track_published(self, room: RoomView, participant: Participant, track: PublishedTrack) -> None:
        self._tell_of_track(room, participant, track, "track_published")

    def track_unpublished(self, room: RoomView, participant: Participant, track: PublishedTrack) -> None:
        self._tell_of_track(room, participant, track, "track_unpublished")

    # Told by the services of that name.

    def egress(self, name: str, info: EgressInfo) -> None:
        """`egress_started`, `egress_updated` or `egress_ended`."""
        self._tell(info.room_name, name, egress_info=info)

    def agent_job(self, name: str, job: Job) -> None:
        """`agent_job_started` or `agent_job_ended`."""
        self._tell(job.room.name, name, room=models.Room(sid=job.room.sid, name=job.room.name), job=job)
