"""What a link sees of the packets it carries: their addresses, which it may replace, and RTP headers in clear. Pure.

Replacing an address is what a network does whose mapping changes in the middle of a call: the sender knows nothing of
it, the receiver sees the same stream from somewhere else.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

_UDP, _TCP = 17, 6
_IPV6_HEADER = 40
_RTP_HEADER = 12
_CHECKSUM_AT = {_UDP: 6, _TCP: 16}  # in the transport's header


class Rtp(NamedTuple):
    """The header of an (S)RTP packet, as far as it is looked at."""

    ssrc: int
    sequence: int
    timestamp: int
    payload_type: int


def rtp(packet: bytes) -> Rtp | None:
    """The RTP header inside an IP packet; None for anything else, also for RTCP (RFC 5761, RFC 7983)."""
    protocol, start = _transport(packet)
    start += 8
    if protocol != _UDP or len(packet) < start + _RTP_HEADER or not 128 <= packet[start] <= 191:
        return None
    if 192 <= packet[start + 1] <= 223:
        return None
    sequence, timestamp, ssrc = struct.unpack_from("!HII", packet, start + 2)
    return Rtp(ssrc, sequence, timestamp, packet[start + 1] & 0x7F)


def source(packet: bytes) -> bytes:
    return packet[12:16] if packet[0] >> 4 == 4 else packet[8:24]


def destination(packet: bytes) -> bytes:
    return packet[16:20] if packet[0] >> 4 == 4 else packet[24:40]


def with_source(packet: bytes, address: bytes) -> bytes:
    """The packet from another address of the same family, its checksums set right."""
    return _replace(packet, 12 if packet[0] >> 4 == 4 else 8, address)


def with_destination(packet: bytes, address: bytes) -> bytes:
    return _replace(packet, 16 if packet[0] >> 4 == 4 else 24, address)


def is_udp(packet: bytes) -> bool:
    return _transport(packet)[0] == _UDP


def packed(address: str) -> bytes:
    """As it stands in a packet."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _transport(packet: bytes) -> tuple[int, int]:
    """Protocol above IP and where it begins. Extension headers of IPv6 are not followed: nobody here sends any."""
    if packet[0] >> 4 == 4:
        return packet[9], (packet[0] & 15) * 4
    return packet[6], _IPV6_HEADER


def _replace(packet: bytes, at: int, address: bytes) -> bytes:
    changed = bytearray(packet)
    before = bytes(changed[at : at + len(address)])
    changed[at : at + len(address)] = address
    protocol, start = _transport(packet)
    if packet[0] >> 4 == 4:
        _mend(changed, 10, before, address)
    if protocol in _CHECKSUM_AT:
        place = start + _CHECKSUM_AT[protocol]
        if protocol == _TCP or changed[place : place + 2] != b"\0\0":  # UDP over IPv4 may go without
            _mend(changed, place, before, address)
    return bytes(changed)


def _mend(packet: bytearray, at: int, before: bytes, after: bytes) -> None:
    """Set a checksum right after words under it were replaced (RFC 1624, equation 3)."""
    total = 0xFFFF ^ (packet[at] << 8 | packet[at + 1])
    for old, new in zip(struct.iter_unpack("!H", before), struct.iter_unpack("!H", after), strict=True):
        total += (0xFFFF ^ old[0]) + new[0]
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    struct.pack_into("!H", packet, at, 0xFFFF ^ total)


class Stream:
    """How many different moments of one SSRC were seen since the last `begin`.

    Told by timestamps: sequence numbers also count padding, which nobody sends again. What comes late of before
    `begin` is not counted.
    """

    def __init__(self) -> None:
        self._newest = self._base = -1  # extended; the newest one when counting began
        self._seen: set[int] = set()

    def add(self, timestamp: int) -> None:
        if self._newest < 0:
            moment = timestamp + (1 << 32)
            self._base = moment - 1
        else:
            moment = self._newest + ((timestamp - self._newest + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        self._newest = max(self._newest, moment)
        if moment > self._base:
            self._seen.add(moment)

    def begin(self) -> None:
        """Count anew from the next one on."""
        self._base = self._newest
        self._seen.clear()

    @property
    def count(self) -> int:
        return len(self._seen)
