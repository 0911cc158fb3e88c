"""What waits for a TCP connection that is slower than what is sent on it. Pure: `now` passed in.

TCP delivers everything, however late, and media that come late delay what follows them: a key frame at 300 kbit/s
holds sound back for seconds. Media that have waited too long are therefore dropped, as a router drops datagrams, and
the receiver asks again for what it still wants. DTLS (with data channels in it) and STUN are kept up to the limit.
"""

from __future__ import annotations

from collections import deque

LIMIT = 1 << 20  # bytes that wait on one connection: two messages of the largest kind and a second of video
MAX_WAIT = 0.4  # seconds for media: beyond what jitter buffers grow to in a call that is still one
_MEDIA = range(128, 192)  # first bytes of SRTP and SRTCP, RFC 7983


class Backlog:
    """Datagrams in their order; `dropped` counts those that were given up."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, datagram: bytes, now: float) -> None:
        """Let it wait, if there is room once media that are too old have gone."""
        if self._bytes + len(datagram) > LIMIT and now - self._waiting[0][0] > MAX_WAIT:
            self._drop_old(now)
        if self._bytes + len(datagram) > LIMIT:
            self.dropped += 1
            return
        self._waiting.append((now, datagram))
        self._bytes += len(datagram)

    def pop(self, now: float) -> bytes | None:
        """The next one that is worth sending."""
        while self._waiting:
            since, datagram = self._waiting.popleft()
            self._bytes -= len(datagram)
            if not _too_late(since, datagram, now):
                return datagram
            self.dropped += 1
        return None

    def _drop_old(self, now: float) -> None:
        kept = deque(entry for entry in self._waiting if not _too_late(*entry, now))
        self.dropped += len(self._waiting) - len(kept)
        self._waiting = kept
        self._bytes = sum(len(datagram) for _, datagram in kept)


def _too_late(since: float, datagram: bytes, now: float) -> bool:
    return now - since > MAX_WAIT and datagram[0] in _MEDIA
