"""RTP packets as bytes: the fixed header (RFC 3550) and header extensions (RFC 8285), parsed and packed.

Not the meaning of any extension (`extensions`) nor of any payload (`codecs`). Parsers return plain tuples, because
one is made for every packet that arrives, and raise `RtpError` alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from palabre.base.errors import PeerError

HEADER = struct.Struct("!BBHII")  # V P X CC, M PT, sequence number, timestamp, SSRC
HEADER_SIZE = 12
VERSION = 0x80
PADDING = 0x20
EXTENSION = 0x10
MARKER = 0x80

ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000  # the low four bits are "appbits", RFC 8285 section 4.3
ONE_BYTE_MAX_LENGTH = 16  # the length field has four bits and counts from one
ONE_BYTE_MAX_ID = 14  # 15 means stop, RFC 8285 section 4.2

_PROFILE = struct.Struct("!HH")

# second byte, sequence number, timestamp, SSRC, profile (0: no extension), extension start, payload start, payload end
Header = tuple[int, int, int, int, int, int, int, int]


class RtpError(PeerError):
    """These bytes are not an RTP packet."""


def parse_header(packet: bytes) -> Header:
    """Take a packet's header apart; the extension lies between its start and the payload's. Raises `RtpError`."""
    size = len(packet)
    if size < HEADER_SIZE:
        raise RtpError("RTP packet is shorter than its header")
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(packet)
    if first & 0xC0 != VERSION:
        raise RtpError("RTP version is not 2")
    start = HEADER_SIZE + 4 * (first & 0x0F)
    profile = extension = 0
    if first & EXTENSION:
        if start + 4 > size:
            raise RtpError("RTP header extension is cut off")
        profile, words = _PROFILE.unpack_from(packet, start)
        extension = start + 4
        start = extension + 4 * words
    end = size
    if first & PADDING:
        padding = packet[-1]
        if padding == 0:
            raise RtpError("RTP padding has length zero")
        end -= padding
    if start > end:
        raise RtpError("RTP payload begins after its end")
    return second, sequence, timestamp, ssrc, profile, extension, start, end


def parse_extensions(packet: bytes, profile: int, start: int, end: int) -> dict[int, bytes]:
    """Header extension elements by id. RFC 8285 has receivers ignore what they can't read, so this never raises."""
    elements: dict[int, bytes] = {}
    position = start
    if profile == ONE_BYTE_PROFILE:
        while position < end:
            byte = packet[position]
            position += 1
            if byte == 0:
                continue
            identifier = byte >> 4
            if identifier > ONE_BYTE_MAX_ID:
                break
            stop = position + (byte & 0x0F) + 1
            if stop > end:
                break
            elements[identifier] = packet[position:stop]
            position = stop
    elif profile & 0xFFF0 == TWO_BYTE_PROFILE:
        while position + 1 < end:
            identifier = packet[position]
            position += 1
            if identifier == 0:
                continue
            stop = position + 1 + packet[position]
            if stop > end:
                break
            elements[identifier] = packet[position + 1 : stop]
            position = stop
    return elements


def pack_extensions(elements: Iterable[tuple[int, bytes]]) -> bytes:
    """The whole extension block with its profile and length, or nothing for no elements.

    Two-byte headers are used only where an element doesn't fit one-byte headers: the dependency descriptor of a key
    frame is longer than 16 bytes, and clients that did not offer `extmap-allow-mixed` read one-byte headers only.
    """
    items = list(elements)
    if not items:
        return b""
    if all(0 < len(value) <= ONE_BYTE_MAX_LENGTH and identifier <= ONE_BYTE_MAX_ID for identifier, value in items):
        profile = ONE_BYTE_PROFILE
        body = b"".join(bytes((identifier << 4 | len(value) - 1,)) + value for identifier, value in items)
    else:
        profile = TWO_BYTE_PROFILE
        body = b"".join(bytes((identifier, len(value))) + value for identifier, value in items)
    body += bytes(-len(body) & 3)
    return _PROFILE.pack(profile, len(body) >> 2) + body


def pack_packet(
    *,
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    marker: bool = False,
    extensions: Mapping[int, bytes] | None = None,
    padding: int = 0,
) -> bytes:
    """A whole packet, `padding` bytes of it padding. For what is made once, not on the forwarding path."""
    block = pack_extensions(extensions.items()) if extensions else b""
    first = VERSION | (EXTENSION if block else 0) | (PADDING if padding else 0)
    second = payload_type | (MARKER if marker else 0)
    header = HEADER.pack(first, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    tail = bytes(padding - 1) + bytes((padding,)) if padding else b""
    return header + block + payload + tail


def restore_original(packet: bytes, header: Header, ssrc: int) -> bytes:
    """The packet that an RTX packet repeats (RFC 4588 section 4). `header` is the original's, except that its payload
    start and end are places in the RTX packet, behind the original sequence number."""
    second, sequence, timestamp, _, _, _, start, end = header
    return b"".join(
        (
            HEADER.pack(packet[0] & ~PADDING, second, sequence, timestamp, ssrc),
            packet[HEADER_SIZE : start - 2],
            packet[start:end],
        )
    )
