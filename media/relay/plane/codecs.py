"""What a relay reads of payloads without decoding them: key frames, picture ids, picture sizes, what a packet plays.

Only descriptors and the first clear bytes of a frame are read, so everything here works on end-to-end encrypted media
too (which leave those bytes clear). Truncated payloads are described as `PLAIN`; nothing here raises.
RFC 6716 (Opus), RFC 7741 (VP8), RFC 9628 (VP9), RFC 6184 (H.264), https://aomediacodec.github.io/av1-rtp-spec/ (AV1).
"""

from __future__ import annotations

from collections.abc import Callable

# key frame begins here, a frame begins here, picture id at (0: none), its size in bytes, TL0PICIDX at (0: none)
Description = tuple[bool, bool, int, int, int]
PLAIN: Description = (False, False, 0, 0, 0)
_KEY: Description = (True, True, 0, 0, 0)

_H264_SPS, _H264_STAP_A, _H264_FU_A = 7, 24, 28
_H264_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_BEYOND = bytes(16)  # what readers of a cut payload find behind it: no size
_MAX_SIDE = 16384  # pixels: a larger picture is a misread one


def describe_vp8(packet: bytes, start: int, end: int) -> Description:
    """RFC 7741 section 4.2."""
    position = start + 1
    if position >= end:
        return PLAIN
    first = packet[start]
    picture_id = size = base_layer = 0
    if first & 0x80:
        flags = packet[position]
        position += 1
        if flags & 0x80:
            picture_id = position
            if position >= end:
                return PLAIN
            size = 2 if packet[position] & 0x80 else 1
            position += size
        if flags & 0x40:
            base_layer = position
            position += 1
        if flags & 0x30:
            position += 1
        if position >= end:
            return PLAIN
    starts = first & 0x17 == 0x10  # S set, partition 0
    return starts and not packet[position] & 1, starts, picture_id, size, base_layer


def describe_vp9(packet: bytes, start: int, end: int) -> Description:
    """RFC 9628 section 4.2. A key frame begins with the first packet of spatial layer 0 of an intra picture."""
    if start + 1 >= end:
        return PLAIN
    first = packet[start]
    position = start + 1
    picture_id = size = base_layer = spatial = 0
    if first & 0x80:
        picture_id = position
        size = 2 if packet[position] & 0x80 else 1
        position += size
        if position >= end:
            return PLAIN
    if first & 0x20:
        if position + 1 >= end:
            return PLAIN
        spatial = packet[position] >> 1 & 7
        position += 1
        if not first & 0x10:
            base_layer = position
    starts = first & 0x08 != 0 and spatial == 0
    return starts and not first & 0x40, starts, picture_id, size, base_layer


def describe_h264(packet: bytes, start: int, end: int) -> Description:
    """A key frame begins with its parameter sets, which WebRTC senders repeat before every IDR picture."""
    if start >= end:
        return PLAIN
    kind = packet[start] & 0x1F
    if kind == _H264_STAP_A:
        parameters = any(packet[unit] & 0x1F == _H264_SPS for unit, _ in _units(packet, start, end))
    elif kind == _H264_FU_A:
        parameters = start + 1 < end and packet[start + 1] & 0x9F == 0x80 | _H264_SPS
    else:
        parameters = kind == _H264_SPS
    return _KEY if parameters else PLAIN


def describe_av1(packet: bytes, start: int, end: int) -> Description:
    """The N bit of the aggregation header: first packet of a coded video sequence."""
    return _KEY if start < end and packet[start] & 0x88 == 0x08 else PLAIN


def describe_other(_packet: bytes, _start: int, _end: int) -> Description:
    """Audio, and video that is not read: a stream may begin with any packet."""
    return _KEY


DESCRIBERS: dict[str, Callable[[bytes, int, int], Description]] = {
    "VP8": describe_vp8,
    "VP9": describe_vp9,
    "H264": describe_h264,
    "AV1": describe_av1,
}


def picture_id(packet: bytes, at: int, size: int) -> int:
    """The picture id that a description points to."""
    return (packet[at] & 0x7F) << 8 | packet[at + 1] if size == 2 else packet[at] & 0x7F


# Ticks of 48 kHz that one frame plays, by the configuration in the upper five bits of the first byte.
_OPUS_FRAMES = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4


def opus_span(packet: bytes, start: int) -> int:
    """What an Opus packet plays, in ticks of 48 kHz, by RFC 6716 section 3.1; 0: not known.

    Packets of three frames and more count them in their second byte, which end-to-end encryption covers.
    """
    toc = packet[start]
    frames = (1, 2, 2, 0)[toc & 3]
    return _OPUS_FRAMES[toc >> 3] * frames


