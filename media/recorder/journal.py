"""The journal of one track: takes packets from a tap as they arrive and queues them for the disk, nothing else.

No reordering, no depacketising, no filler: what arrives is stored with its arrival time, and everything that needs
hindsight happens when it is read.
"""

from __future__ import annotations

from media.recorder.depacketise import EncodedFrame
from media.recorder.records import Kind, pack, pack_frame, pack_json, pack_report
from media.recorder.writer import JournalFile


class TrackJournal:
    """A `TapSink` of the relay by its shape: synchronous, a queue append per packet. Ends with `closed`."""

    def __init__(self, file: JournalFile, track_sid: str) -> None:
        self._file = file
        self.track_sid = track_sid

    def layer(self, ssrc: int, rid: str, payload_type: int, mime_type: str, clock_rate: int) -> None:
        fields = {"ssrc": ssrc, "rid": rid, "payload_type": payload_type}
        self._file.put(pack_json(Kind.META, 0, fields | {"mime_type": mime_type, "clock_rate": clock_rate}))

    def rtp(self, ssrc: int, packet: bytes, arrival: float) -> None:
        self._file.put(pack(Kind.RTP, arrival, packet))

    def frame(self, frame: EncodedFrame) -> None:
        """In place of the packets it came in, which were encrypted end to end."""
        timestamp = frame.timestamp & 0xFFFFFFFF
        for record in pack_frame(
            frame.arrival, frame.ssrc, timestamp, frame.data, key=frame.key, after_gap=frame.after_gap
        ):
            self._file.put(record)

    def sender_report(self, ssrc: int, ntp: int, rtp: int, arrival: float) -> None:
        self._file.put(pack_report(arrival, ssrc, ntp, rtp))

    def muted(self, muted: bool, arrival: float) -> None:
        self._file.put(pack_json(Kind.EVENT, arrival, {"kind": "muted", "muted": muted}))

    def closed(self, arrival: float) -> None:
        self._file.put(pack_json(Kind.EVENT, arrival, {"kind": "closed"}))
        self._file.closing = True
