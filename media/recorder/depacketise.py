"""RTP payloads, in order, to encoded frames: VP8, VP9, H.264, AV1, Opus and RED. No decoding, no files.

RFC 7741 (VP8), RFC 9628 (VP9), RFC 6184 (H.264), https://aomediacodec.github.io/av1-rtp-spec/ (AV1), RFC 7587 (Opus),
RFC 2198 (RED). Frames come out as FFmpeg's decoders take them: H.264 in Annex B, AV1 as temporal units with sizes,
the layers of a VP9 picture as one superframe. A frame of which a packet is missing is marked, not hidden.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

_START_CODE = b"\0\0\0\1"
_NAL_IDR, _NAL_SPS, _NAL_STAP_A, _NAL_FU_A = 5, 7, 24, 28
_MAX_SPATIAL_LAYERS = 8  # that a superframe index can name
_TEMPORAL_DELIMITER = b"\x12\0"
MAX_FRAME = 8 << 20  # bytes: a key frame of a shared 4K screen has one or two millions


class PayloadError(ValueError):
    """A payload that breaks its codec's packetisation."""


class EncodedFrame(NamedTuple):
    """One frame. `timestamp` on its track's own clock, unwrapped; `arrival` of the last packet, in the reader's time.

    `complete`: every packet of it is there. `after_gap`: packets before it are missing, so that a decoder which needs
    the frames before may show garbage until the next key frame. `layers`: the sizes of a VP9 picture's layers inside
    `data`, where it has several.
    """

    ssrc: int
    timestamp: int
    arrival: float
    data: bytes
    key: bool
    complete: bool
    after_gap: bool
    layers: tuple[int, ...] = ()


class Depacketiser(ABC):
    """Takes the packets of one SSRC in order of sequence numbers, with what `Reorder` says of gaps."""

    def __init__(self, ssrc: int) -> None:
        self._ssrc = ssrc
        self.broken = 0  # payloads that could not be read; they count as missing

    @abstractmethod
    def push(self, timestamp: int, arrival: float, *, marker: bool, gap: bool, payload: bytes) -> list[EncodedFrame]:
        """Frames that are ready: usually none or one."""

    def flush(self) -> list[EncodedFrame]:
        """The frame that was being collected, at the end of the track."""
        return []


