"""Where the packets of an end-to-end encrypted call go: to the recorder's process, as they came.

What was said of a track is remembered, so that a process that takes the place of another one can be told again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Protocol

from bridge.files import source_of
from bridge.people import Person
from bridge.recorder_link import Link
from bridge.recorder_wire import Report
from media.relay.seams import TapSink, TrackFacts

_numbers = count(1)  # of tracks, in orders and packets


class Desk(Protocol):
    """The recorder, as the files of one capture see it (`bridge.recorder.Recorder`)."""

    @property
    def link(self) -> Link | None:
        """The process; None while there is none, and packets are lost."""
        ...

    def add_track(self, sink: EncryptedSink) -> None: ...

    def remove_track(self, sink: EncryptedSink) -> None: ...

    async def finish(self, capture: str) -> None:
        """Raises `OSError` where the process did not say that everything is on disk."""
        ...


class EncryptedSink:
    """A `TapSink` of one track. `fields` say whose it is, as the order `track` has them; `room` is LiveKit's."""

    def __init__(self, desk: Desk, number: int, room: str, fields: Mapping[str, Any]) -> None:
        self._desk = desk
        self.number = number
        self.room = room
        self.fields = fields
        self._layers: dict[tuple[int, int], dict[str, Any]] = {}  # by SSRC and payload type
        self._muted: dict[str, Any] | None = None

    def introduce(self) -> None:
        """Tell the process of this track."""
        self._order("track", self.fields)
        for layer in self._layers.values():
            self._order("layer", layer)
        if self._muted is not None:
            self._order("muted", self._muted)

    def layer(self, ssrc: int, rid: str, payload_type: int, mime_type: str, clock_rate: int) -> None:
        layer = {"ssrc": ssrc, "rid": rid, "payload_type": payload_type}
        self._layers[ssrc, payload_type] = {**layer, "mime_type": mime_type, "clock_rate": clock_rate}
        self._order("layer", self._layers[ssrc, payload_type])

    def rtp(self, ssrc: int, packet: bytes, arrival: float) -> None:
        if (link := self._desk.link) is not None:
            link.rtp(self.number, arrival, packet)

    def sender_report(self, ssrc: int, ntp: int, rtp: int, arrival: float) -> None:
        if (link := self._desk.link) is not None:
            link.report(Report(self.number, arrival, ssrc, ntp, rtp))

    def muted(self, muted: bool, arrival: float) -> None:
        self._muted = {"muted": muted, "arrival": arrival}
        self._order("muted", self._muted)

    def closed(self, arrival: float) -> None:
        self._order("closed", {"arrival": arrival})
        self._desk.remove_track(self)

    def _order(self, do: str, fields: Mapping[str, Any]) -> None:
        if (link := self._desk.link) is not None:
            link.order(do, {"track": self.number, **fields})


class EncryptedFiles:
    """The files of one capture. Implements `bridge.capture_files.CaptureFiles`."""

    encrypted = True

    def __init__(self, desk: Desk, capture: str, *, room: str, matrix_room: str) -> None:
        self._desk = desk
        self._capture = capture
        self._room = room  # of LiveKit
        self._matrix_room = matrix_room
        self._consented: set[str] = set()

    def consented(self, person: str, at: float) -> None:
        self._consented.add(person)

    def track(self, person: Person, identity: str, track: TrackFacts) -> TapSink:
        """The process is told of tracks of people who agreed, and of nobody else's."""
        assert person.key in self._consented, "the gate opens taps on a yes, which was told before"
        fields = {
            "capture": self._capture,
            "room": self._matrix_room,
            "identity": identity,
            "user": person.key,
            "name": person.name,
            "track_sid": track.sid,
            "kind": track.kind,
            "source": source_of(track),
        }
        sink = EncryptedSink(self._desk, next(_numbers), self._room, fields)
        self._desk.add_track(sink)
        return sink

    def withdrawn(self, person: str, identities: Sequence[str], at: float) -> None:
        self._consented.discard(person)
        if (link := self._desk.link) is not None:
            for identity in identities:
                link.order("withdrawn", {"capture": self._capture, "identity": identity})

    async def close(self) -> None:
        await self._desk.finish(self._capture)
