"""What everybody in a room is told about one another, gathered so that many who come at once are one message, not each.

Two hundred people who join within ten seconds would otherwise be forty thousand messages. Whoever publishes is told of
at once, with all that waited: clients must know a participant before its track reaches them. LiveKit does likewise; it
gathers those who don't publish for three seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from livekit.protocol import rtc

from media.relay.participant import Participant
from media.relay.signal import Shared

# Seconds from one message to the next, for each member of the room: all members of one room together get 400 messages
# a second, about 2 % of a core. In a room of ten nobody waits longer than for the next tick.
PER_MEMBER = 0.0025
LONGEST = 1.0  # seconds; rooms of more than 400


class Member(Protocol):
    """Whoever is told."""

    def send(self, response: rtc.SignalResponse | Shared) -> None: ...


class Announcements:
    """Of one room. `members` is the room's own mapping by identity, read here and changed there."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        self._members = members
        self._waiting: dict[str, Participant] = {}  # by sid, in the order in which they first changed
        self._next_at = 0.0  # monotonic seconds

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def tell(self, participant: Participant, now: float) -> None:
        """Its `info` has changed; `now` in monotonic seconds. The participant itself learns it at once."""
        self._waiting[participant.sid] = participant
        if now >= self._next_at or participant.publishes:
            self._flush(now)
        elif participant.identity in self._members:
            update = rtc.ParticipantUpdate(participants=[participant.info()])
            self._members[participant.identity].send(rtc.SignalResponse(update=update))

    def before(self, participant: Participant, now: float) -> None:
        """Something else of this participant's is about to reach the others, who must know it first."""
        if participant.sid in self._waiting:
            self._flush(now)

    def tick(self, now: float) -> None:
        if self._waiting and now >= self._next_at:
            self._flush(now)

    def _flush(self, now: float) -> None:
        self._next_at = now + min(LONGEST, PER_MEMBER * len(self._members))
        infos = [participant.info() for participant in self._waiting.values()]
        self._waiting.clear()
        update = Shared(rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=infos)))
        for member in self._members.values():
            member.send(update)
