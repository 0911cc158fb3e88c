"""The relay's settings: ports, keys, time-outs and limits. Every limit says why it is what it is."""

from __future__ import annotations

from enum import Enum
from typing import Any, Self

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from media.relay.transport.external import parse_server


class PacketPath(Enum):
    """Which of the two packet paths serves; they say the same."""

    AUTO = "auto"  # the compiled one where it was built, else Python's with a warning
    COMPILED = "compiled"
    PYTHON = "python"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Turn(_Section):
    """A coturn that shares a secret with us; clients get credentials that end (coturn's `use-auth-secret`)."""

    urls: tuple[str, ...] = Field(description="turn:turn.example.org:3478?transport=udp, turns:…")
    secret: SecretStr = Field(description="coturn's static-auth-secret")
    lifetime: float = Field(default=6 * 3600.0, gt=0, le=86400, description="Seconds; must outlast a call's resumes")
    force: bool = Field(default=False, description="Clients use no other path than TURN")

    @field_validator("urls")
    @classmethod
    def _known_schemes(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not url.startswith(("turn:", "turns:", "stun:")):
                raise ValueError(f"{url} is not a turn:, turns: or stun: URL")
        return urls


class Webhooks(_Section):
    """Who is told by HTTP what happens in rooms: docs/server-api.md."""

    urls: tuple[AnyHttpUrl, ...] = Field(default=(), max_length=8, description="Every one is told everything")
    api_key: str = Field(default="", description="Which of the API keys signs; needed where there are several")
    queue: int = Field(default=200, ge=1, description="Events of one room that wait for one address; LiveKit's depth")
    most_waiting: int = Field(default=10_000, ge=1, description="The same of all rooms; an event has about 1 kB")
    longest: float = Field(default=300.0, gt=0, description="Seconds that an event is tried: a receiver's restart")


class Agents(_Section):
    """Programs that register as agent workers with an API key."""

    automatic: bool = Field(
        default=False, description="Workers without an agent name are sent into every room, as LiveKit does"
    )


class Rooms(_Section):
    """What a room is like unless whoever creates it says otherwise."""

    auto_create: bool = Field(default=True, description="A join creates the room; false: CreateRoom must come first")
    empty_timeout: float = Field(default=300.0, ge=0, description="Seconds until a room nobody came to ends")
    departure_timeout: float = Field(default=20.0, ge=0, description="Seconds from the last leaving to the end")
    max_participants: int = Field(default=0, ge=0, description="0: no limit")


class Timeouts(_Section):
    """Seconds."""

    ping_interval: int = Field(default=5, gt=0, description="How often clients ping; LiveKit's value")
    ping_timeout: int = Field(default=15, gt=0, description="Without an answer clients resume; LiveKit's value")
    join: float = Field(default=30.0, gt=0, description="From join to media; slow phones with TURN over TLS need 10")
    grace: float = Field(default=15.0, ge=0, description="A lost WebSocket may be resumed for that long")
    token_refresh: float = Field(default=300.0, gt=0, description="Clients get a fresh token that often")
    token_lifetime: float = Field(default=600.0, gt=0, description="How long a refreshed token is good for a resume")
    dynacast_pause: float = Field(default=5.0, ge=0, description="Until a layer that nobody watches is switched off")


class Limits(_Section):
    """What one client may make us hold or do."""

    signal_message: int = Field(default=2 * 1024 * 1024, ge=1024, description="Bytes; LiveKit's limit")
    signal_queue: int = Field(default=1024, ge=16, description="Messages that wait for a slow reader, then it is cut")
    signal_queue_bytes: int = Field(default=4 * 1024 * 1024, ge=4096, description="The same in bytes")
    rooms: int = Field(default=10_000, ge=1, description="An empty one has 5 kB; no machine has as many calls")
    tracks: int = Field(default=32, ge=1, description="Per publisher: camera, microphone, screens, and room to spare")
    data_tracks: int = Field(default=64, ge=0, description="Per publisher")
    metadata: int = Field(default=64_000, ge=0, description="Bytes of participant or room metadata; LiveKit's limit")
    attributes: int = Field(default=64_000, ge=0, description="Bytes of all attributes of a participant; LiveKit's")
    name: int = Field(default=256, ge=1, description="Characters of a display name; LiveKit's limit")
    data_packet: int = Field(default=64 * 1024, ge=1024, description="Bytes; SDKs cut streams into 15 kB chunks")
    data_backlog: int = Field(default=8 * 1024 * 1024, ge=65536, description="Bytes that wait for one slow receiver")


class RelaySettings(_Section):
    """Everything the relay is told. 0 as a port is any free one."""

    host: str = "0.0.0.0"  # noqa: S104 - media come from anywhere
    udp_port: int = Field(default=7882, ge=0, le=65535)
    tcp_port: int = Field(default=7881, ge=0, le=65535)
    advertised: tuple[str, ...] = Field(default=(), description="IP addresses clients are told, if not `host`")
    stun: str = Field(default="", description="host:port of a STUN server that says how the world sees this machine")
    api_keys: dict[str, SecretStr] = Field(min_length=1, description="Name of a key and its secret")
    packet_path: PacketPath = Field(default=PacketPath.AUTO, description="auto, compiled or python: see performance.md")
    packet_threads: int = Field(default=1, ge=0, le=1, description="Of the compiled path; 0: packets wait for the loop")
    turn: Turn | None = None
    webhooks: Webhooks = Webhooks()
    agents: Agents = Agents()
    rooms: Rooms = Rooms()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()

    @field_validator("stun")
    @classmethod
    def _server(cls, stun: str) -> str:
        if stun:
            parse_server(stun)
        return stun

    @model_validator(mode="before")
    @classmethod
    def _no_empty_secret(cls, given: Any) -> Any:
        keys = given.get("api_keys", {}) if isinstance(given, dict) else {}
        for name, secret in keys.items() if isinstance(keys, dict) else ():
            text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
            if not name or not text:
                raise ValueError("api_keys: neither a key's name nor its secret may be empty")
        return given

    @model_validator(mode="after")
    def _webhooks_are_signed(self) -> Self:
        if self.webhooks.urls and self.webhook_key not in self.api_keys:
            raise ValueError("webhooks.api_key must name one of api_keys")
        return self

    @property
    def webhook_key(self) -> str:
        """Name of the API key that signs webhooks."""
        return self.webhooks.api_key or (next(iter(self.api_keys)) if len(self.api_keys) == 1 else "")

    @property
    def secrets(self) -> dict[str, str]:
        """The keys in clear, for verifying and signing only."""
        return {name: secret.get_secret_value() for name, secret in self.api_keys.items()}
