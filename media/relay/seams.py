"""What the relay declares and others implement, and the facts about rooms that it tells them.

Bridge implements `Admission`, `RelayListener` and `EgressRequests`; the recorder's journals are `TapSink`s
by their shape. Without an implementation everything is refused or ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol


class TrackSource(Enum):
    """LiveKit's `TrackSource`, spelled as in access tokens (`canPublishSources`)."""

    UNKNOWN = "unknown"
    CAMERA = "camera"
    MICROPHONE = "microphone"
    SCREEN_SHARE = "screen_share"
    SCREEN_SHARE_AUDIO = "screen_share_audio"


@dataclass(frozen=True)
class AgentWish:
    """An agent that is to come into a room."""

    agent_name: str
    metadata: str = ""


@dataclass(frozen=True)
class Grants:
    """The claims of a verified LiveKit access token.

    https://docs.livekit.io/home/get-started/authentication/ — absent `can_*` claims mean yes.
    """

    issuer: str
    identity: str
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: str = "standard"
    expires_at: float = 0.0
    room: str = ""
    room_join: bool = False
    room_create: bool = False
    room_list: bool = False
    room_admin: bool = False
    room_record: bool = False
    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = True
    can_publish_sources: tuple[TrackSource, ...] = ()  # empty: every source
    can_update_own_metadata: bool = False
    hidden: bool = False
    recorder: bool = False
    agent: bool = False
    by_consent: bool = False  # gets media and data only of those whom `RelayControl.set_hearing` names
    agents: tuple[AgentWish, ...] = ()  # to be sent into the room, should this join create it


@dataclass(frozen=True)
class RoomFacts:
    """A LiveKit room, that is one call."""

    name: str
    sid: str
    created_at: float  # seconds since the epoch
    participants: int


@dataclass(frozen=True)
class ParticipantFacts:
    """Somebody in a room, as others see them."""

    identity: str
    sid: str
    name: str
    kind: str
    attributes: Mapping[str, str]
    joined_at: float  # seconds since the epoch


@dataclass(frozen=True)
class TrackFacts:
    """A published track. `mime_type` as `audio/opus`, `video/VP8`."""

    sid: str
    kind: str  # "audio" or "video"
    source: TrackSource
    mime_type: str
    muted: bool
    width: int
    height: int
    encrypted: bool


class Admission(Protocol):
    """May this token do that, now? Asked on top of what the token itself grants."""

    async def admit(self, grants: Grants) -> Grants:
        """Return the grants to use (possibly narrowed), or raise `palabre.base.errors.CallerError`.

        Called at every join and resume, before the WebSocket is accepted.
        """
        ...


class RelayListener(Protocol):
    """Told synchronously, in order, from the event loop; must return at once (spawn what takes time)."""

    def room_started(self, room: RoomFacts) -> None: ...

    def participant_joined(self, room: str, participant: ParticipantFacts) -> None: ...

    def participant_left(self, room: str, participant: ParticipantFacts, reason: str) -> None:
        """`reason` is LiveKit's `DisconnectReason` name, for instance CLIENT_INITIATED."""
        ...

    def track_published(self, room: str, identity: str, track: TrackFacts) -> None: ...

    def track_changed(self, room: str, identity: str, track: TrackFacts) -> None: ...

    def track_unpublished(self, room: str, identity: str, track: TrackFacts) -> None: ...

    def room_finished(self, room: RoomFacts) -> None: ...


class EgressState(Enum):
    """LiveKit's `EgressStatus`, spelled as in its protocol."""

    STARTING = "EGRESS_STARTING"  # asked for; nobody has agreed yet, and nothing is recorded
    ACTIVE = "EGRESS_ACTIVE"
    ENDING = "EGRESS_ENDING"  # nothing more is recorded; the files are being made
    COMPLETE = "EGRESS_COMPLETE"
    FAILED = "EGRESS_FAILED"
    ABORTED = "EGRESS_ABORTED"  # it ended without anything of anybody

    @property
    def over(self) -> bool:
        return self in (EgressState.COMPLETE, EgressState.FAILED, EgressState.ABORTED)


@dataclass(frozen=True)
class EgressWish:
    """What is asked for: the whole room, or one track of it."""

    room: str
    request: bytes  # the request as a message, to be shown again to who lists it (media.relay.egress_service)
    track_sid: str = ""


@dataclass(frozen=True)
class EgressFile:
    """A file that came of it. `location`: where those who may have it find it."""

    name: str
    location: str
    size: int  # bytes
    duration: float  # seconds; 0 for what is no film


@dataclass(frozen=True)
class EgressFacts:
    """Times in seconds since the epoch; None: not yet."""

    id: str
    wish: EgressWish
    room_sid: str
    state: EgressState
    updated_at: float
    started_at: float | None = None  # of recording
    ended_at: float | None = None
    error: str = ""  # a sentence
    files: tuple[EgressFile, ...] = ()


