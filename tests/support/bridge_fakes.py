"""In-memory stand-ins for what bridge works on: a Matrix side, a relay and their settings, for unit tests."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appservice.seams import CallLevels, FilePost, MeetingRoomSpec, RecorderAccess, RoomView, RtcMember, RtcStay, Widget
from appservice.state import unseen_room
from bridge.people import Person
from bridge.recorder_wire import Report
from bridge.settings import BridgeSettings
from media.relay.seams import EgressFacts, ParticipantFacts, RoomFacts, TapSink, TrackFacts, TrackSource
from palabre.base.errors import CallerError
from palabre.base.ids import EventId, RoomId, UserId, stable_id

SERVER = "example.org"
ALICE, BOB, EVE = UserId("@alice:example.org"), UserId("@bob:example.org"), UserId("@eve:evil.example")
ROOM = RoomId("!room:example.org")
API_SECRET = "an-api-secret-for-tests-of-sufficient-length"


def bridge_settings(folder: Path, **changes: Any) -> BridgeSettings:
    return BridgeSettings(
        **{
            "public_url": "https://meet.example.org",
            "livekit": {"url": "wss://meet.example.org", "api_key": "key", "api_secret": API_SECRET},
            "data_directory": folder,
            "master_key": "bWFzdGVyLWtleS1mb3ItdGVzdHMtb25seS0zMi1ieXQ=",
            "language": "en",
            **changes,
        }
    )


@dataclass
class FakeRoom:
    name: str = "Budget"
    encrypted: bool = True
    bot_joined: bool = True
    members: dict[UserId, str] = field(default_factory=lambda: {ALICE: "Alice", BOB: "Bob"})
    powers: dict[UserId, int] = field(default_factory=lambda: {ALICE: 100})
    bot_power: int = 100
    levels: CallLevels = field(default_factory=lambda: CallLevels({}, 100, may_mend=True))
    rtc: list[RtcMember] = field(default_factory=list)
    denied_servers: frozenset[str] = frozenset()
    access_rule: str = ""
    required_power: dict[str, int] = field(default_factory=dict)
    widgets: list[Widget] = field(default_factory=list)


class FakeRecorderPort:
    """Implements `RecorderPort`: who is a member of which calls, in the order of what happened."""

    def __init__(self) -> None:
        self.device = "RECORDER"
        self.stays: set[RtcStay] = set()
        self.log: list[str] = []
        self.refuse: CallerError | None = None
        self.signed: list[Mapping[str, Any]] = []

    async def access(self, *, renew: bool = False) -> RecorderAccess:
        self.device += "2" if renew else ""
        return RecorderAccess(
            "http://127.0.0.1:1", "token", bytes(32), FakeMatrix.user_id, self.device, "Palabre", frozenset()
        )

    async def sign(self, device_keys: Mapping[str, Any]) -> None:
        self.signed.append(device_keys)

    async def may_enter(self, room_id: RoomId) -> None:
        if self.refuse is not None:
            raise self.refuse

    async def enter(self, room_id: RoomId, focus_url: str, *, leave_after: float) -> RtcStay:
        stay = RtcStay(room_id, self.device, 0.0, f"delay{len(self.log)}")
        self.stays.add(stay)
        self.log.append("enter")
        return stay

    async def renew(self, stay: RtcStay, focus_url: str) -> None:
        self.log.append("renew")

    async def leave(self, stay: RtcStay) -> None:
        self.stays.discard(stay)
        self.log.append("leave")


class FakeMatrix:
    """Implements `MatrixPort`; what is sent twice under one key is one message."""

    user_id = UserId(f"@palabre:{SERVER}")
    server_name = SERVER
    connected = True

    def __init__(self) -> None:
        self.rooms: dict[RoomId, FakeRoom] = {ROOM: FakeRoom()}
        self.aliases: dict[str, RoomId] = {}
        self.sent: dict[str, dict[str, Any]] = {}
        self.events: dict[str, tuple[RoomId, str, dict[str, Any]]] = {}
        self.files: dict[str, bytes] = {}
        self.reactions: dict[str, tuple[EventId, str]] = {}
        self.federated: list[tuple[str, str, dict[str, Any]]] = []  # what other homeservers were asked
        self.federation_answer: tuple[int, Any] = (200, {"jwt": "theirs", "url": "wss://theirs"})
        self.refuse: dict[str, CallerError] = {}  # method name -> what it raises
        self.limit = 50_000_000
        self.asked: list[UserId] = []  # about whom the homeserver was asked, in rooms that the bot is not in
        self.taken_back: list[dict[str, Any]] = []
        self.recorder_port = FakeRecorderPort()
        self.checkable = True  # whether the homeserver tells about rooms that the bot is not in

    def texts(self) -> list[str]:
        return [message["body"] for message in self.sent.values()]

    async def view(self, room_id: RoomId, user_id: UserId) -> RoomView:
        room = self.rooms.get(room_id)
        if room is None or not room.bot_joined:
            return unseen_room(room_id, user_id)
        return RoomView(
            room_id=room_id,
            name=room.name,
            encrypted=room.encrypted,
            version="11",
            bot_joined=room.bot_joined,
            membership="join" if user_id in room.members else "leave",
            power=room.powers.get(user_id, 0),
            bot_power=room.bot_power,
            display_name=room.members.get(user_id, user_id),
            required_power=room.required_power,
            server_allowed=user_id.partition(":")[2] not in room.denied_servers,
            access_rule=room.access_rule,
        )

    async def is_joined(self, room_id: RoomId, user_id: UserId) -> bool | None:
        """A room that the bot is not in is checked through `checkable`."""
        self._may("is_joined")
        self.asked.append(user_id)
        room = self.rooms.get(room_id)
        if room is None or not (room.bot_joined or self.checkable):
            return None
        return user_id in room.members

    async def call_levels(self, room_id: RoomId) -> CallLevels:
        return self.rooms[room_id].levels

    async def mend_call_levels(self, room_id: RoomId) -> CallLevels:
        room = self.rooms[room_id]
        if room.levels.may_mend:
            room.levels = dataclasses.replace(room.levels, missing={})
        return room.levels

    @property
    def recorder(self) -> FakeRecorderPort:
        return self.recorder_port

    async def rtc_members(self, room_id: RoomId) -> tuple[RtcMember, ...]:
        return tuple(self.rooms[room_id].rtc) if room_id in self.rooms else ()

    async def federation_post(self, server_name: str, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        self._may("federation_post")
        self.federated.append((server_name, path, dict(body)))
        return self.federation_answer

    async def members(self, room_id: RoomId) -> dict[UserId, str]:
        return dict(self.rooms[room_id].members)

    async def create_meeting_room(self, spec: MeetingRoomSpec) -> RoomId:
        self._may("create_meeting_room")
        if spec.alias_localpart not in self.aliases:
            room_id = RoomId(f"!{stable_id(spec.alias_localpart)[:8]}:{SERVER}")
            self.aliases[spec.alias_localpart] = room_id
            self.rooms[room_id] = FakeRoom(name=spec.title, members={spec.asker: "Asker"})
        return self.aliases[spec.alias_localpart]

    async def put_widget(self, room_id: RoomId, widget: Widget) -> bool:
        self._may("put_widget")
        if widget in self.rooms[room_id].widgets:
            return False
        self.rooms[room_id].widgets.append(widget)
        return True

    async def send_text(
        self,
        room_id: RoomId,
        body: str,
        *,
        key: str,
        html: str = "",
        thread: EventId | None = None,
        reply_to: EventId | None = None,
        extra: dict[str, Any] | None = None,
    ) -> EventId:
        self._may("send_text")
        if not self.rooms[room_id].bot_joined:
            raise CallerError("not_in_room", "The bot is not in that room.", status=409)
        self.sent.setdefault(key, {"room": room_id, "body": body, "thread": thread, "extra": extra})
        return EventId(f"${key}")

    async def send_event(self, room_id: RoomId, event_type: str, content: dict[str, Any], *, key: str) -> EventId:
        self._may("send_event")
        self.events.setdefault(key, (room_id, event_type, content))
        return EventId(f"${key}")

    async def react(self, room_id: RoomId, event_id: EventId, emoji: str, *, key: str) -> None:
        self.reactions[key] = (event_id, emoji)

    async def send_file(self, room_id: RoomId, post: FilePost, *, key: str, thread: EventId | None = None) -> EventId:
        self._may("send_file")
        content = b"".join([chunk async for chunk in post.chunks()])
        assert len(content) == post.size
        self.files[post.name] = content
        self.sent.setdefault(key, {"room": room_id, "body": post.name, "thread": thread, "post": post})
        return EventId(f"${key}")

    async def take_back(self, room_id: RoomId, *, key: str) -> None:
        if key in self.sent:
            self.taken_back.append(self.sent.pop(key))

    async def upload_limit(self) -> int:
        return self.limit

    def _may(self, method: str) -> None:
        if method in self.refuse:
            raise self.refuse[method]


@dataclass
class FakeTap:
    sink: TapSink
    key: tuple[str, str, str]
    max_layer: int
    closed: bool = False

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.sink.closed(0.0)


def track(sid: str, source: TrackSource = TrackSource.MICROPHONE, *, encrypted: bool = False) -> TrackFacts:
    audio = source in (TrackSource.MICROPHONE, TrackSource.SCREEN_SHARE_AUDIO)
    kind, mime = ("audio", "audio/opus") if audio else ("video", "video/VP8")
    return TrackFacts(sid, kind, source, mime, False, 0, 0, encrypted)


@dataclass
class _Room:
    metadata: str = ""
    recording: bool = False
    people: dict[str, ParticipantFacts] = field(default_factory=dict)
    tracks: dict[str, dict[str, TrackFacts]] = field(default_factory=dict)
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    permissions: dict[str, tuple[bool, tuple[TrackSource, ...]]] = field(default_factory=dict)
    presences: dict[str, str] = field(default_factory=dict)  # names by identity


class FakeRelay:
    """Implements `RelayControl`, and tells `listener` what tests make happen."""

    def __init__(self) -> None:
        self.state: dict[str, _Room] = {}
        self.taps: list[FakeTap] = []
        self.removed: list[str] = []
        self.key_frames: list[tuple[str, str]] = []  # (identity, track) asked for
        self.listener: Any = None
        self.egress: list[EgressFacts] = []  # told to webhooks
        self.hearing: dict[str, frozenset[str]] = {}  # by agent

    def set_hearing(self, room: str, identity: str, of: frozenset[str]) -> None:
        self._person(room, identity)
        self.hearing[identity] = of

    def tell_egress(self, egress: EgressFacts) -> None:
        self.egress.append(egress)

    def rooms(self) -> tuple[RoomFacts, ...]:
        return tuple(RoomFacts(name, f"RM_{name}", 0.0, len(room.people)) for name, room in self.state.items())

    def participants(self, room: str) -> tuple[ParticipantFacts, ...]:
        return tuple(self._room(room).people.values())

    def tracks(self, room: str, identity: str) -> tuple[TrackFacts, ...]:
        self._person(room, identity)
        return tuple(self._room(room).tracks[identity].values())

    async def create_room(
        self,
        name: str,
        *,
        metadata: str = "",
        empty_timeout: float = 300.0,
        departure_timeout: float = 20.0,
        max_participants: int = 0,
    ) -> RoomFacts:
        if name not in self.state:
            self.state[name] = _Room(metadata)
        return RoomFacts(name, f"RM_{name}", 0.0, 0)

    async def close_room(self, name: str) -> None:
        self._room(name)
        self.finish(name)

    async def remove_participant(self, room: str, identity: str) -> None:
        self._person(room, identity)
        self.removed.append(identity)
        self.leave(room, identity)

    def set_room_metadata(self, room: str, metadata: str) -> None:
        self._room(room).metadata = metadata

    def set_room_recording(self, room: str, active: bool) -> None:
        self._room(room).recording = active

    def set_attributes(self, room: str, identity: str, attributes: Mapping[str, str]) -> None:
        self._person(room, identity)
        merged = self._room(room).attributes.setdefault(identity, {}) | dict(attributes)
        self._room(room).attributes[identity] = {key: value for key, value in merged.items() if value}

    def set_permissions(
        self, room: str, identity: str, *, can_publish: bool, can_publish_sources: tuple[TrackSource, ...] = ()
    ) -> None:
        self._person(room, identity)
        self._room(room).permissions[identity] = can_publish, can_publish_sources

    def mute_track(self, room: str, identity: str, track_sid: str) -> None:
        self._person(room, identity)
        tracks = self._room(room).tracks[identity]
        if track_sid not in tracks:
            raise CallerError("not_found", "track is not published", status=404)
        tracks[track_sid] = dataclasses.replace(tracks[track_sid], muted=True)
        self.listener.track_changed(room, identity, tracks[track_sid])

    def add_presence(self, room: str, identity: str, name: str, attributes: Mapping[str, str]) -> None:
        self._room(room).presences[identity] = name

    def remove_presence(self, room: str, identity: str) -> None:
        del self._room(room).presences[identity]

    def send_data(self, room: str, payload: bytes, *, topic: str, to: tuple[str, ...] = ()) -> None:
        self._room(room)

    def request_key_frame(self, room: str, identity: str, track_sid: str) -> None:
        self._person(room, identity)
        self.key_frames.append((identity, track_sid))

    def open_tap(self, room: str, identity: str, track_sid: str, sink: TapSink, *, max_layer: int = 1) -> FakeTap:
        self._person(room, identity)
        if track_sid not in self._room(room).tracks[identity]:
            raise CallerError("not_found", "no such track", status=404)
        tap = FakeTap(sink, (room, identity, track_sid), max_layer)
        self.taps.append(tap)
        return tap

    # What tests make happen.

    def open_taps(self) -> set[tuple[str, str]]:
        """(identity, track) of every open tap."""
        return {tap.key[1:] for tap in self.taps if not tap.closed}

    def publishing(self, room: str, identity: str) -> tuple[bool, tuple[TrackSource, ...]] | None:
        """What they may publish, once it was set."""
        return self._room(room).permissions.get(identity)

    def attributes(self, room: str, identity: str) -> dict[str, str]:
        return self._room(room).attributes.get(identity, {})

    def consents(self, room: str, identity: str) -> dict[str, str]:
        """What everybody is shown of somebody's answers."""
        shown, prefix = self.attributes(room, identity), "palabre.consent."
        return {name.removeprefix(prefix): value for name, value in shown.items() if name.startswith(prefix)}

    def join(self, room: str, identity: str, name: str = "", kind: str = "standard") -> None:
        facts = ParticipantFacts(identity, f"PA_{identity}", name or identity, kind, {}, 0.0)
        self._room(room).people[identity] = facts
        self._room(room).tracks[identity] = {}
        self.listener.participant_joined(room, facts)

    def publish(self, room: str, identity: str, facts: TrackFacts) -> None:
        self._room(room).tracks[identity][facts.sid] = facts
        self.listener.track_published(room, identity, facts)

    def unpublish(self, room: str, identity: str, sid: str) -> None:
        self.listener.track_unpublished(room, identity, self._room(room).tracks[identity].pop(sid))

    def leave(self, room: str, identity: str, reason: str = "CLIENT_INITIATED") -> None:
        facts = self._room(room).people.pop(identity)
        self._room(room).tracks.pop(identity, None)
        self.listener.participant_left(room, dataclasses.replace(facts), reason)

    def finish(self, room: str) -> None:
        for identity in list(self._room(room).people):
            self.leave(room, identity, "ROOM_DELETED")
        del self.state[room]
        self.listener.room_finished(RoomFacts(room, f"RM_{room}", 0.0, 0))

    def _room(self, name: str) -> _Room:
        if name not in self.state:
            raise CallerError("not_found", "requested room does not exist", status=404)
        return self.state[name]

    def _person(self, room: str, identity: str) -> None:
        if identity not in self._room(room).people:
            raise CallerError("not_found", "participant does not exist", status=404)


