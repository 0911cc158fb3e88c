"""What admins do with homeservers, from the command line and from an admin room: list, add, allow, deny, check."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from appservice.federation.homeservers import Homeservers, tls_of
from appservice.federation.names import parse_server_name, server_of
from appservice.federation.records import UNPINNED, Level, Pin, Record, State, state_of
from appservice.federation.survey import Survey
from appservice.federation.watching import HomeserverWatch
from palabre.base.clock import Clock
from palabre.base.database import Database
from palabre.base.errors import CallerError

RECENT = 30 * 86_400.0  # seconds: calls and people are counted over a month
LIST_LIMIT = 10_000  # servers of a list that is imported
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_SIGNING_KEY = re.compile(r"ed25519:[A-Za-z0-9_]+ [A-Za-z0-9+/]{43}=?")
_ENTRY_KEYS = frozenset({"name", "may", "own", "note", "address", "fingerprint", "authority", "signing_key"})


@dataclass(frozen=True)
class Traffic:
    """Of one server's people, over `RECENT`."""

    people: int = 0
    calls: int = 0
    present: int = 0  # in a call now


@dataclass(frozen=True)
class Row:
    """One homeserver as it is listed."""

    record: Record
    level: Level
    state: State
    traffic: Traffic

    def document(self) -> dict[str, Any]:
        """For programs."""
        record = self.record
        return {
            "name": record.name,
            "state": self.state.value,
            "may": self.level.value,
            "decided": record.level is not None,
            "listed": record.listed,
            "note": record.note,
            "address": record.pin.address,
            "fingerprint": record.pin.fingerprint,
            "authority": bool(record.pin.authority),
            "signing_key": record.pin.signing_key,
            "first_seen": record.first_seen,
            "last_seen": record.last_seen,
            "checked_at": record.checked_at,
            "failing_since": record.failing_since,
            "people": self.traffic.people,
            "calls": self.traffic.calls,
            "in_calls_now": self.traffic.present,
            "observed": record.observed,
        }


@dataclass(frozen=True)
class Entry:
    """A homeserver of a list that is imported."""

    name: str
    level: Level | None = None
    own: bool = False
    note: str = ""
    pin: Pin = UNPINNED


class HomeserverAdmin:
    """On a database that the service may be using at the same time."""

    def __init__(self, homeservers: Homeservers, watch: HomeserverWatch, calls: Database, clock: Clock) -> None:
        self._homeservers = homeservers
        self._watch = watch
        self._calls = calls
        self._clock = clock

    async def rows(self) -> list[Row]:
        traffic = await self._traffic()
        return [
            Row(record, level, state_of(record, level, self._homeservers.rules), traffic.get(record.name, Traffic()))
            for record, level in await self._homeservers.known()
        ]

    async def row(self, server_name: str) -> Row:
        """Raises `CallerError("homeserver_unknown")`."""
        name = _key(server_name)
        for row in await self.rows():
            if row.record.name == name:
                return row
        raise CallerError("homeserver_unknown", f"{server_name} is not known here.", status=404, server=server_name)

    async def add(self, entry: Entry) -> Row:
        """Put a server on the list, or change what the list says about it. Raises `CallerError`."""
        name = _key(entry.name)
        self._require_not_own(name, entry.level)
        await self._homeservers.store.decide(
            name, entry.level, listed=entry.level is not Level.REFUSE, own=entry.own or None, note=entry.note
        )
        if entry.pin != UNPINNED:
            await self._homeservers.store.pin(name, entry.pin)
        return await self.row(name)

    async def allow(self, server_name: str, level: Level) -> Row:
        """Raises `CallerError`."""
        name = _key(server_name)
        await self._homeservers.store.decide(name, level, listed=True)
        return await self.row(name)

    async def deny(self, server_name: str, note: str = "") -> Row:
        """Its people leave the calls they are in. Raises `CallerError`."""
        name = _key(server_name)
        self._require_not_own(name, Level.REFUSE)
        await self._homeservers.store.decide(name, Level.REFUSE, listed=False, note=note or None)
        return await self.row(name)

    async def check(self, server_name: str) -> Survey:
        """Look at it now. Raises `CallerError`."""
        return await self._watch.look(_key(server_name), afresh=True)

    def _require_not_own(self, name: str, level: Level | None) -> None:
        if name == self._homeservers.rules.own.lower() and level in (Level.REFUSE, Level.JOIN):
            raise CallerError("homeserver_own", f"{name} is your own homeserver.", status=409, server=name)

    async def _traffic(self) -> Mapping[str, Traffic]:
        rows = await self._calls.fetch(
            """SELECT person, call, MIN(CASE WHEN left_at IS NULL THEN 0 ELSE 1 END) AS gone
               FROM bridge_participant WHERE joined_at > $1 GROUP BY person, call""",
            self._clock.wall() - RECENT,
        )
        people: dict[str, set[str]] = {}
        calls: dict[str, set[str]] = {}
        present: dict[str, set[str]] = {}
        for row in rows:
            if not row["person"].startswith("@"):
                continue
            server = server_of(row["person"]).lower()
            people.setdefault(server, set()).add(row["person"])
            calls.setdefault(server, set()).add(row["call"])
            if not row["gone"]:
                present.setdefault(server, set()).add(row["person"])
        return {
            server: Traffic(len(them), len(calls[server]), len(present.get(server, ())))
            for server, them in people.items()
        }


