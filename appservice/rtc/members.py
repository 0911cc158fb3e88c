"""Reading MatrixRTC memberships, in which clients announce that they are in a call. Pure.

Two forms are in use. *Session* members are state events, one per device, whose state key names the user and proves
nothing: any member may write any key, so the event's sender counts alone. *Sticky* members (MSC4143 on MSC4354) are
message events, encrypted in encrypted rooms, that homeservers keep delivering for a while. Both are read as Element
Call reads them, so that people see here whom they see there; what does not hold together is nobody.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from appservice.events import MAX_ID_BYTES, RoomEvent, as_int, as_object, as_text
from appservice.seams import RtcMember
from palabre.base.ids import EventId, UserId

# https://github.com/matrix-org/matrix-spec-proposals/pull/3401; the stable name holds another, older format as well,
# which has no `application` and is nobody.
SESSION_TYPES = ("org.matrix.msc3401.call.member", "m.call.member")
STICKY_TYPES = ("org.matrix.msc4143.rtc.member", "m.rtc.member")
CALL = "m.call"  # the only application that we know
ROOM_CALL = "m.call#ROOM"  # the slot of the room's one call
SESSION_MILLISECONDS = 4 * 3600 * 1000  # matrix-js-sdk's DEFAULT_EXPIRE_DURATION, where the event names none
STICKY_MILLISECONDS = 3600 * 1000  # the most that MSC4354 allows
MAX_TRANSPORTS = 8  # that are read of a member; clients publish one
MAX_URL = 2048  # characters


def read_session(event: RoomEvent) -> RtcMember | None:
    """The member of a state event, or None: left (`{}`), of another application, of a dead format, or malformed."""
    content = event.content
    device_id, call_id = _id(content.get("device_id")), content.get("call_id", "")
    if content.get("application") != CALL or not device_id or not isinstance(call_id, str):
        return None
    created = _milliseconds(content.get("created_ts"), event.timestamp)
    lasts = _milliseconds(content.get("expires"), SESSION_MILLISECONDS)
    slot_id = _id(f"{CALL}#{call_id or 'ROOM'}")
    if created is None or lasts is None or not slot_id:
        return None
    identity = f"{event.sender}:{device_id}"
    return RtcMember(
        user_id=UserId(event.sender),
        device_id=device_id,
        member_id=_id(content.get("membershipID")) or identity,
        identity=identity,
        slot_id=slot_id,
        foci=_service_urls(content.get("foci_preferred")),
        oldest_focus=as_object(content.get("focus_active")).get("focus_selection") == "oldest_membership",
        created_at=created / 1000,
        expires_at=(created + lasts) / 1000,
        event_id=EventId(event.event_id),
        state_key=event.state_key or "",
        sticky=False,
        event_type=event.type,
    )


def sticky_key(content: Mapping[str, Any]) -> str:
    """What a sticky event replaces, among those of its sender; nothing where it is no sticky member at all."""
    return _id(content.get("msc4354_sticky_key")) or _id(content.get("sticky_key"))


def sticky_until(event: RoomEvent, now: float) -> float:
    """When the event ceases to be sticky: https://github.com/matrix-org/matrix-spec-proposals/pull/4354."""
    return min(event.timestamp / 1000, now) + min(event.sticky_milliseconds, STICKY_MILLISECONDS) / 1000


def read_sticky(event: RoomEvent, content: Mapping[str, Any], now: float) -> RtcMember | None:
    """The member of a sticky event with that content, which may have been encrypted; None: left, or as above."""
    application, member = as_object(content.get("application")), as_object(content.get("member"))
    slot_id, member_id = _id(content.get("slot_id")), _id(member.get("id"))
    if application.get("type") != CALL or not slot_id.startswith(f"{CALL}#") or not member_id:
        return None
    if member.get("user_id", event.sender) != event.sender or member.get("membership", "join") != "join":
        return None
    device_id = _id(member.get("device_id"))
    if "device_id" in member and not device_id:
        return None
    published = as_object(content.get("transports")).get("published", content.get("rtc_transports"))
    return RtcMember(
        user_id=UserId(event.sender),
        device_id=device_id,
        member_id=member_id,
        identity=_sticky_identity(event.sender, device_id, member_id, published),
        slot_id=slot_id,
        foci=_service_urls(published),
        oldest_focus=False,
        created_at=min(event.timestamp / 1000, now),
        expires_at=sticky_until(event, now),
        event_id=EventId(event.event_id),
        state_key=sticky_key(content),
        sticky=True,
        event_type=STICKY_TYPES[0],
    )


def _sticky_identity(sender: str, device_id: str, member_id: str, published: object) -> str:
    """As the way says by which the client got its token: homeservers, which pass on what is asked of a relay named by
    `m.livekit`, name no device."""
    through_homeserver = any(kind == "m.livekit" for kind, _ in _transports(published)[:1])
    if through_homeserver or not device_id:
        return hashed_identity(sender, member_id)
    return hashed_identity(sender, device_id, member_id)


def hashed_identity(*parts: str) -> str:
    """A member's name on the relay that tells nobody who they are: of user, device and member id, or of user and
    member id where the homeserver asked. JSON as JavaScript writes it: compact, other scripts' letters as they are.

    https://github.com/matrix-org/matrix-spec-proposals/pull/4195
    """
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def publishing_focus(member: RtcMember, members: Iterable[RtcMember]) -> str:
    """The service URL of the relay that the member's media are on; nothing where that can't be told.

    Clients of the first generation all publish on the relay of the oldest member of the same call.
    """
    if not member.oldest_focus:
        return member.foci[0] if member.foci else ""
    same = [other for other in members if other.slot_id == member.slot_id and not other.sticky]
    oldest = min(same or [member], key=lambda other: (other.created_at, other.identity))
    return oldest.foci[0] if oldest.foci else ""


def _id(value: object) -> str:
    text = as_text(value, MAX_ID_BYTES)
    return text if len(text.encode()) <= MAX_ID_BYTES else ""


def _milliseconds(value: object, default: int) -> int | None:
    """None for what is there and is no time."""
    if value is None:
        return default
    milliseconds = as_int(value, -1)
    return milliseconds if milliseconds >= 0 else None


def _service_urls(transports: object) -> tuple[str, ...]:
    return tuple(url for _, url in _transports(transports))


def _transports(transports: object) -> list[tuple[str, str]]:
    """Of the LiveKit transports in a list: type, and URL of the token service, or of the relay in the form to come."""
    found = []
    for transport in transports[:MAX_TRANSPORTS] if isinstance(transports, list) else []:
        described = as_object(transport)
        kind = as_text(described.get("type"), MAX_URL)
        name = {"livekit": "livekit_service_url", "m.livekit": "url"}.get(kind, "")
        if url := as_text(described.get(name), MAX_URL):
            found.append((kind, url))
    return found
