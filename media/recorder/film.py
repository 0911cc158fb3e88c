"""The file being made: frames and sound in, sealed MP4s out, each with its index in front. No layout, no decoding.

A film that would outgrow what a homeserver takes goes on in a next part, which begins with a key frame and plays alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import structlog
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from media.recorder.audio import Samples
from media.recorder.budget import AUDIO_RATE, BUFFER, KEY_FRAMES, SPLIT, Budget, index_bytes
from media.recorder.canvas import Canvas
from media.recorder.errors import too_large
from media.recorder.job import FilmPart
from media.recorder.limits import leave_realtime
from media.recorder.video import planes_of
from palabre.base.sealed import SealedFile

FILM_FILES = "film-*.mp4.sealed"
THREADS = 2  # of the encoder
_TOLERANCE = 0.5  # seconds by which a finished part may differ from what went in
_SMPTE170M, _BT709, _LIMITED = 6, 1, 1  # AVCOL_SPC_, AVCOL_TRC_ and AVCOL_PRI_, AVCOL_RANGE_

log = structlog.get_logger("recorder")

# By wish, what is tried in turn: (FFmpeg's encoder, options). Measured on calls: superfast is as cheap as SVT-AV1; that
# one drops small changes above preset 10; libvpx is slow, and there for builds that have nothing else.
_X264 = ("libx264", {"preset": "superfast", "crf": "26"})
_SVT_AV1 = ("libsvtav1", {"preset": "10", "crf": "38"})
_VP9 = ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "crf": "36", "row-mt": "1"})
_ENCODERS = {
    "h264": (_X264, _SVT_AV1, _VP9),
    "av1": (_SVT_AV1, _VP9, _X264),
    "vp9": (_VP9, _SVT_AV1, _X264),
}


class FilmError(Exception):
    """The film that was made is not what it should be, or this machine has no encoder: our fault."""


@dataclass(frozen=True)
class FilmSpec:
    """What does not change within a film."""

    width: int
    height: int
    frames_per_second: int
    video_codec: str


class FilmWriter:
    """Second by second: its frames (`picture`), then its sound (`sound`). Times follow from counts."""

    def __init__(self, directory: Path, key: bytes, spec: FilmSpec, budget: Budget, duration: float) -> None:
        self._directory = directory
        self._key = key
        self._spec = spec
        self._budget = budget
        self._duration = duration
        self._encoder = choose_encoder(spec.video_codec)
        self._frames = 0  # in the whole film
        self._parts: list[FilmPart] = []
        self._part = self._open_part(0)

    def picture(self, canvas: Canvas) -> None:
        """The next frame. Splits where it must, at multiples of `SPLIT` seconds."""
        split = self._frames and self._frames % (SPLIT * self._spec.frames_per_second) == 0
        if split and self._budget.must_split(self._part.written):
            self._finish_part()
            self._part = self._open_part(self._frames)
        frame = VideoFrame(self._spec.width, self._spec.height, "yuv420p")
        for target, source in zip(planes_of(frame), canvas.planes, strict=True):
            target[:] = source
        self._part.picture(frame)
        self._frames += 1

    def sound(self, block: Samples) -> None:
        """The sound that belongs to the frames since the last call."""
        self._part.sound(block)

    def close(self) -> tuple[FilmPart, ...]:
        """The finished parts. Raises `RecordingError` where one is larger than allowed after all."""
        self._finish_part()
        for part in self._parts:
            if self._budget.part_bytes and part.size > self._budget.part_bytes:
                raise too_large(self._duration, self._budget.part_bytes)
        return tuple(self._parts)

    def abandon(self) -> None:
        """Close what is open; the files are worthless."""
        self._part.abandon()

    def _open_part(self, first: int) -> _Part:
        start = first / self._spec.frames_per_second
        path = self._directory / f"film-{len(self._parts) + 1:03}.mp4.sealed"
        return _Part(
            path, self._key, self._spec, self._budget, self._encoder, start=start, longest=self._duration - start
        )

    def _finish_part(self) -> None:
        self._parts.append(self._part.close(self._frames))


class _Part:
    """One MP4."""

    def __init__(
        self,
        path: Path,
        key: bytes,
        spec: FilmSpec,
        budget: Budget,
        encoder: tuple[str, dict[str, str]],
        *,
        start: float,
        longest: float,
    ) -> None:
        self._path = path
        self._spec = spec
        self._start = start
        self._file = SealedFile.create(path, key)
        options = {"moov_size": str(index_bytes(longest, spec.frames_per_second)), "chunk_duration": "1000000"}
        self._container: OutputContainer = av.open(self._file, "w", format="mp4", options=options)
        self._video = _video_stream(self._container, spec, budget, encoder)
        self._audio: AudioStream = self._container.add_stream("aac", rate=AUDIO_RATE)
        self._audio.layout = "mono"
        self._audio.bit_rate = budget.audio_rate
        self._frames = self._samples = 0

    @property
    def written(self) -> int:
        """Bytes so far, without what encoder and muxer hold."""
        return self._file.seek(0, os.SEEK_CUR)

    def picture(self, frame: VideoFrame) -> None:
        frame.pts = self._frames
        frame.time_base = Fraction(1, self._spec.frames_per_second)
        self._frames += 1
        self._container.mux(self._video.encode(frame))
        if self._frames == 1:  # the encoder opens with its first picture
            leave_realtime()

    def sound(self, block: Samples) -> None:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block[None]), "fltp", "mono")
        frame.sample_rate = AUDIO_RATE
        frame.pts = self._samples
        frame.time_base = Fraction(1, AUDIO_RATE)
        self._samples += len(block)
        self._container.mux(self._audio.encode(frame))

    def close(self, frames: int) -> FilmPart:
        for stream in (self._video, self._audio):
            self._container.mux(stream.encode())
        self._container.close()
        size = self._file.seek(0, os.SEEK_END)
        self._file.close()
        duration = frames / self._spec.frames_per_second - self._start
        return FilmPart(str(self._path), size, self._start, duration)

    def abandon(self) -> None:
        try:
            self._container.close()
        except (av.error.FFmpegError, OSError) as error:  # it was broken before, that is why it is abandoned
            log.debug("an abandoned film did not close", error=str(error))
        self._file.close()


def _video_stream(
    container: OutputContainer, spec: FilmSpec, budget: Budget, encoder: tuple[str, dict[str, str]]
) -> VideoStream:
    name, options = encoder
    rate = {"maxrate": str(budget.video_rate), "bufsize": str(round(budget.video_rate * BUFFER))}
    if name == "libvpx-vp9":
        rate = {"b": str(budget.video_rate)}  # with crf: a ceiling
    stream = cast(VideoStream, container.add_stream(name, rate=spec.frames_per_second))
    stream.width, stream.height, stream.pix_fmt = spec.width, spec.height, "yuv420p"
    stream.options = {**options, **rate, "g": str(round(KEY_FRAMES * spec.frames_per_second))}
    context = stream.codec_context
    context.thread_count = THREADS
    context.colorspace, context.color_range = _SMPTE170M, _LIMITED
    context.color_primaries = context.color_trc = _BT709
    return stream


def choose_encoder(wish: str) -> tuple[str, dict[str, str]]:
    """The first encoder for `wish` that this FFmpeg has. Raises `FilmError` without any."""
    for name, options in _ENCODERS[wish]:
        if name in av.codecs_available:
            return name, options
    raise FilmError("this FFmpeg has none of the encoders " + ", ".join(name for name, _ in _ENCODERS[wish]))


def verify(part: FilmPart, key: bytes) -> None:
    """Open a finished part as a player would. Raises `FilmError`."""
    with SealedFile.open(Path(part.path), key) as file:
        if not _index_in_front(file):
            raise FilmError("the film's index is not at its front")
        file.seek(0)
        with av.open(file, "r", format="mp4") as container:
            lasts = (container.duration or 0) / av.time_base
            if abs(lasts - part.duration) > _TOLERANCE:
                raise FilmError(f"the film lasts {lasts:.2f} s instead of {part.duration:.2f} s")
            if len(container.streams.video) != 1 or len(container.streams.audio) != 1:
                raise FilmError("the film lacks picture or sound")
            first = next(container.decode(video=0), None)
            container.seek(max(0, round((lasts - KEY_FRAMES) * av.time_base)))
            last = max((frame.time or 0.0 for frame in container.decode(video=0)), default=None)
            if first is None or last is None or lasts - last > _TOLERANCE:
                raise FilmError("the film's pictures cannot be decoded")


def _index_in_front(file: SealedFile) -> bool:
    """ISO/IEC 14496-12: boxes of `u32 size | type`; `moov` before `mdat`."""
    position = 0
    while True:
        file.seek(position)
        head = file.read(8) or b""
        if len(head) < 8 or head[4:] == b"mdat":
            return False
        if head[4:] == b"moov":
            return True
        position += max(8, int.from_bytes(head[:4], "big"))
