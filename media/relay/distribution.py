"""Who gets which track in one room: rights and wishes, layers, and what publishers are asked to encode.

It only ever acts on connections it is given; who is in the room is the room's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from livekit.protocol import models, rtc

from media.relay import dynacast
from media.relay.connection import Connection
from media.relay.dynacast import Dynacast
from media.relay.environment import Environment
from media.relay.lines import Lines
from media.relay.measures import Measures
from media.relay.plane.api import Delivery
from media.relay.subscriptions import OFF, Wish, wanted_quality
from media.relay.tracks import PublishedTrack, quality_of_layer


class Distribution:
    """Of one room. `members` is the room's own mapping by identity, read here and changed there."""

    def __init__(self, members: Mapping[str, Connection], environment: Environment) -> None:
        self._members = members
        self._env = environment
        self._tracks: dict[str, PublishedTrack] = {}  # announced, by sid
        self._dynacast: dict[str, Dynacast] = {}  # by track sid
        self._lines = Lines(members, environment.plane)
        self._refused: set[tuple[str, str]] = set()  # (subscriber, track sid) that a publisher does not let have it

    def track(self, sid: str) -> PublishedTrack | None:
        return self._tracks.get(sid)

    # -- tracks come and go

    def add_track(self, track: PublishedTrack) -> None:
        """It is announced: whoever wants it gets it."""
        self._tracks[track.sid] = track
        if track.kind == "video":
            self._dynacast[track.sid] = Dynacast(self._env.settings.timeouts.dynacast_pause)
        for connection in list(self._members.values()):
            self._settle(connection, track)

    def remove_track(self, track: PublishedTrack) -> None:
        self._tracks.pop(track.sid, None)
        self._dynacast.pop(track.sid, None)
        for connection in self._members.values():
            connection.unsubscribe(track.sid)
            connection.participant.chosen.pop(track.sid, None)
        self._refused = {pair for pair in self._refused if pair[1] != track.sid}

    # -- people come, go and change

    def welcome(self, connection: Connection) -> None:
        """A participant is active, or may now have what it may not have had."""
        for track in list(self._tracks.values()):
            self._settle(connection, track)

    def settle_publisher(self, identity: str) -> None:
        """A publisher changed who may have its tracks."""
        for track in [track for track in self._tracks.values() if track.publisher == identity]:
            for connection in list(self._members.values()):
                self._settle(connection, track)

    def choose(self, connection: Connection, sids: Iterable[str], subscribe: bool) -> None:
        """The client, or an administrator, (un)subscribes tracks."""
        for sid in sids:
            track = self._tracks.get(sid)
            if track is not None:
                connection.participant.chosen[sid] = subscribe
                self._settle(connection, track)
            elif subscribe:
                answer = rtc.SubscriptionResponse(track_sid=sid, err=models.SE_TRACK_NOTFOUND)
                connection.send(rtc.SignalResponse(subscription_response=answer))

    def _settle(self, connection: Connection, track: PublishedTrack) -> None:
        """Make it so: subscribed exactly if wanted and allowed."""
        participant = connection.participant
        if participant.identity == track.publisher or not participant.active:
            return
        wanted = participant.wants(track) and participant.grants.can_subscribe
        allowed = self._allowed(participant.identity, track)
        if wanted:
            self._tell_right(connection, track, allowed)
        subscribed = track.sid in connection.subscriptions
        if wanted and allowed and not subscribed:
            connection.subscribe(track)
            publisher = self._members.get(track.publisher)
            if publisher is not None:
                publisher.send(rtc.SignalResponse(track_subscribed=rtc.TrackSubscribed(track_sid=track.sid)))
        elif subscribed and not (wanted and allowed):
            connection.unsubscribe(track.sid)
        self._look_dynacast(track)

    def _allowed(self, identity: str, track: PublishedTrack) -> bool:
        publisher = self._members.get(track.publisher)
        subscriber = self._members.get(identity)
        if publisher is None or subscriber is None or not subscriber.participant.may_have_media_of(track.publisher):
            return False
        return publisher.participant.track_rights.allow(identity, track.sid)

    def _tell_right(self, connection: Connection, track: PublishedTrack, allowed: bool) -> None:
        """A client that wants a track learns when its publisher refuses it, and when no longer."""
        pair = connection.participant.identity, track.sid
        if allowed is (pair not in self._refused):
            return
        if allowed:
            self._refused.discard(pair)
        else:
            self._refused.add(pair)
        update = rtc.SubscriptionPermissionUpdate(
            participant_sid=track.publisher_sid, track_sid=track.sid, allowed=allowed
        )
        connection.send(rtc.SignalResponse(subscription_permission_update=update))

    # -- layers

    def set_wish(self, connection: Connection, settings: rtc.UpdateTrackSettings) -> None:
        for sid in settings.track_sids:
            subscription = connection.subscriptions.get(sid)
            if subscription is not None:
                subscription.wish = Wish.of(settings)
                connection.apply_layer(subscription)
                connection.line.stale = True
                self._look_dynacast(subscription.track)

    def refresh(self, track: PublishedTrack) -> None:
        """The track was muted, unmuted or tapped."""
        for connection in self._members.values():
            subscription = connection.subscriptions.get(track.sid)
            if subscription is not None:
                connection.apply_layer(subscription)
                connection.line.stale = True
        self._look_dynacast(track)

    def look(self, measures: Measures, now: float) -> None:
        """Once a second: what lines carry, and layers that nobody has watched for a while."""
        self._lines.look(measures, now)
        for sid in [sid for sid, state in self._dynacast.items() if state.waiting]:
            self._look_dynacast(self._tracks[sid])

    def tick(self, deliveries: Mapping[int, Sequence[Delivery]], now: float) -> None:
        """Every 50 ms; feedback by session of the packet path."""
        for subscription in self._lines.tick(deliveries, now):
            self._look_dynacast(subscription.track)

    def speak(self, speaking: Iterable[str]) -> None:
        """These participants (sids) speak now: they are shown first."""
        self._lines.speaking = frozenset(speaking)

    def _look_dynacast(self, track: PublishedTrack) -> None:
        state = self._dynacast.get(track.sid)
        publisher = self._members.get(track.publisher)
        if state is None or publisher is None:
            return
        wanted = self._wanted(track)
        if state.look(wanted, self._env.clock.monotonic()):
            update = dynacast.update(track, wanted)
            publisher.send(rtc.SignalResponse(subscribed_quality_update=update))

    def _wanted(self, track: PublishedTrack) -> int:
        """The best quality anybody uses."""
        wanted = [quality_of_layer(track.rids, tap.max_layer) for tap in track.taps]
        for connection in self._members.values():
            subscription = connection.subscriptions.get(track.sid)
            if subscription is not None:
                carried = OFF if subscription.limit == OFF else quality_of_layer(track.rids, subscription.limit)
                wanted.append(min(wanted_quality(track.info, subscription.wish), carried))
        return max(wanted, default=OFF)

    def repeat_dynacast(self, connection: Connection) -> None:
        """For a resumed publisher, which may have missed an update."""
        for track in connection.participant.tracks.values():
            state = self._dynacast.get(track.sid)
            if state is not None and state.announced != models.HIGH:
                update = dynacast.update(track, state.announced)
                connection.send(rtc.SignalResponse(subscribed_quality_update=update))
