"""What MatrixRTC clients ask of a focus, read from their requests with the reference's words for what is wrong. Pure.

The reference is lk-jwt-service of Element, whose three routes clients know: `/sfu/get`, `/get_token` and
`/delegate_delayed_leave`. https://github.com/element-hq/lk-jwt-service
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from palabre.base.errors import CallerError
from palabre.base.ids import RoomId, UserId

CALL_SLOT = "m.call#ROOM"  # the one call of a room; what clients without slots mean, too
TEXT_LIMIT = 255  # characters of an id, https://spec.matrix.org/v1.16/appendices/#common-identifier-format
SECRET_LIMIT = 1024  # characters of an OpenID token or a delay id; Synapse's have some 25
LONGEST_DELAY = 24 * 3600.0  # seconds; Element Call asks for one hour, homeservers allow a day


@dataclass(frozen=True)
class OpenIdToken:
    """What a client's homeserver vouches with."""

    server_name: str
    access_token: str


@dataclass(frozen=True)
class Delay:
    """A delayed event of the client's, its leaving: whoever knows its id may restart it or send it."""

    id: str
    timeout: float  # seconds


@dataclass(frozen=True)
class Asked:
    """A seat in a room's call, for one device of a user who is proved otherwise."""

    room_id: RoomId
    slot_id: str
    device_id: str
    member_id: str = ""  # empty: the identity is `@user:server:DEVICE`, otherwise a hash
    claimed_user_id: UserId | None = None
    delay: Delay | None = None
    through_homeserver: bool = False  # which proved the user, and where the hash is made of fewer parts


def read_sfu_get(body: bytes) -> tuple[OpenIdToken, Asked]:
    """The older way, for the identity `@user:server:DEVICE`. Raises `CallerError`."""
    document = document_of(body)
    openid = object_in(document, "openid_token")
    room = text_in(document, "room")
    device_id = text_in(document, "device_id")
    token = _openid(openid)
    delay = _delay(document)
    if not room:
        raise bad("Missing room parameter")
    if token is None:
        raise bad("Missing OpenID token parameters")
    return token, Asked(RoomId(room), CALL_SLOT, device_id, delay=_whole(delay))


def read_get_token(body: bytes) -> tuple[OpenIdToken, Asked]:
    """The newer way, for a hashed identity. Raises `CallerError`."""
    token, asked, delay = _newer(document_of(body), "a ")
    return token, _with_delay(asked, _whole(delay))


def read_delegation(body: bytes) -> tuple[OpenIdToken, Asked]:
    """As `read_get_token`, and the delay must be there. Raises `CallerError`."""
    token, asked, delay = _newer(document_of(body), "")
    whole = _whole(delay)
    if whole is None:
        raise _missing_delay()
    return token, _with_delay(asked, whole)


def _newer(document: Mapping[str, Any], article: str) -> tuple[OpenIdToken, Asked, tuple[str, float]]:
    """`article` is a slip of the reference's, in the texts of `/get_token` alone."""
    room, slot = text_in(document, "room_id"), text_in(document, "slot_id")
    member = object_in(document, "member")
    texts = {name: text_in(member, name) for name in ("id", "claimed_user_id", "claimed_device_id")}
    token = _openid(object_in(document, "openid_token"))
    delay = _delay(document)
    if not room or not slot:
        raise bad("The request body is missing `room_id` or `slot_id`")
    if not all(texts.values()):
        raise bad(f"The request body `member` is missing {article}`id`, `claimed_user_id` or `claimed_device_id`")
    if token is None:
        raise bad(f"The request body `openid_token` is missing {article}`access_token` or `matrix_server_name`")
    asked = Asked(RoomId(room), slot, texts["claimed_device_id"], texts["id"], UserId(texts["claimed_user_id"]))
    return token, asked, delay


def _with_delay(asked: Asked, delay: Delay | None) -> Asked:
    return Asked(asked.room_id, asked.slot_id, asked.device_id, asked.member_id, asked.claimed_user_id, delay)


def whole_delay(document: Mapping[str, Any]) -> Delay | None:
    """The delay that a request hands over, both of its parts, or none. Raises `CallerError`."""
    return _whole(_delay(document))


def _delay(document: Mapping[str, Any]) -> tuple[str, float]:
    """Id and seconds; `delay_cs_api_url` beside them is never looked at: we call no address that a client names."""
    milliseconds = document.get("delay_timeout") or 0
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        raise _unreadable()
    return text_in(document, "delay_id", SECRET_LIMIT), min(max(milliseconds, 0), LONGEST_DELAY * 1000) / 1000


def _whole(delay: tuple[str, float]) -> Delay | None:
    """Both or none."""
    delay_id, timeout = delay
    if bool(delay_id) != (timeout > 0):
        raise _missing_delay()
    if delay_id in (".", ".."):  # steps in a path, whichever way they are written there
        raise bad("`delay_id` is no id")
    return Delay(delay_id, timeout) if delay_id else None


def _openid(token: Mapping[str, Any]) -> OpenIdToken | None:
    server_name, access_token = text_in(token, "matrix_server_name"), text_in(token, "access_token", SECRET_LIMIT)
    return OpenIdToken(server_name, access_token) if server_name and access_token else None


def document_of(body: bytes) -> Mapping[str, Any]:
    """Fields that we don't know are left alone: clients get new ones before we do."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _unreadable()
    return document


def object_in(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _unreadable()
    return value


def text_in(document: Mapping[str, Any], name: str, limit: int = TEXT_LIMIT) -> str:
    """The text, or nothing where there is none; what can't be stored or is too long is refused."""
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _unreadable()
    if len(value) > limit or "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise bad(f"`{name}` is longer than {limit} characters, or no text")
    return value


def _unreadable() -> CallerError:
    return CallerError("M_NOT_JSON", "Error reading request")


def bad(sentence: str) -> CallerError:
    return CallerError("M_BAD_JSON", sentence)


def _missing_delay() -> CallerError:
    return bad("The request body is missing `delay_id` or `delay_timeout`")
