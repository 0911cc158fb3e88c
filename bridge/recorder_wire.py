"""What crosses the pipes between the service and the recorder's process. Pure.

To the process, on its standard input, messages of `u32 length | u8 tag | body`: orders as JSON, and media packets as
they came off the relay, still encrypted end to end. From it, on standard output, lines of JSON: what happened. Both are
the same program of the same version, so nothing is negotiated.

Orders, by `do`:

* `start`, the first: who to be on the homeserver, with the secrets for it; where the device is stored; whether to stay;
* `capture` and `close_capture` (id): a directory and its key; `track` (number, whose it is, of which capture): somebody
  agreed, from now on their packets follow; `layer`, `muted`, `closed` of a track; `withdrawn` (capture, identity);
* `members` (room): who is in the room's call, under which identities; `forget_room`;
* `delays`: the leaves to put off, all there are.

Events, by `event`: `ready` (device_keys), `stale` (another device is needed), `closed` and `broke` (capture),
`key_frame` (track), `left` (delay: its leave has happened), `counts`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

_HEAD = struct.Struct("!IB")
_RTP = struct.Struct("!Id")
_REPORT = struct.Struct("!IdIQI")
MAX_MESSAGE = 4 << 20  # bytes: the members of a large room's call


class Tag(IntEnum):
    """What a message holds."""

    ORDER = 1
    RTP = 2
    REPORT = 3


class WireError(ValueError):
    """The other side does not speak this: a mistake of ours."""


class Order(NamedTuple):
    do: str
    fields: dict[str, Any]


class Packet(NamedTuple):
    """An RTP packet of a track; `arrival` in monotonic seconds, which are the machine's and the same in both."""

    track: int
    arrival: float
    packet: bytes


class Report(NamedTuple):
    """A sender report of a track."""

    track: int
    arrival: float
    ssrc: int
    ntp: int
    rtp: int


Message = Order | Packet | Report


def pack_order(do: str, fields: Mapping[str, Any]) -> bytes:
    body = json.dumps({"do": do, **fields}, ensure_ascii=False, separators=(",", ":")).encode()
    return _pack(Tag.ORDER, body)


def pack_rtp(track: int, arrival: float, packet: bytes) -> bytes:
    return _pack(Tag.RTP, _RTP.pack(track, arrival) + packet)


def pack_report(report: Report) -> bytes:
    return _pack(Tag.REPORT, _REPORT.pack(*report))


def _pack(tag: Tag, body: bytes) -> bytes:
    if len(body) > MAX_MESSAGE:
        raise WireError(f"a message has at most {MAX_MESSAGE} bytes")
    return _HEAD.pack(len(body), tag) + body


class Unpacker:
    """Puts messages together from whatever pieces a pipe gives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Raises `WireError`."""
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= _HEAD.size:
            length, tag = _HEAD.unpack_from(self._buffer, start)
            if length > MAX_MESSAGE:
                raise WireError("a message is too long")
            begin = start + _HEAD.size
            if len(self._buffer) < begin + length:
                break
            yield _parse(tag, bytes(self._buffer[begin : begin + length]))
            start = begin + length
        del self._buffer[:start]


def _parse(tag: int, body: bytes) -> Message:
    try:
        if tag == Tag.RTP:
            track, arrival = _RTP.unpack_from(body)
            return Packet(track, arrival, body[_RTP.size :])
        if tag == Tag.REPORT:
            return Report(*_REPORT.unpack(body))
        if tag == Tag.ORDER:
            fields = json.loads(body)
            return Order(fields.pop("do"), fields)
    except (struct.error, ValueError, KeyError, AttributeError) as problem:
        raise WireError("a message does not hold what its tag says") from problem
    raise WireError("a message has a tag that nobody knows")
