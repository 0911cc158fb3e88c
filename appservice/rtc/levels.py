"""The power levels that calls need: everybody who may write in a room may announce to be in its call, and ring. Pure.

Session members are state events, which by default need power 50, so that ordinary members cannot join until somebody
lowers the level of that one type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appservice.events import as_object
from appservice.rtc.members import SESSION_TYPES, STICKY_TYPES
from appservice.seams import CallLevels
from appservice.state import RoomState

POWER_LEVELS = "m.room.power_levels"
NOTIFICATION_TYPES = ("org.matrix.msc4075.rtc.notification", "m.rtc.notification")  # a call has started: rings
DECLINE_TYPES = ("org.matrix.msc4310.rtc.decline", "m.rtc.decline")  # to such a notification
# Raised hands and emojis in calls, and media keys of Element Call before 0.9.
IN_CALL_TYPES = ("m.reaction", "io.element.call.reaction", "io.element.call.encryption_keys")
STATE_TYPES = frozenset(SESSION_TYPES)
CALL_TYPES = (*SESSION_TYPES, *STICKY_TYPES, *NOTIFICATION_TYPES, *DECLINE_TYPES, *IN_CALL_TYPES)


def call_levels(state: RoomState, bot: str) -> CallLevels:
    """What is missing in a room. Where only some may write, only they are meant to take part in calls."""
    writers = max(state.default_power, state.events_default)
    missing = {
        kind: state.events_default
        for kind in CALL_TYPES
        if (state.power_for_state(kind) if kind in STATE_TYPES else state.power_for_message(kind)) > writers
    }
    needed = state.power_for_state(POWER_LEVELS)
    # https://spec.matrix.org/v1.16/rooms/v11/#authorization-rules: a level above one's own can't be changed.
    own = state.required_power()
    highest = max((own[kind] for kind in missing if kind in own), default=0)
    return CallLevels(missing, max(needed, highest), state.power(bot) >= max(needed, highest))


def mended(levels: Mapping[str, Any], missing: Mapping[str, int]) -> dict[str, Any]:
    """The content of `m.room.power_levels` with these levels; everything else stays as it is."""
    return {**levels, "events": {**as_object(levels.get("events")), **missing}}
