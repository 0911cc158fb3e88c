"""What the Matrix side declares: the commands it hands up, and what bridge may ask of the bot.

Everything sent carries a `key`: the same key gives the same Matrix transaction id, so that a retry after a crash is
the same message and not a second one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Protocol

from palabre.base.ids import EventId, RoomId, UserId

CONSENT = "org.palabre.consent"  # the event by which a Matrix client answers: docs/recording-and-consent.md


class DeviceTrust(Enum):
    """What the owner of a device says of it by cross-signing."""

    SIGNED = "signed"
    UNSIGNED = "unsigned"  # the owner signs devices, and has not signed this one
    NO_IDENTITY = "no_identity"  # the owner has never set up cross-signing


@dataclass(frozen=True)
class SendingDevice:
    """The device that encrypted an event: proven by its keys to be the sender's, whatever the event claims."""

    device_id: str
    fingerprint: str  # its Ed25519 key, as clients show it
    trust: DeviceTrust
    enough: bool  # for what binds its owner: the setting `require_signed_devices`


@dataclass(frozen=True)
class Command:
    """`!palabre NAME …` as somebody wrote it, decrypted, from a member of the room."""

    name: str  # one of the catalogue in appservice.commands
    arguments: tuple[str, ...]  # words, quotes taken off: !palabre meeting "Budget 2027" @bob:example.org
    sender: UserId
    room_id: RoomId
    event_id: EventId
    thread: EventId | None  # root of the thread in which it was written
    language: str  # fr, de or en
    sent_at: float  # seconds since the epoch, as the sender's homeserver claims; it may have come much later
    device: SendingDevice | None = None  # None: written in the clear, in a room without encryption


@dataclass(frozen=True)
class ConsentEvent:
    """`org.palabre.consent` of a member of the room. `content` is as they wrote it: nothing in it is checked."""

    sender: UserId
    room_id: RoomId
    event_id: EventId
    content: Mapping[str, Any]
    sent_at: float  # as in `Command`
    device: SendingDevice | None


@dataclass(frozen=True)
class MembershipChange:
    """A member event of a room the bot is in."""

    room_id: RoomId
    user_id: UserId
    membership: str  # join, leave, ban, invite, knock
    previous: str


@dataclass(frozen=True)
class RingSignal:
    """A member's client announced a call to the room (`org.matrix.msc4075.rtc.notification`), or declined one."""

    sender: UserId
    room_id: RoomId
    event_id: EventId
    rings: bool  # rather than only show that a call has begun
    declined: EventId | None  # the notification that is declined
    sent_at: float  # as in `Command`


class Change(StrEnum):
    """What of a room has changed."""

    POWER = "power"  # m.room.power_levels: anybody's
    ACL = "acl"  # m.room.server_acl: which servers may take part
    ACCESS_RULE = "access_rule"  # im.vector.room.access_rules
    RTC = "rtc"  # who announces to be in a call: `MatrixPort.rtc_members`


@dataclass(frozen=True)
class RoomChange:
    """What decides who may be in a room's call, or do what there, is no longer what it was."""

    room_id: RoomId
    what: Change
    user_id: UserId | None = None  # whom it is about; None: anybody


class CommandHandler(Protocol):
    """Implemented by bridge. May be called again for the same command after a crash: must be idempotent by event id."""

    async def handle(self, command: Command) -> None:
        """Do it and answer. A `CallerError` becomes one clear sentence in the room."""
        ...

    async def consent(self, event: ConsentEvent) -> None:
        """Store the answers. A `CallerError` becomes one clear sentence for its sender."""
        ...

    async def ring_signal(self, signal: RingSignal) -> None: ...

    async def membership_changed(self, change: MembershipChange) -> None: ...

    async def room_changed(self, change: RoomChange) -> None:
        """The port shows the change already. Others wait for it: start what takes long elsewhere."""
        ...


