"""The picture of one track at each moment of the film: decoded as planned, scaled to its place. No layout, no encoding.

A frame of which packets are missing is not decoded, and neither is what builds on it: the picture stands still until
the next key frame, at most `FREEZE`. Streaming: a second of encoded frames is read ahead, however long it lasts.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import cast

import av
import numpy as np
import structlog
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from media.recorder.canvas import Planes
from media.recorder.clocks import MediaClock
from media.recorder.depacketise import EncodedFrame
from media.recorder.frames import TrackReader, Transform
from media.recorder.index import TrackIndex
from media.recorder.layers import LayerPlan, plan_layers
from media.recorder.layout import Rect, fit
from media.recorder.reader import Capture
from media.recorder.rtp import HOLD
from media.recorder.spans import Spans, contains, union

FREEZE = 3.0  # seconds: then a smeared picture that heals is better than one that stands
AHEAD = HOLD + 0.2  # seconds: no frame comes later than the wait for its lost packets
_DECODERS = {"vp8": "vp8", "vp9": "vp9", "h264": "h264", "av1": "libdav1d"}
_BT709 = 1  # AVCOL_SPC_BT709
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG

log = structlog.get_logger("recorder")


class LayerDecoder:
    """One SSRC: encoded frames in, pictures out, none from frames that are broken."""

    def __init__(self, codec: str) -> None:
        context = cast(VideoCodecContext, VideoCodecContext.create(_DECODERS[codec], "r"))
        context.thread_count = 1  # several tracks share the machine, and calls have a single core's worth each
        context.flags |= Flags.low_delay  # WebRTC has no frames that are shown later than they are decoded
        self._context = context
        self._waiting_since: float | None = None
        self._begun = False

    def decode(self, frame: EncodedFrame, time: float) -> VideoFrame | None:
        """The picture, or None. `time` rises."""
        if frame.key and frame.complete:
            self._begun, self._waiting_since = True, None
        elif not self._begun:
            return None
        elif (not frame.complete or frame.after_gap) and self._waiting_since is None:
            self._waiting_since = time
        if self._waiting_since is not None:
            if not frame.complete or time - self._waiting_since < FREEZE:
                return None
            self._waiting_since = None
        try:
            pictures = self._context.decode(av.Packet(frame.data))
        except av.error.FFmpegError:
            self._waiting_since = time
            return None
        # the layers of a VP9 picture come out one by one
        return max(pictures, key=lambda picture: picture.width, default=None)


class PictureReader:
    """One track, by film time. Ask in rising time."""

    def __init__(
        self,
        frames: Iterable[EncodedFrame],
        clocks: Mapping[int, MediaClock],
        codecs: Mapping[int, str],
        plans: Mapping[int, LayerPlan],
    ) -> None:
        self._frames = iter(frames)
        self._clocks = clocks
        self._plans = plans
        self._decoders = {ssrc: LayerDecoder(codecs[ssrc]) for ssrc in plans}
        self._shown: Spans = union(span for plan in plans.values() for span in plan.show)
        self._waiting: list[tuple[float, int, EncodedFrame]] = []  # a heap: time, order of reading
        self._read = 0
        self._newest = float("-inf")  # of the times read so far
        self._picture: VideoFrame | None = None
        self.version = 0  # changes with every new picture

    def advance(self, at: float) -> VideoFrame | None:
        """What is seen at `at`; None: nothing, for it is not shown then or has not begun."""
        self._read_ahead(at)
        while self._waiting and self._waiting[0][0] <= at:
            time, _, frame = heapq.heappop(self._waiting)
            picture = self._decoders[frame.ssrc].decode(frame, time)
            if picture is not None and contains(self._plans[frame.ssrc].show, time):
                self._picture = picture
                self.version += 1
        if self._picture is not None and not contains(self._shown, at):
            self._picture = None
            self.version += 1
        return self._picture

    def _read_ahead(self, at: float) -> None:
        """A frame of one layer that waited for a lost packet comes after later frames of another: put them in order."""
        while self._newest < at + AHEAD:
            frame = next(self._frames, None)
            if frame is None:
                return
            if (plan := self._plans.get(frame.ssrc)) is None:
                continue
            time = self._clocks[frame.ssrc].time(frame.timestamp, frame.arrival)
            self._newest = max(self._newest, time)
            if contains(plan.decode, time):
                self._read += 1
                heapq.heappush(self._waiting, (time, self._read, frame))


def open_picture(
    capture: Capture, index: TrackIndex, zero: float, shown: Spans, transform: Transform | None = None
) -> PictureReader:
    """A reader for one indexed track that is on screen during `shown`."""
    layers = {layer.layer.ssrc: layer for layer in index.layers if layer.layer.codec in _DECODERS}
    return PictureReader(
        TrackReader(capture, index.track, zero, transform=transform),
        {ssrc: layer.clock for ssrc, layer in layers.items()},
        {ssrc: layer.layer.codec for ssrc, layer in layers.items()},
        plan_layers(tuple(layers.values()), shown),
    )


class Scaler:
    """Pictures of any size to the planes of one tile; keeps its tables while sizes stay the same."""

    def __init__(self, *, sharp: bool) -> None:
        self._reformatter = VideoReformatter()
        self._interpolation = Interpolation.BICUBIC if sharp else Interpolation.BILINEAR  # text needs the former

    def place(self, picture: VideoFrame, tile: Rect) -> tuple[Rect, Planes]:
        """(where the whole picture goes inside `tile`, its planes in that size and in BT.601)."""
        rect = fit(picture.width, picture.height, tile)
        full = picture.color_range == _FULL_RANGE or picture.format.name.startswith("yuvj")
        scaled = self._reformatter.reformat(
            picture,
            rect.width,
            rect.height,
            "yuv420p",
            src_colorspace=Colorspace.ITU709 if picture.colorspace == _BT709 else Colorspace.ITU601,
            dst_colorspace=Colorspace.ITU601,
            interpolation=self._interpolation,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        return rect, planes_of(scaled)


def planes_of(frame: VideoFrame) -> Planes:
    """Views of a yuv420p frame, valid as long as it lives."""
    luma, cb, cr = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in frame.planes
    )
    return luma, cb, cr
