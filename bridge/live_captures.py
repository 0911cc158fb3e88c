"""Captures of end-to-end encrypted calls while they run, inside the recorder's process: packets in, journals out.

Only tracks that the service has announced are read, and it announces those of people who agreed (`bridge.consent`).
"""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from appservice.call_keys import MediaKey
from bridge.recorder_keys import CallKeys, Member
from bridge.recorder_wire import Order, Packet, Report
from media.recorder.capture import CallCapture
from media.recorder.encrypted import EncryptedTrack
from media.recorder.errors import CaptureError
from media.relay.greeting import SIF_TRAILER
from palabre.base.clock import Clock

log = structlog.get_logger("recorder")

Say = Callable[[str, Mapping[str, Any]], None]


@dataclass
class _Track:
    """A track that somebody agreed to, and how to name it to the service."""

    number: int
    capture: str
    room_id: str
    identity: str
    video: bool
    track: EncryptedTrack


class LiveCaptures:
    """Obeys orders and takes packets; `say` tells the service what happens.

    Concurrency: one event loop. Orders and packets are handled in the order of the pipe, synchronously; closing a
    capture waits for the disk in a thread. Each capture has its own writing thread (`media.recorder.writer`).
    """

    def __init__(self, clock: Clock, say: Say) -> None:
        self._clock = clock
        self._say = say
        self._calls: dict[str, CallKeys] = {}  # by Matrix room
        self._captures: dict[str, CallCapture] = {}
        self._tracks: dict[int, _Track] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._counted: Counter[str] = Counter()  # frames of tracks that have ended
        self._told: Counter[str] = Counter()
        self._orders: Mapping[str, Callable[..., None]] = {
            "capture": self._capture,
            "close_capture": self._close_capture,
            "forget_room": self._forget_room,
            "members": self._members,
            "withdrawn": self._withdrawn,
            "track": self._track,
            "layer": self._layer,
            "muted": self._muted,
            "closed": self._closed,
        }

    def order(self, order: Order) -> None:
        """Do it. One that nobody knows, or with other fields, is our own mistake and ends the process."""
        self._orders[order.do](**order.fields)

    def packet(self, packet: Packet) -> None:
        if (track := self._tracks.get(packet.track)) is not None:
            track.track.rtp(int.from_bytes(packet.packet[8:12], "big"), packet.packet, packet.arrival)

    def report(self, report: Report) -> None:
        if (track := self._tracks.get(report.track)) is not None:
            track.track.sender_report(report.ssrc, report.ntp, report.rtp, report.arrival)

    def key(self, key: MediaKey) -> None:
        """From a device that is proven to have sent it; of a call that is not recorded it is of no use."""
        call = self._calls.get(key.room_id)
        if call is None or not call.put(key):
            return
        identities = call.identities(key.user_id, key.device_id)
        for track in self._tracks.values():
            if track.video and track.room_id == key.room_id and track.identity in identities:
                self._say("key_frame", {"track": track.number})

    def counts(self) -> dict[str, int]:
        """Frames by what became of them, since the last time."""
        now = sum((track.track.counts for track in self._tracks.values()), self._counted.copy())
        news = {name: number - self._told[name] for name, number in now.items() if number > self._told[name]}
        self._told = now
        return news

    async def break_off(self) -> None:
        """Write what there is, mark nothing as whole."""
        await asyncio.gather(*self._closing)
        for number in list(self._tracks):
            self._closed(number, self._clock.monotonic())
        await asyncio.gather(*(asyncio.to_thread(capture.break_off) for capture in self._captures.values()))

    # Orders.

    def _capture(self, capture: str, directory: str, key: str, room: str) -> None:
        """In a directory that a process before this one wrote to, a new segment begins."""
        self._calls.setdefault(room, CallKeys())
        loop = asyncio.get_running_loop()

        def on_error(error: CaptureError) -> None:
            loop.call_soon_threadsafe(self._say, "broke", {"capture": capture, "fatal": error.fatal})

        try:
            self._captures[capture] = CallCapture(
                Path(directory), base64.b64decode(key), self._clock, on_error=on_error
            )
        except OSError:
            log.exception("capture could not be stored")
            self._say("broke", {"capture": capture, "fatal": True})

    def _close_capture(self, capture: str) -> None:
        closing = asyncio.get_running_loop().create_task(self._finish(capture))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _finish(self, capture: str) -> None:
        for number in [number for number, track in self._tracks.items() if track.capture == capture]:
            self._closed(number, self._clock.monotonic())
        if (found := self._captures.pop(capture, None)) is not None:
            await asyncio.to_thread(found.close)
        self._say("counts", {"frames": self.counts(), "dropped": {}})
        self._say("closed", {"capture": capture})

    def _forget_room(self, room: str) -> None:
        """Nothing of the call is recorded any more: its keys are of no use."""
        self._calls.pop(room, None)

    def _members(self, room: str, members: list[tuple[str, str, str]]) -> None:
        if (call := self._calls.get(room)) is not None:
            call.set_members(Member(*member) for member in members)

    def _withdrawn(self, capture: str, identity: str) -> None:
        if (found := self._captures.get(capture)) is not None:
            found.event("left", identity=identity)

    def _track(
        self,
        track: int,
        capture: str,
        room: str,
        identity: str,
        user: str,
        name: str,
        track_sid: str,
        kind: str,
        source: str,
    ) -> None:
        found, call = self._captures.get(capture), self._calls.get(room)
        if found is None or call is None:
            return
        who = {"identity": identity, "user": user, "name": name}
        journal = found.track(**who, track_sid=track_sid, kind=kind, source=source)

        def gap(start: float, end: float) -> None:
            wall = self._clock.wall() - self._clock.monotonic()
            found.event("unreadable", **who, start=start + wall, end=end + wall)

        encrypted = EncryptedTrack(
            journal,
            lambda: call.ring(identity, user),
            injected=SIF_TRAILER,
            want_key_frame=lambda: self._say("key_frame", {"track": track}),
            gap=gap,
        )
        self._tracks[track] = _Track(track, capture, room, identity, kind == "video", encrypted)

    def _layer(self, track: int, ssrc: int, rid: str, payload_type: int, mime_type: str, clock_rate: int) -> None:
        if (found := self._tracks.get(track)) is not None:
            found.track.layer(ssrc, rid, payload_type, mime_type, clock_rate)

    def _muted(self, track: int, muted: bool, arrival: float) -> None:
        if (found := self._tracks.get(track)) is not None:
            found.track.muted(muted, arrival)

    def _closed(self, track: int, arrival: float) -> None:
        if (found := self._tracks.pop(track, None)) is not None:
            found.track.closed(arrival)
            self._counted += found.track.counts
