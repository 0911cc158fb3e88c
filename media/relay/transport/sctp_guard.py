"""Refuses SCTP packets that aiortc's parser or its association would choke on (RFC 9260), before they see them.

What it prevents, each with one admitted participant as the attacker: a parameter of length zero that never lets the
parser end (the whole event loop stops), bodies shorter than their type (`struct.error`), an INIT beside other chunks
(an assertion), acknowledgements whose gaps cover millions of numbers, stream numbers by the ten thousand. Only what a
packet says of itself is judged here; whether its numbers fit the association is for `association` to compare.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from palabre.base.errors import PeerError

COMMON_HEADER = 12
CHUNK_HEADER = 4
MAX_STREAM = 1023  # usrsctp, in every browser, opens at most 1024 streams
MAX_CHUNKS = 64  # in one packet: a datagram of 1200 bytes holds no more DATA chunks that carry anything worth while
MAX_FRAGMENTS = (
    8  # in one packet that the next fragment follows: one fills a packet, repeats of short ones may share it
)
MAX_SKIPPED_STREAMS = (
    64  # in a FORWARD TSN: streams with abandoned ordered messages; LiveKit's lossy ones have no order
)

DATA, INIT, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT_ACK, ABORT, SHUTDOWN = range(8)
ERROR, RECONFIG, FORWARD_TSN = 9, 130, 192
LAST_FRAGMENT = 0x01  # flag of a DATA chunk
# Chunks of which nobody sends two in a packet, and each of which costs the association a walk through all it holds.
_ONCE = frozenset({INIT, INIT_ACK, SACK, HEARTBEAT, RECONFIG, FORWARD_TSN, SHUTDOWN})
# chunk type: fewest bytes of its body
_SHORTEST = {DATA: 13, INIT: 16, INIT_ACK: 16, SACK: 12, SHUTDOWN: 4, FORWARD_TSN: 4}
# chunk type: where its parameters begin in the body
_PARAMETERS = {INIT: 16, INIT_ACK: 16, HEARTBEAT: 0, HEARTBEAT_ACK: 0, ABORT: 0, ERROR: 0, RECONFIG: 0}
# re-configuration parameter (RFC 6525): fewest bytes of its value, and of what its length is a multiple
_RECONFIG = {13: (12, 2), 16: (8, 4), 17: (8, 4)}


class SctpError(PeerError):
    """Nobody who follows the RFC sends this."""


class Claims(NamedTuple):
    """The numbers in a packet that only the association can judge."""

    init: bool
    data: bool  # DATA, or a FORWARD TSN that gives some up
    acknowledged: int | None  # cumulative TSN of its SACK
    last_gap: int  # how far beyond `acknowledged` that SACK reaches


def check(packet: bytes) -> Claims:
    """Raises `SctpError` unless every chunk and parameter is whole."""
    if len(packet) < COMMON_HEADER + CHUNK_HEADER:
        raise SctpError("packet too short")
    position, count, fragments = COMMON_HEADER, 0, 0
    kinds: set[int] = set()
    acknowledged, last_gap = None, 0
    while position + CHUNK_HEADER <= len(packet):
        kind, flags, length = struct.unpack_from("!BBH", packet, position)
        if length < CHUNK_HEADER or position + length > len(packet):
            raise SctpError("chunk length")
        body = packet[position + CHUNK_HEADER : position + length]
        if kind in _ONCE and kind in kinds:
            raise SctpError("a chunk twice in a packet")
        if len(body) < _SHORTEST.get(kind, 0):
            raise SctpError("chunk body too short")
        if kind == DATA:
            _check_data(body)
            fragments += not flags & LAST_FRAGMENT
        elif kind == SACK:
            acknowledged, last_gap = _check_sack(body)
        elif kind == FORWARD_TSN:
            _check_forward(body)
        elif kind in _PARAMETERS:
            _check_parameters(kind, body, _PARAMETERS[kind])
        position += length + (-length % 4)
        kinds.add(kind)
        count += 1
        if count > MAX_CHUNKS or fragments > MAX_FRAGMENTS:
            raise SctpError("too many chunks")
    if INIT in kinds and count > 1:
        raise SctpError("INIT beside other chunks")
    return Claims(INIT in kinds, bool(kinds & {DATA, FORWARD_TSN}), acknowledged, last_gap)


def _check_data(body: bytes) -> None:
    (stream,) = struct.unpack_from("!H", body, 4)
    if stream > MAX_STREAM:
        raise SctpError("stream number")


def _check_sack(body: bytes) -> tuple[int, int]:
    """The cumulative TSN, and how far beyond it the last gap block reaches."""
    acknowledged, _window, gaps, duplicates = struct.unpack_from("!LLHH", body)
    if len(body) != 12 + 4 * (gaps + duplicates):
        raise SctpError("SACK length")
    last = 0
    for index in range(gaps):
        first, end = struct.unpack_from("!HH", body, 12 + 4 * index)
        if first <= last or end < first:  # ascending and apart, so that together they cover at most 65,535 numbers
            raise SctpError("SACK gaps")
        last = end
    return acknowledged, last


def _check_forward(body: bytes) -> None:
    if len(body) % 4 or len(body) > 4 + 4 * MAX_SKIPPED_STREAMS:
        raise SctpError("FORWARD TSN length")
    for position in range(4, len(body), 4):
        (stream,) = struct.unpack_from("!H", body, position)
        if stream > MAX_STREAM:
            raise SctpError("stream number")


def _check_parameters(kind: int, body: bytes, position: int) -> None:
    while position + 4 <= len(body):
        parameter, length = struct.unpack_from("!HH", body, position)
        if length < 4 or position + length > len(body):
            raise SctpError("parameter length")
        if kind == RECONFIG and parameter in _RECONFIG:
            shortest, multiple = _RECONFIG[parameter]
            if length - 4 < shortest or (length - 4) % multiple:
                raise SctpError("re-configuration parameter")
        position += length + (-length % 4)
