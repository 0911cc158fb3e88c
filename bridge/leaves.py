"""Delegated leaves: what happens to a client's delayed leave event while its connection lives and when it ends. Pure.

A MatrixRTC client schedules its own leaving with its homeserver (MSC4140), far in the future, and hands the delayed
event's id to the focus, which sees better than anybody whether the client is there. The focus puts the event off again
and again while it is, and has it sent as soon as it is not: no ghost stays in the call when a browser is killed.
https://github.com/matrix-org/matrix-spec-proposals/pull/4140, /4195
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from palabre.base.ids import MeetingId

LONGEST_WAIT = 3600.0  # seconds for a client to connect after it delegated, as the reference waits
RESTART_AT = 0.8  # of the timeout, as the reference does: leaves time to try again
# Seconds without a connection before the leaving is sent. Element Call changes its connection within a second; after a
# restart of ours clients need some ten to come back.
AWAY_GRACE = 5.0
RETURN_GRACE = 30.0
SHORTEST_INTERVAL = 1.0  # seconds between two restarts, however short a timeout somebody asks for
FIRST_PAUSE = 1.0  # seconds before a request to the homeserver is repeated; doubled each time, up to
LONGEST_PAUSE = 60.0


class State(Enum):
    WAITING = "waiting"  # not connected yet
    CONNECTED = "connected"
    AWAY = "away"  # was connected a moment ago
    LEAVING = "leaving"  # the event is to be sent


class Event(Enum):
    PRESENT = "present"  # the client's participant is in the call
    GONE = "gone"  # and is not any more
    DUE = "due"  # the time that was set has come
    PUT_OFF = "put off"  # the homeserver counts the timeout anew
    SENT = "sent"  # it sent the event
    UNKNOWN = "unknown"  # it does not know the event: sent, or cancelled by the client, already
    REFUSED = "refused"  # it will not, however often it is asked
    FAILED = "failed"  # it did not answer, or not now
    RESTARTED = "restarted"  # our service, that is


class Act(Enum):
    """What is to be asked of the homeserver."""

    RESTART = "restart"
    SEND = "send"


class Then(Enum):
    """When to look again."""

    KEEP = "keep"  # as it was set
    NOW = "now"
    FRACTION = "fraction"  # after `RESTART_AT` of the timeout
    GRACE = "grace"
    LONG_GRACE = "long grace"
    RETRY = "retry"  # after a pause
    END = "end"  # the leave is over and forgotten


S, E, A, T = State, Event, Act, Then
TABLE: dict[tuple[State, Event], tuple[State, Act | None, Then]] = {
    (S.WAITING, E.PRESENT): (S.CONNECTED, A.RESTART, T.KEEP),
    (S.WAITING, E.GONE): (S.WAITING, None, T.KEEP),
    (S.WAITING, E.DUE): (S.LEAVING, A.SEND, T.KEEP),
    (S.WAITING, E.RESTARTED): (S.WAITING, None, T.KEEP),
    (S.CONNECTED, E.PRESENT): (S.CONNECTED, None, T.KEEP),
    (S.CONNECTED, E.GONE): (S.AWAY, None, T.GRACE),
    (S.CONNECTED, E.DUE): (S.CONNECTED, A.RESTART, T.KEEP),
    (S.CONNECTED, E.PUT_OFF): (S.CONNECTED, None, T.FRACTION),
    (S.CONNECTED, E.SENT): (S.CONNECTED, None, T.END),  # back too late: the client announces itself anew
    (S.CONNECTED, E.UNKNOWN): (S.CONNECTED, None, T.END),
    (S.CONNECTED, E.REFUSED): (S.CONNECTED, None, T.END),
    (S.CONNECTED, E.FAILED): (S.CONNECTED, None, T.RETRY),
    (S.CONNECTED, E.RESTARTED): (S.AWAY, None, T.LONG_GRACE),
    (S.AWAY, E.PRESENT): (S.CONNECTED, A.RESTART, T.KEEP),
    (S.AWAY, E.GONE): (S.AWAY, None, T.KEEP),
    (S.AWAY, E.DUE): (S.LEAVING, A.SEND, T.KEEP),
    (S.AWAY, E.PUT_OFF): (S.AWAY, None, T.KEEP),
    (S.AWAY, E.SENT): (S.AWAY, None, T.END),
    (S.AWAY, E.UNKNOWN): (S.AWAY, None, T.END),
    (S.AWAY, E.REFUSED): (S.AWAY, None, T.END),
    (S.AWAY, E.FAILED): (S.AWAY, None, T.KEEP),
    (S.AWAY, E.RESTARTED): (S.AWAY, None, T.LONG_GRACE),
    (S.LEAVING, E.PRESENT): (S.CONNECTED, A.RESTART, T.KEEP),  # back before the homeserver took the leaving
    (S.LEAVING, E.GONE): (S.LEAVING, None, T.KEEP),
    (S.LEAVING, E.DUE): (S.LEAVING, A.SEND, T.KEEP),
    (S.LEAVING, E.PUT_OFF): (S.LEAVING, None, T.KEEP),  # asked for before the client was gone
    (S.LEAVING, E.SENT): (S.LEAVING, None, T.END),
    (S.LEAVING, E.UNKNOWN): (S.LEAVING, None, T.END),
    (S.LEAVING, E.REFUSED): (S.LEAVING, None, T.END),
    (S.LEAVING, E.FAILED): (S.LEAVING, None, T.RETRY),
    (S.LEAVING, E.RESTARTED): (S.LEAVING, None, T.NOW),
}


@dataclass(frozen=True)
class Leave:
    """One client's delegated leave. Times in seconds since the epoch."""

    meeting: MeetingId
    identity: str
    person: str
    base_url: str  # of the client API of the user's homeserver
    delay_id: str  # whoever knows it may send the event: never logged
    timeout: float
    state: State
    due_at: float
    put_off_at: float  # when the homeserver last counted the timeout anew
    attempts: int = 0

    @property
    def fires_at(self) -> float:
        """When the homeserver sends the event by itself: nothing of ours has a meaning after that."""
        return self.put_off_at + self.timeout


