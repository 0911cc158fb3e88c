"""Reading events that others wrote, where any field may hold any JSON of any size.

Pure. Nothing here raises on what a homeserver or a room member sent: an event that is not one is `None`, and a field of
the wrong type is as if it were absent. CVE-2025-30355 is what happens elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_ID_BYTES = 255  # https://spec.matrix.org/v1.16/appendices/#common-identifier-format
MAX_EVENT_BYTES = 256 * 1024  # 64 KiB by the specification, before `unsigned` and escapes
MAX_DIGITS = 20  # 2**53 has 16; Python refuses more than 4300

STICKY = "msc4354_sticky"  # of the event itself, beside its content

Json = dict[str, Any]


def as_object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def as_text(value: object, limit: int = MAX_EVENT_BYTES) -> str:
    """The text, or nothing when it is none, is too long, or holds characters that no database and no peer can take."""
    if not isinstance(value, str) or len(value) > limit or "\0" in value:
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:  # lone surrogates, which JSON can spell
        return ""
    return value


def as_texts(value: object) -> tuple[str, ...]:
    """The texts of a list, at most as many as an event can hold."""
    return tuple(text for item in value if (text := as_text(item))) if isinstance(value, list) else ()


def as_int(value: object, default: int) -> int:
    """An integer; booleans are none, and neither is text except where old rooms allow it (`power` does)."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else default


def as_id(value: object, sigil: str) -> str:
    """An identifier beginning with `sigil`, or nothing."""
    text = as_text(value, MAX_ID_BYTES)
    return text if text.startswith(sigil) and len(text.encode()) <= MAX_ID_BYTES else ""


@dataclass(frozen=True)
class RoomEvent:
    """An event whose envelope holds together; `content` is still anybody's."""

    event_id: str
    room_id: str
    sender: str
    type: str
    state_key: str | None
    content: Json
    unsigned: Json
    timestamp: int  # milliseconds since the epoch, as the sender's homeserver claims
    sticky_milliseconds: int = 0  # https://github.com/matrix-org/matrix-spec-proposals/pull/4354; 0: not sticky

    @property
    def previous_membership(self) -> str:
        """What a member event replaces, as the homeserver says; the specification's default is `leave`."""
        previous = as_object(self.unsigned.get("prev_content"))
        return as_text(previous.get("membership")) or "leave"


def read_event(raw: object) -> RoomEvent | None:
    """The event, or None when its envelope does not hold together."""
    source = as_object(raw)
    event_id = as_id(source.get("event_id"), "$")
    room_id = as_id(source.get("room_id"), "!")
    sender = as_id(source.get("sender"), "@")
    event_type = as_text(source.get("type"), MAX_ID_BYTES)
    if not (event_id and room_id and event_type and ":" in sender) or not isinstance(source.get("content"), dict):
        return None
    state_key = source.get("state_key")
    if state_key is not None:
        state_key_text = as_text(state_key, MAX_ID_BYTES)
        if state_key != state_key_text:
            return None
    return RoomEvent(
        event_id=event_id,
        room_id=room_id,
        sender=sender,
        type=event_type,
        state_key=state_key,
        content=source["content"],
        unsigned=as_object(source.get("unsigned")),
        timestamp=as_int(source.get("origin_server_ts"), 0),
        sticky_milliseconds=max(0, as_int(as_object(source.get(STICKY, source.get("sticky"))).get("duration_ms"), 0)),
    )


def encode_event(event: RoomEvent) -> str | None:
    """The event as ASCII JSON for the database; None when it is larger or deeper than events are."""
    try:
        text = json.dumps(
            {
                "event_id": event.event_id,
                "room_id": event.room_id,
                "sender": event.sender,
                "type": event.type,
                "state_key": event.state_key,
                "content": event.content,
                "unsigned": {"prev_content": as_object(event.unsigned.get("prev_content"))},
                "origin_server_ts": event.timestamp,
                STICKY: {"duration_ms": event.sticky_milliseconds},
            }
        )
    except (RecursionError, ValueError):
        return None
    return text if len(text) <= MAX_EVENT_BYTES else None


def decode_json(text: str | bytes) -> Any:
    """Any JSON. Raises ValueError for what is none, `TooDeepError` for what is nested too deeply.

    Numbers that JSON or we can't hold become 0 or None: rooms of old versions let anybody write them, and one such
    number must not make a whole transaction unreadable.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, parse_int=_bounded_int)
    except RecursionError:
        raise TooDeepError("nested too deeply") from None


class TooDeepError(ValueError):
    """Arrays in arrays, beyond what Python's parser follows (some thousand)."""


def _no_constant(_name: str) -> None:
    return None


def _bounded_int(digits: str) -> int:
    return int(digits) if len(digits) <= MAX_DIGITS else 0


@dataclass(frozen=True)
class TextMessage:
    """What somebody wrote, with what a client added taken off."""

    body: str
    formatted: str  # HTML, or nothing
    thread: str | None  # root of the thread it is in


def read_text(content: Mapping[str, Any]) -> TextMessage | None:
    """The text of an `m.room.message` that a person wrote: no notice, no edit, no file."""
    if content.get("msgtype") != "m.text":
        return None
    relation = as_object(content.get("m.relates_to"))
    if relation.get("rel_type") == "m.replace":
        return None
    body = as_text(content.get("body"))
    if as_object(relation.get("m.in_reply_to")):
        body = _without_reply_fallback(body)
    thread = as_id(relation.get("event_id"), "$") if relation.get("rel_type") == "m.thread" else ""
    html = content.get("format") == "org.matrix.custom.html"
    return TextMessage(
        body=body,
        formatted=as_text(content.get("formatted_body")) if html else "",
        thread=thread or None,
    )


def _without_reply_fallback(body: str) -> str:
    """Older clients quote what they answer: https://spec.matrix.org/v1.12/client-server-api/#fallbacks-for-rich-replies"""
    if not body.startswith("> "):
        return body
    _, _, rest = body.partition("\n\n")
    return rest
