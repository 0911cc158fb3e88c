"""A process with one person of LiveKit's Python SDK, who measures what is decoded: the SDK's sockets are where it runs.

Takes one JSON object a line from its standard input and answers each with a line. Times are the machine's monotonic
clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from livekit import rtc

from tests.support.livekit_people import GREEN, RATE, Person, Sight

_BLOCK = 10  # ms of sound that are looked at together
_QUIET = 0.1  # of the usual loudness of the tone: 20 dB below
_PLAYED_LATE = 0.06  # seconds between two blocks: the SDK delivers them evenly, give or take a busy machine


@dataclass
class Heard:
    """How loud each block of somebody's tone was, and when it came."""

    times: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)

    def take(self, frame: rtc.AudioFrame) -> None:
        samples = np.frombuffer(frame.data, np.int16).astype(np.float32)
        self.times.append(time.monotonic())
        self.levels.append(float(np.sqrt((samples**2).mean())))

    def longest_gap(self, since: float) -> float:
        """Seconds of silence in a row, in what was played."""
        levels = [level for at, level in zip(self.times, self.levels, strict=True) if at >= since]
        if not levels:
            return float("inf")
        quiet = _QUIET * float(np.median([level for level in levels if level > 100] or [1e9]))
        runs = (len(list(run)) for silent, run in itertools.groupby(levels, lambda level: level < quiet) if silent)
        return max(runs, default=0) * _BLOCK / 1000


@dataclass
class Seen(Sight):
    """When which picture came, and how wide it was."""

    times: list[float] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)

    def take(self, frame: rtc.VideoFrame) -> None:
        super().take(frame)
        self.times.append(time.monotonic())
        self.widths.append(frame.width)


class Measuring(Person):
    """One who publishes a picture and a tone, and measures what comes from others."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.tracks: dict[tuple[str, str], rtc.RemoteTrack] = {}

    def _subscribed(self, track: Any, publication: object, participant: rtc.RemoteParticipant) -> None:
        kind = "audio" if track.kind == rtc.TrackKind.KIND_AUDIO else "video"
        self.tracks[participant.identity, kind] = track
        super()._subscribed(track, publication, participant)

    async def _see(self, track: rtc.Track, identity: str) -> None:
        self.sights.setdefault(identity, Seen())
        async for event in rtc.VideoStream(track):
            self.sights[identity].take(event.frame)

    async def _hear(self, track: rtc.Track, identity: str) -> None:
        heard = self.sounds.setdefault(identity, Heard())  # type: ignore[arg-type]
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=_BLOCK):
            heard.take(event.frame)

    async def do_join(self, url: str, token: str, single: bool) -> str:
        await self.enter(url, token, rtc.RoomOptions(single_peer_connection=single, connect_timeout=20))
        return self.room.local_participant.sid

    async def do_publish(self, tone: int = 0, picture: bool = False) -> None:
        if tone:
            await self.hum(tone)
        if picture:
            await self.show(GREEN)

    async def do_state(self) -> dict[str, Any]:
        return {
            "sid": self.room.local_participant.sid,
            "state": int(self.room.connection_state),
            "others": sorted(self.room.remote_participants),
            "events": [event[0] for event in self.events],
        }

    async def do_heard(self, of: str, since: float = 0.0) -> dict[str, Any]:
        """What was heard of somebody since a time, and the SDK's statistics from the beginning on."""
        heard: Any = self.sounds.get(of) or Heard()
        blocks = sum(1 for at in heard.times if at >= since)
        return {
            "blocks": blocks,
            "gap": heard.longest_gap(since),
            "last": heard.times[-1] if heard.times else 0.0,
            **await self._statistics(of, "audio"),
        }

    async def do_seen(self, of: str, since: float = 0.0) -> dict[str, Any]:
        """Pictures of somebody since a time: [when, number, width]."""
        seen: Any = self.sights.get(of) or Seen()
        pictures = [
            (at, number, width)
            for at, number, width in zip(seen.times, seen.numbers, seen.widths, strict=True)
            if at >= since
        ]
        return {"pictures": pictures, **await self._statistics(of, "video")}

    async def _statistics(self, of: str, kind: str) -> dict[str, Any]:
        track = self.tracks.get((of, kind))
        for item in await track.get_stats() if track is not None else ():
            if item.WhichOneof("stats") == "inbound_rtp":
                stream, inbound = item.inbound_rtp.stream, item.inbound_rtp.inbound
                received = item.inbound_rtp.received
                return {
                    "ssrc": stream.ssrc,
                    "packets": received.packets_received,
                    "lost": received.packets_lost,
                    "samples": inbound.total_samples_received,
                    "concealed": inbound.concealed_samples,
                    "key_frames": inbound.key_frames_decoded,
                    "nacks": inbound.nack_count,
                    "delay": inbound.jitter_buffer_delay,
                    "emitted": inbound.jitter_buffer_emitted_count,
                    "freezes": inbound.freeze_count,
                }
        return {}


async def main(name: str) -> None:
    person = Measuring(name)
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        action = getattr(person, f"do_{order.pop('do')}")
        print(json.dumps({"answer": await action(**order)}), flush=True)
    await asyncio.wait_for(person.leave(), 5)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
