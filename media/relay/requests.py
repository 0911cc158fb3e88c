"""What clients ask for on their signalling WebSocket, one function per `SignalRequest`, and the table of them.

Every function acts at once and returns nothing; refusals go back as `RequestResponse`. A description that can't be
used raises `SdpError`, which ends the connection: its two sides no longer agree about the media.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from livekit.protocol import models, rtc

from media.relay import permissions
from media.relay.connection import Connection
from media.relay.datatracks import DataTrackRefusedError
from media.relay.environment import Environment
from media.relay.room import Room
from media.relay.signal import CloseCode
from media.relay.tracks import PublishedTrack, TrackRefusedError, announce
from palabre.base.errors import CallerError

log = structlog.get_logger("relay")
_REASONS = rtc.RequestResponse
MAX_FEATURES = 32  # of an audio track; LiveKit knows seven


class Requests:
    """Handles the requests of one room's clients. Stateless but for what it was built with."""

    def __init__(self, room: Room, environment: Environment) -> None:
        self._room = room
        self._env = environment
        self._handlers: Mapping[str, Callable[[Connection, Any], None]] = {
            "offer": lambda connection, message: connection.offer_received(message),
            "answer": lambda connection, message: connection.answer_received(message),
            "trickle": self._nothing,  # ICE-lite: the client's candidates are learnt from its checks
            "add_track": self.add_track,
            "mute": self._mute,
            "subscription": self._subscription,
            "track_setting": room.distribution.set_wish,
            "leave": self._leave,
            "update_layers": self._nothing,  # of protocol 7 and older; layers are seen as they flow
            "subscription_permission": self._subscription_permission,
            "sync_state": self._nothing,  # a resume finds here everything that it would tell us
            "simulate": self._simulate,
            "ping": self._ping,
            "ping_req": self._ping_request,
            "update_metadata": self._update_metadata,
            "update_audio_track": self._update_audio_track,
            "update_video_track": self._update_video_track,
            "publish_data_track_request": self._publish_data_track,
            "unpublish_data_track_request": self._unpublish_data_track,
            "update_data_subscription": self._update_data_subscription,
            "store_data_blob_request": self._unsupported,
            "get_data_blob_request": self._unsupported,
        }

    def handle(self, connection: Connection, request: rtc.SignalRequest) -> None:
        """Raises `SdpError`."""
        name = request.WhichOneof("message")
        if name is None:
            self._room.peer_error("empty_request")
            return
        self._handlers[name](connection, getattr(request, name))

    def _nothing(self, connection: Connection, message: Any) -> None:
        """The request needs no answer and changes nothing here."""

    def _unsupported(self, connection: Connection, message: Any) -> None:
        self._answer(connection, _REASONS.UNSUPPORTED_TYPE, request_id=message.request_id)

    def _answer(
        self, connection: Connection, reason: rtc.RequestResponse.Reason, sentence: str = "", **request: Any
    ) -> None:
        response = rtc.RequestResponse(reason=reason, message=sentence, **request)
        connection.send(rtc.SignalResponse(request_response=response))

    # -- tracks

    def add_track(self, connection: Connection, request: rtc.AddTrackRequest) -> None:
        """A client announces a track; the offer that carries it follows."""
        participant = connection.participant
        source = permissions.SOURCES.get(request.source)
        if source is None or not permissions.may_publish(participant.grants, source):
            sentence = "this participant may not publish such a track"
            self._answer(connection, _REASONS.NOT_ALLOWED, sentence, add_track=request)
            return
        there = participant.pending.get(request.cid)
        if there is None:
            if len(participant.tracks) + len(participant.pending) >= self._env.settings.limits.tracks:
                self._answer(connection, _REASONS.LIMIT_EXCEEDED, "too many tracks", add_track=request)
                return
            try:
                there = announce(
                    request,
                    number=next(self._env.numbers),
                    publisher=participant.identity,
                    publisher_sid=participant.sid,
                    now=self._env.clock.wall(),
                )
            except TrackRefusedError as error:
                self._answer(connection, error.reason, error.sentence, add_track=request)
                return
            participant.pending[request.cid] = there
        published = rtc.TrackPublishedResponse(cid=request.cid, track=there.info)
        connection.send(rtc.SignalResponse(track_published=published))

    def _own_track(self, connection: Connection, sid: str) -> PublishedTrack | None:
        participant = connection.participant
        track = participant.tracks.get(sid)
        return track or next((track for track in participant.pending.values() if track.sid == sid), None)

    def _mute(self, connection: Connection, request: rtc.MuteTrackRequest) -> None:
        track = self._own_track(connection, request.sid)
        if track is not None and track.info.muted is not request.muted:
            track.info.muted = request.muted
            self._room.publications.changed(connection, track)

    def _update_audio_track(self, connection: Connection, request: rtc.UpdateLocalAudioTrack) -> None:
        track = self._own_track(connection, request.track_sid)
        if track is None or len(request.features) > MAX_FEATURES:
            self._answer(connection, _REASONS.NOT_FOUND, update_audio_track=request)
            return
        del track.info.audio_features[:]
        track.info.audio_features.extend(request.features)
        self._room.publications.changed(connection, track)

    def _update_video_track(self, connection: Connection, request: rtc.UpdateLocalVideoTrack) -> None:
        track = self._own_track(connection, request.track_sid)
        if track is None:
            self._answer(connection, _REASONS.NOT_FOUND, update_video_track=request)
            return
        track.info.width, track.info.height = request.width, request.height
        self._room.publications.changed(connection, track)

    # -- subscriptions

    def _subscription(self, connection: Connection, request: rtc.UpdateSubscription) -> None:
        sids = [*request.track_sids, *(sid for tracks in request.participant_tracks for sid in tracks.track_sids)]
        self._room.distribution.choose(connection, dict.fromkeys(sids), request.subscribe)

    def _subscription_permission(self, connection: Connection, request: rtc.SubscriptionPermission) -> None:
        identities = {member.participant.sid: identity for identity, member in self._room.members.items()}
        rights = {
            right.participant_identity or identities.get(right.participant_sid, ""): (
                None if right.all_tracks else frozenset(right.track_sids)
            )
            for right in request.track_permissions
        }
        connection.participant.track_rights.replace(request.all_participants, rights)
        self._room.distribution.settle_publisher(connection.participant.identity)

    # -- the participant

    def _update_metadata(self, connection: Connection, request: rtc.UpdateParticipantMetadata) -> None:
        participant = connection.participant
        if not participant.grants.can_update_own_metadata or permissions.reserved(request.attributes):
            sentence = "this participant may not change its own metadata"
            self._answer(connection, _REASONS.NOT_ALLOWED, sentence, request_id=request.request_id)
            return
        try:
            participant.update(metadata=request.metadata, name=request.name, attributes=request.attributes)
        except CallerError as error:
            self._answer(connection, _REASONS.LIMIT_EXCEEDED, error.sentence, request_id=request.request_id)
            return
        self._room.update(participant)
        self._answer(connection, _REASONS.OK, request_id=request.request_id)

    def _leave(self, connection: Connection, request: rtc.LeaveRequest) -> None:
        self._room.remove(connection, models.CLIENT_INITIATED, tell=False)

    def _ping(self, connection: Connection, _sent: int) -> None:
        connection.send(rtc.SignalResponse(pong=int(self._env.clock.wall() * 1000)))

    def _ping_request(self, connection: Connection, request: rtc.Ping) -> None:
        now = int(self._env.clock.wall() * 1000)
        connection.send(rtc.SignalResponse(pong_resp=rtc.Pong(last_ping_timestamp=request.timestamp, timestamp=now)))

    def _simulate(self, connection: Connection, request: rtc.SimulateScenario) -> None:
        """Failures that SDKs ask for in order to test themselves; each hurts only the one who asks."""
        scenario = request.WhichOneof("scenario")
        if scenario == "node_failure":
            connection.close_signalling(CloseCode.RESTART, "as asked for")
        elif scenario == "server_leave":
            self._room.remove(connection, models.SERVER_SHUTDOWN)
        elif scenario == "leave_request_full_reconnect":
            self._room.remove(connection, models.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)

    # -- data tracks

    def _publish_data_track(self, connection: Connection, request: rtc.PublishDataTrackRequest) -> None:
        participant = connection.participant
        if not participant.grants.can_publish_data:
            self._answer(connection, _REASONS.NOT_ALLOWED, publish_data_track=request)
            return
        try:
            info = participant.data_tracks.publish(request)
        except DataTrackRefusedError as error:
            self._answer(connection, error.reason, publish_data_track=request)
            return
        response = rtc.PublishDataTrackResponse(info=info)
        connection.send(rtc.SignalResponse(publish_data_track_response=response))
        self._room.update(participant)
        for member in self._room.members.values():
            if member is not connection and member.participant.auto_subscribe_data:
                self._subscribe_data(member, [(info.sid, True)])

    def _unpublish_data_track(self, connection: Connection, request: rtc.UnpublishDataTrackRequest) -> None:
        info = connection.participant.data_tracks.unpublish(request.pub_handle)
        if info is None:
            self._answer(connection, _REASONS.NOT_FOUND, unpublish_data_track=request)
            return
        response = rtc.UnpublishDataTrackResponse(info=info)
        connection.send(rtc.SignalResponse(unpublish_data_track_response=response))
        self._room.update(connection.participant)

    def _update_data_subscription(self, connection: Connection, request: rtc.UpdateDataSubscription) -> None:
        self._subscribe_data(connection, [(update.track_sid, update.subscribe) for update in request.updates])

    def _subscribe_data(self, connection: Connection, wishes: list[tuple[str, bool]]) -> None:
        """Change which data tracks a participant gets, and tell it the handles of all of them."""
        participant = connection.participant
        publishers = {
            info.sid: other for other in self._room.visible() if other is not participant for info in other.data_tracks
        }
        for sid, subscribe in wishes:
            if not subscribe:
                participant.data_subscriptions.remove(sid)
            elif sid in publishers and participant.grants.can_subscribe:
                participant.data_subscriptions.add(sid)
        handles = {
            handle: rtc.DataTrackSubscriberHandles.PublishedDataTrack(
                publisher_identity=publishers[sid].identity, publisher_sid=publishers[sid].sid, track_sid=sid
            )
            for handle, sid in participant.data_subscriptions
            if sid in publishers
        }
        response = rtc.DataTrackSubscriberHandles(sub_handles=handles)
        connection.send(rtc.SignalResponse(data_track_subscriber_handles=response))
