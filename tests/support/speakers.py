"""People in a call who are recognised in a recording: a stamped camera and a microphone that says and beeps on time.

The stamp holds the person's number and when the frame was taken (15ths of a second since `epoch`); of each beep it is
known when it left. Both together tell how sound and picture lie to each other wherever they come out.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import numpy as np
from livekit import rtc

from palabre.demo.people import Samples
from tests.support import stamps, tones

RATE = 48_000
BLOCK = RATE // 100
WIDTH, HEIGHT = 640, 360
FRAMES = 15  # per second
AHEAD = 60  # ms of sound that the SDK may hold: a busy machine needs some, and it delays beeps by as much


@dataclass
class Speaker:
    """One participant. `number` is in the stamps and chooses the tone of `beep`."""

    number: int
    epoch: float  # monotonic seconds, shared by everybody of a test
    room: rtc.Room = field(default_factory=rtc.Room)
    beeps: list[float] = field(default_factory=list)  # when each left, seconds since `epoch`
    _waiting: Samples = field(default_factory=lambda: np.zeros(0, np.int16))
    _beep_at: int = -1  # sample of `_waiting` at which a beep begins
    _said: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _microphone: rtc.LocalAudioTrack | None = None

    @property
    def tone(self) -> int:
        return tones.FREQUENCIES[self.number]

    async def join(self, url: str, token: str, *, camera: bool = True) -> None:
        await self.connect(url, token)
        await self.publish(camera=camera)

    async def connect(self, url: str, token: str, options: rtc.RoomOptions | None = None) -> None:
        await self.room.connect(url, token, options or rtc.RoomOptions())

    async def publish(self, *, camera: bool = True) -> None:
        sound = rtc.AudioSource(RATE, 1, queue_size_ms=AHEAD)
        self._microphone = rtc.LocalAudioTrack.create_audio_track("microphone", sound)
        await self.room.local_participant.publish_track(
            self._microphone, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        )
        self._tasks.append(asyncio.create_task(self._speak(sound)))
        if camera:
            picture = rtc.VideoSource(WIDTH, HEIGHT)
            track = rtc.LocalVideoTrack.create_video_track("camera", picture)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False)
            await self.room.local_participant.publish_track(track, options)
            self._tasks.append(asyncio.create_task(self._film(picture)))

    async def say(self, speech: Samples) -> None:
        """Speak a clip to its end."""
        self._said.clear()
        self._waiting = speech
        await self._said.wait()

    async def beep(self) -> None:
        """A tenth of a second of this person's tone."""
        self._beep_at = 0
        await self.say((tones.beep(self.tone) * 32767).astype(np.int16))

    def mute(self, muted: bool) -> None:
        assert self._microphone is not None
        if muted:
            self._microphone.mute()
        else:
            self._microphone.unmute()

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()

    async def _speak(self, source: rtc.AudioSource) -> None:
        while True:
            block, self._waiting = self._waiting[:BLOCK], self._waiting[BLOCK:]
            if self._beep_at == 0:
                self.beeps.append(time.monotonic() + source.queued_duration - self.epoch)
                self._beep_at = -1
            if not len(self._waiting):
                self._said.set()
            padded = np.zeros(BLOCK, np.int16)
            padded[: len(block)] = block
            await source.capture_frame(rtc.AudioFrame(padded.tobytes(), RATE, 1, BLOCK))

    async def _film(self, source: rtc.VideoSource) -> None:
        chroma = np.full(HEIGHT * WIDTH // 2, 128, np.uint8).tobytes()
        luma = np.full((HEIGHT, WIDTH), 90, np.uint8)
        while True:
            number = round((time.monotonic() - self.epoch) * FRAMES)
            stamps.draw(luma, self.number, number)
            frame = rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, luma.tobytes() + chroma)
            source.capture_frame(frame)
            pause = self.epoch + (number + 1) / FRAMES - time.monotonic()
            await asyncio.sleep(max(0.0, pause))
