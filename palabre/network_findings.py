"""What `palabre doctor --network` says of the ways into a call: one sentence for each, with what to do. Pure.

`NetworkFacts` is what was tried from where the doctor runs, which may be another machine than the service's: then it
says what clients there can do.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from palabre.base.words import say


class Relayed(Enum):
    """How far a TURN server came."""

    CARRIED = "carried"  # a check went through it to the relay and back
    BLOCKED = "blocked"  # it gave an address, but the relay did not answer through it
    REFUSED = "refused"  # it did not take the credentials
    SILENT = "silent"


@dataclass(frozen=True)
class Way:
    """A candidate, and whether an ICE check on it was answered."""

    protocol: str  # udp, tcp
    address: str
    port: int
    answers: bool


@dataclass(frozen=True)
class TurnSeen:
    url: str
    how: Relayed


@dataclass(frozen=True)
class NetworkFacts:
    """Status 0: no answer."""

    url: str
    websocket: int = 0  # to a WebSocket handshake without a token
    reach: int = 0  # to the question for candidates
    public: bool = False  # whether the name in `url` stands for an address that the Internet reaches
    ways: tuple[Way, ...] = ()
    turn: tuple[TurnSeen, ...] = ()


@dataclass(frozen=True)
class NetworkFinding:
    name: str
    ok: bool
    sentence: str


def examine(facts: NetworkFacts, language: str) -> list[NetworkFinding]:
    """In the order in which a client comes in. What can't be tried without what went wrong before is left out."""
    found = [_signalling(facts, language)]
    if facts.reach != 200:
        if facts.websocket == 401:
            found.append(_finding("media", False, language, "reach", status=facts.reach))
        return found
    found += _addresses(facts, language)
    found += [_way(way, facts, language) for way in facts.ways]
    found += _turn(facts, language)
    return found


def _finding(name: str, ok: bool, language: str, key: str, **params: str | int) -> NetworkFinding:
    return NetworkFinding(name, ok, say(language, f"network.{key}", **params))


def _signalling(facts: NetworkFacts, language: str) -> NetworkFinding:
    match facts.websocket:
        case 401:
            return _finding("signalling", True, language, "signalling.good", url=facts.url)
        case 0:
            return _finding("signalling", False, language, "signalling.silent", url=facts.url)
        case 426:
            return _finding("signalling", False, language, "signalling.upgrade")
        case status:
            return _finding("signalling", False, language, "signalling.other", url=facts.url, status=status)


def _addresses(facts: NetworkFacts, language: str) -> Iterator[NetworkFinding]:
    told = list(dict.fromkeys(way.address for way in facts.ways))
    reachable = any(ipaddress.ip_address(address).is_global for address in told)
    key = "addresses.private" if facts.public and not reachable else "addresses.told"
    yield _finding("addresses", reachable or not facts.public, language, key, addresses=", ".join(told))


def _way(way: Way, facts: NetworkFacts, language: str) -> NetworkFinding:
    """One of several addresses may be out of reach from here: what counts is whether the protocol works."""
    name = f"{way.protocol} {way.port}"
    if way.answers:
        return _finding(name, True, language, f"{way.protocol}.good", address=way.address, port=way.port)
    others = any(other.answers for other in facts.ways if other.protocol == way.protocol)
    key = "elsewhere" if others else f"{way.protocol}.silent"
    return _finding(name, others, language, key, address=way.address, port=way.port)


def _turn(facts: NetworkFacts, language: str) -> Iterator[NetworkFinding]:
    if not facts.turn:
        yield _finding("turn", True, language, "turn.none")
    for seen in facts.turn:
        yield _finding("turn", seen.how is Relayed.CARRIED, language, f"turn.{seen.how.value}", server=seen.url)
