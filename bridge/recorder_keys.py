"""Whose key opens whose tracks: the media keys of one call by the devices that sent them, and who is who in it. Pure.

A key belongs to the device that is proven to have sent it (`appservice.call_keys`). A track belongs to the device whose
member event gives its identity on the relay, and whose user the relay's token was given to: all three must agree.
Keys may come before the member event is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from appservice.call_keys import MediaKey
from media.recorder.e2ee import KeyRing

# Devices whose keys are kept, members or not yet: more than a call has people, so that nobody can fill the memory.
MAX_DEVICES = 2000


class Member(NamedTuple):
    """Somebody in the call. `identity` on the relay."""

    identity: str
    user_id: str
    device_id: str


class CallKeys:
    """Of one call. A ring, once somebody has it, goes on being filled."""

    def __init__(self) -> None:
        self._rings: dict[tuple[str, str], KeyRing] = {}  # by user and device, first to send first
        self._members: dict[str, Member] = {}  # by identity

    def put(self, key: MediaKey) -> bool:
        """Whether it is kept: newer than the one of its index, and not one device too many."""
        owner = key.user_id, key.device_id
        if owner not in self._rings and len(self._rings) >= MAX_DEVICES:
            in_call = {(member.user_id, member.device_id) for member in self._members.values()}
            stranger = next((one for one in self._rings if one not in in_call), None)
            if stranger is None:
                return False
            del self._rings[stranger]
        return self._rings.setdefault(owner, KeyRing()).put(key.index, key.key, key.sent_at)

    def set_members(self, members: Iterable[Member]) -> None:
        """Who is in the call now. Who left keeps their ring: their last frames may still be on their way."""
        for member in members:
            self._members.pop(member.identity, None)
            self._members[member.identity] = member
        while len(self._members) > MAX_DEVICES:
            del self._members[next(iter(self._members))]

    def ring(self, identity: str, user_id: str) -> KeyRing | None:
        """The keys of the track that `identity` publishes, who is `user_id` by the relay's word."""
        member = self._members.get(identity)
        if member is None or member.user_id != user_id:
            return None
        return self._rings.get((member.user_id, member.device_id))

    def identities(self, user_id: str, device_id: str) -> frozenset[str]:
        """What the relay may know a device as."""
        found = (m.identity for m in self._members.values() if (m.user_id, m.device_id) == (user_id, device_id))
        return frozenset(found)
