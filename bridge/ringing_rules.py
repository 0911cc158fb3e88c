"""Whether a call that starts rings, whom, and what the event says: pure rules.

The event is the notification of MatrixRTC (MSC4075), as Element Call sends it: `ring` makes clients ring,
`notification` only shows that a call has begun. Element rings in direct messages alone; here a room can decide to ring
its whole group.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from palabre.base.ids import EventId, UserId

LIFETIME_MILLISECONDS = 90_000  # Element Call 0.26: how long a client may ring
# Above that a notification mentions the room as a whole: an event has 64 KiB and every mention is a user id.
MOST_MENTIONS = 50
_HOURS = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})")


class RingPolicy(StrEnum):
    """What a room wants when a call starts, in the order of how loud it is."""

    OFF = "off"
    NOTIFY = "notify"
    RING = "ring"


@dataclass(frozen=True)
class QuietHours:
    """Every day from `start` to before `end`, over midnight where that is earlier. Local time."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """`20:00-07:30`. Raises `ValueError`."""
        found = _HOURS.fullmatch(text)
        if found is None:
            raise ValueError("quiet hours are written like 20:00-07:30")
        first, second, third, fourth = map(int, found.groups())
        return cls(time(first, second), time(third, fourth))

    def hold(self, moment: float, zone: str) -> bool:
        """Whether that moment (seconds since the epoch) lies in them. The same two times are the whole day."""
        now = datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(zone)).time()
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


@dataclass(frozen=True)
class Ring:
    """A notification to be sent."""

    policy: RingPolicy
    whom: tuple[UserId, ...]


def decide(
    wanted: RingPolicy,
    members: Collection[UserId],
    in_call: Collection[UserId],
    *,
    group_limit: int,
    quiet: bool,
    already: RingPolicy,
) -> Ring | None:
    """`already`: how loudly somebody's client has announced this very call."""
    whom = tuple(sorted(set(members) - set(in_call)))
    loud = wanted if wanted is not RingPolicy.RING or len(members) <= group_limit else RingPolicy.NOTIFY
    order = list(RingPolicy)
    if quiet or not whom or order.index(loud) <= order.index(already):
        return None
    return Ring(loud, whom)


def notification(ring: Ring, about: EventId | None, now: float) -> dict[str, Any]:
    """The content of `org.matrix.msc4075.rtc.notification`; `about` is the member event that began the call."""
    everybody = len(ring.whom) > MOST_MENTIONS
    content: dict[str, Any] = {
        "m.mentions": {"user_ids": [] if everybody else list(ring.whom), "room": everybody},
        "notification_type": "ring" if ring.policy is RingPolicy.RING else "notification",
        "sender_ts": round(now * 1000),
        "lifetime": LIFETIME_MILLISECONDS,
        "m.call.intent": "video",
    }
    if about is not None:
        content["m.relates_to"] = {"rel_type": "m.reference", "event_id": about}
    return content
