"""People in a call for tests: LiveKit's Python SDK with a camera whose frames carry a number and a colour, and a tone.

What is asserted is what was decoded: the number read back from the picture, the loudest frequency heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from livekit import rtc

from tests.support.relay import RunningRelay, until

WIDTH, HEIGHT = 640, 360
RATE = 48_000
RED, GREEN, BLUE = (200, 20, 20), (20, 180, 20), (20, 20, 200)


def stamped(number: int, colour: tuple[int, int, int]) -> bytes:
    """An RGBA picture: eight black or white cells on top, the colour below."""
    picture = np.empty((HEIGHT, WIDTH, 4), np.uint8)
    picture[...] = (*colour, 255)
    for bit in range(8):
        picture[: HEIGHT // 8, bit * WIDTH // 8 : (bit + 1) * WIDTH // 8, :3] = 255 * (number >> (7 - bit) & 1)
    return picture.tobytes()


@dataclass
class Sight:
    """What is seen of somebody's video track."""

    frames: int = 0
    numbers: list[int] = field(default_factory=list)
    colour: tuple[int, int, int] = (0, 0, 0)
    width: int = 0

    def take(self, frame: rtc.VideoFrame) -> None:
        picture = np.frombuffer(frame.convert(rtc.VideoBufferType.RGBA).data, np.uint8)
        picture = picture.reshape(frame.height, frame.width, 4)
        cells = picture[frame.height // 16, frame.width // 16 :: frame.width // 8, :3].mean(axis=1)[:8]
        self.numbers.append(sum(int(cell > 127) << (7 - bit) for bit, cell in enumerate(cells)))
        self.colour = tuple(int(value) for value in picture[frame.height * 3 // 4, frame.width // 2, :3])  # type: ignore[assignment]
        self.width = frame.width
        self.frames += 1

    def shows(self, colour: tuple[int, int, int]) -> bool:
        """The colour is right, within what video codecs do to it, and the numbers count."""
        near = all(abs(a - b) < 50 for a, b in zip(self.colour, colour, strict=True))
        steps = [(b - a) % 256 for a, b in zip(self.numbers[-5:], self.numbers[-4:], strict=False)]
        return near and len(steps) >= 4 and all(1 <= step <= 30 for step in steps)


@dataclass
class Sound:
    """What is heard of somebody's audio track."""

    blocks: int = 0
    _last: Any = None

    def take(self, frame: rtc.AudioFrame) -> None:
        samples = np.frombuffer(frame.data, np.int16).astype(float)
        self._last = samples if self._last is None else np.concatenate([self._last, samples])[-RATE // 4 :]
        self.blocks += 1

    @property
    def level(self) -> float:
        return 0.0 if self._last is None else float(np.sqrt((self._last**2).mean()))

    def hears(self, frequency: int) -> bool:
        if self._last is None or len(self._last) < RATE // 4 or self.level < 500:
            return False
        spectrum = np.abs(np.fft.rfft(self._last))
        loudest = float(np.argmax(spectrum)) * RATE / len(self._last)
        return abs(loudest - frequency) < 15


class Person:
    """One participant: a room of the SDK and what it has seen and heard."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.room = rtc.Room()
        self.sights: dict[str, Sight] = {}  # by identity, of the last video track
        self.sounds: dict[str, Sound] = {}
        self.events: list[tuple[Any, ...]] = []
        self.data: list[tuple[str, bytes, str]] = []
        self.texts: list[tuple[str, str]] = []
        self.camera: rtc.LocalTrackPublication | None = None
        self.microphone: rtc.LocalTrackPublication | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._watches: dict[tuple[str, int], asyncio.Task[None]] = {}
        self.room.on("track_subscribed", self._subscribed)
        self.room.on("data_received", self._received)
        names: Any = (
            "participant_connected", "participant_disconnected", "disconnected", "reconnecting", "reconnected",
            "track_published", "track_unpublished", "track_unsubscribed", "track_muted", "track_unmuted",
            "participant_attributes_changed", "participant_metadata_changed", "participant_permissions_changed",
            "active_speakers_changed", "room_metadata_changed", "local_track_unpublished",
        )  # fmt: skip
        for event in names:
            self.room.on(event, lambda *args, event=event: self.events.append((event, *map(_short, args))))
        self.room.register_text_stream_handler("long", self._text)

    def saw(self, name: str) -> bool:
        return any(event[0] == name for event in self.events)

    async def join(self, relay: RunningRelay, room: str, *, single: bool = True, **grants: Any) -> Person:
        auto = grants.pop("auto_subscribe", True)
        options = rtc.RoomOptions(auto_subscribe=auto, single_peer_connection=single)
        token = relay.token(self.name, room, **grants)
        await asyncio.wait_for(self.room.connect(relay.url, token, options), 15)
        return self

    async def enter(self, url: str, token: str, options: rtc.RoomOptions | None = None) -> Person:
        """Join with a token that somebody else made."""
        await asyncio.wait_for(self.room.connect(url, token, options or rtc.RoomOptions()), 15)
        return self

    async def show(
        self, colour: tuple[int, int, int], *, simulcast: bool = True, codec: rtc.VideoCodec.ValueType | None = None
    ) -> str:
        """Publish the stamped camera, in VP8 unless said otherwise; returns the track's sid."""
        source = rtc.VideoSource(WIDTH, HEIGHT)
        track = rtc.LocalVideoTrack.create_video_track("camera", source)
        source_kind = rtc.TrackSource.SOURCE_CAMERA
        options = rtc.TrackPublishOptions(source=source_kind, simulcast=simulcast, video_codec=codec)
        self._tasks.append(asyncio.create_task(self._film(source, colour)))
        self.camera = await asyncio.wait_for(self.room.local_participant.publish_track(track, options), 15)
        return self.camera.sid

    async def hum(self, frequency: int) -> str:
        """Publish a microphone with a tone; returns the track's sid."""
        source = rtc.AudioSource(RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        self._tasks.append(asyncio.create_task(self._sound(source, frequency)))
        self.microphone = await asyncio.wait_for(self.room.local_participant.publish_track(track, options), 15)
        return self.microphone.sid

    async def sees(self, other: str, colour: tuple[int, int, int], *, width: int = 0) -> None:
        """Wait until the other's picture is decoded right, anew; `width`: and has that width."""
        self.sights[other] = Sight()
        await until(
            lambda: self.sights[other].shows(colour) and width in (0, self.sights[other].width),
            f"{self.name} sees {other}",
        )

    def choose(self, other: str, quality: int) -> None:
        """Ask for a layer of somebody's camera: 0 is the lowest, 2 the highest."""
        publications = self.room.remote_participants[other].track_publications.values()
        (camera,) = [one for one in publications if one.kind == rtc.TrackKind.KIND_VIDEO]
        camera.set_video_quality(rtc.VideoQuality.ValueType(quality))

    async def hears(self, other: str, frequency: int) -> None:
        self.sounds[other] = Sound()
        await until(lambda: self.sounds[other].hears(frequency), f"{self.name} hears {other}")

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()

    async def _film(self, source: rtc.VideoSource, colour: tuple[int, int, int]) -> None:
        number = 0
        while True:
            number = (number + 1) % 256
            source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, stamped(number, colour)))
            await asyncio.sleep(1 / 15)

    async def _sound(self, source: rtc.AudioSource, frequency: int) -> None:
        phase = 0
        while True:
            wave = np.sin(2 * np.pi * frequency * (np.arange(480) + phase) / RATE) * 8000
            phase += 480
            await source.capture_frame(rtc.AudioFrame(wave.astype(np.int16).tobytes(), RATE, 1, 480))

    def _subscribed(self, track: rtc.Track, _publication: object, participant: rtc.RemoteParticipant) -> None:
        self.events.append(("track_subscribed", track.sid))
        watch = self._hear if track.kind == rtc.TrackKind.KIND_AUDIO else self._see
        key = participant.identity, track.kind
        if key in self._watches:  # the SDK may deliver a new track on the old one's stream too
            self._watches[key].cancel()
        self._watches[key] = asyncio.create_task(watch(track, participant.identity))
        self._tasks.append(self._watches[key])

    async def _see(self, track: rtc.Track, identity: str) -> None:
        self.sights[identity] = Sight()
        async for event in rtc.VideoStream(track):
            self.sights[identity].take(event.frame)

    async def _hear(self, track: rtc.Track, identity: str) -> None:
        self.sounds[identity] = Sound()
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
            self.sounds[identity].take(event.frame)

    def _received(self, packet: rtc.DataPacket) -> None:
        sender = packet.participant.identity if packet.participant else ""
        self.data.append((sender, bytes(packet.data), packet.topic or ""))

    def _text(self, reader: rtc.TextStreamReader, sender: str) -> None:
        async def read() -> None:
            self.texts.append((sender, await reader.read_all()))

        self._tasks.append(asyncio.create_task(read()))


def _short(value: object) -> object:
    return getattr(value, "identity", getattr(value, "sid", value))


@asynccontextmanager
async def people(*names: str) -> AsyncIterator[list[Person]]:
    """People who have not joined yet; they leave at the end."""
    group = [Person(name) for name in names]
    try:
        yield group
    finally:
        await asyncio.gather(*(person.leave() for person in group), return_exceptions=True)