def delegated(
    meeting: MeetingId, identity: str, person: str, base_url: str, delay_id: str, timeout: float, *, now: float
) -> Leave:
    """A leave as it was just handed over."""
    due_at = now + min(LONGEST_WAIT, timeout)
    return Leave(meeting, identity, person, base_url, delay_id, timeout, State.WAITING, due_at, now)


def step(leave: Leave, event: Event, now: float, *, wait: float | None = None) -> tuple[Leave | None, Act | None]:
    """What becomes of `leave`, None when it is over, and what to ask of the homeserver now.

    `wait`: what the homeserver said (Retry-After) with `FAILED`.
    """
    state, act, then = TABLE[leave.state, event]
    fired = event in (Event.FAILED, Event.RESTARTED) and now >= leave.fires_at
    if then is Then.END or fired:
        return None, None
    attempts = leave.attempts + 1 if then is Then.RETRY else 0 if event in _FRESH else leave.attempts
    put_off_at = now if event is Event.PUT_OFF else leave.put_off_at
    leave = replace(leave, state=state, attempts=attempts, put_off_at=put_off_at)
    return replace(leave, due_at=_due(leave, then, now, wait)), act


# After these a failure is the first one again.
_FRESH = frozenset({Event.PRESENT, Event.GONE, Event.PUT_OFF, Event.RESTARTED})


def _due(leave: Leave, then: Then, now: float, wait: float | None) -> float:
    match then:
        case Then.NOW:
            return now
        case Then.FRACTION:
            return now + max(SHORTEST_INTERVAL, RESTART_AT * leave.timeout)
        case Then.GRACE:
            return now + AWAY_GRACE
        case Then.LONG_GRACE:
            return now + RETURN_GRACE
        case Then.RETRY:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(leave.attempts - 1, 10))
            return now + (pause if wait is None else max(pause, wait))
        case _:
            return leave.due_at
