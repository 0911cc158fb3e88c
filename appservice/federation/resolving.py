"""The steps by which federation finds a server, and what each answer leads to. Pure: the look-ups are made elsewhere.

https://spec.matrix.org/v1.16/server-server-api/#resolving-server-names. `first` says what to look up for a name; what
was found goes into `after_well_known` or `after_srv`, which say what to look up next, or where the server is:

    name ─ IP address or port ──────────────────────────────────────────────→ targets
      └─ WellKnown ─ m.server with IP address or port ──────────────────────→ targets
           └─ Srv("_matrix-fed") ─ none → Srv("_matrix") ─ none → port 8448 → targets
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from appservice.federation.names import FEDERATION_PORT, ServerName, parse_server_name

SRV_SERVICE = "_matrix-fed"
OLD_SRV_SERVICE = "_matrix"  # deprecated since Matrix v1.8, and still what many servers have
TARGETS = 4  # of an SRV answer that are tried: each may take the whole time that a caller waits
# How long what a well-known file says holds, in seconds: two days at most and an hour after errors, as the
# specification asks; five minutes at least, so that `max-age=0` does not make every caller ask; an hour where it says
# nothing, rather than the recommended day, because an hour heals mistakes.
LIFETIME_DEFAULT = 3600.0
LIFETIME_MIN = 300.0
LIFETIME_MAX = 48 * 3600.0


@dataclass(frozen=True)
class Target:
    """A machine to call. `name` is what the Host header says, and its host what the certificate must be for."""

    host: str
    port: int
    name: str

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"


@dataclass(frozen=True)
class WellKnown:
    """Read `https://{host}/.well-known/matrix/server`."""

    host: str


@dataclass(frozen=True)
class Srv:
    """Look up the SRV records of `{service}._tcp.{host}`."""

    service: str
    host: str


@dataclass(frozen=True)
class SrvRecord:
    """https://www.rfc-editor.org/rfc/rfc2782"""

    priority: int
    weight: int
    port: int
    target: str


Step = WellKnown | Srv | tuple[Target, ...]


def first(name: ServerName) -> Step:
    """Steps 1 and 2: an IP address or a port says it all. Otherwise step 3 asks for a well-known file."""
    return _direct(name) if name.is_address or name.port is not None else WellKnown(name.host)


def after_well_known(asked: WellKnown, delegated: ServerName | None) -> Step:
    """Steps 3.1 to 3.3 with what the file names; step 4 without a usable one."""
    if delegated is None:
        return Srv(SRV_SERVICE, asked.host)
    if delegated.is_address or delegated.port is not None:
        return _direct(delegated)
    return Srv(SRV_SERVICE, delegated.host)


def after_srv(asked: Srv, records: Sequence[SrvRecord], choose: Callable[[], float]) -> Step:
    """Steps 3.3 to 3.5, and 4 to 6. `choose` gives numbers from 0 up to 1, for the weights.

    No targets at all means that the domain says it has no such server (a lone record with the target `.`).
    """
    if records:
        usable = [record for record in records if record.target.strip(".")]
        targets = [Target(one.target.rstrip("."), one.port, asked.host) for one in ordered(usable, choose)]
        return tuple(target for target in targets if _is_host(target))[:TARGETS]
    if asked.service == SRV_SERVICE:
        return Srv(OLD_SRV_SERVICE, asked.host)
    return (Target(asked.host, FEDERATION_PORT, asked.host),)


def delegation(document: object) -> ServerName | None:
    """`m.server` of a well-known file, if it is a server name."""
    name = document.get("m.server") if isinstance(document, dict) else None
    return parse_server_name(name) if isinstance(name, str) else None


def lifetime(headers: Mapping[str, str]) -> float:
    """How long a well-known file holds, in seconds, by its Cache-Control, or Expires against Date."""
    for directive in headers.get("Cache-Control", "").split(","):
        key, _, value = directive.strip().partition("=")
        value = value.strip('" ')
        if key.lower() == "no-store" or key.lower() == "no-cache":
            return LIFETIME_MIN
        if key.lower() == "max-age" and value.isascii() and value.isdigit() and len(value) < 12:
            return min(max(float(value), LIFETIME_MIN), LIFETIME_MAX)
    try:
        expires = parsedate_to_datetime(headers["Expires"]) - parsedate_to_datetime(headers["Date"])
    except (KeyError, ValueError, TypeError):
        return LIFETIME_DEFAULT
    return min(max(expires.total_seconds(), LIFETIME_MIN), LIFETIME_MAX)


def ordered(records: Sequence[SrvRecord], choose: Callable[[], float]) -> list[SrvRecord]:
    """Lowest priority first; among equals by chance, in proportion to their weights (RFC 2782)."""
    left = sorted(records, key=lambda record: (record.priority, record.weight))
    result: list[SrvRecord] = []
    while left:
        equals = [record for record in left if record.priority == left[0].priority]
        chosen = _by_weight(equals, choose())
        result.append(chosen)
        left.remove(chosen)
    return result


def _by_weight(records: Sequence[SrvRecord], chance: float) -> SrvRecord:
    total = sum(record.weight for record in records)
    if not total:
        return records[int(chance * len(records))]
    mark = chance * total
    for record in records:
        mark -= record.weight
        if mark < 0:
            return record
    return records[-1]


def _direct(name: ServerName) -> tuple[Target, ...]:
    """The machine at the name itself, on its own port or the federation port."""
    return (Target(name.host, name.port or FEDERATION_PORT, name.text),)


def _is_host(target: Target) -> bool:
    """An SRV record names a host, not an address, and nothing that a URL would read otherwise."""
    read = parse_server_name(target.host.replace("_", "-"))
    return read is not None and read.port is None and not read.is_address and 0 < target.port <= 65535
