"""What the parts of one relay tell each other of rooms: richer than `RelayListener`, with the room's own objects.

Everything is told synchronously, in order, after the room is consistent again; whoever listens returns at once.
"""

from __future__ import annotations

from typing import Protocol

from livekit.protocol import models
from livekit.protocol.agent_dispatch import RoomAgentDispatch

from media.relay.participant import Participant
from media.relay.seams import RelayListener, RoomFacts
from media.relay.tracks import PublishedTrack


class RoomView(Protocol):
    """A room as its observers need it."""

    name: str
    sid: str

    def facts(self) -> RoomFacts: ...

    def info(self) -> models.Room: ...

    def people(self) -> list[Participant]:
        """Those who are there, agents and other servants left out."""
        ...

    def has(self, identity: str) -> bool: ...

    def wanted_agents(self) -> tuple[RoomAgentDispatch, ...]:
        """As whoever created it said."""
        ...


class RoomObserver:
    """Told what happens; does nothing with it. Subclasses say what they want to hear."""

    def room_started(self, room: RoomView) -> None:
        """The room exists, and nobody is in it."""

    def participant_joined(self, room: RoomView, participant: Participant) -> None:
        """Media are connected."""

    def participant_left(self, room: RoomView, participant: Participant, reason: str) -> None:
        """`reason` is LiveKit's `DisconnectReason` name."""

    def connection_aborted(self, room: RoomView, participant: Participant) -> None:
        """Somebody left whose media never were connected: nobody was told that they came."""

    def track_published(self, room: RoomView, participant: Participant, track: PublishedTrack) -> None:
        """Others know the track."""

    def track_changed(self, room: RoomView, participant: Participant, track: PublishedTrack) -> None:
        """It was muted or unmuted, or its size changed."""

    def track_unpublished(self, room: RoomView, participant: Participant, track: PublishedTrack) -> None:
        """It ended."""

    def room_finished(self, room: RoomView) -> None:
        """Everybody has left, and been told so."""


class Observers(RoomObserver):
    """Several of them, told one after the other."""

    def __init__(self, *observers: RoomObserver) -> None:
        self._observers = observers

    def room_started(self, room: RoomView) -> None:
        for observer in self._observers:
            observer.room_started(room)

    def participant_joined(self, room: RoomView, participant: Participant) -> None:
        for observer in self._observers:
            observer.participant_joined(room, participant)

    def participant_left(self, room: RoomView, participant: Participant, reason: str) -> None:
        for observer in self._observers:
            observer.participant_left(room, participant, reason)

    def connection_aborted(self, room: RoomView, participant: Participant) -> None:
        for observer in self._observers:
            observer.connection_aborted(room, participant)

    def track_published(self, room: RoomView, participant: Participant, track: PublishedTrack) -> None:
        for observer in self._observers:
            observer.track_published(room, participant, track)

    def track_changed(self, room: RoomView, participant: Participant, track: PublishedTrack) -> None:
        for observer in self._observers:
            observer.track_changed(room, participant, track)

    def track_unpublished(self, room: RoomView, participant: Participant, track: PublishedTrack) -> None:
        for observer in self._observers:
            observer.track_unpublished(room, participant, track)

    def room_finished(self, room: RoomView) -> None:
        for observer in self._observers:
            observer.room_finished(room)


class ForListener(RoomObserver):
    """Tells a `RelayListener`, which knows facts alone."""

    def __init__(self, listener: RelayListener) -> None:
        self._listener = listener

    def room_started(self, room: RoomView) -> None:
        self._listener.room_started(room.facts())

    def participant_joined(self, room: RoomView, participant: Participant) -> None:
        self._listener.participant_joined(room.name, participant.facts())

    def participant_left(self, room: RoomView, participant: Participant, reason: str) -> None:
        self._listener.participant_left(room.name, participant.facts(), reason)

    def track_published(self, room: RoomView, participant: Participant, track: PublishedTrack) -> None:
        self._listener.track_published(room.name, participant.identity, track.facts())

    def track_changed(self, room: RoomView, participant: Participant, track: PublishedTrack) -> None:
        self._listener.track_changed(room.name, participant.identity, track.facts())

    def track_unpublished(self, room: RoomView, participant: Participant, track: PublishedTrack) -> None:
        self._listener.track_unpublished(room.name, participant.identity, track.facts())

    def room_finished(self, room: RoomView) -> None:
        self._listener.room_finished(room.facts())
