"""A share of the machine's time for one peer: who spends more waits, and nobody else does. Pure."""

from __future__ import annotations


class Budget:
    """Refills by `share` seconds per second up to `burst` seconds."""

    def __init__(self, share: float, burst: float, now: float) -> None:
        self._share, self._burst = share, burst
        self._spent = 0.0  # seconds of work that have not been refilled yet
        self._at = now

    def spend(self, seconds: float, now: float) -> float:
        """Count work that ended `now`. Returns the seconds to wait before more of it; 0 within bounds."""
        self._spent = max(0.0, self._spent - (now - self._at) * self._share) + seconds
        self._at = now
        return max(0.0, (self._spent - self._burst) / self._share)
