"""An open reader of a track: what stands between the packet path and a `TapSink`.

While the track is muted nothing passes, whatever its publisher goes on sending: what nobody hears is not recorded.
"""

from __future__ import annotations

from media.relay.seams import TapSink


class TrackTap:
    """A `PacketTap` of the packet path. Ends once, by its holder or with the track."""

    def __init__(self, sink: TapSink, max_layer: int) -> None:
        self._sink = sink
        self.max_layer = max_layer
        self._layers: set[int] = set()  # SSRCs that the sink was told of
        self._muted = False
        self.open = True

    def layer(self, ssrc: int, rid: str, payload_type: int, mime_type: str, clock_rate: int) -> None:
        if self.open and ssrc not in self._layers:
            self._layers.add(ssrc)
            self._sink.layer(ssrc, rid, payload_type, mime_type, clock_rate)

    def rtp(self, ssrc: int, packet: bytes, arrival: float) -> None:
        if self.open and not self._muted:
            self._sink.rtp(ssrc, packet, arrival)

    def sender_report(self, ssrc: int, ntp: int, rtp: int, arrival: float) -> None:
        if self.open:
            self._sink.sender_report(ssrc, ntp, rtp, arrival)

    def muted(self, muted: bool, arrival: float) -> None:
        """Told to the sink when it changes."""
        if self.open and muted is not self._muted:
            self._muted = muted
            self._sink.muted(muted, arrival)

    def end(self, arrival: float) -> None:
        """Nothing follows. The packet path is told by the caller."""
        if self.open:
            self.open = False
            self._sink.closed(arrival)