class FakeSink:
    """A `TapSink` that only remembers that it was closed."""

    def __init__(self) -> None:
        self.is_closed = False

    def layer(self, ssrc: int, rid: str, payload_type: int, mime_type: str, clock_rate: int) -> None: ...

    def rtp(self, ssrc: int, packet: bytes, arrival: float) -> None: ...

    def sender_report(self, ssrc: int, ntp: int, rtp: int, arrival: float) -> None: ...

    def muted(self, muted: bool, arrival: float) -> None: ...

    def closed(self, arrival: float) -> None:
        self.is_closed = True


@dataclass
class FakeFiles:
    """A `bridge.capture_files.CaptureFiles` in memory."""

    encrypted = False

    tracks: dict[tuple[str, str], FakeSink] = field(default_factory=dict)
    withdrawals: list[str] = field(default_factory=list)
    consents: dict[str, float] = field(default_factory=dict)  # by person
    closed: bool = False

    def track(self, person: Person, identity: str, facts: TrackFacts) -> FakeSink:
        sink = FakeSink()
        self.tracks[(identity, facts.sid)] = sink
        return sink

    def consented(self, person: str, at: float) -> None:
        self.consents[person] = at

    def withdrawn(self, person: str, identities: Sequence[str], at: float) -> None:
        self.withdrawals += identities
        del self.consents[person]

    async def close(self) -> None:
        self.closed = True


class FakeLink:
    """A `bridge.recorder_link.Link`: a process that is ready at once, and does what it is ordered."""

    def __init__(self, start: Mapping[str, Any], heard: Any, ended: Any) -> None:
        self.start = start
        self.heard = heard
        self.ended = ended
        self.orders: list[tuple[str, Mapping[str, Any]]] = []
        self.packets: list[tuple[int, bytes]] = []
        self.closed = False
        asyncio.get_running_loop().call_soon(heard, "ready", {"device_keys": {"device_id": start["device_id"]}})

    def ordered(self, do: str) -> list[Mapping[str, Any]]:
        return [fields for name, fields in self.orders if name == do]

    def order(self, do: str, fields: Mapping[str, Any]) -> None:
        self.orders.append((do, fields))
        if do == "close_capture":
            asyncio.get_running_loop().call_soon(self.heard, "closed", dict(fields))

    def rtp(self, track: int, arrival: float, packet: bytes) -> None:
        self.packets.append((track, packet))

    def report(self, report: Report) -> None: ...

    def die(self) -> None:
        """Killed."""
        self.ended(self)

    async def close(self) -> None:
        self.closed = True
