"""The addresses that clients are told where no setting says: those of this machine that others can use.

A machine may have several networks, and clients in any of them: each gets a candidate, the way to everybody first.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

import ifaddr

MAX_ADDRESSES = 8  # candidates cost every client a check each, over UDP and over TCP
# Networks between containers or virtual machines of this host: nobody else is in them.
_INNER = ("docker", "br-", "veth", "virbr", "cni", "flannel", "cali", "lxc", "podman")
_PROBES = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}  # for documentation: RFC 5737, RFC 3849


def addresses_for(host: str) -> tuple[str, ...]:
    """For a socket bound to `host`: that address, or with 0.0.0.0 and :: all that it stands for."""
    bound = ipaddress.ip_address(host)
    if not bound.is_unspecified:
        return (host,)
    families = (socket.AF_INET,) if bound.version == 4 else (socket.AF_INET, socket.AF_INET6)
    return choose(_interfaces(), [_towards_others(family) for family in families], len(families) > 1)


def choose(interfaces: Iterable[tuple[str, str]], preferred: Iterable[str], six: bool) -> tuple[str, ...]:
    """Of (interface, address) those to tell, `preferred` first; IPv6 only if `six`. At least the loopback address."""
    found = [address for address in preferred if address]
    for name, text in interfaces:
        address = ipaddress.ip_address(text)
        usable = not (address.is_loopback or address.is_link_local or address.is_unspecified)
        if usable and (six or address.version == 4) and not name.startswith(_INNER) and text not in found:
            found.append(text)
    return tuple(found[:MAX_ADDRESSES]) or ("127.0.0.1",)


def _interfaces() -> list[tuple[str, str]]:
    return [
        (adapter.name, ip.ip if isinstance(ip.ip, str) else ip.ip[0].partition("%")[0])
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    ]


def _towards_others(family: socket.AddressFamily) -> str:
    """The address this machine uses towards others; asks the routing table, sends nothing."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_PROBES[family], 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])
