"""What an operator may set about meetings, calls, consent and artefacts. The defaults fit a small site.

Durations are in seconds unless the name says days.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, SecretStr, model_validator

from bridge.ringing_rules import QuietHours
from media.speech.settings import SpeechSettings

CLAIMS_TTL = 600.0  # LiveKit's own default for tokens that clients refresh: ten minutes to join, the relay renews it
AN_HOUR = 3600.0
WORKING_DAY = 10 * AN_HOUR
FOCUS_PATH = "/livekit/jwt"  # where MatrixRTC clients ask for tokens, below the public URL


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LiveKitSettings(_Section):
    """The relay as clients see it: the embedded one, or a LiveKit cluster that shares the key."""

    url: str = Field(pattern=r"^wss?://", description="Where clients connect, for instance wss://meet.example.org")
    api_key: str = Field(min_length=1)
    api_secret: SecretStr
    token_ttl: float = Field(default=CLAIMS_TTL, ge=30, le=3600)


class OpenIdServer(_Section):
    """A homeserver whose OpenID endpoint is asked at a given address instead of by federation discovery."""

    name: str = Field(min_length=1, description="The server name in user ids")
    url: AnyHttpUrl


class OpenIdSettings(_Section):
    """How Matrix OpenID tokens are verified."""

    servers: tuple[OpenIdServer, ...] = ()
    allowed: tuple[str, ...] = Field(
        default=(), description="Server names whose people may come in; empty: every server"
    )
    allow_private: bool = Field(
        default=False, description="Ask servers at loopback and private addresses: demo and tests"
    )


class ClientApi(_Section):
    """A homeserver whose client API is at a given address instead of where its well-known file says."""

    name: str = Field(min_length=1, description="The server name in user ids")
    url: AnyHttpUrl


class FocusSettings(_Section):
    """MatrixRTC: Element Call and clients like it."""

    homeserver: ClientApi | None = Field(default=None, description="The own one")
    client_apis: tuple[ClientApi, ...] = Field(
        default=(), description="Of other homeservers, where delayed events are put off and sent for their people"
    )

    uncheckable_rooms: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="Calls in rooms where nobody can tell whether somebody is a member: the bot is not there, and the "
        "homeserver is not asked or does not know (`appservice.membership`)",
    )

    homeserver_proxy: bool = Field(
        default=False,
        description="Answer clients through their homeserver, too (MSC4195, MSC4512; experimental): Synapse needs "
        "msc4512_enabled and the registration written anew",
    )
    hs_token: SecretStr | None = Field(default=None, description="With which the homeserver proves itself then")

    @property
    def given_apis(self) -> tuple[ClientApi, ...]:
        """Every one whose address the settings know."""
        return self.client_apis if self.homeserver is None else (self.homeserver, *self.client_apis)


class RingSettings(_Section):
    """What happens in a room when a call starts there; rooms choose for themselves with `!palabre ring`."""

    policy: Literal["off", "notify", "ring"] = "notify"
    group_limit: int = Field(default=20, ge=2, le=200, description="Larger rooms are notified, never rung")
    quiet_hours: str = Field(
        default="", description="`20:00-07:30`: nobody is notified or rung then; a room can have its own"
    )
    time_zone: str = Field(default="Europe/Paris", description="Of the quiet hours")

    @model_validator(mode="after")
    def _hours_and_zone_exist(self) -> Self:
        if self.quiet_hours:
            QuietHours.parse(self.quiet_hours)
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"time_zone: this system knows no {self.time_zone}") from None
        return self


class RoomPolicy(_Section):
    """Who may do what in calls, on top of being joined to the room. Levels are power levels of Matrix; a room may set
    its own, see docs/operators.md."""

    call_power: int = Field(default=0, ge=0, le=100, description="To open a call")
    capture_power: int = Field(default=0, ge=0, le=100, description="To start or stop recording and transcription")
    publish_power: int = Field(default=0, ge=0, le=100, description="To be seen and heard")
    screen_power: int = Field(default=0, ge=0, le=100, description="To share a screen as well")
    moderate_power: int = Field(default=50, ge=0, le=100, description="To mute others and remove them from the call")
    meeting_servers: tuple[str, ...] = Field(
        default=(), description="Whose people may create meetings; empty: the own server's"
    )
    external_servers: tuple[str, ...] = Field(
        default=(),
        description="Homeservers of people from outside, who are kept out of calls of rooms whose access rule "
        "(im.vector.room.access_rules) is `restricted`",
    )
    guests_in_restricted_rooms: bool = Field(
        default=False, description="Whether people without a Matrix account may come into calls of such rooms"
    )
    recheck_seconds: float = Field(
        default=10.0,
        gt=0,
        description="How often the homeserver is asked whether those in a call are still in its room, where the bot "
        "is not in the room to be told",
    )
    unchecked_seconds: float = Field(
        default=AN_HOUR,
        gt=0,
        description="How long people stay in a call, and may come back to it, while the homeserver does not answer",
    )


class RecordingSettings(_Section):
    """What recordings look like. The sizes follow what a homeserver takes: 720 lines are some 300 MB an hour."""

    height: Literal[480, 720, 1080] = 720
    frames_per_second: int = Field(default=15, ge=5, le=30)
    camera_layer: Literal[0, 1, 2] = Field(
        default=1, description="Highest simulcast layer stored of cameras: 0 q, 1 h, 2 f"
    )


class BridgeSettings(_Section):
    public_url: AnyHttpUrl = Field(description="Where people reach Palabre; links to meetings begin with it")
    livekit: LiveKitSettings
    data_directory: Path
    master_key: SecretStr = Field(description="32 random bytes in base64: what is stored on disk is sealed with it")
    language: Literal["fr", "en", "de"] = Field(
        default="fr", description="Of rooms that nobody has chosen a language for"
    )
    alias_prefix: str = Field(
        default="palabre-", description="Of the addresses of created rooms, inside the registration"
    )
    admin_rooms: tuple[str, ...] = Field(
        default=(), description="Ids of encrypted rooms whose moderators may manage homeservers by command"
    )
    command_prefix: str = Field(default="!palabre", pattern=r"^\S+$", description="As the bot obeys it, for sentences")
    room_version: Literal["11", "12"] = "11"
    session_ttl: float = Field(default=WORKING_DAY, ge=60)
    return_seconds: float = Field(
        default=60.0,
        ge=1,
        le=600,
        description="After a restart, how long calls wait for their people; LiveKit clients try for about 45 seconds",
    )
    forget_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="After a call, how long raw tracks are kept so that people can still have themselves taken out",
    )
    failed_tracks_days: float = Field(
        default=7.0, ge=0, description="How long raw tracks are kept when posting them failed"
    )
    openid: OpenIdSettings = OpenIdSettings()
    focus: FocusSettings = FocusSettings()
    policy: RoomPolicy = RoomPolicy()
    ring: RingSettings = RingSettings()
    recording: RecordingSettings = RecordingSettings()
    transcript: SpeechSettings = SpeechSettings()

    @property
    def base_url(self) -> str:
        """`public_url` without a slash at its end."""
        return str(self.public_url).rstrip("/")

    @property
    def focus_url(self) -> str:
        """`livekit_service_url` of MatrixRTC: clients compare it as a string, so there is one spelling of it."""
        return f"{self.base_url}{FOCUS_PATH}"

    @property
    def foci(self) -> frozenset[str]:
        """Every way in which members of calls name our relay: its token service, or in the form to come the relay."""
        return frozenset({self.focus_url, self.livekit.url})
