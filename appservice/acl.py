"""Which servers a room lets take part: `m.room.server_acl`. Pure.

https://spec.matrix.org/v1.16/client-server-api/#server-access-control-lists-acls-for-rooms. The content is anybody's
JSON and the server's name anybody's choice, so matching costs no more than a few operations per character of the list.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from appservice.events import as_texts

SERVER_ACL = "m.room.server_acl"


def server_allowed(server_name: str, acl: Mapping[str, Any] | None) -> bool:
    """Whether the room's list lets that server take part; without a list every server may.

    The specification matches names without their port; homeservers differ in that, so an entry counts with and without
    it. A list that is not one is as if it were absent, and absent `allow` lets nobody in.
    """
    if acl is None:
        return True
    host = without_port(server_name)
    if acl.get("allow_ip_literals") is False and is_ip_literal(host):
        return False
    names = {host.lower(), server_name.lower()}
    return not _listed(names, acl.get("deny")) and _listed(names, acl.get("allow"))


def glob_matches(pattern: str, name: str) -> bool:
    """`*` stands for any characters or none, `?` for exactly one; the whole name must match.

    Keeps all places of `name` that the pattern may have reached, as bits of one integer: no pattern makes it slow.
    """
    everywhere = (1 << (len(name) + 1)) - 1
    where: dict[str, int] = {}  # places of each character
    for at, character in enumerate(name):
        where[character] = where.get(character, 0) | 1 << at
    places = 1
    for mark in pattern:
        if mark == "*":
            places = everywhere & -(places & -places)  # the first place, and all after it
        elif mark == "?":
            places = (places << 1) & everywhere
        else:
            places = (places & where.get(mark, 0)) << 1
        if not places:
            return False
    return bool(places >> len(name))


def without_port(server_name: str) -> str:
    """The host of a server name: https://spec.matrix.org/v1.16/appendices/#server-name."""
    host, colon, port = server_name.rpartition(":")
    return host if colon and port.isdigit() and (":" not in host or host.endswith("]")) else server_name


def is_ip_literal(host: str) -> bool:
    """An IPv4 address, or anything in the brackets that only IPv6 addresses have."""
    if host.startswith("["):
        return True
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _listed(names: set[str], patterns: object) -> bool:
    """Names in lower case, as host names are compared."""
    return any(glob_matches(pattern.lower(), name) for pattern in as_texts(patterns) for name in names)
