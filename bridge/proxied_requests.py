"""What clients ask of the focus through their homeserver (MSC4195 over MSC4512), read from those requests. Pure.

The homeserver says who asks, in a header, so there is no OpenID token. Identities are another hash than `/get_token`'s.
https://github.com/matrix-org/matrix-spec-proposals/pull/4195, /4512; their names and fields will change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from appservice.federation.names import parse_server_name
from bridge.focus_requests import SECRET_LIMIT, Asked, Delay, bad, document_of, object_in, text_in, whole_delay
from palabre.base.errors import CallerError
from palabre.base.ids import RoomId, UserId

PATH = "io.element.msc4195/rtc/livekit"  # below /_matrix/client/unstable and /_matrix/federation/unstable
STABLE_PATH = "rtc/livekit"  # below /_matrix/client/v1 and /_matrix/federation/v1


@dataclass(frozen=True)
class Proxied:
    """A seat at the relay with that address, of our homeserver or of another's Palabre."""

    url: str
    server_name: str  # empty: ours
    user_id: str  # over federation alone: whom the asking homeserver speaks for
    asked: Asked


def read_proxied(body: bytes) -> Proxied:
    """Raises `CallerError`."""
    document = document_of(body)
    url = text_in(document, "url", SECRET_LIMIT)
    if not url:
        raise bad("The request body is missing `url`")
    room, slot = text_in(document, "room_id"), text_in(document, "slot_id")
    member_id = text_in(document, "member_id") or text_in(object_in(document, "member"), "id")
    if not room or not slot or not member_id:
        raise bad("The request body is missing `room_id`, `slot_id` or `member_id`")
    asked = Asked(RoomId(room), slot, "", member_id, through_homeserver=True)
    return Proxied(url, text_in(document, "server_name"), text_in(document, "user_id"), asked)


def read_proxied_delegation(body: bytes) -> Proxied:
    """The delay's length has to be there: homeservers do not tell it to others than its user. Raises `CallerError`."""
    proxied = read_proxied(body)
    delay: Delay | None = whole_delay(document_of(body))
    if delay is None:
        raise bad("The request body is missing `delay_id` or `delay_timeout`")
    return replace(proxied, asked=replace(proxied.asked, delay=delay))


def federation_body(proxied: Proxied, user_id: UserId) -> Mapping[str, Any]:
    """For the Palabre, or lk-jwt-service, of another homeserver: both drafts' names for the member."""
    asked = proxied.asked
    return {
        "url": proxied.url,
        "user_id": user_id,
        "room_id": asked.room_id,
        "slot_id": asked.slot_id,
        "member_id": asked.member_id,
        "member": {"id": asked.member_id},
    }


def user_of(header: str, server_name: str) -> UserId:
    """The user id in a header or a body. Raises `CallerError` unless it is one of that server."""
    localpart, _, server = header[1:].partition(":")
    if not header.startswith("@") or not localpart.isprintable() or not localpart or len(header.encode()) > 255:
        raise CallerError("M_INVALID_PARAM", "That is no user id")
    if server != server_name or parse_server_name(server) is None:
        raise CallerError("M_FORBIDDEN", "A homeserver speaks for its own users alone", status=403)
    return UserId(header)
