"""A track's journal as encoded frames in order, layer by layer: the same frames each time it is read.

Times are film seconds: seconds since `zero`, an instant since the epoch. Not decoding, and not yet the clock of the
sender: a frame carries its RTP timestamp and when it arrived; `media.recorder.clocks` makes one time of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from media.recorder.depacketise import Depacketiser, EncodedFrame, codec_of, depacketiser
from media.recorder.reader import Capture, TrackInfo
from media.recorder.records import Kind, Record, parse_json, parse_report
from media.recorder.rtp import Reorder, RtpError, RtpPacket, Unwrap, parse_rtp

_TIMESTAMP_BITS = 32
# Sees each frame of a track before it is decoded, for instance to decrypt it; None leaves the frame out.
Transform = Callable[[TrackInfo, EncodedFrame], EncodedFrame | None]


@dataclass(frozen=True)
class Layer:
    """One SSRC of a track. `rid` is empty without simulcast; `codec` as `codec_of`, of its first payload type."""

    ssrc: int
    rid: str
    codec: str
    clock_rate: int


class Watch(Protocol):
    """Told what is in a journal besides frames, while it is read. Timestamps are unwrapped."""

    def packet(self, layer: Layer, arrival: float, timestamp: int) -> None: ...

    def report(self, layer: Layer, arrival: float, ntp: float, timestamp: int) -> None:
        """A sender report: at `ntp` seconds of the sender's clock, its track's clock stood at `timestamp`."""
        ...

    def muted(self, at: float, muted: bool) -> None: ...

    def ended(self, at: float, *, closed: bool) -> None:
        """The last record; `closed`: by the recorder, and not because its process died."""
        ...


class _Stream:
    """What reading one SSRC needs to remember."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.codecs: dict[int, str] = {}  # by payload type
        self.unwrap = Unwrap(_TIMESTAMP_BITS)
        self.reorder: Reorder[tuple[RtpPacket, int, float]] = Reorder()
        self.depacketisers: dict[str, Depacketiser] = {}
        self.reports: list[Record] = []  # that came before the first packet: their timestamps cannot be unwrapped yet
        self.begun = False

    def depacketiser(self, payload_type: int) -> Depacketiser:
        codec = self.codecs.get(payload_type, self.layer.codec)
        if codec not in self.depacketisers:
            self.depacketisers[codec] = depacketiser(codec, self.layer.ssrc)
        return self.depacketisers[codec]

    def frames(self, ready: Iterator[tuple[tuple[RtpPacket, int, float], bool]]) -> Iterator[EncodedFrame]:
        for (packet, timestamp, arrival), gap in ready:
            yield from self.depacketiser(packet.payload_type).push(
                timestamp, arrival, marker=packet.marker, gap=gap, payload=packet.payload
            )

    def flush(self) -> Iterator[EncodedFrame]:
        yield from self.frames(self.reorder.flush())
        for each in self.depacketisers.values():
            yield from each.flush()

    @property
    def lost(self) -> int:
        return self.reorder.lost


class TrackReader:
    """Iterate once. `layers` fills while iterating; constant memory whatever the length."""

    def __init__(
        self,
        capture: Capture,
        track: TrackInfo,
        zero: float,
        *,
        transform: Transform | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._capture = capture
        self._track = track
        self._zero = zero
        self._transform = transform
        self._watch = watch
        self._streams: dict[int, _Stream] = {}
        self.unreadable = 0  # packets that are no RTP, or of an SSRC that was never introduced

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(stream.layer for stream in self._streams.values())

    @property
    def lost(self) -> int:
        """Packets that never came, so far."""
        return sum(stream.lost for stream in self._streams.values())

    def __iter__(self) -> Iterator[EncodedFrame]:
        for frame in self._frames():
            changed = frame if self._transform is None else self._transform(self._track, frame)
            if changed is not None:
                yield changed

    def _frames(self) -> Iterator[EncodedFrame]:
        last, closed = self._track.opened_at - self._zero, False
        for record in self._capture.records(self._track):
            if record.kind == Kind.META:
                self._introduce(parse_json(record))
                continue
            at = self._track.at(record) - self._zero
            last = max(last, at)
            if record.kind == Kind.RTP:
                yield from self._packet(record.payload, at)
            elif record.kind == Kind.SR:
                self._report(record)
            elif record.kind == Kind.EVENT:
                closed = self._event(parse_json(record), at) or closed
        for stream in self._streams.values():
            yield from stream.flush()
        if self._watch is not None:
            self._watch.ended(last, closed=closed)

    def _introduce(self, fields: dict[str, object]) -> None:
        ssrc, codec = fields.get("ssrc"), codec_of(str(fields.get("mime_type", "")))
        rate, payload_type = fields.get("clock_rate"), fields.get("payload_type")
        if not isinstance(ssrc, int) or not isinstance(rate, int) or rate <= 0 or not codec:
            return
        if ssrc not in self._streams:
            self._streams[ssrc] = _Stream(Layer(ssrc, str(fields.get("rid", "")), codec, rate))
        if isinstance(payload_type, int):
            self._streams[ssrc].codecs[payload_type] = codec

    def _packet(self, payload: bytes, at: float) -> Iterator[EncodedFrame]:
        try:
            packet = parse_rtp(payload)
        except RtpError:
            self.unreadable += 1
            return
        stream = self._streams.get(packet.ssrc)
        if stream is None:
            self.unreadable += 1
            return
        timestamp = stream.unwrap(packet.timestamp)
        if self._watch is not None and packet.payload:
            self._watch.packet(stream.layer, at, timestamp)
        if not stream.begun:
            stream.begun = True
            for report in stream.reports:
                self._report(report)
            stream.reports.clear()
        yield from stream.frames(stream.reorder.push(packet.sequence, at, (packet, timestamp, at)))

    def _report(self, record: Record) -> None:
        report = parse_report(record)
        stream = self._streams.get(report.ssrc)
        if self._watch is None or stream is None:
            return
        if not stream.begun:
            stream.reports.append(record)
            return
        at = self._track.at(record) - self._zero
        self._watch.report(stream.layer, at, report.ntp, stream.unwrap.peek(report.rtp))

    def _event(self, fields: dict[str, object], at: float) -> bool:
        """Whether it closes the journal."""
        if fields.get("kind") == "muted" and self._watch is not None:
            self._watch.muted(at, bool(fields.get("muted")))
        return fields.get("kind") == "closed"
