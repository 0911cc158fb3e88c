"""A track that comes encrypted end to end, on its way into its journal: packets in, decrypted frames out. Pure.

What cannot be decrypted is left out and counted: a film shows nothing then, and nobody hears noise. The frames after it
are marked, so that a decoder waits for the next key frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from media.recorder.depacketise import EncodedFrame, superframe
from media.recorder.e2ee import FrameError, KeyRing, decrypt_frame
from media.recorder.rtp import RtpError, parse_rtp
from media.recorder.streams import Stream, introduced

# Until a sender's first key has come, and while it changes, a second passes without anything to read: everybody in the
# call misses that much, and it is not worth a word.
GAP_MATTERS = 3.0  # seconds
DECRYPTED, INCOMPLETE = "decrypted", "incomplete"  # beside the reasons of `FrameError`, what `counts` are kept under


class FrameSink(Protocol):
    """Where a track goes: its journal."""

    def layer(self, ssrc: int, rid: str, payload_type: int, mime_type: str, clock_rate: int) -> None: ...

    def frame(self, frame: EncodedFrame) -> None: ...

    def sender_report(self, ssrc: int, ntp: int, rtp: int, arrival: float) -> None: ...

    def muted(self, muted: bool, arrival: float) -> None: ...

    def closed(self, arrival: float) -> None: ...


class EncryptedTrack:
    """A `TapSink` of the relay by its shape.

    `ring`: the sender's keys, or None while nobody can say whose track this is. `injected` as in `decrypt_frame`.
    `want_key_frame` is called when frames can be read again that build on others; `gap(start, end)` when frames could
    not be read for longer than `GAP_MATTERS`, in monotonic seconds.
    """

    def __init__(
        self,
        sink: FrameSink,
        ring: Callable[[], KeyRing | None],
        *,
        injected: bytes,
        want_key_frame: Callable[[], None],
        gap: Callable[[float, float], None],
    ) -> None:
        self._sink = sink
        self._ring = ring
        self._injected = injected
        self._want_key_frame = want_key_frame
        self._gap = gap
        self._streams: dict[int, Stream] = {}
        self._broken: set[int] = set()  # SSRCs of which frames were left out since the last one that was read
        # When the first and the last frame came of those that can't be read, since the last one that could.
        self._unread: tuple[float, float] | None = None
        self._open = True
        self.counts: Counter[str] = Counter()  # frames

    def layer(self, ssrc: int, rid: str, payload_type: int, mime_type: str, clock_rate: int) -> None:
        fields: Mapping[str, object] = {"ssrc": ssrc, "rid": rid, "payload_type": payload_type}
        found = introduced({**fields, "mime_type": mime_type, "clock_rate": clock_rate})
        if self._open and found is not None:
            layer, _ = found
            self._streams.setdefault(ssrc, Stream(layer)).codecs[payload_type] = layer.codec
            self._sink.layer(ssrc, rid, payload_type, mime_type, clock_rate)

    def rtp(self, ssrc: int, packet: bytes, arrival: float) -> None:
        try:
            parsed = parse_rtp(packet)
        except RtpError:
            self.counts["malformed"] += 1
            return
        stream = self._streams.get(ssrc)
        if self._open and stream is not None:
            self._take(stream, stream.push(parsed, stream.unwrap(parsed.timestamp), arrival))

    def sender_report(self, ssrc: int, ntp: int, rtp: int, arrival: float) -> None:
        if self._open:
            self._sink.sender_report(ssrc, ntp, rtp, arrival)

    def muted(self, muted: bool, arrival: float) -> None:
        if self._open:
            self._sink.muted(muted, arrival)

    def closed(self, arrival: float) -> None:
        if not self._open:
            return
        for stream in self._streams.values():
            self._take(stream, stream.flush())
        self._open = False
        self._end_gap()
        self._sink.closed(arrival)

    def _take(self, stream: Stream, frames: Iterable[EncodedFrame]) -> None:
        for frame in frames:
            clear = self._decrypt(stream.layer.codec, frame)
            if clear is None:
                self._broken.add(frame.ssrc)
                continue
            self.counts[DECRYPTED] += 1
            self._end_gap()
            if frame.ssrc in self._broken:
                self._broken.discard(frame.ssrc)
                clear = clear._replace(after_gap=True)
                if not clear.key:
                    self._want_key_frame()
            self._sink.frame(clear)

    def _decrypt(self, codec: str, frame: EncodedFrame) -> EncodedFrame | None:
        if not frame.complete:  # authenticated as a whole or not at all
            self.counts[INCOMPLETE] += 1
            return None
        ring = self._ring()
        try:
            if ring is None:
                raise FrameError("missing_key")
            return _decrypt(codec, frame, ring, self._injected)
        except FrameError as problem:
            self.counts[problem.reason] += 1
        started = self._unread[0] if self._unread is not None else frame.arrival
        self._unread = started, frame.arrival
        return None

    def _end_gap(self) -> None:
        if self._unread is not None:
            start, end = self._unread
            self._unread = None
            if end - start >= GAP_MATTERS:
                self._gap(start, end)


def _decrypt(codec: str, frame: EncodedFrame, ring: KeyRing, injected: bytes) -> EncodedFrame:
    """Raises `FrameError`. The layers of a VP9 picture were encrypted one by one."""
    if not frame.layers:
        return frame._replace(data=decrypt_frame(codec, frame.data, ring, injected=injected))
    layers, start = [], 0
    for size in frame.layers:
        layers.append(decrypt_frame(codec, frame.data[start : start + size], ring, injected=injected))
        start += size
    return frame._replace(data=superframe(layers), layers=tuple(map(len, layers)))
