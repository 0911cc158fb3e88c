"""Data messages on their way to one participant: at once where its channel takes them, else they wait within bounds.

Reliable ones wait while the channel opens or its receiver is slow; lossy ones are dropped and counted.
"""

from __future__ import annotations

from collections import deque

from media.relay.datachannels import RELIABLE
from media.relay.leg import Leg

# As much as SCTP should hold for a receiver: more only makes what waits here wait there, where it can't be counted.
HIGH_WATER = 1024 * 1024  # bytes


class DataOutlet:
    """Owned by a `Connection`; `flush` is called when a channel opens and on every tick."""

    def __init__(self, leg: Leg, limit: int) -> None:
        self._leg = leg
        self._limit = limit  # bytes
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self.dropped = 0  # lossy messages
        self.overflowed = False  # the receiver is too slow to be kept

    def send(self, label: str, payload: bytes) -> None:
        if label != RELIABLE:
            if not self._room(label) or not self._leg.transport.send(label, payload):
                self.dropped += 1
            return
        if not self._waiting and self._room(label) and self._leg.transport.send(label, payload):
            return
        self._waiting.append(payload)
        self._size += len(payload)
        if self._size > self._limit:
            self._waiting.clear()
            self.overflowed = True

    def flush(self) -> None:
        while self._waiting and self._room(RELIABLE) and self._leg.transport.send(RELIABLE, self._waiting[0]):
            self._size -= len(self._waiting.popleft())

    def _room(self, label: str) -> bool:
        return self._leg.transport.buffered(label) < HIGH_WATER
