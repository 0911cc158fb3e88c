"""The tracks published in one room: announced when their media can flow, changed, read by taps, ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from livekit.protocol import rtc

from media.relay.connection import Connection
from media.relay.distribution import Distribution
from media.relay.environment import Environment
from media.relay.observers import RoomObserver, RoomView
from media.relay.participant import Participant
from media.relay.seams import TapSink
from media.relay.taps import TrackTap
from media.relay.tracks import PublishedTrack


class Publications:
    """Of one room. `show` tells everybody about a participant; `members` is the room's own mapping."""

    def __init__(
        self,
        room: RoomView,
        members: Mapping[str, Connection],
        distribution: Distribution,
        show: Callable[[Participant], None],
        observer: RoomObserver,
        environment: Environment,
    ) -> None:
        self._room = room
        self._members = members
        self._distribution = distribution
        self._show = show
        self._observer = observer
        self._env = environment

    def announce_ready(self, connection: Connection) -> None:
        """Show the tracks whose media can flow, and send them to whoever wants them."""
        participant = connection.participant
        if not participant.active or not connection.publisher.connected:
            return
        for track in [track for track in participant.tracks.values() if not track.announced]:
            track.announced = True
            self._show(participant)
            self._observer.track_published(self._room, participant, track)
            self._distribution.add_track(track)

    def end(self, connection: Connection, track: PublishedTrack) -> None:
        """A track ends, whoever wants it to."""
        participant = connection.participant
        for tap in list(track.taps):
            self.close_tap(track, tap)
        self._distribution.remove_track(track)
        connection.end_track(track)
        if track.announced:
            track.announced = False
            self._show(participant)
            self._observer.track_unpublished(self._room, participant, track)

    def changed(self, connection: Connection, track: PublishedTrack) -> None:
        """Its info changed: muted, its size, its features."""
        track.touch(self._env.clock.wall())
        if not track.announced:
            return
        now = self._env.clock.monotonic()
        for tap in track.taps:
            tap.muted(track.info.muted, now)
        self._show(connection.participant)
        self._distribution.refresh(track)
        self._observer.track_changed(self._room, connection.participant, track)

    def mute(self, connection: Connection, track: PublishedTrack) -> None:
        """Somebody else mutes it: the client is told, and nothing passes here until the client unmutes."""
        if track.info.muted:
            return
        track.info.muted = True
        connection.send(rtc.SignalResponse(mute=rtc.MuteTrackRequest(sid=track.sid, muted=True)))
        self.changed(connection, track)

    def open_tap(self, track: PublishedTrack, sink: TapSink, max_layer: int) -> TrackTap:
        """Read a track that is announced."""
        tap = TrackTap(sink, max_layer)
        track.taps.append(tap)
        tap.muted(track.info.muted, self._env.clock.monotonic())
        self._env.plane.add_tap(track.number, tap, max_layer)
        self._distribution.refresh(track)
        return tap

    def request_key_frame(self, track: PublishedTrack) -> None:
        """A reader needs one; asked for as often as publishers bear it."""
        if track.spec is not None:
            self._env.plane.request_key_frame(track.number, self._env.clock.monotonic())

    def close_tap(self, track: PublishedTrack, tap: TrackTap) -> None:
        """Read no more. May come again, and after the track's end."""
        if tap in track.taps:
            track.taps.remove(tap)
            publisher = self._members.get(track.publisher)
            if track.spec is not None and publisher is not None and not publisher.publisher.closed:
                self._env.plane.remove_tap(track.number, tap)
                self._distribution.refresh(track)
        tap.end(self._env.clock.monotonic())