def read_list(text: str) -> Sequence[Entry]:
    """A YAML list of homeservers: names alone, or mappings. Raises `CallerError("homeserver_list")` with the line."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _bad_list(str(error).replace("\n", " ")) from error
    if isinstance(document, dict):
        document = document.get("homeservers")
    if not isinstance(document, list) or len(document) > LIST_LIMIT:
        raise _bad_list("it must hold a list of homeservers")
    return [_entry(each, number) for number, each in enumerate(document, 1)]


def _entry(source: object, number: int) -> Entry:
    if isinstance(source, str):
        source = {"name": source}
    if not isinstance(source, dict) or not isinstance(source.get("name"), str):
        raise _bad_list(f"entry {number} has no name")
    where = f"entry {number} ({source['name'][:100]})"
    if stray := sorted(str(key) for key in source.keys() - _ENTRY_KEYS):
        raise _bad_list(f"{where} has {', '.join(stray)}, which means nothing here")
    try:
        level = Level(source["may"]) if "may" in source else None
    except ValueError as error:
        raise _bad_list(f"{where}: may is open, join or refuse") from error
    texts = {key: str(source.get(key, "")) for key in ("note", "address", "fingerprint", "authority", "signing_key")}
    try:
        pin = read_pin(texts["address"], texts["fingerprint"], texts["authority"], texts["signing_key"])
        _key(source["name"])
    except CallerError as error:
        raise _bad_list(f"{where}: {error.sentence}") from error
    return Entry(source["name"], level, source.get("own") is True, texts["note"], pin)


def read_pin(address: str = "", fingerprint: str = "", authority: str = "", signing_key: str = "") -> Pin:
    """What an admin gave of where a server is. Raises `CallerError("homeserver_pin")`."""
    if address and not re.fullmatch(r"https?://[^/?#\s@]+/?", address):
        raise _bad_pin("an address is https://host or https://host:port")
    if (fingerprint or authority) and not address.startswith("https://"):
        raise _bad_pin("a certificate needs an address that begins with https://")
    plain = fingerprint.lower().replace(":", "").removeprefix("sha256").strip()
    if plain and not _FINGERPRINT.fullmatch(plain):
        raise _bad_pin("a fingerprint is the SHA-256 of the certificate, 64 hexadecimal digits")
    if signing_key and not _SIGNING_KEY.fullmatch(signing_key):
        raise _bad_pin("a signing key is written ed25519:ID KEY, as the server publishes it")
    pin = Pin(address.rstrip("/"), plain, authority, signing_key)
    try:
        tls_of(pin)
    except (ValueError, OSError) as error:
        raise _bad_pin("the authority is no certificate in PEM") from error
    return pin


def _key(server_name: str) -> str:
    name = parse_server_name(server_name)
    if name is None:
        raise CallerError("homeserver_name", f"“{server_name[:100]}” is no server name.", server=server_name[:100])
    return name.key


def _bad_list(why: str) -> CallerError:
    return CallerError("homeserver_list", f"The list can't be used: {why}.", why=why)


def _bad_pin(why: str) -> CallerError:
    return CallerError("homeserver_pin", f"That can't be used: {why}.", why=why)
