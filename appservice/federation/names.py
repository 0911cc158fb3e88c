"""Server names of Matrix: what is one, and what it says about where the server is. Pure.

https://spec.matrix.org/v1.16/appendices/#server-name. Names come from strangers. What a resolver could take for an IP
address that is not written as one (`0x7f.1`, `2130706433`) is no server name here, nor is one with letters outside
ASCII: an internationalised name comes as punycode (`xn--…`), and is shown so, because look-alikes are the point of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

FEDERATION_PORT = 8448
NAME_LIMIT = 255  # bytes: a DNS name has no more, and neither has a user id
_PARTS = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")  # a last label that makes resolvers read the whole as an address


@dataclass(frozen=True)
class ServerName:
    """A server name taken apart. `host` keeps the brackets of an IPv6 address."""

    text: str
    host: str
    port: int | None
    is_address: bool

    @property
    def key(self) -> str:
        """The same for every spelling in capitals or small letters, which DNS does not tell apart."""
        return self.text.lower()

    @property
    def bare_host(self) -> str:
        """Without the brackets of an IPv6 address, in small letters."""
        return self.host.strip("[]").lower()


def parse_server_name(text: str) -> ServerName | None:
    """The name taken apart, or None for what is no server name."""
    found = _PARTS.fullmatch(text) if 0 < len(text) <= NAME_LIMIT else None
    if found is None:
        return None
    host, port = found[1], None if found[2] is None else int(found[2])
    if port is not None and not 0 < port <= 65535:
        return None
    if host.startswith("["):
        return ServerName(text, host, port, is_address=True) if _is_ipv6(host[1:-1]) else None
    labels = host.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        return None
    if _NUMBER.fullmatch(labels[-1]):
        return ServerName(text, host, port, is_address=True) if _is_ipv4(host) else None
    return ServerName(text, host, port, is_address=False)


def server_of(user_id: str) -> str:
    """The server name in a user id."""
    return user_id.partition(":")[2]


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True
