"""Who may do what in a meeting: pure rules over what the room says about a person; the room is asked elsewhere."""

from __future__ import annotations

from appservice.seams import RoomView
from bridge import rights
from bridge.modes import MODE_SERVER, end_to_end_only
from bridge.people import Person
from bridge.rights import Permissions, Right
from bridge.settings import RoomPolicy
from palabre.base.errors import CallerError
from palabre.base.ids import UserId

JOINED = "join"
UNKNOWN = ""  # of a room that the bot is not in, and that nobody else tells about
# Values of Tchap's `im.vector.room.access_rules`, which says whether people from outside may be in a room.
RESTRICTED, DIRECT = "restricted", "direct"
# Of members of rooms that the bot is not in: their power there is not known, and nothing could be posted.
MEMBER_AFAR = Permissions(publish=True, capture=False, moderate=False)


def member_permissions(view: RoomView, policy: RoomPolicy) -> Permissions:
    """For a Matrix user, from a fresh view of the room. Raises `CallerError` for who must stay outside."""
    require_joined(view)
    if not view.bot_joined:
        return MEMBER_AFAR
    return rights.of_member(view, policy)


def guest_permissions(view: RoomView, mode: str, policy: RoomPolicy) -> Permissions:
    """For somebody without a Matrix user, in a call of that mode; `view` is of the room. Raises `CallerError`."""
    if mode != MODE_SERVER:  # they can't hold its keys
        raise end_to_end_only()
    if view.access_rule == DIRECT or (view.access_rule == RESTRICTED and not policy.guests_in_restricted_rooms):
        raise CallerError("guests_not_allowed", "This meeting is for members of its room only.", status=403)
    return rights.of_guest(view, policy)


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
    if view.membership != JOINED:
        raise CallerError("not_in_room", "You are not in the room of this meeting. Ask to be invited.", status=403)
    if not view.server_allowed:
        raise CallerError(
            "server_excluded", "This room excludes your homeserver, so you cannot join its calls.", status=403
        )


def require_rule(user_id: UserId, view: RoomView, policy: RoomPolicy) -> None:
    """Does the room's access rule let people of that server in? Homeservers that know the rule see to it themselves;
    others don't, and somebody may have been there before."""
    if view.access_rule == RESTRICTED and server_of(user_id) in policy.external_servers:
        raise CallerError("external_excluded", "This room is not open to people from outside.", status=403)


def may_call(view: RoomView, policy: RoomPolicy) -> bool:
    """Whether this member may open a call that is not running yet."""
    return not view.bot_joined or view.power >= policy.call_power


def require_call(view: RoomView, policy: RoomPolicy) -> None:
    """May this member open a call that is not running yet?"""
    require_joined(view)
    if not may_call(view, policy):
        raise _too_little_power("call_forbidden", "open a call", policy.call_power)


def require_capture(view: RoomView, policy: RoomPolicy) -> None:
    """May this member start or stop recording and transcription?"""
    if not member_permissions(view, policy).capture:
        needed = rights.needed(Right.CAPTURE, view, policy)
        raise _too_little_power("capture_forbidden", "record or transcribe", needed)


def require_meeting(asker: UserId, own_server: str, policy: RoomPolicy) -> None:
    """May this person have rooms created?"""
    servers = policy.meeting_servers or (own_server,)
    if server_of(asker) not in servers:
        allowed = ", ".join(servers)
        raise CallerError(
            "meeting_forbidden", f"Only people of {allowed} may create meetings here.", status=403, servers=allowed
        )


def person_in(person: Person, view: RoomView, mode: str, policy: RoomPolicy) -> Permissions:
    """The permissions of a person of either sort in a call of that mode. `view` is the room's of that person, and of
    a guest the room's of anybody. Raises `CallerError` for who must stay outside."""
    if person.user_id is None:
        return guest_permissions(view, mode, policy)
    require_rule(person.user_id, view, policy)
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
