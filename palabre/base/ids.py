"""Random identifiers and the types that keep them apart."""

from __future__ import annotations

import hashlib
import secrets
from typing import NewType

UserId = NewType("UserId", str)  # @alice:example.org
RoomId = NewType("RoomId", str)  # !opaque, with or without a server part (room version 12 has none)
EventId = NewType("EventId", str)
MeetingId = NewType("MeetingId", str)
CallId = NewType("CallId", str)

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # no look-alikes: people read meeting ids aloud


def random_id(prefix: str = "", length: int = 12) -> str:
    """An unguessable id: 12 characters are 60 bits, enough for a name that is also checked by membership."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def stable_id(*parts: str) -> str:
    """The same short id for the same parts: transaction ids of what must not be sent twice."""
    digest = hashlib.sha256("\0".join(parts).encode())
    return digest.hexdigest()[:32]


def loggable(identifier: str) -> str:
    """A form for logs that tells two ids apart without telling who they are."""
    return hashlib.sha256(identifier.encode()).hexdigest()[:8]
