"""The real way: LiveKit's SDK, our relay, taps, journals, film. Two people clap, one of them mutes."""

from __future__ import annotations

import asyncio
import time
from statistics import median

import numpy as np
import pytest
from livekit import rtc

from media.recorder.capture import CallCapture
from media.recorder.job import RenderJob
from media.recorder.layout import grid
from media.recorder.reader import open_capture
from media.recorder.records import Kind
from media.recorder.render import render
from palabre.base.clock import SystemClock
from palabre.base.sealed import new_key
from tests.support import clap, film, tones
from tests.support.livekit_people import HEIGHT, RATE, WIDTH, Person, people
from tests.support.relay import running_relay, until

pytestmark = pytest.mark.alone

SECONDS = 7.0
MUTED_AT = 4.0
PEOPLE = {"ana": (1, 600), "bo": (2, 1400)}
BLOCK = 480  # samples, 10 ms
FPS = 15


class Clapper:
    """Publishes stamped pictures with flashes, and beeps, both by the same clock."""

    def __init__(self, person: Person, begun: float) -> None:
        self.person, self.begun = person, begun
        self.number, self.frequency = PEOPLE[person.name]
        self.tasks: list[asyncio.Task[None]] = []

    async def publish(self) -> None:
        local = self.person.room.local_participant
        video, audio = rtc.VideoSource(WIDTH, HEIGHT), rtc.AudioSource(RATE, 1, queue_size_ms=0)
        camera = rtc.LocalVideoTrack.create_video_track("camera", video)
        microphone = rtc.LocalAudioTrack.create_audio_track("microphone", audio)
        await local.publish_track(camera, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=True))
        self.microphone = await local.publish_track(
            microphone, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        )
        self.track = microphone
        self.tasks = [asyncio.create_task(self._film(video)), asyncio.create_task(self._speak(audio))]

    async def _film(self, source: rtc.VideoSource) -> None:
        for number in range(100_000):
            at = time.monotonic() - self.begun
            planes = clap.picture(WIDTH, HEIGHT, self.number, number, at)
            source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, planes.tobytes()))
            await asyncio.sleep(max(0.0, self.begun + (number + 1) / FPS - time.monotonic()))

    async def _speak(self, source: rtc.AudioSource) -> None:
        tone = np.concatenate([tones.beep(self.frequency), np.zeros(round(0.9 * RATE), np.float32)])
        position = round((time.monotonic() - self.begun) * RATE) // BLOCK * BLOCK
        while True:
            pcm = np.take(tone, np.arange(position, position + BLOCK) % RATE) * 32767
            await source.capture_frame(rtc.AudioFrame(pcm.astype(np.int16).tobytes(), RATE, 1, BLOCK))
            position += BLOCK
            await asyncio.sleep(max(0.0, self.begun + position / RATE - time.monotonic()))

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(capture directory, key, film, result)."""
    folder, key = tmp_path_factory.mktemp("relay"), new_key()
    asyncio.run(_call(folder, key))
    started = open_capture(folder / "c", key).started_at
    job = RenderJob(str(folder / "c"), str(folder / "o"), started, height=360, frames_per_second=FPS)
    result = render(job, capture_key=key, output_key=key)
    return folder / "c", key, film.whole(result, key), result


async def _call(folder, key):
    async with running_relay() as relay, people(*PEOPLE) as joined:
        begun = time.monotonic()
        clappers = [Clapper(person, begun) for person in joined]
        for person in joined:
            await person.join(relay, "room")
        await asyncio.gather(*(each.publish() for each in clappers))
        for identity in PEOPLE:
            await until(lambda who=identity: len(relay.control.tracks("room", who)) == 2, f"{identity} sends both")
        errors: list[Exception] = []
        capture = CallCapture(folder / "c", key, SystemClock(), on_error=errors.append)
        taps = []
        for identity in PEOPLE:
            for track in relay.control.tracks("room", identity):
                journal = capture.track(
                    identity=identity, user="", name=identity.title(),
                    track_sid=track.sid, kind=track.kind, source=track.source.value,
                )  # fmt: skip
                taps.append(relay.control.open_tap("room", identity, track.sid, journal, max_layer=1))
        await asyncio.sleep(MUTED_AT)
        clappers[1].track.mute()
        await asyncio.sleep(SECONDS - MUTED_AT)
        for tap in taps:
            tap.close()
        await asyncio.to_thread(capture.close)
        for clapper in clappers:
            await clapper.end()
        assert not errors


def tiles(_time):
    return dict(zip((1, 2), grid(2, 640, 360), strict=True))


def test_everybodys_picture_is_in_the_film(made):
    _, _, mp4, result = made
    assert [person.identity for person in result.people] == ["ana", "bo"]
    assert result.duration == pytest.approx(SECONDS, abs=1)
    seen = film.watch(mp4, tiles)
    for number in (1, 2):
        shown = [stamp for time, stamp in zip(seen[number].times, seen[number].stamps, strict=True) if time > 1.5]
        read = [stamp for stamp in shown if stamp]
        assert len(read) > 0.9 * len(shown)
        assert {stamp.person for stamp in read} == {number}
        assert len({stamp.frame for stamp in read}) > 0.6 * len(read)


def test_lips_and_voice_are_together_and_so_are_people(made):
    _, _, mp4, _ = made
    seen, sound = film.watch(mp4, tiles), film.listen(mp4)
    moments = {}
    for number, frequency in PEOPLE.values():
        flashes = [at for at in seen[number].flashes() if 1 < at < MUTED_AT]
        beeps = [at for at in tones.onsets(sound, frequency) if 1 < at < MUTED_AT]
        assert flashes
        assert beeps
        apart = [min((beep - flash for beep in beeps), key=abs) for flash in flashes]
        assert abs(median(apart)) < 0.1
        moments[number] = [at % clap.PERIOD for at in (*flashes, *beeps)]
    away = (median(moments[1]) - median(moments[2]) + 0.5) % 1 - 0.5
    assert abs(away) < 0.2


def test_who_mutes_is_silent_from_then_on(made):
    _, _, mp4, _ = made
    sound = film.listen(mp4)
    assert tones.heard(sound, PEOPLE["bo"][1], 1, MUTED_AT) > 0.05
    assert tones.heard(sound, PEOPLE["bo"][1], MUTED_AT + 0.8, SECONDS - 0.5) < 0.02
    assert tones.heard(sound, PEOPLE["ana"][1], MUTED_AT + 0.8, SECONDS - 0.5) > 0.05


def test_sender_reports_reach_the_journals(made):
    directory, key, _, _ = made
    capture = open_capture(directory, key)
    for track in capture.tracks:
        assert any(record.kind == Kind.SR for record in capture.records(track)), track.source