class VideoDepacketiser(Depacketiser):
    """Collects the packets of a frame, until the marker or the next timestamp."""

    def __init__(self, ssrc: int) -> None:
        super().__init__(ssrc)
        self._timestamp: int | None = None
        self._arrival = 0.0
        self._reset()

    def push(self, timestamp: int, arrival: float, *, marker: bool, gap: bool, payload: bytes) -> list[EncodedFrame]:
        frames: list[EncodedFrame] = []
        if self._timestamp is not None and timestamp != self._timestamp:
            frames += self._end(complete=not gap)
        if gap:
            self._gap = True
            if self._timestamp is not None:
                self._whole = False
        if not payload:  # padding to probe the path, RFC 3550 section 5.1
            return frames
        if self._timestamp is None:
            self._timestamp = timestamp
        self._arrival = arrival
        self._size += len(payload)
        try:
            if self._size > MAX_FRAME:
                raise PayloadError("a frame that never ends")
            self._add(payload, gap)
        except (IndexError, PayloadError):
            self.broken += 1
            self._whole = False
            self._gap = True
        return frames + self._end(complete=True) if marker else frames

    def flush(self) -> list[EncodedFrame]:
        return self._end(complete=False)

    def _end(self, *, complete: bool) -> list[EncodedFrame]:
        frames: list[EncodedFrame] = []
        if self._parts and self._timestamp is not None:
            whole = complete and self._whole and self._started
            frames.append(
                EncodedFrame(
                    self._ssrc,
                    self._timestamp,
                    self._arrival,
                    self._join(),
                    self._key,
                    whole,
                    self._missing_before,
                    self._layers(),
                )
            )
        missing = self._gap and not frames  # nothing of a frame was seen: the next one is told
        self._timestamp = None
        self._reset()
        self._gap = missing
        return frames

    def _reset(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._key = False
        self._whole = True
        self._started = False
        self._gap = False
        self._missing_before = False

    def _begin(self, *, started: bool) -> None:
        """The first packet of a frame that was seen; `started`: it is known to be its first."""
        self._started = started
        self._missing_before = self._gap

    @abstractmethod
    def _add(self, payload: bytes, gap: bool) -> None:
        """Take one payload. Raises `PayloadError` or `IndexError`."""

    def _join(self) -> bytes:
        return b"".join(self._parts)

    def _layers(self) -> tuple[int, ...]:
        return ()


class Vp8(VideoDepacketiser):
    """RFC 7741 section 4.2."""

    def _add(self, payload: bytes, gap: bool) -> None:
        first = payload[0]
        offset = 1
        if first & 0x80:
            extended = payload[1]
            offset = 2
            if extended & 0x80:
                offset += 2 if payload[offset] & 0x80 else 1
            offset += bool(extended & 0x40) + bool(extended & 0x30)
        tag = payload[offset]
        if not self._parts:
            self._begin(started=bool(first & 0x10) and not first & 0x07)
            self._key = self._started and not tag & 1
        self._parts.append(payload[offset:])


class Vp9(VideoDepacketiser):
    """RFC 9628 section 4.2. The spatial layers of one picture share a timestamp and become one superframe."""

    def _add(self, payload: bytes, gap: bool) -> None:
        first = payload[0]
        offset = 1
        spatial = 0
        if first & 0x80:
            offset += 2 if payload[offset] & 0x80 else 1
        if first & 0x20:
            spatial = payload[offset] >> 1 & 7
            offset += 1 if first & 0x10 else 2
        if first & 0x10 and first & 0x40:
            while payload[offset] & 1:
                offset += 1
            offset += 1
        if first & 0x02:
            offset = self._skip_structure(payload, offset)
        if offset >= len(payload):
            raise PayloadError("a VP9 payload ends in its descriptor")
        starts = bool(first & 0x08)
        if not self._parts:
            self._begin(started=starts and spatial == 0)
            self._key = self._started and not first & 0x40
        if starts or not self._parts:
            if len(self._parts) == _MAX_SPATIAL_LAYERS:
                raise PayloadError("more layers than VP9 has")
            self._parts.append(payload[offset:])
        else:
            self._parts[-1] += payload[offset:]

    @staticmethod
    def _skip_structure(payload: bytes, offset: int) -> int:
        header = payload[offset]
        offset += 1
        if header & 0x10:
            offset += 4 * ((header >> 5) + 1)
        if header & 0x08:
            pictures = payload[offset]
            offset += 1
            for _ in range(pictures):
                offset += 1 + (payload[offset] >> 2 & 3)
        return offset

    def _join(self) -> bytes:
        return superframe(self._parts)

    def _layers(self) -> tuple[int, ...]:
        return tuple(map(len, self._parts)) if len(self._parts) > 1 else ()


class H264(VideoDepacketiser):
    """RFC 6184: single units, STAP-A and FU-A. The first packet of a frame cannot be told but by what came before."""

    def _add(self, payload: bytes, gap: bool) -> None:
        if not self._parts:
            self._begin(started=not gap)
        kind = payload[0] & 0x1F
        if kind == _NAL_STAP_A:
            offset = 1
            while offset + 2 < len(payload):
                size = int.from_bytes(payload[offset : offset + 2], "big")
                self._unit(payload[offset + 2 : offset + 2 + size])
                offset += 2 + size
        elif kind == _NAL_FU_A:
            if payload[1] & 0x80:
                self._unit(bytes([payload[0] & 0xE0 | payload[1] & 0x1F]) + payload[2:])
            elif self._parts:
                self._parts.append(payload[2:])
            else:
                raise PayloadError("a fragment without its beginning")
        elif 0 < kind < _NAL_STAP_A:
            self._unit(payload)
        else:
            raise PayloadError("a packetisation mode that was not negotiated")

    def _unit(self, unit: bytes) -> None:
        if not unit:
            raise PayloadError("an empty unit")
        if unit[0] & 0x1F in (_NAL_IDR, _NAL_SPS):
            self._key = True
        self._parts += (_START_CODE, unit)


class Av1(VideoDepacketiser):
    """Aggregation header `Z Y W W N`; sizes are put back into the units, and a temporal delimiter before them."""

    def _add(self, payload: bytes, gap: bool) -> None:
        header = payload[0]
        continues, count, new_sequence = bool(header & 0x80), header >> 4 & 3, bool(header & 0x08)
        elements: list[bytes] = []
        offset = 1
        while offset < len(payload):
            if count and len(elements) == count - 1:
                elements.append(payload[offset:])
                break
            size, offset = read_leb128(payload, offset)
            if offset + size > len(payload):
                raise PayloadError("a unit is longer than its packet")
            elements.append(payload[offset : offset + size])
            offset += size
        if not self._parts:
            self._begin(started=not continues and (new_sequence or not gap))
            self._key = self._started and new_sequence
        if continues and self._parts and elements:
            self._parts[-1] += elements.pop(0)
        self._parts += elements

    def _join(self) -> bytes:
        return _TEMPORAL_DELIMITER + b"".join(with_size(unit) for unit in self._parts if unit)


class Opus(Depacketiser):
    """RFC 7587: a packet is a frame. Markers only begin a talk spurt."""

    def push(self, timestamp: int, arrival: float, *, marker: bool, gap: bool, payload: bytes) -> list[EncodedFrame]:
        if not payload:
            return []
        return [EncodedFrame(self._ssrc, timestamp, arrival, payload, True, True, gap)]


class Red(Opus):
    """RFC 2198: each packet repeats the ones before it, so that a lost packet comes back with the next."""

    def __init__(self, ssrc: int) -> None:
        super().__init__(ssrc)
        self._last = -1  # timestamp of the newest frame given

    def push(self, timestamp: int, arrival: float, *, marker: bool, gap: bool, payload: bytes) -> list[EncodedFrame]:
        try:
            blocks = self._blocks(payload)
        except (IndexError, PayloadError):
            self.broken += 1
            return []
        frames: list[EncodedFrame] = []
        for offset, data in blocks:
            if data and timestamp - offset > self._last:
                self._last = timestamp - offset
                frames += super().push(self._last, arrival, marker=False, gap=gap and not frames, payload=data)
        return frames

    @staticmethod
    def _blocks(payload: bytes) -> list[tuple[int, bytes]]:
        """(how much earlier, content), oldest first."""
        if not payload:
            return []
        headers: list[tuple[int, int]] = []
        offset = 0
        while payload[offset] & 0x80:
            field = int.from_bytes(payload[offset + 1 : offset + 4], "big")
            headers.append((field >> 10, field & 0x3FF))
            offset += 4
        offset += 1
        blocks = []
        for earlier, length in headers:
            blocks.append((earlier, payload[offset : offset + length]))
            offset += length
        if offset > len(payload):
            raise PayloadError("RED blocks are longer than their packet")
        return [*blocks, (0, payload[offset:])]


def superframe(layers: Sequence[bytes]) -> bytes:
    """The layers of one picture. VP9 bitstream specification, annex B: sizes between two marker bytes."""
    if len(layers) == 1:
        return layers[0]
    sizes = [len(layer) for layer in layers]
    width = (max(sizes).bit_length() + 7) // 8
    marker = bytes([0xC0 | (width - 1) << 3 | len(sizes) - 1])
    return b"".join(layers) + marker + b"".join(n.to_bytes(width, "little") for n in sizes) + marker


def read_leb128(data: bytes, offset: int) -> tuple[int, int]:
    """(value, offset after it). AV1 specification section 4.10.5."""
    value = 0
    for shift in range(0, 56, 7):
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, offset
    raise PayloadError("a number without end")


def leb128(value: int) -> bytes:
    """The shortest encoding."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def with_size(unit: bytes) -> bytes:
    """An OBU with its size field. AV1 specification section 5.3.1."""
    header = unit[0]
    if header & 0x02:
        return unit
    extension = min(len(unit), 2 if header & 0x04 else 1)
    return bytes([header | 0x02]) + unit[1:extension] + leb128(len(unit) - extension) + unit[extension:]


_BY_NAME: dict[str, type[Depacketiser]] = {
    "vp8": Vp8,
    "vp9": Vp9,
    "h264": H264,
    "av1": Av1,
    "opus": Opus,
    "red": Red,
}


def codec_of(mime_type: str) -> str:
    """`vp8`, `vp9`, `h264`, `av1`, `opus` or `red` from video/VP8 and so on; empty where it is none of them."""
    name = mime_type.rpartition("/")[2].lower()
    return name if name in _BY_NAME else ""


def depacketiser(codec: str, ssrc: int) -> Depacketiser:
    """A fresh one for one SSRC. Raises `KeyError` for a codec that `codec_of` does not return."""
    return _BY_NAME[codec](ssrc)