def frame_size(codec: str, packet: bytes, start: int, end: int) -> tuple[int, int]:
    """Width and height from the packet that begins a key frame; (0, 0) where it doesn't tell."""
    reader = _SIZE_READERS.get(codec)
    if reader is None:
        return 0, 0
    width, height = reader(packet[start:end] + _BEYOND)
    return (width, height) if 0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE else (0, 0)


def _vp8_size(payload: bytes) -> tuple[int, int]:
    position = 1
    if payload[0] & 0x80:
        flags = payload[1]
        position = 2
        if flags & 0x80:
            position += 2 if payload[2] & 0x80 else 1
        position += bool(flags & 0x40) + bool(flags & 0x30)
    # RFC 6386 section 9.1: three bytes of frame tag, start code, 14 bits each of width and height
    if payload[position + 3 : position + 6] != b"\x9d\x01\x2a":
        return 0, 0
    width = int.from_bytes(payload[position + 6 : position + 8], "little") & 0x3FFF
    height = int.from_bytes(payload[position + 8 : position + 10], "little") & 0x3FFF
    return width, height


def _vp9_size(payload: bytes) -> tuple[int, int]:
    """The largest size of the scalability structure, RFC 9628 section 4.2.1."""
    first = payload[0]
    if not first & 0x02:
        return 0, 0
    position = 1
    if first & 0x80:
        position += 2 if payload[1] & 0x80 else 1
    if first & 0x20:
        position += 1 if first & 0x10 else 2
    if not payload[position] & 0x10:
        return 0, 0
    largest = position + 1 + 4 * (payload[position] >> 5)
    width, height = payload[largest : largest + 2], payload[largest + 2 : largest + 4]
    return int.from_bytes(width, "big"), int.from_bytes(height, "big")


def _h264_size(payload: bytes) -> tuple[int, int]:
    if payload[0] & 0x1F != _H264_STAP_A:
        return _sps_size(payload) if payload[0] & 0x1F == _H264_SPS else (0, 0)
    for first, last in _units(payload, 0, len(payload)):
        if payload[first] & 0x1F == _H264_SPS:
            return _sps_size(payload[first:last])
    return 0, 0


_SIZE_READERS: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "VP8": _vp8_size,
    "VP9": _vp9_size,
    "H264": _h264_size,
}


def _units(packet: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """(start, end) of the units that a STAP-A packet aggregates."""
    units = []
    position = start + 1
    while position + 2 < end:
        unit = position + 2
        position = unit + int.from_bytes(packet[position:unit], "big")
        if unit < position <= end:
            units.append((unit, position))
    return units


class _Bits:
    """Exp-Golomb codes, H.264 section 9.1. Past the end everything reads as zero."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        return self._value >> self._left & (1 << count) - 1 if self._left >= 0 else 0

    def unsigned(self) -> int:
        zeros = 0
        while zeros < 32 and self._left > 0 and not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def skip(self, codes: int) -> None:
        for _ in range(codes):
            self.unsigned()


def _sps_size(unit: bytes) -> tuple[int, int]:
    """H.264 section 7.3.2.1.1. Sizes from streams with their own scaling matrices are not read."""
    bits = _Bits(unit[1:].replace(b"\x00\x00\x03", b"\x00\x00"))
    profile = bits.take(8)
    bits.take(16)
    bits.skip(1)
    chroma = 1
    if profile in _H264_HIGH_PROFILES:
        chroma = bits.unsigned()
        if chroma == 3:
            bits.take(1)
        bits.skip(2)
        bits.take(1)
        if bits.take(1):
            return 0, 0
    bits.skip(1)
    order = bits.unsigned()
    if order == 0:
        bits.skip(1)
    elif order == 1:
        bits.take(1)
        bits.skip(2)
        bits.skip(min(bits.unsigned(), 255))
    bits.skip(1)
    bits.take(1)
    width, height = 16 * (bits.unsigned() + 1), bits.unsigned() + 1
    fields = 2 - bits.take(1)
    height *= 16 * fields
    if fields == 2:
        bits.take(1)
    bits.take(1)
    if bits.take(1):
        horizontal = 2 if chroma in (1, 2) else 1
        vertical = (2 if chroma == 1 else 1) * fields
        left, right, top, bottom = (bits.unsigned() for _ in range(4))
        width -= horizontal * (left + right)
        height -= vertical * (top + bottom)
    return width, height
