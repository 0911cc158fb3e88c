"""What a client asks for when it connects: the query of `/rtc` and the join request of `/rtc/v1`, as one dataclass.

The token is not looked at here.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from palabre.base.errors import CallerError

# An offer with six receive sections has 15 kB; LiveKit allows 1 MiB. Bounded before the memory is taken: 8 kB of gzip
# can hold 8 MB.
MAX_JOIN_REQUEST = 512 * 1024
MAX_ATTRIBUTES_QUERY = 64_000

_CAPABILITIES: dict[str, Any] = dict(models.ClientInfo.Capability.items())
_SDKS: dict[str, Any] = {name.lower().replace("_", ""): number for name, number in models.ClientInfo.SDK.items()}


class JoinError(CallerError):
    """The connection request is malformed."""

    def __init__(self, sentence: str) -> None:
        super().__init__("bad_join_request", sentence, status=400)


@dataclass(frozen=True)
class JoinRequest:
    """How a client wants to connect."""

    single: bool  # one peer connection for both directions
    client: models.ClientInfo
    auto_subscribe: bool = True
    auto_subscribe_data: bool = False
    may_pause: bool = True  # its video may be stopped where its line is too narrow
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    add_tracks: tuple[rtc.AddTrackRequest, ...] = ()
    publisher_offer: rtc.SessionDescription | None = None
    reconnect: bool = False
    participant_sid: str = ""


def from_query(query: Mapping[str, str]) -> JoinRequest:
    """Parameters of `/rtc`. Raises `JoinError`."""
    client = models.ClientInfo(
        sdk=_sdk(query.get("sdk", "")),
        version=query.get("version", ""),
        protocol=_number(query, "protocol"),
        client_protocol=_number(query, "client_protocol"),
        os=query.get("os", ""),
        browser=query.get("browser", ""),
        browser_version=query.get("browser_version", ""),
    )
    for name in query.get("capabilities", "").split(","):
        if name in _CAPABILITIES:
            client.capabilities.append(_CAPABILITIES[name])
    return JoinRequest(
        single=False,
        client=client,
        auto_subscribe=_flag(query, "auto_subscribe", True),
        auto_subscribe_data=_flag(query, "auto_subscribe_data_track", False),
        may_pause=_flag(query, "subscriber_allow_pause", True),
        attributes=_attributes(query.get("attributes", "")),
        reconnect=_flag(query, "reconnect", False),
        participant_sid=query.get("sid", ""),
    )


def from_wrapped(encoded: str) -> JoinRequest:
    """Parameter `join_request` of `/rtc/v1`. Raises `JoinError`."""
    if not encoded:
        raise JoinError("join_request is missing")
    wrapped, request = rtc.WrappedJoinRequest(), rtc.JoinRequest()
    try:
        wrapped.ParseFromString(_unbase64(encoded))
        content = wrapped.join_request
        if wrapped.compression == rtc.WrappedJoinRequest.GZIP:
            content = _gunzip(content)
        request.ParseFromString(content)
    except (DecodeError, UnicodeError) as error:
        raise JoinError("join_request can't be read") from error
    return JoinRequest(
        single=True,
        client=request.client_info,
        auto_subscribe=request.connection_settings.auto_subscribe,
        auto_subscribe_data=request.connection_settings.auto_subscribe_data_track,
        may_pause=_may_pause(request.connection_settings),
        metadata=request.metadata,
        attributes=dict(request.participant_attributes),
        add_tracks=tuple(request.add_track_requests),
        publisher_offer=request.publisher_offer if request.HasField("publisher_offer") else None,
        reconnect=request.reconnect,
        participant_sid=request.participant_sid,
    )


def _may_pause(settings: rtc.ConnectionSettings) -> bool:
    return settings.subscriber_allow_pause if settings.HasField("subscriber_allow_pause") else True


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise JoinError("a parameter is not base64") from error


def _gunzip(content: bytes) -> bytes:
    decompressor = zlib.decompressobj(wbits=31)
    try:
        plain = decompressor.decompress(content, MAX_JOIN_REQUEST + 1)
    except zlib.error as error:
        raise JoinError("join_request is not gzip") from error
    if len(plain) > MAX_JOIN_REQUEST:
        raise JoinError(f"join_request is larger than {MAX_JOIN_REQUEST} bytes")
    return plain


def _attributes(encoded: str) -> dict[str, str]:
    if not encoded:
        return {}
    if len(encoded) > MAX_ATTRIBUTES_QUERY:
        raise JoinError("attributes are too large")
    try:
        attributes = json.loads(_unbase64(encoded))
    except (ValueError, RecursionError) as error:
        raise JoinError("attributes are not JSON") from error
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise JoinError("attributes are not texts")
    return attributes


def _flag(query: Mapping[str, str], name: str, default: bool) -> bool:
    value = query.get(name, "")
    return value.lower() in ("1", "true") if value else default


def _number(query: Mapping[str, str], name: str) -> int:
    value = query.get(name, "0")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0


def _sdk(name: str) -> Any:
    return _SDKS.get(name.lower(), models.ClientInfo.UNKNOWN)
