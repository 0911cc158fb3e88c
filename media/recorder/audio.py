"""The sound of one track on the film's time: Opus decoded and placed by timestamp, never by count of packets.

Whatever was not sent (mute, discontinuous transmission, loss) is silence of the right length. The sender's sampling
clock is followed by interpolation (4-point Hermite), so that an hour of speech ends where it should. Streaming: a
second of sound is in memory, whatever the length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from media.recorder.clocks import MediaClock, Piece
from media.recorder.depacketise import EncodedFrame
from media.recorder.frames import TrackReader, Transform
from media.recorder.index import TrackIndex, index_person
from media.recorder.reader import Capture
from media.recorder.spans import Span, Spans, subtract, union

Samples = NDArray[np.float32]

RATE = 48_000  # Hz, of Opus and of all that is computed here
FADE = 240  # samples, 5 ms: what is cut off by a loss must not click
BLOCK = 1.0  # seconds, of `read_pcm`
LOOKAROUND = 0.25  # seconds read before and after a span: its ends are known to a packet, decoders add some delay
_MARGIN = 0.01  # seconds kept around a block: interpolation looks a few samples beyond it
_TAPS_PER_STEP = 20  # of the low-pass before decimation, per output sample


class SoundReader:
    """One track. Ask for blocks in rising time; each instant once."""

    def __init__(self, frames: Iterable[EncodedFrame], clocks: dict[int, MediaClock]) -> None:
        self._frames = iter(frames)
        self._clocks = clocks
        self._pending: tuple[EncodedFrame, Piece, int] | None = None
        self._decoders: dict[int, AudioCodecContext] = {}
        self._decoded: deque[tuple[Piece, int, Samples]] = deque()  # piece, first sample on its clock, sound
        self._faded = False  # the newest sound ends in a fade
        self.undecodable = 0

    def block(self, start: float, count: int) -> Samples | None:
        """`count` samples from `start` in film seconds, or None where there is only silence."""
        end = start + count / RATE
        self._read_until(start, end)
        mixed: Samples | None = None
        for piece in {id(piece): piece for piece, _, _ in self._decoded}.values():
            part = self._render(piece, start, end, count)
            if part is not None:
                mixed = part if mixed is None else mixed + part
        self._forget(end)
        return mixed

    def _render(self, piece: Piece, start: float, end: float, count: int) -> Samples | None:
        """What one piece of the clock gives to a block."""
        first, last = piece.media_at(start) * RATE, piece.media_at(end) * RATE
        low, high = int(np.floor(first)) - 1, int(np.ceil(last)) + 3
        line = np.zeros(high - low, np.float32)
        heard = False
        for owner, begin, sound in self._decoded:
            if owner is not piece:
                continue
            a, b = max(begin, low), min(begin + len(sound), high)
            if a < b:
                line[a - low : b - low] = sound[a - begin : b - begin]
                heard = True
        if not heard:
            return None
        return hermite(line, first - low + (last - first) * np.arange(count) / count)

    def _read_until(self, start: float, end: float) -> None:
        """Decode what sounds before `end`, and a little more for the interpolation."""
        while (pending := self._pending or self._fetch()) is not None:
            frame, piece, begin = self._pending = pending
            if piece.time(begin / RATE) > end + _MARGIN:  # a gap that reaches past this block: nothing to decode yet
                return
            self._pending = None
            self._decode(frame, piece, begin)
            self._forget(start)

    def _fetch(self) -> tuple[EncodedFrame, Piece, int] | None:
        """The next frame with its place. Where it does not touch the one before, that one fades out."""
        for frame in self._frames:
            if (clock := self._clocks.get(frame.ssrc)) is not None:
                piece = clock.pieces[clock.piece(frame.timestamp, frame.arrival)]
                begin = round(frame.timestamp * RATE / clock.clock_rate)
                if not self._touches(piece, begin):
                    self._fade_out()
                return frame, piece, begin
        self._fade_out()
        return None

    def _decode(self, frame: EncodedFrame, piece: Piece, begin: int) -> None:
        decoder = self._decoders.get(frame.ssrc)
        if decoder is None:
            decoder = self._decoders[frame.ssrc] = opus_decoder()
        try:
            parts = [to_mono(decoded.to_ndarray()) for decoded in decoder.decode(av.Packet(frame.data))]
        except av.error.FFmpegError:
            self.undecodable += 1
            return
        if not parts:
            return
        sound = np.concatenate(parts)
        if not self._touches(piece, begin):
            edge = min(FADE, len(sound))
            sound[:edge] *= np.linspace(0, 1, edge, dtype=np.float32)
        self._decoded.append((piece, begin, sound))
        self._faded = False

    def _touches(self, piece: Piece, begin: int) -> bool:
        if not self._decoded:
            return False
        owner, before, sound = self._decoded[-1]
        return owner is piece and begin == before + len(sound)

    def _fade_out(self) -> None:
        if self._decoded and not self._faded:
            sound = self._decoded[-1][2]
            edge = min(FADE, len(sound))
            sound[len(sound) - edge :] *= np.linspace(1, 0, edge, dtype=np.float32)
            self._faded = True

    def _forget(self, end: float) -> None:
        while self._decoded:
            piece, begin, sound = self._decoded[0]
            if piece.time((begin + len(sound)) / RATE) > end - _MARGIN:
                return
            self._decoded.popleft()


def opus_decoder() -> AudioCodecContext:
    """To mono; stereo packets are mixed down."""
    decoder = AudioCodecContext.create("libopus", "r")
    decoder.sample_rate = RATE
    decoder.layout = "mono"
    return decoder


def to_mono(sound: NDArray[np.generic]) -> Samples:
    """Decoder output, integer or float, as floats around zero."""
    flat = sound.reshape(-1)
    scale = 1 / 32768 if flat.dtype == np.int16 else 1.0
    return np.asarray(flat, dtype=np.float32) * np.float32(scale)


def hermite(line: Samples, position: NDArray[np.float64]) -> Samples:
    """`line` at fractional positions, each at least 1 from both ends: Catmull-Rom through four samples."""
    index = position.astype(np.int64)
    t = (position - index).astype(np.float32)
    a, b, c, d = line[index - 1], line[index], line[index + 1], line[index + 2]
    slope = (c - a) * 0.5
    third = (b - c) * 1.5 + (d - a) * 0.5
    second = c - b - slope - third
    result: Samples = ((third * t + second) * t + slope) * t + b
    return result


class Decimator:
    """From 48 kHz to a rate that divides it, through a windowed-sinc low-pass; blocks follow each other."""

    def __init__(self, rate: int) -> None:
        if rate <= 0 or RATE % rate:
            raise ValueError(f"{RATE} Hz cannot be divided into {rate} Hz")
        self.step = RATE // rate
        half = self.step * _TAPS_PER_STEP // 2
        time = np.arange(-half, half + 1)
        taps = np.sinc(time * 0.92 / self.step) * np.hamming(2 * half + 1)
        self._taps = (taps / taps.sum()).astype(np.float32)
        self.delay = half / RATE if self.step > 1 else 0.0  # seconds
        self._tail = np.zeros(2 * half, np.float32)

    def __call__(self, block: Samples) -> Samples:
        """`block` has a multiple of `step` samples."""
        if self.step == 1:
            return block
        line = np.concatenate((self._tail, block))
        self._tail = line[len(block) :]
        filtered: Samples = np.convolve(line, self._taps, mode="valid")[:: self.step].astype(np.float32)
        return filtered


def heard_spans(index: TrackIndex, cuts: Spans, duration: float) -> Spans:
    """When a track may be heard: it flowed, inside the film, and was not cut out."""
    around = union((start - LOOKAROUND, end + LOOKAROUND) for start, end in index.spans)
    inside = ((max(0.0, start), min(duration, end)) for start, end in around)
    return subtract(union(inside), cuts)


def open_sound(capture: Capture, index: TrackIndex, zero: float, transform: Transform | None = None) -> SoundReader:
    """A reader for one indexed track."""
    clocks = {layer.layer.ssrc: layer.clock for layer in index.layers}
    return SoundReader(TrackReader(capture, index.track, zero, transform=transform), clocks)


def read_pcm(
    capture: Capture,
    identity: str,
    *,
    started_at: float,
    rate: int = 16_000,
    transform: Transform | None = None,
    cuts: Iterable[Span] = (),
) -> Iterator[tuple[float, Samples]]:
    """What one person's microphones recorded: (start in seconds after `started_at`, mono samples between -1 and 1).

    Blocks of at most one second, in rising time; stretches in which nothing was sent are left out, and so is what
    `cut` events and `cuts` (in seconds, as the blocks) take out. `rate` divides 48000. Constant memory. Somebody who
    was not recorded yields nothing.
    """
    tracks = capture.tracks_of(identity)
    out = union((*cuts_of(capture, identity, started_at), *cuts))
    microphones = (index for index in index_person(capture, tracks, started_at) if index.track.source == "microphone")
    return chain.from_iterable(_track_pcm(capture, index, started_at, out, rate, transform) for index in microphones)


def _track_pcm(
    capture: Capture, index: TrackIndex, zero: float, cuts: Spans, rate: int, transform: Transform | None
) -> Iterator[tuple[float, Samples]]:
    sound = open_sound(capture, index, zero, transform)
    for span in heard_spans(index, cuts, capture.ended_at - zero):
        decimator = Decimator(rate)
        for at, count in blocks_of(span, decimator.step):
            block = sound.block(at, count)
            yield at - decimator.delay, decimator(block if block is not None else np.zeros(count, np.float32))


def blocks_of(span: Span, grain: int = 1) -> Iterator[tuple[float, int]]:
    """A span as (start, samples), `BLOCK` each and the rest, in multiples of `grain` samples."""
    start, end = span
    for number in range(int(np.ceil((end - start) / BLOCK))):
        at = start + number * BLOCK
        count = int(min(BLOCK, end - at) * RATE) // grain * grain
        if count:
            yield at, count


def cuts_of(capture: Capture, identity: str, zero: float) -> Spans:
    """What `cut` events take out of one person, in film seconds."""
    return union(
        (float(event.fields.get("from", "-inf")) - zero, float(event.fields.get("to", "inf")) - zero)
        for event in capture.events
        if event.kind == "cut" and event.fields.get("identity") == identity
    )
