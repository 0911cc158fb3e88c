"""One SSRC of a track: packets as they arrive become encoded frames in order. Pure; for journals and for live media."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from media.recorder.depacketise import Depacketiser, EncodedFrame, codec_of, depacketiser
from media.recorder.rtp import Reorder, RtpPacket, Unwrap

_TIMESTAMP_BITS = 32


@dataclass(frozen=True)
class Layer:
    """One SSRC of a track. `rid` is empty without simulcast; `codec` as `codec_of`, of its first payload type."""

    ssrc: int
    rid: str
    codec: str
    clock_rate: int


class Stream:
    """What reading one SSRC needs to remember."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.codecs: dict[int, str] = {}  # by payload type
        self.unwrap = Unwrap(_TIMESTAMP_BITS)
        self.begun = False  # for whoever reads it: something came
        self._reorder: Reorder[tuple[RtpPacket, int, float]] = Reorder()
        self._depacketisers: dict[str, Depacketiser] = {}

    def push(self, packet: RtpPacket, timestamp: int, arrival: float) -> Iterator[EncodedFrame]:
        """Frames that a packet completes; `timestamp` is its own, unwrapped."""
        yield from self._frames(self._reorder.push(packet.sequence, arrival, (packet, timestamp, arrival)))

    def flush(self) -> Iterator[EncodedFrame]:
        """What waits, at the end."""
        yield from self._frames(self._reorder.flush())
        for each in self._depacketisers.values():
            yield from each.flush()

    @property
    def lost(self) -> int:
        """Packets that never came."""
        return self._reorder.lost

    def _frames(self, ready: Iterator[tuple[tuple[RtpPacket, int, float], bool]]) -> Iterator[EncodedFrame]:
        for (packet, timestamp, arrival), gap in ready:
            yield from self._depacketiser(packet.payload_type).push(
                timestamp, arrival, marker=packet.marker, gap=gap, payload=packet.payload
            )

    def _depacketiser(self, payload_type: int) -> Depacketiser:
        codec = self.codecs.get(payload_type, self.layer.codec)
        if codec not in self._depacketisers:
            self._depacketisers[codec] = depacketiser(codec, self.layer.ssrc)
        return self._depacketisers[codec]


def introduced(fields: Mapping[str, object]) -> tuple[Layer, int] | None:
    """(a layer, the payload type that its codec is sent as) from what introduces it, if it is one we read."""
    ssrc, rate, payload_type = fields.get("ssrc"), fields.get("clock_rate"), fields.get("payload_type")
    codec = codec_of(str(fields.get("mime_type", "")))
    if not isinstance(ssrc, int) or not isinstance(rate, int) or not isinstance(payload_type, int):
        return None
    return (Layer(ssrc, str(fields.get("rid", "")), codec, rate), payload_type) if rate > 0 and codec else None
