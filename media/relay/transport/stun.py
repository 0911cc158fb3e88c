"""STUN binding requests of ICE checks, read strictly, and their answers (RFC 8489, RFC 8445 section 7.3).

The message codec is aioice's; its parser lets `struct.error` and others through on attributes that are shorter than
their type (one traceback per packet for whoever sends them), so everything it may raise becomes one `StunError` here.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from aioice import stun

from palabre.base.errors import PeerError

HEADER = 20  # bytes, RFC 8489 section 5
COOKIE = b"\x21\x12\xa4\x42"
MAX_MESSAGE = 1024  # bytes: a check has a dozen attributes; more is not one
_USERNAME = 0x0006


class StunError(PeerError):
    """Not a binding request that we can answer."""


class BindingRequest(NamedTuple):
    """An authenticated check."""

    transaction_id: bytes
    use_candidate: bool


def local_ufrag(datagram: bytes) -> str:
    """The part of USERNAME before the colon: which of our sessions is meant. Raises `StunError`.

    Found without a full parse, because strangers send these.
    """
    if len(datagram) < HEADER or len(datagram) > MAX_MESSAGE or datagram[4:8] != COOKIE:
        raise StunError("not a STUN message")
    position, end = HEADER, len(datagram)
    while position + 4 <= end:
        kind = datagram[position] << 8 | datagram[position + 1]
        length = datagram[position + 2] << 8 | datagram[position + 3]
        if kind == _USERNAME:
            value = datagram[position + 4 : position + 4 + length]
            return value.partition(b":")[0].decode("ascii", "replace")
        position += 4 + (length + 3 & ~3)
    raise StunError("no USERNAME")


def parse_check(datagram: bytes, password: str) -> BindingRequest:
    """An ICE check that proves it knows `password`. Raises `StunError` for anything else."""
    try:
        message = stun.parse_message(datagram)
    except (ValueError, struct.error, IndexError, KeyError, TypeError) as error:
        raise StunError(f"malformed: {type(error).__name__}") from error
    if message.message_method != stun.Method.BINDING or message.message_class != stun.Class.REQUEST:
        raise StunError("not a binding request")
    if not message.check_message_integrity(password.encode()):
        raise StunError("MESSAGE-INTEGRITY does not match")
    return BindingRequest(message.transaction_id, "USE-CANDIDATE" in message.attributes)


def success(request: BindingRequest, address: tuple[str, int], password: str) -> bytes:
    """The answer: the address that the check came from, under the same password."""
    response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id)
    response.attributes["XOR-MAPPED-ADDRESS"] = address
    response.add_message_integrity(password.encode())
    return bytes(response)
