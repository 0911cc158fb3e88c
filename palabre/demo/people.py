"""The demo's participants: LiveKit's own Python SDK, speaking recorded speech and showing moving video.

They are clients like anyone's: all they know of Palabre is a URL and a token that the token endpoint gave them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from livekit import rtc

from palabre.demo import pictures

RATE = 48_000  # Hz, what Opus works in
BLOCK = 480  # samples, 10 ms
FRAMES_PER_SECOND = 15

Samples = npt.NDArray[np.int16]


def read_speech(path: Path) -> Samples:
    """A clip as 48 kHz mono."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    parts: list[Samples] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            parts.extend(out.to_ndarray()[0] for out in resampler.resample(frame))
        parts.extend(out.to_ndarray()[0] for out in resampler.resample(None))
    return np.concatenate(parts).astype(np.int16)


class Person:
    """One participant. Owns its room and two tasks, sound and picture; `leave` ends all three."""

    def __init__(self, name: str, look: int) -> None:
        self.name = name
        self.room = rtc.Room()
        self._look = look
        self._speech = np.zeros(0, np.int16)
        self._silent = asyncio.Event()
        self._silent.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._screen: tuple[str, asyncio.Task[None]] | None = None
        self.heard: set[str] = set()  # identities whose sound arrived
        self.seen: set[str] = set()  # identities whose picture was decoded
        self.room.on("track_subscribed", self._subscribed)

    async def join(self, url: str, token: str) -> None:
        """Connect, and publish a microphone and a camera."""
        await self.room.connect(url, token, rtc.RoomOptions(auto_subscribe=True))
        microphone = rtc.AudioSource(RATE, 1)
        camera = rtc.VideoSource(pictures.WIDTH, pictures.HEIGHT)
        publish = self.room.local_participant.publish_track
        await publish(
            rtc.LocalAudioTrack.create_audio_track("microphone", microphone),
            rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE),
        )
        await publish(
            rtc.LocalVideoTrack.create_video_track("camera", camera),
            rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=True),
        )
        self._tasks += [asyncio.create_task(self._sound(microphone)), asyncio.create_task(self._picture(camera))]

    async def say(self, speech: Samples) -> None:
        """Speak a clip to its end."""
        self._silent.clear()
        self._speech = speech
        await self._silent.wait()

    async def share(self, lines: Sequence[str]) -> None:
        """Share a screen that shows `lines`."""
        source = rtc.VideoSource(1280, 720, is_screencast=True)
        publication = await self.room.local_participant.publish_track(
            rtc.LocalVideoTrack.create_video_track("screen", source),
            rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_SCREENSHARE, simulcast=False),
        )
        self._screen = (publication.sid, asyncio.create_task(self._show(source, tuple(lines))))

    async def stop_sharing(self) -> None:
        if self._screen is not None:
            sid, task = self._screen
            self._screen = None
            task.cancel()
            await self.room.local_participant.unpublish_track(sid)

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()

    async def _sound(self, source: rtc.AudioSource) -> None:
        """Feeds the microphone for ever: speech while there is some, silence otherwise. The source paces us."""
        while True:
            block, self._speech = self._speech[:BLOCK], self._speech[BLOCK:]
            if not len(self._speech):
                self._silent.set()
            padded = np.zeros(BLOCK, np.int16)
            padded[: len(block)] = block
            await source.capture_frame(rtc.AudioFrame(padded.tobytes(), RATE, 1, BLOCK))

    async def _picture(self, source: rtc.VideoSource) -> None:
        step = 0
        while True:
            loudness = float(np.abs(self._speech[: RATE // FRAMES_PER_SECOND]).mean()) if len(self._speech) else 0.0
            mouth = min(int(loudness / 700), pictures.MOUTHS - 1)
            frame = pictures.person(self._look, step % pictures.SWAY, mouth)
            source.capture_frame(_rgba(frame))
            step += 1
            await asyncio.sleep(1 / FRAMES_PER_SECOND)

    async def _show(self, source: rtc.VideoSource, lines: tuple[str, ...]) -> None:
        step = 0
        while True:
            frame = _rgba(pictures.page(lines, step // 5))
            source.capture_frame(frame)
            step += 1
            await asyncio.sleep(0.2)

    def _subscribed(self, track: rtc.Track, _publication: object, participant: rtc.RemoteParticipant) -> None:
        watch = self._hear if track.kind == rtc.TrackKind.KIND_AUDIO else self._see
        self._tasks.append(asyncio.create_task(watch(track, participant.identity)))

    async def _hear(self, track: rtc.Track, identity: str) -> None:
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
            if np.abs(np.frombuffer(event.frame.data, np.int16)).max() > 500:
                self.heard.add(identity)

    async def _see(self, track: rtc.Track, identity: str) -> None:
        async for event in rtc.VideoStream(track):
            if event.frame.width > 0:
                self.seen.add(identity)


def _rgba(picture: pictures.Picture) -> rtc.VideoFrame:
    height, width = picture.shape[:2]
    return rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, picture.tobytes())
