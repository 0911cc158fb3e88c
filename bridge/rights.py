"""What a room lets somebody do in its call: one table of rights over what the room says. Pure.

A right needs a power level. The settings name it; a room that knows better sets its own for the right's event type in
the `events` of its `m.room.power_levels`, where every Matrix client can change it. Nothing of that type is ever sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from appservice.seams import RoomView
from bridge.settings import RoomPolicy
from media.relay.seams import TrackSource


class Right(Enum):
    """By the event type in which a room keeps the level it needs."""

    PUBLISH = "org.palabre.call.publish"
    SHARE = "org.palabre.call.share"  # on top of PUBLISH
    CAPTURE = "org.palabre.call.record"
    MODERATE = "org.palabre.call.moderate"


@dataclass(frozen=True)
class Permissions:
    """What somebody who may come in may do there."""

    publish: bool  # microphone and camera
    capture: bool  # start and stop recording and transcription
    moderate: bool  # mute and remove others
    share: bool = True  # a screen


# What a participant is shown to hold beside what LiveKit's own permissions say: clients offer nothing else.
SHOWN = {Right.CAPTURE: "capture", Right.MODERATE: "moderate"}

# Which tracks each right lets somebody publish.
SOURCES = {
    Right.PUBLISH: (TrackSource.MICROPHONE, TrackSource.CAMERA),
    Right.SHARE: (TrackSource.SCREEN_SHARE, TrackSource.SCREEN_SHARE_AUDIO),
}


def needed(right: Right, view: RoomView, policy: RoomPolicy) -> int:
    """The power level that a right needs in that room."""
    defaults = {
        Right.PUBLISH: policy.publish_power,
        Right.SHARE: policy.screen_power,
        Right.CAPTURE: policy.capture_power,
        Right.MODERATE: policy.moderate_power,
    }
    return view.required_power.get(right.value, defaults[right])


def of_member(view: RoomView, policy: RoomPolicy) -> Permissions:
    """Of somebody whom the room may let in, by their power there."""
    held = {right: view.power >= needed(right, view, policy) for right in Right}
    share = held[Right.SHARE] and held[Right.PUBLISH]
    return Permissions(held[Right.PUBLISH], held[Right.CAPTURE], held[Right.MODERATE], share)


def of_guest(view: RoomView, policy: RoomPolicy) -> Permissions:
    """Of somebody without a Matrix user: they stand below every member, so they have what needs no power, and whatever
    the levels never record or moderate. `view` is of the room, whoever's."""
    held = {right: needed(right, view, policy) <= 0 for right in SOURCES}
    share = all(held.values())
    return Permissions(held[Right.PUBLISH], capture=False, moderate=False, share=share)


def publishing(may: Permissions) -> tuple[bool, tuple[TrackSource, ...]]:
    """`can_publish` and `can_publish_sources` of a LiveKit grant; no sources: every one."""
    held = {Right.PUBLISH: may.publish, Right.SHARE: may.share}
    if all(held.values()):
        return True, ()
    sources = tuple(source for right, has in held.items() if has for source in SOURCES[right])
    return bool(sources), sources


def shown(may: Permissions) -> str:
    """The attribute `palabre.may`: names of `SHOWN` with a space between, or nothing."""
    held = {Right.CAPTURE: may.capture, Right.MODERATE: may.moderate}
    return " ".join(name for right, name in SHOWN.items() if held[right])
