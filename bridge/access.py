"""Who may do what in a meeting: pure rules over what the room says about a person; the room is asked elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from appservice.seams import RoomView
from bridge.modes import MODE_SERVER, end_to_end_only
from bridge.people import Person
from bridge.settings import RoomPolicy
from palabre.base.errors import CallerError
from palabre.base.ids import UserId

JOINED = "join"
UNKNOWN = ""  # of a room that the bot is not in, and that nobody else tells about


@dataclass(frozen=True)
class Permissions:
    """What somebody who may come in may do there."""

    publish: bool
    capture: bool
    moderate: bool


GUEST = Permissions(publish=True, capture=False, moderate=False)
# Of members of rooms that the bot is not in: their power there is not known, and nothing could be posted.
MEMBER_AFAR = Permissions(publish=True, capture=False, moderate=False)


def member_permissions(view: RoomView, policy: RoomPolicy) -> Permissions:
    """For a Matrix user, from a fresh view of the room. Raises `CallerError` for who must stay outside."""
    require_joined(view)
    if not view.bot_joined:
        return MEMBER_AFAR
    return Permissions(
        publish=view.power >= policy.publish_power,
        capture=view.power >= policy.capture_power,
        moderate=view.power >= policy.moderate_power,
    )


def guest_permissions(mode: str) -> Permissions:
    """For somebody without a Matrix user, in a call of that mode. Raises `CallerError`: they can't hold its keys."""
    if mode != MODE_SERVER:
        raise end_to_end_only()
    return GUEST


def require_member(view: RoomView) -> None:
    """Of a room that the bot is in."""
    require_bot(view)
    require_joined(view)


def require_bot(view: RoomView) -> None:
    """By link and on the call page nobody comes into a call that the room is not told about."""
    if not view.bot_joined:
        raise _bot_not_in_room()


def require_joined(view: RoomView) -> None:
    """Of any room; `membership` of one without the bot is what the homeserver says (`bridge.room_questions`)."""
    if not view.bot_joined and view.membership == UNKNOWN:
        raise _bot_not_in_room()
    if view.membership != JOINED or not view.server_allowed:
        raise CallerError("not_in_room", "You are not in the room of this meeting. Ask to be invited.", status=403)


def require_call(view: RoomView, policy: RoomPolicy) -> None:
    """May this member open a call that is not running yet?"""
    require_joined(view)
    if view.bot_joined and view.power < policy.call_power:
        raise _too_little_power("call_forbidden", "open a call", policy.call_power)


def require_capture(view: RoomView, policy: RoomPolicy) -> None:
    """May this member start or stop recording and transcription?"""
    if not member_permissions(view, policy).capture:
        raise _too_little_power("capture_forbidden", "record or transcribe", policy.capture_power)


def require_meeting(asker: UserId, own_server: str, policy: RoomPolicy) -> None:
    """May this person have rooms created?"""
    servers = policy.meeting_servers or (own_server,)
    if server_of(asker) not in servers:
        allowed = ", ".join(servers)
        raise CallerError(
            "meeting_forbidden", f"Only people of {allowed} may create meetings here.", status=403, servers=allowed
        )


def person_in(person: Person, view: RoomView | None, mode: str, policy: RoomPolicy) -> Permissions:
    """The permissions of a person of either sort in a call of that mode; `view` is None for guests alone."""
    if view is None:
        if not person.is_guest:
            raise ValueError("a Matrix user is never let in without asking the room")
        return guest_permissions(mode)
    return member_permissions(view, policy)


def server_of(user_id: UserId) -> str:
    return user_id.partition(":")[2]


def _bot_not_in_room() -> CallerError:
    return CallerError(
        "bot_not_in_room", "Palabre is not in that room, so it cannot tell who may come in. Invite it.", status=409
    )


def _too_little_power(code: str, what: str, needed: int) -> CallerError:
    return CallerError(
        code, f"You may not {what} in this room: that needs power level {needed}.", status=403, needed=needed
    )
