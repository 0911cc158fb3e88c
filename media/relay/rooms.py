"""The rooms of one relay: created, found, and ended when nobody is left. What happens in one is `room`'s."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import structlog
from livekit.protocol import models, rtc
from livekit.protocol.agent_dispatch import RoomAgentDispatch

from media.relay import resume
from media.relay.connection import Connection
from media.relay.environment import Environment
from media.relay.join import JoinRequest
from media.relay.metrics import JOINS
from media.relay.observers import RoomObserver
from media.relay.outbox import Outbox
from media.relay.permissions import MAX_ROOM_NAME
from media.relay.requests import Requests
from media.relay.room import Room, RoomOptions
from media.relay.seams import Grants
from media.relay.signal import CloseCode
from palabre.base.errors import CallerError
from palabre.base.ids import loggable

log = structlog.get_logger("relay")

NO_ROOM = "requested room does not exist"  # word for word: livekit-client and lk-jwt-service look for it


class Rooms:
    """Owns every room by name, each with the handler of its requests. Used from the event loop."""

    def __init__(self, environment: Environment, observer: RoomObserver) -> None:
        self._env = environment
        self._observer = observer
        self._rooms: dict[str, tuple[Room, Requests]] = {}
        self.stopping = False  # nobody new

    def __iter__(self) -> Iterator[Room]:
        return iter([room for room, _ in self._rooms.values()])

    def __len__(self) -> int:
        return len(self._rooms)

    def get(self, name: str) -> Room:
        """Raises `CallerError("not_found")`."""
        found = self._rooms.get(name)
        if found is None:
            raise CallerError("not_found", NO_ROOM, status=404)
        return found[0]

    def find(self, name: str) -> Room | None:
        found = self._rooms.get(name)
        return found[0] if found is not None else None

    def create(self, name: str, options: RoomOptions) -> Room:
        """Create, or return what exists under that name. Raises `CallerError`."""
        found = self._rooms.get(name)
        if found is not None:
            return found[0]
        if not name or len(name) > MAX_ROOM_NAME:
            raise CallerError("bad_room", f"the room's name must have 1 to {MAX_ROOM_NAME} characters")
        if len(self._rooms) >= self._env.settings.limits.rooms:
            raise CallerError("too_many_rooms", "there are as many rooms as there may be", status=429)
        if len(options.metadata.encode()) > self._env.settings.limits.metadata:
            raise CallerError("metadata_too_long", "the room's metadata are too long")
        room = Room(name, options, self._observer, self._env)
        self._rooms[name] = room, Requests(room, self._env)
        log.info("room started", room=loggable(name))
        self._observer.room_started(room)
        return room

    @property
    def auto_create(self) -> bool:
        """Rooms need not be created before they are used."""
        return self._env.settings.rooms.auto_create

    def default_options(self) -> RoomOptions:
        defaults = self._env.settings.rooms
        return RoomOptions(defaults.empty_timeout, defaults.departure_timeout, defaults.max_participants)

    def check_enter(self, grants: Grants) -> None:
        """Is there a place for this participant? Raises `CallerError`."""
        if self.stopping:
            raise CallerError("stopping", "the relay is stopping; try again in a moment", status=503)
        room = self.find(grants.room)
        if room is None and not (self.auto_create or grants.room_create):
            raise CallerError("not_found", NO_ROOM, status=404)
        if room is not None and grants.identity in room.presences:
            raise CallerError("identity_taken", "this identity is the service's own in this room", status=403)
        if room is not None and room.full_for(grants.identity):
            raise CallerError("room_full", "the room has as many participants as it takes", status=403)

    def enter(self, grants: Grants, request: JoinRequest, outbox: Outbox) -> tuple[Room, Requests, Connection] | None:
        """Join or resume; `check_enter` has passed. None: the client was told to begin anew."""
        if request.reconnect:
            return self._resume(grants, request, outbox)
        wishes = [RoomAgentDispatch(agent_name=one.agent_name, metadata=one.metadata) for one in grants.agents]
        room = self.create(grants.room, replace(self.default_options(), agents=tuple(wishes)))
        requests = self._rooms[grants.room][1]
        connection = room.join(grants, request, outbox)
        JOINS.labels("single" if request.single else "dual").inc()
        return room, requests, connection

    def _resume(self, grants: Grants, request: JoinRequest, outbox: Outbox) -> tuple[Room, Requests, Connection] | None:
        found = self._rooms.get(grants.room)
        connection = found[0].members.get(grants.identity) if found is not None else None
        refusal = resume.check(
            connection.participant if connection is not None else None,
            request.participant_sid,
            single=request.single,
            media_alive=connection is not None and connection.media_alive,
        )
        if refusal is not None or found is None or connection is None:
            log.info("resume refused", room=loggable(grants.room), why=refusal.value if refusal else "")
            leave = rtc.LeaveRequest(
                reason=models.STATE_MISMATCH, action=rtc.LeaveRequest.RECONNECT, can_reconnect=True
            )
            outbox.put(rtc.SignalResponse(leave=leave))
            outbox.finish(CloseCode.RESTART, "nothing to resume")
            return None
        found[0].resume(connection, grants, outbox)
        JOINS.labels("resume").inc()
        return *found, connection

    def close(self, room: Room, reason: models.DisconnectReason) -> None:
        """End a room; everybody in it is told `reason`."""
        if self._rooms.get(room.name, (None,))[0] is not room:
            return
        room.close(reason)
        del self._rooms[room.name]
        log.info("room finished", room=loggable(room.name))
        self._observer.room_finished(room)

    def expire(self, now: float) -> None:
        """End the rooms that have been empty for too long."""
        for room in self:
            if room.expired(now):
                self.close(room, models.ROOM_CLOSED)
