"""How often one address or session may ask: token buckets, bounded in number. Pure; the time is given."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from palabre.base.errors import CallerError

REMEMBERED = 10_000  # buckets; the one untouched longest goes first, and was full again by then


@dataclass(frozen=True)
class Rate:
    """`burst` requests at once, `per_second` more as time passes."""

    burst: int
    per_second: float


# A ministry comes through one address: a hundred people at nine o'clock must all get in.
SIGN_IN = Rate(burst=300, per_second=5.0)
# A password that is guessed: five hundred tries an hour.
PASSWORD = Rate(burst=20, per_second=0.14)
# A page asks a few times per join and per answer; a program may watch a meeting once a second.
SESSION = Rate(burst=60, per_second=2.0)
# Element Call asks for two to four tokens per join, and again every few minutes while it has none.
FOCUS = Rate(burst=60, per_second=1.0)


@dataclass
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """One bucket per key."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str, now: float) -> None:
        """Count one request at `now` (monotonic seconds). Raises `CallerError("too_many_requests", retry_after=…)`."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self._rate.burst, now)
        self._buckets.move_to_end(key)
        while len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._rate.burst, bucket.tokens + (now - bucket.at) * self._rate.per_second)
        bucket.at = now
        if bucket.tokens < 1:
            wait = int((1 - bucket.tokens) / self._rate.per_second) + 1
            raise CallerError(
                "too_many_requests", f"Too many requests. Try again in {wait} s.", status=429, retry_after=wait
            )
        bucket.tokens -= 1


def caller_address(peer: str, forwarded_for: str, trusted: tuple[str, ...]) -> str:
    """Whose request it is: the last address that a proxy of ours did not write itself; IPv6 by its /64.

    `forwarded_for` is the X-Forwarded-For header, believed only as far as the peers are in `trusted`.
    """
    networks = [ip_network(entry, strict=False) for entry in trusted]
    address = peer
    for hop in reversed([hop.strip() for hop in forwarded_for.split(",") if hop.strip()]):
        if not _within(address, networks):
            break
        address = hop
    return _subscriber(address)


def _within(text: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in networks)


def _subscriber(text: str) -> str:
    """An IPv6 subscriber has a whole /64: counting single addresses would count nothing."""
    try:
        address = ip_address(text)
    except ValueError:
        return "unknown"
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ip_network((int(address) >> 64 << 64, 64)))
    return str(address)