class EgressRequests(Protocol):
    """Holders of an API key ask to record a room (LiveKit's Egress service). All raise `CallerError`."""

    async def start(self, grants: Grants, wish: EgressWish) -> EgressFacts:
        """Nobody is recorded before they agree; until somebody has, it is STARTING."""
        ...

    async def find(self, *, room: str = "", egress_id: str = "", active: bool = False) -> tuple[EgressFacts, ...]:
        """Those that fit all that is given, newest first."""
        ...

    async def stop(self, egress_id: str) -> EgressFacts: ...


class TapSink(Protocol):
    """Takes the packets of one published track, decrypted from SRTP, as they arrive.

    Called synchronously on the packet path: keep it to a buffer append. Retransmissions arrive as the packet they
    repeat (RTX unwrapped); order is the order of arrival, duplicates are possible.
    """

    def layer(self, ssrc: int, rid: str, payload_type: int, mime_type: str, clock_rate: int) -> None:
        """A simulcast layer (`rid` "q", "h", "f", or "" without simulcast) is first seen on `ssrc`."""
        ...

    def rtp(self, ssrc: int, packet: bytes, arrival: float) -> None:
        """One RTP packet with its header; `arrival` in monotonic seconds."""
        ...

    def sender_report(self, ssrc: int, ntp: int, rtp: int, arrival: float) -> None:
        """RTCP SR of the publisher: 64-bit NTP time against 32-bit RTP time, RFC 3550 section 6.4.1."""
        ...

    def muted(self, muted: bool, arrival: float) -> None: ...

    def closed(self, arrival: float) -> None:
        """The track ended, or the tap was closed. Nothing follows."""
        ...


class Tap(Protocol):
    """An open reader of a track."""

    def close(self) -> None: ...


class RelayControl(Protocol):
    """What bridge may do with the embedded relay. Unknown rooms and participants raise `CallerError("not_found")`."""

    def rooms(self) -> tuple[RoomFacts, ...]: ...

    def participants(self, room: str) -> tuple[ParticipantFacts, ...]: ...

    def tracks(self, room: str, identity: str) -> tuple[TrackFacts, ...]: ...

    async def create_room(
        self,
        name: str,
        *,
        metadata: str = "",
        empty_timeout: float = 300.0,
        departure_timeout: float = 20.0,
        max_participants: int = 0,
    ) -> RoomFacts:
        """Create, or return what exists. Time-outs in seconds: nobody came; the last one left."""
        ...

    async def close_room(self, name: str) -> None:
        """Everybody is told ROOM_DELETED."""
        ...

    async def remove_participant(self, room: str, identity: str) -> None:
        """They are told PARTICIPANT_REMOVED; their token may still be valid, `Admission` must refuse it."""
        ...

    def set_room_metadata(self, room: str, metadata: str) -> None: ...

    def set_room_recording(self, room: str, active: bool) -> None:
        """`Room.active_recording`: what LiveKit clients show as being recorded."""
        ...

    def set_attributes(self, room: str, identity: str, attributes: Mapping[str, str]) -> None:
        """Merge server-side attributes; an empty value removes the key."""
        ...

    def set_permissions(
        self, room: str, identity: str, *, can_publish: bool, can_publish_sources: tuple[TrackSource, ...] = ()
    ) -> None:
        """Replace what somebody may publish; no sources named: all of them. What they may no longer publish ends at
        once, for everybody and whatever their client goes on sending; the client is told and may publish the rest."""
        ...

    def set_hearing(self, room: str, identity: str, of: frozenset[str]) -> None:
        """Whose media and data a participant gets that was admitted `by_consent`; what it may no longer have ends at
        once. Nobody's until this is called."""
        ...

    def mute_track(self, room: str, identity: str, track_sid: str) -> None:
        """Mute somebody's track: the relay forwards nothing of it until its owner unmutes, as LiveKit has it.

        Nobody else can unmute it: a microphone is opened by its owner alone.
        """
        ...

    def add_presence(self, room: str, identity: str, name: str, attributes: Mapping[str, str]) -> None:
        """Show a participant without a connection: the service itself, while it does something in the room.

        Everybody sees it; it counts as nobody (`participants`, `RoomFacts`) and no room stays open for it. Again with
        the same identity it is shown with the new name and attributes.
        """
        ...

    def remove_presence(self, room: str, identity: str) -> None: ...

    def send_data(self, room: str, payload: bytes, *, topic: str, to: tuple[str, ...] = ()) -> None:
        """A reliable user data packet from the server; `to` limits it to identities."""
        ...

    def tell_egress(self, egress: EgressFacts) -> None:
        """It changed: webhooks are told."""
        ...

    def request_key_frame(self, room: str, identity: str, track_sid: str) -> None:
        """Whoever reads the track can't go on before the next key frame: ask for it, as often as publishers bear it."""
        ...

    def open_tap(self, room: str, identity: str, track_sid: str, sink: TapSink, *, max_layer: int = 1) -> Tap:
        """Read a track. `max_layer`: highest simulcast layer wanted (0 q, 1 h, 2 f).

        Only `bridge.consent` may call this: it holds the stored consent of that very person.
        """
        ...