@dataclass(frozen=True)
class MeetingRoomSpec:
    """A room to be created for a meeting. The alias makes a retry adopt what exists."""

    alias_localpart: str  # inside the registration's exclusive namespace
    title: str
    asker: UserId  # gets power 100, or is an additional creator in room version 12
    invite: tuple[UserId, ...]
    room_version: str  # "11" or "12"


@dataclass(frozen=True)
class CallLevels:
    """Whether everybody who may write in a room may take part in calls from their Matrix client."""

    missing: dict[str, int]  # event types whose power level keeps people out, and the level that would not
    needed: int  # power to change that
    may_mend: bool  # the bot has it


@dataclass(frozen=True)
class RtcMember:
    """A device that announces to be in a call of the room: what its user claims, not what the relay sees.

    Participants of the relay that match nobody here may be clients that look around: Element Call connects under a
    hashed identity before it decides how to join. They are not people.
    """

    user_id: UserId  # the event's sender, whatever its state key says
    device_id: str  # as claimed; empty where the event names none
    member_id: str  # as clients address media keys; of older clients it may differ from what their keys name
    identity: str  # on the relay: user:device, or a hash
    slot_id: str  # m.call#ROOM: the room's call
    foci: tuple[str, ...]  # service URLs of relays, the preferred one first
    oldest_focus: bool  # publishes on the oldest member's relay instead: see appservice.rtc.members.publishing_focus
    created_at: float  # seconds since the epoch; who is oldest began the call
    expires_at: float
    event_id: EventId
    state_key: str  # or the sticky key
    sticky: bool
    event_type: str = "org.matrix.msc3401.call.member"


class RelayView(Protocol):
    """What the bot may know of the relay. Implemented by bridge."""

    @property
    def focus_urls(self) -> frozenset[str]:
        """Service URLs under which members name our relay."""
        ...

    async def present(self, room_id: RoomId) -> frozenset[str] | None:
        """Identities connected to the room's call there; None while that is not known."""
        ...


@dataclass(frozen=True)
class Widget:
    """A call widget for the room. `url` may hold the widget API's $-variables."""

    widget_id: str
    name: str
    url: str
    data: dict[str, Any]


@dataclass(frozen=True)
class RoomView:
    """What the bot sees of a room and of one of its users."""

    room_id: RoomId
    name: str
    encrypted: bool
    version: str
    bot_joined: bool
    membership: str  # of the user asked about
    power: int  # of that user; creators of room version 12 have 2**53
    bot_power: int
    display_name: str  # of that user, falls back to the user id
    required_power: dict[str, int]  # event type -> power to send it as state
    server_allowed: bool = True  # whether m.room.server_acl lets that user's server take part
    access_rule: str = ""  # of Tchap's rooms (im.vector.room.access_rules): restricted, unrestricted, direct


@dataclass(frozen=True)
class FilePost:
    """A file for the room, streamed: encrypted as it goes up, never whole in memory."""

    name: str
    mime_type: str
    size: int  # bytes
    chunks: Callable[[], AsyncIterator[bytes]]  # a new pass over the content; pieces of about 1 MiB
    msgtype: str = "m.file"  # or m.video
    width: int = 0
    height: int = 0
    duration: float = 0.0  # seconds
    thumbnail: bytes = b""  # JPEG
    thumbnail_size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class RecorderAccess:
    """What the recorder's process needs to be the recorder's device. Crosses a pipe; never stored or logged."""

    homeserver_url: str
    token: str = field(repr=False)
    secret: bytes = field(repr=False)  # 32: what the device is sealed with where it is stored
    user_id: UserId
    device_id: str
    device_name: str
    trusted: frozenset[DeviceTrust]  # devices whose keys are used


@dataclass(frozen=True)
class RtcStay:
    """The recorder as a member of a call that MatrixRTC clients see in a room."""

    room_id: RoomId
    device_id: str
    entered_at: float  # seconds since the epoch
    delay_id: str  # of the leave that happens by itself unless it is put off; empty: the homeserver has no such thing


