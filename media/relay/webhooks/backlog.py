"""What waits to be told to one address of one room: in order, bounded, each event for a while. Pure.

    put ──→ waiting ──→ next ──→ done                  delivered, or refused for good
                          ↑  └──→ failed ──→ (pause)    to be tried again

What did not fit or grew too old is counted, and the next event that goes out says how many were lost (`num_dropped`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from livekit.protocol.webhook import WebhookEvent

FIRST_PAUSE = 0.5  # seconds; a receiver that restarts is back in a few
LONGEST_PAUSE = 30.0  # a receiver that was away is found again within this


@dataclass(frozen=True)
class _Waiting:
    event: WebhookEvent
    since: float


class Backlog:
    """All times are monotonic seconds."""

    def __init__(self, most: int, longest: float) -> None:
        self._most = most  # events
        self._longest = longest  # seconds that an event waits
        self._waiting: deque[_Waiting] = deque()
        self._failures = 0  # of the first one
        self.dropped = 0  # since one was last delivered

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: WebhookEvent, now: float) -> bool:
        """False: there is no place, and the event is lost; what is on its way before it stays in order."""
        if len(self._waiting) >= self._most:
            self.dropped += 1
            return False
        self._waiting.append(_Waiting(event, now))
        return True

    def next(self, now: float) -> WebhookEvent | None:
        """The event to send. None: nothing is left to be told."""
        while self._waiting and now - self._waiting[0].since > self._longest:
            self._waiting.popleft()
            self._failures = 0
            self.dropped += 1
        if not self._waiting:
            return None
        event = self._waiting[0].event
        event.num_dropped = self.dropped
        return event

    def done(self) -> None:
        """The receiver has it."""
        self._waiting.popleft()
        self._failures = self.dropped = 0

    def refused(self) -> None:
        """The receiver does not want it, now or later."""
        self._waiting.popleft()
        self._failures = 0
        self.dropped += 1

    def failed(self) -> float:
        """Seconds to wait before the same event is tried again."""
        self._failures += 1
        return min(FIRST_PAUSE * 2.0 ** min(self._failures - 1, 10), LONGEST_PAUSE)
