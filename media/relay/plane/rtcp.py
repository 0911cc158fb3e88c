"""RTCP as bytes: compound packets taken apart into tuples, and the few packets that a relay sends.

What the numbers mean is for `receiver`, `uptrack` and `downtrack`. `parse` raises `RtcpError` alone, whatever it is
given, which is why aiortc's parser (it lets `struct.error` and `IndexError` out) is not used.
RFC 3550 section 6 (SR, RR, BYE), RFC 4585 (NACK, PLI), RFC 5104 (FIR), draft-alvestrand-rmcat-remb (REMB),
draft-holmer-rmcat-transport-wide-cc-extensions (transport-cc).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from palabre.base.errors import PeerError

SR, RR, BYE, RTPFB, PSFB = 200, 201, 203, 205, 206
NACK, TRANSPORT_CC = 1, 15  # formats of RTPFB
PLI, FIR, AFB = 1, 4, 15  # formats of PSFB

MAX_NACKED = 1024  # sequence numbers taken from one datagram: more than a second of any layer, and bounds the work
MAX_TOLD = 4096  # packets in one transport-cc feedback: as many as are remembered, and bounds the work
MAX_REPORTS = 31  # the count field has five bits
MAX_BITRATE = 1 << 62  # bit/s: the exponent has six bits, and who says more than fits an integer means no limit

_HEADER = struct.Struct("!BBH")
_WORD = struct.Struct("!I")
_SENDER_INFO = struct.Struct("!QIII")
_REPORT = struct.Struct("!IIIIII")
_FEEDBACK = struct.Struct("!II")
_PAIR = struct.Struct("!HH")


class RtcpError(PeerError):
    """These bytes are not RTCP."""


class ReportBlock(NamedTuple):
    """What a receiver says of one SSRC. `last_sr` and `delay` in 1/65536 s, `jitter` in timestamp units."""

    ssrc: int
    fraction_lost: int  # of 256
    lost: int
    highest: int  # extended sequence number
    jitter: int
    last_sr: int
    delay: int


class SenderReport(NamedTuple):
    """64-bit NTP time against 32-bit RTP time of one stream."""

    ssrc: int
    ntp: int
    rtp: int
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...]


class ReceiverReport(NamedTuple):
    """Reports of somebody who sends nothing."""

    ssrc: int
    reports: tuple[ReportBlock, ...]


class Nack(NamedTuple):
    """Sequence numbers of `ssrc` that the other side misses."""

    ssrc: int
    sequences: tuple[int, ...]


class KeyFrameRequest(NamedTuple):
    """PLI or FIR."""

    ssrcs: tuple[int, ...]


class Remb(NamedTuple):
    """Receiver estimated maximum bitrate, bit/s."""

    bitrate: int


class Bye(NamedTuple):
    """These streams have ended."""

    ssrcs: tuple[int, ...]


class TransportReport(NamedTuple):
    """Transport-cc feedback: which of our numbered packets arrived, and when.

    https://datatracker.ietf.org/doc/html/draft-holmer-rmcat-transport-wide-cc-extensions-01#section-3.1
    """

    base: int  # transport sequence number of the first packet told
    reference: int  # 24 bits, units of 64 ms: the time from which the first delta counts
    deltas: tuple[int | None, ...]  # from the arrival before, in units of 250 µs; None: not received


Message = SenderReport | ReceiverReport | Nack | KeyFrameRequest | Remb | Bye | TransportReport


def parse(data: bytes) -> list[Message]:
    """Take a compound (or reduced-size, RFC 5506) packet apart; other types are skipped. Raises `RtcpError`."""
    messages: list[Message] = []
    position, size = 0, len(data)
    if not size:
        raise RtcpError("RTCP datagram is empty")
    while position < size:
        if position + 4 > size:
            raise RtcpError("RTCP header is cut off")
        first, kind, words = _HEADER.unpack_from(data, position)
        if first & 0xC0 != 0x80:
            raise RtcpError("RTCP version is not 2")
        end = position + 4 + 4 * words
        if end > size:
            raise RtcpError("RTCP packet is cut off")
        body = data[position + 4 : end]
        if first & 0x20:
            padding = body[-1] if body else 0
            if not 0 < padding <= len(body):
                raise RtcpError("RTCP padding has a wrong length")
            body = body[:-padding]
        message = _parse_one(first & 0x1F, kind, body)
        if message is not None:
            messages.append(message)
        position = end
    return messages


def _parse_one(count: int, kind: int, body: bytes) -> Message | None:
    if kind == SR:
        if len(body) < 24:
            raise RtcpError("RTCP sender report is cut off")
        ntp, rtp, packets, octets = _SENDER_INFO.unpack_from(body, 4)
        return SenderReport(_word(body, 0), ntp, rtp, packets, octets, _parse_reports(body, 24, count))
    if kind == RR:
        if len(body) < 4:
            raise RtcpError("RTCP receiver report is cut off")
        return ReceiverReport(_word(body, 0), _parse_reports(body, 4, count))
    if kind == BYE:
        if len(body) < 4 * count:
            raise RtcpError("RTCP BYE is cut off")
        return Bye(tuple(_word(body, 4 * index) for index in range(count)))
    if kind in (RTPFB, PSFB):
        if len(body) < 8:
            raise RtcpError("RTCP feedback is cut off")
        if kind == RTPFB:
            return _parse_transport_feedback(count, body)
        return _parse_payload_feedback(count, body)
    return None


def _parse_transport_feedback(count: int, body: bytes) -> Message | None:
    if count == NACK:
        return _parse_nack(body)
    return _parse_transport_report(body) if count == TRANSPORT_CC else None


def _parse_transport_report(body: bytes) -> TransportReport:
    if len(body) < 16:
        raise RtcpError("transport-cc feedback is cut off")
    base, told = _PAIR.unpack_from(body, 8)
    if told > MAX_TOLD:
        raise RtcpError("transport-cc feedback tells of more packets than can be remembered")
    symbols, position = _parse_symbols(body, told)
    deltas: list[int | None] = []
    for symbol in symbols:
        if symbol == 0:
            deltas.append(None)
            continue
        end = position + symbol
        if symbol == 3 or end > len(body):
            raise RtcpError("transport-cc feedback has a wrong delta")
        deltas.append(int.from_bytes(body[position:end], "big", signed=symbol == 2))
        position = end
    return TransportReport(base, _word(body, 12) >> 8, tuple(deltas))


def _parse_symbols(body: bytes, told: int) -> tuple[list[int], int]:
    """One symbol per packet (0 lost, else the bytes of its delta), and where the deltas begin."""
    symbols: list[int] = []
    position = 16
    while len(symbols) < told:
        if position + 2 > len(body):
            raise RtcpError("transport-cc feedback lacks a status chunk")
        word = body[position] << 8 | body[position + 1]
        position += 2
        if not word & 0x8000:
            symbols += [word >> 13 & 3] * min(word & 0x1FFF, told - len(symbols))
            if not word & 0x1FFF:
                raise RtcpError("transport-cc feedback has an empty run")
        elif word & 0x4000:
            symbols += [word >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [word >> shift & 1 for shift in range(13, -1, -1)]
    return symbols[:told], position


def _word(body: bytes, position: int) -> int:
    value: int = _WORD.unpack_from(body, position)[0]
    return value


def _parse_reports(body: bytes, position: int, count: int) -> tuple[ReportBlock, ...]:
    if len(body) < position + 24 * count:
        raise RtcpError("RTCP report block is cut off")
    reports = []
    for _ in range(count):
        ssrc, loss, highest, jitter, last_sr, delay = _REPORT.unpack_from(body, position)
        lost = loss & 0xFFFFFF
        if lost & 0x800000:
            lost -= 0x1000000
        reports.append(ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last_sr, delay))
        position += 24
    return tuple(reports)


def _parse_nack(body: bytes) -> Nack:
    sequences: list[int] = []
    for position in range(8, len(body) - 3, 4):
        first, mask = _PAIR.unpack_from(body, position)
        sequences.append(first)
        sequences.extend((first + bit + 1) & 0xFFFF for bit in range(16) if mask >> bit & 1)
        if len(sequences) >= MAX_NACKED:
            break
    return Nack(_word(body, 4), tuple(sequences[:MAX_NACKED]))


def _parse_payload_feedback(count: int, body: bytes) -> Message | None:
    if count == PLI:
        return KeyFrameRequest((_word(body, 4),))
    if count == FIR:
        return KeyFrameRequest(tuple(_word(body, position) for position in range(8, len(body) - 7, 8)))
    if count == AFB and body[8:12] == b"REMB":
        if len(body) < 16:
            raise RtcpError("RTCP REMB is cut off")
        value = _word(body, 12)
        return Remb(min((value & 0x3FFFF) << (value >> 18 & 0x3F), MAX_BITRATE))
    return None


def _pack(count: int, kind: int, body: bytes) -> bytes:
    padding = -len(body) & 3
    if padding:
        body += bytes(padding - 1) + bytes((padding,))
    return _HEADER.pack(0x80 | (0x20 if padding else 0) | count, kind, len(body) >> 2) + body


def _pack_reports(reports: Sequence[ReportBlock]) -> bytes:
    return b"".join(
        _REPORT.pack(
            report.ssrc,
            report.fraction_lost << 24 | report.lost & 0xFFFFFF,
            report.highest & 0xFFFFFFFF,
            report.jitter & 0xFFFFFFFF,
            report.last_sr,
            report.delay & 0xFFFFFFFF,
        )
        for report in reports
    )


def pack_sender_report(
    ssrc: int, ntp: int, rtp: int, packets: int, octets: int, reports: Sequence[ReportBlock] = ()
) -> bytes:
    """An SR with at most 31 report blocks."""
    info = _SENDER_INFO.pack(ntp & 0xFFFFFFFFFFFFFFFF, rtp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    return _pack(len(reports), SR, _WORD.pack(ssrc) + info + _pack_reports(reports))


def pack_receiver_report(ssrc: int, reports: Sequence[ReportBlock] = ()) -> bytes:
    """An RR with at most 31 report blocks; without any it opens a compound packet."""
    return _pack(len(reports), RR, _WORD.pack(ssrc) + _pack_reports(reports))


def pack_nack(sender: int, ssrc: int, sequences: Sequence[int]) -> bytes:
    """A generic NACK, RFC 4585 section 6.2.1. `sequences` in order of sending, wrapping as they do."""
    body = [_FEEDBACK.pack(sender, ssrc)]
    first = mask = -1
    for sequence in sequences:
        distance = (sequence - first - 1) & 0xFFFF
        if first >= 0 and distance < 16:
            mask |= 1 << distance
            continue
        if first >= 0:
            body.append(_PAIR.pack(first, mask))
        first, mask = sequence, 0
    if first >= 0:
        body.append(_PAIR.pack(first, mask))
    return _pack(NACK, RTPFB, b"".join(body))


def pack_pli(sender: int, ssrc: int) -> bytes:
    """Picture loss indication, RFC 4585 section 6.3.1."""
    return _pack(PLI, PSFB, _FEEDBACK.pack(sender, ssrc))


def pack_fir(sender: int, ssrc: int, number: int) -> bytes:
    """Full intra request, RFC 5104 section 4.3.1."""
    return _pack(FIR, PSFB, _FEEDBACK.pack(sender, 0) + _WORD.pack(ssrc) + bytes((number & 0xFF, 0, 0, 0)))


def pack_remb(sender: int, bitrate: int, ssrcs: Sequence[int]) -> bytes:
    """Receiver estimated maximum bitrate for `ssrcs`."""
    exponent = max(0, bitrate.bit_length() - 18)
    value = len(ssrcs) << 24 | exponent << 18 | bitrate >> exponent
    return _pack(AFB, PSFB, _FEEDBACK.pack(sender, 0) + b"REMB" + _WORD.pack(value) + b"".join(map(_WORD.pack, ssrcs)))


def pack_bye(ssrcs: Sequence[int]) -> bytes:
    """Streams that end."""
    return _pack(len(ssrcs), BYE, b"".join(map(_WORD.pack, ssrcs)))


def pack_transport_feedback(sender: int, ssrc: int, body: bytes) -> bytes:
    """The envelope of transport-cc feedback; `twcc` makes the body."""
    return _pack(TRANSPORT_CC, RTPFB, _FEEDBACK.pack(sender, ssrc) + body)
