"""Addresses as the socket gives them, and as the peer knows them. Pure."""

from __future__ import annotations

import socket
from typing import Any

SocketAddress = tuple[Any, ...]  # (host, port) for IPv4, (host, port, flow, scope) for IPv6

_MAPPED = "::ffff:"  # RFC 4291 section 2.5.5.2: how an IPv6 socket shows an IPv4 peer


def plain_address(address: SocketAddress) -> tuple[str, int]:
    """IP address and port as the peer knows them: without scope, and IPv4 even where an IPv6 socket received it.

    A check is answered with it, and clients look for the answer among their own addresses.
    """
    host: str = address[0].partition("%")[0]
    if host.startswith(_MAPPED) and "." in host:
        host = host.removeprefix(_MAPPED)
    return host, address[1]


def family_of(host: str) -> socket.AddressFamily:
    """The socket family of an IP address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET
