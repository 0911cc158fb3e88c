"""May this connection take over a participant that is still here? Pure; the answer is also a table of reasons.

A resume keeps peer connections, subscriptions and sequence numbers, so that whoever succeeds is that participant:
it needs a token for that very identity and the participant's sid, which only its own client was told.
"""

from __future__ import annotations

import hmac
from enum import Enum

from media.relay.participant import Participant


class Refusal(Enum):
    """Why a resume becomes a new join. The client is told to reconnect from scratch in all cases."""

    NOBODY = "no such participant is waiting"
    OTHER_SID = "the participant's sid is another"
    OTHER_MODE = "it was connected in the other mode"
    MEDIA_LOST = "its media connections are gone"


def check(participant: Participant | None, sid: str, *, single: bool, media_alive: bool) -> Refusal | None:
    """`participant`: who is in the room under the identity of the resuming token. None: it may resume."""
    if participant is None or not participant.active:
        return Refusal.NOBODY
    if not hmac.compare_digest(participant.sid.encode(), sid.encode()):
        return Refusal.OTHER_SID
    if participant.single is not single:
        return Refusal.OTHER_MODE
    return None if media_alive else Refusal.MEDIA_LOST
