"""The records that journals are made of, packed and parsed: bytes only, no files, no clock.

A record is `u8 kind | u16 length | u64 time | payload`, time in monotonic microseconds. There is no checksum: the
sealed block around it has one. Kinds:

* META, JSON: the first record of a file says whose track it is and how monotonic time relates to the epoch
  (`wall`, `mono`); the following describe layers (`ssrc`, `rid`, `payload_type`, `mime_type`, `clock_rate`);
* RTP: a packet as it left SRTP, header included;
* SR: sender report, `u32 ssrc | u64 NTP | u32 RTP` (RFC 3550 section 6.4.1);
* EVENT, JSON with `kind`: what happened in the call, or `muted` and `closed` of a track;
* ALIVE, empty: the capture was running at that time;
* FRAME: in place of packets, a frame that came encrypted end to end and was decrypted when it came: `u32 ssrc | u32 RTP
  timestamp | u32 size of the frame | u8 flags | data`. One that is longer than a record takes several.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

_HEADER = struct.Struct("!BHQ")
_REPORT = struct.Struct("!IQI")
_FRAME = struct.Struct("!IIIB")
_KEY, _AFTER_GAP = 1, 2  # flags of a frame
MAX_PAYLOAD = 0xFFFF  # the length field; an RTP packet is smaller than a datagram
MICROSECONDS = 1_000_000


class Kind(IntEnum):
    """What a record holds."""

    META = 1
    RTP = 2
    SR = 3
    EVENT = 4
    ALIVE = 5
    FRAME = 6


class RecordError(ValueError):
    """Bytes that are no record: a slip of the writer, for the seal has already vouched for them."""


class Record(NamedTuple):
    """`time` in monotonic microseconds of the machine that wrote it."""

    kind: int
    time: int
    payload: bytes


class FramePart(NamedTuple):
    """A frame or, where `data` is shorter than `size`, a piece of one; its other pieces are the records beside it."""

    ssrc: int
    timestamp: int
    size: int
    key: bool
    after_gap: bool
    data: bytes


class SenderReport(NamedTuple):
    """`ntp`: seconds since 1900 on the sender's clock; `rtp`: the same instant on the track's clock."""

    ssrc: int
    ntp: float
    rtp: int


def pack(kind: Kind, seconds: float, payload: bytes = b"") -> bytes:
    """One record. Raises `ValueError` above `MAX_PAYLOAD`."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a record holds at most {MAX_PAYLOAD} bytes")
    return _HEADER.pack(kind, len(payload), int(seconds * MICROSECONDS)) + payload


def pack_json(kind: Kind, seconds: float, fields: Mapping[str, Any]) -> bytes:
    return pack(kind, seconds, json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode())


def pack_report(seconds: float, ssrc: int, ntp: int, rtp: int) -> bytes:
    """`ntp` as the 64-bit fixed-point number of the report."""
    return pack(Kind.SR, seconds, _REPORT.pack(ssrc, ntp, rtp))


def pack_frame(
    seconds: float, ssrc: int, timestamp: int, data: bytes, *, key: bool, after_gap: bool
) -> Iterator[bytes]:
    """`timestamp` modulo 2^32, as in packets."""
    head = _FRAME.pack(ssrc, timestamp, len(data), _KEY * key | _AFTER_GAP * after_gap)
    room = MAX_PAYLOAD - _FRAME.size
    for start in range(0, max(1, len(data)), room):
        yield pack(Kind.FRAME, seconds, head + data[start : start + room])


def parse(block: bytes) -> Iterator[Record]:
    """The records of a block. Raises `RecordError`."""
    offset = 0
    while offset < len(block):
        if offset + _HEADER.size > len(block):
            raise RecordError("a record is cut off in its header")
        kind, length, time = _HEADER.unpack_from(block, offset)
        offset += _HEADER.size
        if offset + length > len(block):
            raise RecordError("a record is longer than its block")
        yield Record(kind, time, block[offset : offset + length])
        offset += length


def parse_json(record: Record) -> dict[str, Any]:
    """The fields of a META or EVENT record. Raises `RecordError`."""
    try:
        fields = json.loads(record.payload)
    except ValueError as error:
        raise RecordError("a record holds no JSON") from error
    if not isinstance(fields, dict):
        raise RecordError("a record holds no JSON object")
    return fields


def parse_report(record: Record) -> SenderReport:
    """Raises `RecordError`."""
    if len(record.payload) != _REPORT.size:
        raise RecordError("a sender report has the wrong length")
    ssrc, ntp, rtp = _REPORT.unpack(record.payload)
    return SenderReport(ssrc, ntp / 2**32, rtp)


def parse_frame(record: Record) -> FramePart:
    """Raises `RecordError`."""
    if len(record.payload) < _FRAME.size:
        raise RecordError("a frame is cut off in its header")
    ssrc, timestamp, size, flags = _FRAME.unpack_from(record.payload)
    return FramePart(ssrc, timestamp, size, bool(flags & _KEY), bool(flags & _AFTER_GAP), record.payload[_FRAME.size :])
