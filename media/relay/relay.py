"""`Relay`: the face of the package. Builds the parts, starts and stops them, and does for bridge what `RelayControl`
declares."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace

import structlog
from aiohttp import web
from livekit.protocol import models

from media.relay.agents.dispatch_service import AgentDispatchService
from media.relay.agents.dispatcher import Dispatcher
from media.relay.agents.socket import AgentSockets
from media.relay.datachannels import from_server
from media.relay.egress_service import EgressService, message_of
from media.relay.environment import Environment
from media.relay.measures import Meter
from media.relay.metrics import DROPS, PARTICIPANTS, ROOMS
from media.relay.observers import ForListener, Observers
from media.relay.plane.api import Delivery, MediaLine
from media.relay.plane.choice import make_plane
from media.relay.quality import INTERVAL as QUALITY_INTERVAL
from media.relay.reach import Reach
from media.relay.room import Room, RoomOptions
from media.relay.room_service import RoomService
from media.relay.rooms import Rooms
from media.relay.seams import (
    Admission,
    EgressFacts,
    EgressRequests,
    EgressState,
    EgressWish,
    Grants,
    ParticipantFacts,
    RelayListener,
    RoomFacts,
    Tap,
    TapSink,
    TrackFacts,
    TrackSource,
)
from media.relay.service import SignalService
from media.relay.settings import RelaySettings
from media.relay.speakers import INTERVAL as SPEAKERS_INTERVAL
from media.relay.taps import TrackTap
from media.relay.tracks import PublishedTrack
from media.relay.transport.dtls import DtlsCertificate
from media.relay.transport.external import ExternalAddress, parse_server
from media.relay.transport.peer import PeerTransport, TransportObserver
from media.relay.transport.ports import MediaPorts, PortSettings
from media.relay.twirp import Twirp
from media.relay.webhooks.delivery import Deliveries, Destination, Nowhere
from media.relay.webhooks.events import WebhookEvents
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.tasks import Supervisor

log = structlog.get_logger("relay")

TICK = 0.05  # seconds: what the packet path asks for
# The webhook that tells of each state; the others end it.
EGRESS_EVENTS = {
    EgressState.STARTING: "egress_started",
    EgressState.ACTIVE: "egress_updated",
    EgressState.ENDING: "egress_updated",
}
LOOK_INTERVAL = 1.0  # seconds between looks at time-outs and lines


class RefuseEverybody:
    """The `Admission` of a relay that nobody has given one."""

    async def admit(self, grants: Grants) -> Grants:
        raise CallerError("no_admission", "this relay does not admit anybody yet", status=503)


class RecordNothing:
    """The `EgressRequests` of a relay without a recorder."""

    async def start(self, grants: Grants, wish: EgressWish) -> EgressFacts:
        raise CallerError("no_recorder", "this relay has no recorder", status=501)

    async def find(self, *, room: str = "", egress_id: str = "", active: bool = False) -> tuple[EgressFacts, ...]:
        return ()

    async def stop(self, egress_id: str) -> EgressFacts:
        raise CallerError("no_recorder", "this relay has no recorder", status=501)


class TellNobody:
    """The `RelayListener` of a relay that nobody listens to."""

    def room_started(self, room: RoomFacts) -> None: ...

    def participant_joined(self, room: str, participant: ParticipantFacts) -> None: ...

    def participant_left(self, room: str, participant: ParticipantFacts, reason: str) -> None: ...

    def track_published(self, room: str, identity: str, track: TrackFacts) -> None: ...

    def track_changed(self, room: str, identity: str, track: TrackFacts) -> None: ...

    def track_unpublished(self, room: str, identity: str, track: TrackFacts) -> None: ...

    def room_finished(self, room: RoomFacts) -> None: ...


class _OpenTap:
    """What `open_tap` returns: closes the tap, once."""

    def __init__(self, room: Room, track: PublishedTrack, tap: TrackTap) -> None:
        self._room, self._track, self._tap = room, track, tap

    def close(self) -> None:
        self._room.publications.close_tap(self._track, self._tap)


class Relay:
    """One per process. Implements `RelayControl`.

    Concurrency: one event loop owns everything, and nothing in Python here or below locks. Datagrams and signalling
    messages are handled where they arrive, synchronously, except that the compiled packet path moves media on a thread
    of its own (`MediaLine`); one timer of 50 ms drives everything periodic. Tasks on the supervisor: one writer per
    WebSocket, one per SCTP association, and the goodbyes of closing transports.
    `stop` tells everybody to leave and waits for nothing but the ports; the supervisor's owner waits for the tasks.

    `plug` before `mount` and `start`; `mount` may come after `start`.
    """

    def __init__(self, settings: RelaySettings, *, clock: Clock, tasks: Supervisor) -> None:
        self._settings = settings
        self._clock = clock
        self._tasks = tasks
        self._admission: Admission = RefuseEverybody()
        self._listener: RelayListener = TellNobody()
        self._egress: EgressRequests = RecordNothing()
        self.ports = MediaPorts(
            PortSettings(settings.host, settings.udp_port, settings.tcp_port, settings.advertised), clock
        )
        self._external = (
            ExternalAddress(parse_server(settings.stun), self.ports.seen_at)
            if settings.stun and not settings.advertised
            else None
        )
        self._plane = make_plane(settings.packet_path, self.ports.send)
        if settings.packet_threads and isinstance(self._plane, MediaLine):
            self.ports.use(self._plane)
        self._certificate = DtlsCertificate()
        self._environment = Environment(
            settings=settings,
            clock=clock,
            tasks=tasks,
            plane=self._plane,
            make_transport=self._make_transport,
            candidates=self.ports.candidates,
            later=lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call),
        )
        self._meter = Meter()
        self._timer: asyncio.TimerHandle | None = None
        self._due: dict[str, float] = {}
        self._delivery = self._make_delivery()
        self._webhooks = WebhookEvents(self._delivery, clock)
        self._dispatcher = Dispatcher(self._environment, self._webhooks.agent_job, self._put_out)
        self.registry = self._make_registry()

    def _make_registry(self) -> Rooms:
        return Rooms(self._environment, Observers(ForListener(self._listener), self._webhooks, self._dispatcher))

    def _make_delivery(self) -> Destination:
        webhooks, key = self._settings.webhooks, self._settings.webhook_key
        if not webhooks.urls:
            return Nowhere()
        return Deliveries(webhooks, key, self._settings.secrets[key], self._clock, self._tasks)

    def _make_transport(self, observer: TransportObserver) -> PeerTransport:
        return PeerTransport(self.ports, self._plane, self._certificate, observer, self._clock, self._tasks)

    def plug(self, *, admission: Admission, listener: RelayListener, egress: EgressRequests | None = None) -> None:
        """Who decides about joins, who is told what happens, and who records. Before `start`."""
        self._admission = admission
        self._egress = egress or self._egress
        self._listener = listener
        self.registry = self._make_registry()

    def mount(self, root: web.Application) -> None:
        """Add `/rtc…`, `/twirp…` and `/agent` to an application. `/` is left to others, who must answer it with 200."""
        SignalService(self.registry, self._admission, self._environment).add_routes(root.router)
        Reach(self._environment).add_routes(root.router)
        twirp = Twirp(self._settings, self._clock)
        twirp.serve("livekit.RoomService", RoomService(self.registry).methods())
        twirp.serve("livekit.Egress", EgressService(self._egress).methods())
        dispatches = AgentDispatchService(self.registry, self._dispatcher, self._settings.limits)
        twirp.serve("livekit.AgentDispatchService", dispatches.methods())
        twirp.add_routes(root.router)
        AgentSockets(self._dispatcher, self._environment).add_routes(root.router)

    async def start(self) -> None:
        """Open the media ports. Raises `OSError`."""
        await self.ports.start()
        if self._external is not None:
            await self._external.refresh()
            self._tasks.spawn("external address", self._external.run())
        DROPS.append(self._drops)
        self._tick()

    async def stop(self) -> None:
        """End every room and close the ports; whoever comes from now on is asked to try again."""
        self.registry.stopping = True
        for room in self.registry:
            self.registry.close(room, models.SERVER_SHUTDOWN)
        if self._timer is not None:
            self._timer.cancel()
            DROPS.remove(self._drops)
            self._timer = None
        await self._delivery.close()
        await asyncio.sleep(0)  # let the goodbyes of the transports begin while there is a socket
        await self.ports.stop()

    def _drops(self) -> Mapping[str, int]:
        return Counter(dict(self._plane.drops())) + Counter(self.ports.drops())

    # -- time

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)
        now = self._clock.monotonic()
        self._plane.tick(now)
        deliveries: dict[int, list[Delivery]] = defaultdict(list)
        for delivery in self._plane.deliveries():
            deliveries[delivery.session].append(delivery)
        for room in self.registry:
            room.tick(deliveries, now)
        if self._is_due("speakers", SPEAKERS_INTERVAL, now):
            levels = dict(self._plane.audio_levels())
            for room in self.registry:
                room.look_speakers(levels)
        if self._is_due("look", LOOK_INTERVAL, now):
            self._look(now)

    def _is_due(self, what: str, interval: float, now: float) -> bool:
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + interval
        return True

    def _look(self, now: float) -> None:
        measures = self._meter.look(self._plane.up_stats(), self._plane.down_stats(), now)
        with_quality = self._is_due("quality", QUALITY_INTERVAL, now)
        for room in self.registry:
            room.look(measures, now)
            if with_quality:
                room.look_quality(measures)
        self.registry.expire(now)
        ROOMS.set(len(self.registry))
        PARTICIPANTS.set(sum(len(room.members) for room in self.registry))

    # -- RelayControl

    def rooms(self) -> tuple[RoomFacts, ...]:
        return tuple(room.facts() for room in self.registry)

    def participants(self, room: str) -> tuple[ParticipantFacts, ...]:
        members = self.registry.get(room).members.values()
        return tuple(member.participant.facts() for member in members if member.participant.active)

    def tracks(self, room: str, identity: str) -> tuple[TrackFacts, ...]:
        tracks = self.registry.get(room).member(identity).participant.tracks.values()
        return tuple(track.facts() for track in tracks if track.announced)

    async def create_room(
        self,
        name: str,
        *,
        metadata: str = "",
        empty_timeout: float = 300.0,
        departure_timeout: float = 20.0,
        max_participants: int = 0,
    ) -> RoomFacts:
        options = RoomOptions(empty_timeout, departure_timeout, max_participants, metadata)
        return self.registry.create(name, options).facts()

    async def close_room(self, name: str) -> None:
        self.registry.close(self.registry.get(name), models.ROOM_DELETED)

    async def remove_participant(self, room: str, identity: str) -> None:
        found = self.registry.get(room)
        found.remove(found.member(identity), models.PARTICIPANT_REMOVED)

    def set_room_metadata(self, room: str, metadata: str) -> None:
        self.registry.get(room).set_metadata(metadata)

    def set_room_recording(self, room: str, active: bool) -> None:
        self.registry.get(room).set_recording(active)

    def set_attributes(self, room: str, identity: str, attributes: Mapping[str, str]) -> None:
        found = self.registry.get(room)
        participant = found.member(identity).participant
        if all(participant.attributes.get(key, "") == value for key, value in attributes.items()):
            return  # nobody is told of what is so already
        participant.update(attributes=attributes)
        found.update(participant)

    def set_permissions(
        self, room: str, identity: str, *, can_publish: bool, can_publish_sources: tuple[TrackSource, ...] = ()
    ) -> None:
        found = self.registry.get(room)
        member = found.member(identity)
        found.set_grants(
            member,
            replace(member.participant.grants, can_publish=can_publish, can_publish_sources=can_publish_sources),
        )

    def set_hearing(self, room: str, identity: str, of: frozenset[str]) -> None:
        found = self.registry.get(room)
        member = found.member(identity)
        if member.participant.hearing != of:
            member.participant.hearing = of
            found.distribution.welcome(member)

    def _put_out(self, room: str, identity: str) -> None:
        found = self.registry.find(room)
        member = found.members.get(identity) if found is not None else None
        if found is not None and member is not None:
            found.remove(member, models.PARTICIPANT_REMOVED)

    def mute_track(self, room: str, identity: str, track_sid: str) -> None:
        found = self.registry.get(room)
        member = found.member(identity)
        track = member.participant.tracks.get(track_sid)
        if track is None:
            raise CallerError("not_found", "track is not published", status=404)
        found.publications.mute(member, track)

    def add_presence(self, room: str, identity: str, name: str, attributes: Mapping[str, str]) -> None:
        found = self.registry.get(room)
        if identity in found.members:
            raise CallerError("identity_taken", "somebody is in the room under this identity", status=409)
        found.presences.put(identity, name, attributes, self._clock.wall())

    def remove_presence(self, room: str, identity: str) -> None:
        self.registry.get(room).presences.remove(identity)

    def send_data(self, room: str, payload: bytes, *, topic: str, to: tuple[str, ...] = ()) -> None:
        self.registry.get(room).send_packet(from_server(payload, topic, frozenset(to)))

    def tell_egress(self, egress: EgressFacts) -> None:
        self._webhooks.egress(EGRESS_EVENTS.get(egress.state, "egress_ended"), message_of(egress))

    def request_key_frame(self, room: str, identity: str, track_sid: str) -> None:
        found, track = self._published(room, identity, track_sid)
        found.publications.request_key_frame(track)

    def open_tap(self, room: str, identity: str, track_sid: str, sink: TapSink, *, max_layer: int = 1) -> Tap:
        found, track = self._published(room, identity, track_sid)
        return _OpenTap(found, track, found.publications.open_tap(track, sink, max_layer))

    def _published(self, room: str, identity: str, track_sid: str) -> tuple[Room, PublishedTrack]:
        """Raises `CallerError("not_found")`."""
        found = self.registry.get(room)
        track = found.member(identity).participant.tracks.get(track_sid)
        if track is None or not track.announced:
            raise CallerError("not_found", "track is not published", status=404)
        return found, track
