"""What is known of a homeserver, and what follows from it for its people. Pure.

An admin decides a *level* for a server: its people may `open` calls on our relay, only `join` them, or are `refuse`d.
Where nobody decided, the settings do. The own server's people may always open calls.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from appservice.federation.names import ServerName, parse_server_name


class Level(StrEnum):
    """What the people of a server may do on our relay."""

    OPEN = "open"
    JOIN = "join"
    REFUSE = "refuse"


class State(StrEnum):
    """What a server is to us."""

    OWN = "own"
    FEDERATED = "federated"
    REFUSED = "refused"


@dataclass(frozen=True)
class Pin:
    """What an admin says of where a server is and how it proves itself; empty: as federation finds it."""

    address: str = ""  # https://…, of its federation API
    fingerprint: str = ""  # SHA-256 of its certificate, 64 hexadecimal digits
    authority: str = ""  # certificate of the authority that signs its certificate, PEM
    signing_key: str = ""  # "ed25519:ID BASE64", as published under /_matrix/key/v2/server


UNPINNED = Pin()


@dataclass(frozen=True)
class Record:
    """A row of `matrix_homeserver`. Times are seconds since the epoch."""

    name: str  # in small letters
    own: bool = False
    level: Level | None = None  # None: nobody decided
    listed: bool = False  # an admin added or allowed it: what a closed federation asks for
    note: str = ""
    pin: Pin = UNPINNED
    first_seen: float = 0.0
    last_seen: float | None = None  # somebody of it came or wrote
    checked_at: float | None = None
    failing_since: float | None = None
    observed: dict[str, Any] = field(default_factory=dict)  # what the last check saw: appservice.federation.survey
    revision: int = 0


@dataclass(frozen=True)
class Rules:
    """What the settings say about everybody."""

    own: str
    default: Level = Level.OPEN
    closed: bool = False
    allowed: Collection[str] = ()


def level_of(name: ServerName, record: Record | None, host_record: Record | None, rules: Rules) -> Level:
    """What people of that server may do. `host_record` is the record of its host where `name` has a port.

    A host that is refused is refused on every port: it could call itself so to get in.
    """
    if name.key == rules.own.lower() or (record is not None and record.own):
        return Level.OPEN
    if record is not None and record.level is not None:
        return record.level
    if host_record is not None and host_record.level is Level.REFUSE:
        return Level.REFUSE
    if rules.closed and (record is None or not record.listed):
        return Level.REFUSE
    if rules.allowed and name.key not in {allowed.lower() for allowed in rules.allowed}:
        return Level.REFUSE
    return rules.default


def state_of(record: Record, level: Level, rules: Rules) -> State:
    if record.own or record.name == rules.own.lower():
        return State.OWN
    return State.REFUSED if level is Level.REFUSE else State.FEDERATED


def without_port(name: ServerName) -> ServerName | None:
    """The same host as a server name of its own; None where there is no port."""
    return parse_server_name(name.host) if name.port is not None else None
