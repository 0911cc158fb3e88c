"""One room, that is one call: who is in it, what they may do, what everybody is told.

`publications` are its tracks, `distribution` sends them around, `requests` reads what clients ask for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from livekit.protocol import models, rtc
from livekit.protocol.agent_dispatch import RoomAgentDispatch

from media.relay import greeting, permissions, quality, tokens
from media.relay.announcements import Announcements
from media.relay.connection import Connection
from media.relay.datachannels import DATA_TRACK, Routed
from media.relay.distribution import Distribution
from media.relay.environment import Environment
from media.relay.join import JoinRequest
from media.relay.measures import Measures
from media.relay.metrics import PEER_ERRORS
from media.relay.observers import RoomObserver
from media.relay.outbox import Outbox
from media.relay.participant import Participant
from media.relay.plane.api import Delivery
from media.relay.presences import Presences
from media.relay.publications import Publications
from media.relay.rpc import PendingCalls
from media.relay.seams import Grants, RoomFacts
from media.relay.sids import ROOM, new_sid
from media.relay.signal import CloseCode, Shared
from media.relay.speakers import Speakers, loudest
from media.relay.subscriptions import Subscription
from media.relay.tracks import PublishedTrack
from palabre.base.errors import CallerError
from palabre.base.ids import loggable

log = structlog.get_logger("relay")

# A closing browser's goodbye on the media path may overtake the one on the WebSocket: wait, to know which it was.
MEDIA_GRACE = 1.0  # seconds


@dataclass(frozen=True)
class RoomOptions:
    """How a room was created. Seconds; `max_participants` 0: no limit."""

    empty_timeout: float
    departure_timeout: float
    max_participants: int
    metadata: str = ""
    agents: tuple[RoomAgentDispatch, ...] = ()


class Room:
    """One room.

    Concurrency: used from the event loop, never awaits. It owns `members`, by identity; a connection is in there from
    its join response until it is removed, and only this class changes the mapping. The listener is told after the
    room is consistent again.
    """

    def __init__(self, name: str, options: RoomOptions, observer: RoomObserver, environment: Environment) -> None:
        self.name = name
        self.sid = new_sid(ROOM)
        self.options = options
        self.created_at = environment.clock.wall()
        self.metadata = options.metadata
        self.recording = False
        self.members: dict[str, Connection] = {}
        self.announcements = Announcements(self.members)
        self.presences = Presences(self._broadcast, environment.settings.limits)
        self.calls = PendingCalls()
        self.distribution = Distribution(self.members, environment)
        self.publications = Publications(self, self.members, self.distribution, self.update, observer, environment)
        self._observer = observer
        self._env = environment
        self._speakers = Speakers()
        self._empty_since = environment.clock.monotonic()
        self._used = False  # somebody has been here
        self._shown_count = 0
        self.closed = False

    # -- facts

    def facts(self) -> RoomFacts:
        return RoomFacts(self.name, self.sid, self.created_at, len(self._active()))

    def info(self) -> models.Room:
        """As clients are shown it."""
        members = self._active()
        return models.Room(
            sid=self.sid,
            name=self.name,
            empty_timeout=int(self.options.empty_timeout),
            departure_timeout=int(self.options.departure_timeout),
            max_participants=self.options.max_participants,
            creation_time=int(self.created_at),
            creation_time_ms=int(self.created_at * 1000),
            enabled_codecs=greeting.PUBLISH_CODECS,
            metadata=self.metadata,
            num_participants=len(members),
            num_publishers=sum(1 for member in members if member.participant.tracks),
            active_recording=self.recording,
        )

    def _active(self) -> list[Connection]:
        return [member for member in self.members.values() if member.participant.active]

    def people(self) -> list[Participant]:
        return [member.participant for member in self._active() if not member.participant.dependent]

    def has(self, identity: str) -> bool:
        return identity in self.members

    def wanted_agents(self) -> tuple[RoomAgentDispatch, ...]:
        return self.options.agents

    def _deserted(self) -> bool:
        """Agents keep no room open."""
        return all(member.participant.dependent for member in self.members.values())

    def visible(self) -> list[Participant]:
        members = [member.participant for member in self.members.values() if member.participant.visible]
        return [*members, *self.presences]

    def member(self, identity: str) -> Connection:
        """Raises `CallerError("not_found")`; the sentence is LiveKit's, which its clients look for."""
        member = self.members.get(identity)
        if member is None:
            raise CallerError("not_found", "participant does not exist", status=404)
        return member

    def full_for(self, identity: str) -> bool:
        limit = self.options.max_participants
        return bool(limit) and identity not in self.members and len(self.members) >= limit

    # -- joining and leaving

    def join(self, grants: Grants, request: JoinRequest, outbox: Outbox) -> Connection:
        """Admit a participant; one with the same identity leaves. Its first message is the join response."""
        older = self.members.get(grants.identity)
        if older is not None:
            self.remove(older, models.DUPLICATE_IDENTITY)
        clock, settings = self._env.clock, self._env.settings
        participant = Participant(grants, request, settings.limits, clock.wall())
        connection = Connection(participant, self, self._env)
        connection.joined(clock.monotonic())
        self.members[participant.identity] = connection
        self._used = self._used or not participant.dependent
        connection.attach(outbox)
        others = [other.info() for other in self.visible()]
        connection.send(greeting.join_response(self.info(), participant, others, settings, clock.wall()))
        speaking = self._speakers.current()
        if speaking:
            connection.send(rtc.SignalResponse(speakers_changed=rtc.SpeakersChanged(speakers=speaking)))
        connection.offer_now()
        log.info("join", room=loggable(self.name), who=loggable(participant.sid), single=participant.single)
        return connection

    def resume(self, connection: Connection, grants: Grants, outbox: Outbox) -> None:
        """The same client is back on a new WebSocket; it may have missed anything since the old one broke."""
        participant = connection.participant
        connection.attach(outbox)
        connection.send(greeting.reconnect_response(participant, self._env.settings, self._env.clock.wall()))
        self.set_grants(connection, permissions.narrowed(participant.grants, grants))
        everybody = [other.info() for other in self.visible()]
        if not participant.visible:
            everybody.append(participant.info())
        connection.send(rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=everybody)))
        connection.send(rtc.SignalResponse(room_update=rtc.RoomUpdate(room=self.info())))
        connection.send(rtc.SignalResponse(speakers_changed=rtc.SpeakersChanged(speakers=self._speakers.current())))
        self.distribution.repeat_dynacast(connection)
        connection.resumed()
        log.info("resume", room=loggable(self.name), who=loggable(participant.sid))

    def remove(
        self,
        connection: Connection,
        reason: models.DisconnectReason,
        action: rtc.LeaveRequest.Action = rtc.LeaveRequest.DISCONNECT,
        *,
        tell: bool = True,
    ) -> None:
        """Somebody leaves, for `reason`; `tell`: the client is sent a leave request with `action`."""
        participant = connection.participant
        if self.members.get(participant.identity) is not connection:
            return
        was_visible, was_active = participant.visible, participant.active
        participant.state = models.ParticipantInfo.DISCONNECTED  # first: nobody is told of one track after the other
        for track in list(participant.tracks.values()):
            self.publications.end(connection, track)
        connection.unsubscribe_all()
        del self.members[participant.identity]
        participant.disconnect_reason = reason
        participant.touch()
        if tell:
            leave = rtc.LeaveRequest(reason=reason, action=action, can_reconnect=action != rtc.LeaveRequest.DISCONNECT)
            connection.send(rtc.SignalResponse(leave=leave))
        connection.close(CloseCode.RESTART, models.DisconnectReason.Name(reason))
        if was_visible:
            self.announcements.tell(participant, self._env.clock.monotonic())
        if self._deserted() and not participant.dependent:
            self._empty_since = self._env.clock.monotonic()
        name = models.DisconnectReason.Name(reason)
        log.info("leave", room=loggable(self.name), who=loggable(participant.sid), reason=name)
        if was_active:
            self._observer.participant_left(self, participant, name)
        else:
            self._observer.connection_aborted(self, participant)

    def signalling_lost(self, connection: Connection, outbox: Outbox) -> None:
        """A WebSocket broke without a leave request. Only those who were really there may come back to it."""
        if not connection.detach(outbox) or self.members.get(connection.participant.identity) is not connection:
            return
        if outbox.overflowed:
            self.remove(connection, models.CONNECTION_TIMEOUT, tell=False)
        elif connection.participant.active and connection.media_alive:
            connection.lost(self._env.clock.monotonic())
        else:
            self.remove(connection, _gone(connection), tell=False)

    # -- ConnectionOwner: media

    def media_connected(self, connection: Connection) -> None:
        participant = connection.participant
        if connection.subscriber.connected and participant.state == models.ParticipantInfo.JOINED:
            participant.state = models.ParticipantInfo.ACTIVE
            self.update(participant)
            self._observer.participant_joined(self, participant)
            self.distribution.welcome(connection)
        self.publications.announce_ready(connection)

    def media_lost(self, connection: Connection, reason: str) -> None:
        """A peer connection is over, with all that flowed on it; nobody can come back to it."""
        participant = connection.participant
        if connection.publisher.closed:
            for track in participant.tracks.values():
                for other in self.members.values():
                    other.forget_down(track.sid)
        if self.members.get(participant.identity) is not connection or connection.ended_by:
            return
        connection.ended_by = reason
        log.info("media lost", room=loggable(self.name), who=loggable(participant.sid), reason=reason)
        if not connection.signalling:
            self.remove(connection, _gone(connection), tell=False)
            return
        for track in list(participant.tracks.values()):
            self.publications.end(connection, track)
        self._env.later(
            MEDIA_GRACE,
            lambda: self.remove(connection, models.CONNECTION_TIMEOUT, rtc.LeaveRequest.RECONNECT),
        )

    def tracks_negotiated(
        self, connection: Connection, started: tuple[PublishedTrack, ...], ended: tuple[PublishedTrack, ...]
    ) -> None:
        for track in ended:
            self.publications.end(connection, track)
        if started:
            self.publications.announce_ready(connection)

    def codec_refused(self, connection: Connection, subscription: Subscription) -> None:
        connection.unsubscribe(subscription.track.sid)
        refusal = rtc.SubscriptionResponse(track_sid=subscription.track.sid, err=models.SE_CODEC_UNSUPPORTED)
        connection.send(rtc.SignalResponse(subscription_response=refusal))

    def peer_error(self, what: str) -> None:
        PEER_ERRORS.labels(what).inc()

    # -- rights

    def set_grants(self, connection: Connection, grants: Grants) -> None:
        """What somebody may do has changed: what they may no longer do ends here, not at their client's goodwill."""
        participant = connection.participant
        before, participant.grants = participant.grants, grants
        if permissions.as_message(before) == permissions.as_message(grants):
            return
        for track in [*participant.tracks.values(), *participant.pending.values()]:
            if not permissions.may_publish(grants, track.source):
                participant.pending.pop(track.cid, None)
                self.publications.end(connection, track)
                gone = rtc.TrackUnpublishedResponse(track_sid=track.sid)
                connection.send(rtc.SignalResponse(track_unpublished=gone))
        if not grants.can_publish_data:
            participant.data_tracks.clear()
        self.update(participant)
        self.distribution.welcome(connection)
        self.refresh_token(connection)

    def refresh_token(self, connection: Connection) -> None:
        """A token for a resume later on, with what holds now."""
        grants = connection.participant.current_grants()
        secret = self._env.settings.secrets.get(grants.issuer)
        if secret is None:
            return
        lifetime = self._env.settings.timeouts.token_lifetime
        token = tokens.mint(grants, secret, now=self._env.clock.wall(), lifetime=lifetime)
        connection.send(rtc.SignalResponse(refresh_token=token))

    # -- what everybody is told

    def _broadcast(self, response: rtc.SignalResponse) -> None:
        shared = Shared(response)
        for member in self.members.values():
            member.send(shared)

    def update(self, participant: Participant) -> None:
        """Show the participant as it is now, to everybody who sees it."""
        participant.touch()
        if participant.visible:
            self.announcements.tell(participant, self._env.clock.monotonic())
        elif participant.state != models.ParticipantInfo.DISCONNECTED and participant.identity in self.members:
            update = rtc.ParticipantUpdate(participants=[participant.info()])
            self.members[participant.identity].send(rtc.SignalResponse(update=update))

    def set_metadata(self, metadata: str) -> None:
        if len(metadata.encode()) > self._env.settings.limits.metadata:
            raise CallerError("metadata_too_long", "the room's metadata are too long")
        self.metadata = metadata
        self._show_room()

    def set_recording(self, active: bool) -> None:
        if active is not self.recording:
            self.recording = active
            self._show_room()

    def _show_room(self) -> None:
        info = self.info()
        self._shown_count = info.num_participants
        self._broadcast(rtc.SignalResponse(room_update=rtc.RoomUpdate(room=info)))

    # -- data

    def data_received(self, connection: Connection, routed: Routed) -> None:
        if self.calls.take(routed.packet):
            return
        self.send_packet(routed, sender=connection)

    def send_packet(self, routed: Routed, sender: Connection | None = None) -> None:
        """To everybody it is addressed to but the sender; hidden participants are no audience."""
        if sender is not None:
            self.announcements.before(sender.participant, self._env.clock.monotonic())
        for member in self.members.values():
            participant = member.participant
            if member is sender or not participant.visible:
                continue
            if sender is not None and not participant.may_have_media_of(sender.participant.identity):
                continue
            if routed.reaches(participant.identity, participant.sid):
                member.send_data(routed.label, routed.payload)

    def frame_received(self, connection: Connection, frame: bytes) -> None:
        sid, sender = connection.participant.data_tracks.named_in(frame), connection.participant.identity
        for member in self.members.values():
            participant = member.participant
            if member is not connection and participant.visible and participant.may_have_media_of(sender):
                readdressed = member.participant.data_subscriptions.readdress(sid, frame)
                if readdressed is not None:
                    member.send_data(DATA_TRACK, readdressed)

    # -- time

    def tick(self, deliveries: Mapping[int, Sequence[Delivery]], now: float) -> None:
        """Every 50 ms, monotonic seconds; what subscribers' feedback tells, by session of the packet path."""
        self.announcements.tick(now)
        for member in self.members.values():
            member.tick()
        self.distribution.tick(deliveries, now)

    def look(self, measures: Measures, now: float) -> None:
        """Every second: time-outs, slow readers, layers. Monotonic seconds."""
        timeouts = self._env.settings.timeouts
        for member in list(self.members.values()):
            if member.too_slow:
                self.remove(member, models.CONNECTION_TIMEOUT, rtc.LeaveRequest.RECONNECT)
            elif not member.participant.active and now - member.joined_at > timeouts.join:
                self.remove(member, models.JOIN_FAILURE)
            elif member.lost_at is not None and now - member.lost_at > timeouts.grace:
                self.remove(member, models.SIGNAL_CLOSE, tell=False)
            elif member.signalling and now - member.refreshed_at > timeouts.token_refresh:
                member.refreshed_at = now
                self.refresh_token(member)
        self.distribution.look(measures, now)

    def look_speakers(self, levels: Mapping[int, int]) -> None:
        """`levels`: loudest of each of the packet path's tracks, in -dBov."""
        changed = self._speakers.look(loudest(self.visible(), levels))
        if changed:
            self.distribution.speak(speaker.sid for speaker in self._speakers.current())
            self._broadcast(rtc.SignalResponse(speakers_changed=rtc.SpeakersChanged(speakers=changed)))

    def look_quality(self, measures: Measures) -> None:
        """Every five seconds."""
        rated = quality.rate_members(self._active(), measures)
        if rated:
            self._broadcast(rtc.SignalResponse(connection_quality=quality.update(rated)))
        if len(self._active()) != self._shown_count:
            self._show_room()

    def expired(self, now: float) -> bool:
        """Nobody came, or the last one has left for long enough."""
        timeout = self.options.departure_timeout if self._used else self.options.empty_timeout
        return self._deserted() and now - self._empty_since >= timeout

    def close(self, reason: models.DisconnectReason) -> None:
        """Everybody leaves. When the service stops they are asked to come back: it may only be a restart."""
        stopping = reason == models.SERVER_SHUTDOWN
        action = rtc.LeaveRequest.RECONNECT if stopping else rtc.LeaveRequest.DISCONNECT
        for member in list(self.members.values()):
            self.remove(member, reason, action)
        self.calls.abandon()
        self.closed = True


def _gone(connection: Connection) -> models.DisconnectReason:
    """Why somebody is gone who said nothing: closing a browser's tab says goodbye on the media path only."""
    return models.CLIENT_INITIATED if connection.ended_by == "dtls_closed" else models.SIGNAL_CLOSE
