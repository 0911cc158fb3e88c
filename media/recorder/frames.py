"""A track's journal as encoded frames in order, layer by layer: the same frames each time it is read.

Times are film seconds: seconds since `zero`, an instant since the epoch. Not decoding, and not yet the clock of the
sender: a frame carries its RTP timestamp and when it arrived; `media.recorder.clocks` makes one time of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from media.recorder.depacketise import EncodedFrame
from media.recorder.reader import Capture, TrackInfo
from media.recorder.records import FramePart, Kind, Record, parse_frame, parse_json, parse_report
from media.recorder.rtp import RtpError, parse_rtp
from media.recorder.streams import Layer, Stream, introduced

# Sees each frame of a track before it is decoded, for instance to decrypt it; None leaves the frame out.
Transform = Callable[[TrackInfo, EncodedFrame], EncodedFrame | None]


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


class _Parts:
    """Puts frames together whose records are several."""

    def __init__(self) -> None:
        self._parts: list[FramePart] = []

    def add(self, part: FramePart) -> bytes | None:
        """The frame that `part` completes. Pieces whose rest was dropped, the disk being too slow, are left out."""
        if self._parts and self._parts[0][:3] != part[:3]:
            self._parts.clear()
        self._parts.append(part)
        data = b"".join(each.data for each in self._parts)
        if len(data) < part.size:
            return None
        self._parts.clear()
        return data if len(data) == part.size else None


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
        self._streams: dict[int, Stream] = {}
        self._early: dict[
            int, list[Record]
        ] = {}  # reports before the first packet, whose timestamps can't be unwrapped
        self._parts = _Parts()
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
            elif record.kind == Kind.FRAME:
                yield from self._frame(parse_frame(record), at)
            elif record.kind == Kind.SR:
                self._report(record)
            elif record.kind == Kind.EVENT:
                closed = self._event(parse_json(record), at) or closed
        for stream in self._streams.values():
            yield from stream.flush()
        if self._watch is not None:
            self._watch.ended(last, closed=closed)

    def _introduce(self, fields: dict[str, object]) -> None:
        if (found := introduced(fields)) is not None:
            layer, payload_type = found
            stream = self._streams.setdefault(layer.ssrc, Stream(layer))
            stream.codecs[payload_type] = layer.codec

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
        if packet.payload:
            self._tell(stream, at, timestamp)
        self._begin(stream)
        yield from stream.push(packet, timestamp, at)

    def _frame(self, part: FramePart, at: float) -> Iterator[EncodedFrame]:
        """A frame that was put together when it came: in order, and whole."""
        stream = self._streams.get(part.ssrc)
        if stream is None:
            self.unreadable += 1
            return
        data = self._parts.add(part)
        if data is None:
            return
        timestamp = stream.unwrap(part.timestamp)
        self._tell(stream, at, timestamp)
        self._begin(stream)
        yield EncodedFrame(part.ssrc, timestamp, at, data, part.key, True, part.after_gap)

    def _tell(self, stream: Stream, at: float, timestamp: int) -> None:
        if self._watch is not None:
            self._watch.packet(stream.layer, at, timestamp)

    def _begin(self, stream: Stream) -> None:
        """What was reported before the first packet makes sense with it."""
        if not stream.begun:
            stream.begun = True
            waiting = self._early.pop(stream.layer.ssrc, [])
            for report in waiting:
                self._report(report)

    def _report(self, record: Record) -> None:
        report = parse_report(record)
        stream = self._streams.get(report.ssrc)
        if self._watch is None or stream is None:
            return
        if not stream.begun:
            self._early.setdefault(report.ssrc, []).append(record)
            return
        at = self._track.at(record) - self._zero
        self._watch.report(stream.layer, at, report.ntp, stream.unwrap.peek(report.rtp))

    def _event(self, fields: dict[str, object], at: float) -> bool:
        """Whether it closes the journal."""
        if fields.get("kind") == "muted" and self._watch is not None:
            self._watch.muted(at, bool(fields.get("muted")))
        return fields.get("kind") == "closed"