class RecorderPort(Protocol):
    """A second device of the bot's user and its membership of calls. Raises `CallerError` as `MatrixPort` does."""

    async def access(self, *, renew: bool = False) -> RecorderAccess:
        """The device to be; with `renew` another one, for the homeserver knows that one with other keys."""
        ...

    async def sign(self, device_keys: Mapping[str, Any]) -> None:
        """Cross-sign the device as it describes itself."""
        ...

    async def may_enter(self, room_id: RoomId) -> None:
        """Raises `CallerError` where the bot is not in the room or lacks the power to be a member of its calls."""
        ...

    async def enter(self, room_id: RoomId, focus_url: str, *, leave_after: float) -> RtcStay:
        """Be a member of the room's call; `leave_after` seconds without being put off, the leave happens."""
        ...

    async def renew(self, stay: RtcStay, focus_url: str) -> None:
        """Stay a member beyond what `enter` said."""
        ...

    async def leave(self, stay: RtcStay) -> None:
        """Withdraw the member event. Again does nothing."""
        ...


class MatrixPort(Protocol):
    """The bot, as bridge sees it. Raises `CallerError` for what the homeserver refuses for good, retries the rest."""

    @property
    def recorder(self) -> RecorderPort: ...

    @property
    def user_id(self) -> UserId: ...

    @property
    def server_name(self) -> str: ...

    @property
    def connected(self) -> bool:
        """Whether the homeserver answers the bot: what `view` shows of rooms that it is in is as old as that."""
        ...

    async def view(self, room_id: RoomId, user_id: UserId) -> RoomView:
        """Fresh from the homeserver or from the bot's own state of the room."""
        ...

    async def is_joined(self, room_id: RoomId, user_id: UserId) -> bool | None:
        """Whether the user is in the room now, also of rooms that the bot is not in, where the homeserver is asked.

        None: nobody whom we can ask knows (the setting `membership`). Raises `CallerError("homeserver_away")` when the
        homeserver did not answer in time, which says nothing about the user.
        """
        ...

    async def federation_post(self, server_name: str, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Ask another homeserver in the own one's name (MSC4512): the status and content of its answer.

        Raises `CallerError`.
        """
        ...

    async def members(self, room_id: RoomId) -> dict[UserId, str]:
        """Joined users and their display names."""
        ...

    async def rtc_members(self, room_id: RoomId) -> tuple[RtcMember, ...]:
        """Who announces to be in a call there, the oldest first; nobody in rooms that the bot is not in."""
        ...

    async def call_levels(self, room_id: RoomId) -> CallLevels: ...

    async def mend_call_levels(self, room_id: RoomId) -> CallLevels:
        """Write the missing ones if the bot may; what is missing afterwards. Raises `CallerError`."""
        ...

    async def create_meeting_room(self, spec: MeetingRoomSpec) -> RoomId:
        """Encrypted, or adopt the one that has the alias. Members may send call memberships."""
        ...

    async def put_widget(self, room_id: RoomId, widget: Widget) -> bool:
        """Write the widget (`im.vector.modular.widgets`) and pin it to the top (`io.element.widgets.layout`).

        Returns whether anything had to be written; raises `CallerError("missing_power", needed=…, event=…)`.
        """
        ...

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
        """An `m.notice`, encrypted in encrypted rooms (or not sent at all). `extra` is merged into the content."""
        ...

    async def send_event(self, room_id: RoomId, event_type: str, content: dict[str, Any], *, key: str) -> EventId:
        """Any message event, encrypted in encrypted rooms."""
        ...

    async def react(self, room_id: RoomId, event_id: EventId, emoji: str, *, key: str) -> None: ...

    async def send_file(self, room_id: RoomId, post: FilePost, *, key: str, thread: EventId | None = None) -> EventId:
        """Raises `CallerError("file_too_large", limit=…)` above the homeserver's upload limit."""
        ...

    async def take_back(self, room_id: RoomId, *, key: str) -> None:
        """Redact what was sent under this key, if anything was."""
        ...

    async def upload_limit(self) -> int:
        """Bytes; what the homeserver says of `m.upload.size`."""
        ...
