"""What an operator may set about other homeservers. Durations are in seconds."""

from __future__ import annotations

from typing import Literal

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field


class KnownServer(BaseModel):
    """A homeserver whose address the settings give."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="The server name in user ids")
    url: AnyHttpUrl


class HomeserverSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    own: str = Field(min_length=1, description="The name of the homeserver that Palabre belongs to")
    default: Literal["open", "join", "refuse"] = Field(
        default="open",
        description="What people of servers may do that nobody decided about: open calls here, join them, or neither",
    )
    closed: bool = Field(
        default=False, description="Only servers that an admin added may come in, and no other is looked up or called"
    )
    contact: str = Field(
        default="", max_length=200, description="Whom people of a refused server are to ask; for the refusal"
    )
    servers: tuple[KnownServer, ...] = Field(default=(), description="Addresses that need not be looked up")
    allowed: tuple[str, ...] = Field(default=(), description="Server names that may come in; empty: as `default` says")
    allow_private: bool = Field(default=False, description="Call servers at loopback and private addresses")
    ports: tuple[int, ...] = Field(
        default=(), description="Ports that servers are called on, beside 80, 443 and 8448 on public addresses"
    )
    nameservers: tuple[str, ...] = Field(
        default=(), description="IP addresses of name servers for these look-ups; empty: those of the machine"
    )
    check_interval: float = Field(default=900.0, ge=30, description="How often each known server is looked at")
