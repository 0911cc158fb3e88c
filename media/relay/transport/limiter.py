"""Who has failed too many ICE checks lately: their datagrams are no longer looked at for a moment. Pure.

Nothing is ever answered without proof; this only bounds what guessing and flooding cost us. Addresses on which a peer
has proved itself are not asked about, so that a call behind the same NAT goes on.
"""

from __future__ import annotations

from collections import Counter

WINDOW = 1.0  # seconds
# Failed checks per IP address and window. A browser checks a session that is gone ten times a second until signalling
# tells it; behind one address of an administration there may be dozens.
MAX_FAILURES = 200
MAX_ADDRESSES = 10_000  # remembered per window, 1 MB; a flood from more than that is counted as one


class FailureLimiter:
    """Counts failures by IP address in fixed windows."""

    def __init__(self) -> None:
        self._failures: Counter[str] = Counter()
        self._ends = 0.0

    def blocked(self, host: str, now: float) -> bool:
        if now >= self._ends:
            self._failures.clear()
            self._ends = now + WINDOW
        return self._failures[self._key(host)] >= MAX_FAILURES

    def failed(self, host: str) -> None:
        self._failures[self._key(host)] += 1

    def _key(self, host: str) -> str:
        return host if host in self._failures or len(self._failures) < MAX_ADDRESSES else ""
