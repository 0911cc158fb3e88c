"""The frames of the signalling WebSocket: `SignalRequest` in, `SignalResponse` out, as protobuf or as JSON text.

A client that sends text is answered in text (livekit-client's `useJSON`). Close codes are here too, because one of
them is a trap: livekit-client before 2.17 takes 1000 for its own doing and never comes back.
"""

from __future__ import annotations

from enum import IntEnum

from google.protobuf import json_format
from google.protobuf.message import DecodeError, EncodeError
from livekit.protocol import rtc

from palabre.base.errors import PeerError

MAX_JSON_DEPTH = 32  # the deepest request has 5 levels; protobuf's own limit for binary is 100


class CloseCode(IntEnum):
    """RFC 6455 section 7.4.1. Never 1000: see above."""

    GOING_AWAY = 1001
    BAD_FRAME = 1007
    REFUSED = 1008
    TOO_BIG = 1009
    RESTART = 1012
    SLOW_READER = 1013


class SignalError(PeerError):
    """A frame that is no signal request."""


def decode(frame: bytes | str) -> rtc.SignalRequest:
    """Read one frame; fields that are not known are skipped. Raises `SignalError`."""
    request = rtc.SignalRequest()
    try:
        if isinstance(frame, str):
            json_format.Parse(frame, request, ignore_unknown_fields=True, max_recursion_depth=MAX_JSON_DEPTH)
        else:
            request.ParseFromString(frame)
    except (DecodeError, json_format.ParseError, RecursionError, UnicodeError, ValueError, TypeError) as error:
        raise SignalError("a frame that is not a SignalRequest") from error
    return request


def encode(response: rtc.SignalResponse, *, as_text: bool) -> bytes | str:
    """One frame. What we build ourselves always fits, so that an error here is ours."""
    if as_text:
        return json_format.MessageToJson(response, indent=None)
    try:
        return response.SerializeToString()
    except EncodeError as error:
        raise RuntimeError("a signal response that can't be encoded") from error


class Shared:
    """A response for many, encoded once in each of the two forms."""

    def __init__(self, response: rtc.SignalResponse) -> None:
        self.response = response
        self._frames: dict[bool, bytes | str] = {}

    def frame(self, *, as_text: bool) -> bytes | str:
        frame = self._frames.get(as_text)
        if frame is None:
            frame = self._frames[as_text] = encode(self.response, as_text=as_text)
        return frame
