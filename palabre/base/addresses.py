"""Which machines the service may call when somebody else chose their name: pure rules, no sockets.

Server names come from strangers (a Matrix user id names its homeserver), so a name must not lead into the network that
we run in. `palabre.base.http` asks here for the URL, and again for the very address it is about to connect to.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from yarl import URL

# IANA's special-purpose registries (RFC 6890 and its successors), as Synapse refuses them for federation.
# Never any use to us, whatever the setting: "this host", link-local with the metadata services of clouds,
# multicast, benchmarking and documentation networks, reserved and broadcast.
_NOWHERE_4 = """
0.0.0.0/8 169.254.0.0/16 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24
224.0.0.0/4 240.0.0.0/4
"""
_NOWHERE_6 = """
::/128 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 3fff::/20 5f00::/16 fe80::/10 fec0::/10 ff00::/8
"""
# Networks of one's own: loopback, RFC 1918, carrier-grade NAT (RFC 6598), unique local (RFC 4193).
_PRIVATE = "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 ::1/128 fc00::/7"
NOWHERE = tuple(map(ip_network, (_NOWHERE_4 + _NOWHERE_6).split()))
PRIVATE = tuple(map(ip_network, _PRIVATE.split()))
# Where IPv6 carries an IPv4 address, and how far from the right its 32 bits lie.
_CARRIERS = (
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped, RFC 4291
    (IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated, RFC 2765
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64, RFC 6052
    (IPv6Network("2002::/16"), 80),  # 6to4, RFC 3056
    (IPv6Network("::/96"), 0),  # IPv4-compatible, RFC 4291; `::` and `::1` are no carriers
)
PUBLIC_PORTS = frozenset(
    {80, 443, 8448}
)  # the web and Matrix federation: a mail or database port is nobody's homeserver


@dataclass(frozen=True)
class AddressRules:
    """Whom we call. `ports` None: `PUBLIC_PORTS`, or every port where private addresses are allowed (test servers)."""

    allow_private: bool = False
    ports: frozenset[int] | None = None

    def refuse_url(self, url: URL) -> str | None:
        """Why `url` is not called, or None. Says nothing about where its name leads."""
        if url.scheme not in ("http", "https"):
            return "only http and https are called"
        if not url.raw_host or url.port is None:
            return "the address names no host"
        if url.user is not None or url.password is not None:
            return "an address with a password in it is not called"
        if self.ports is None and self.allow_private:
            return None
        return None if url.port in (self.ports or PUBLIC_PORTS) else f"port {url.port} is not called"

    def refuse_address(self, text: str) -> str | None:
        """Why the machine at this IP address is not called, or None. What is no IP address is refused."""
        try:
            address = unmapped(ip_address(text.partition("%")[0]))
        except ValueError:
            return "that is no IP address"
        if any(address in network for network in NOWHERE):
            return "the name leads to an address that no server has"
        if not self.allow_private and any(address in network for network in PRIVATE):
            return "the name leads into a private network"
        return None


def unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address inside an IPv6 one, where there is one: the kernel or a gateway would go there."""
    if isinstance(address, IPv4Address) or int(address) <= 1:
        return address
    for network, shift in _CARRIERS:
        if address in network:
            return IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return address
