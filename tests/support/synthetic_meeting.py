"""A meeting that never took place, as journals: real codecs, and every trouble a network has, from one seed.

Each person has an own clock (offset by minutes, drifting), jitter, late and lost packets; some mute, turn the camera
off, come late, change simulcast layers or share a screen. Everybody claps once a second of the meeting's true time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from media.recorder.capture import CallCapture
from media.recorder.encrypted import EncryptedTrack
from media.recorder.journal import TrackJournal
from palabre.base.clock import ManualClock
from tests.support import clap, tones
from tests.support.media_e2ee import decrypting, ring_of, seal_frame

VIDEO_RATE, AUDIO_RATE = 90_000, 48_000
PACKET = 1100  # bytes of payload
DELAY = 0.03  # seconds, the shortest way
FRAME = 0.02  # seconds of Opus
LINGER = 0.4  # seconds that a camera still sends after it was switched off: clients are not exact
NTP_EPOCH = 3_900_000_000.0

Span = tuple[float, float]


@dataclass(frozen=True)
class Guest:
    """Somebody in the meeting. Times in seconds of the meeting; `ppm` and `wall` are their clock's faults."""

    identity: str
    name: str
    number: int
    frequency: int
    joins: float = 0.0
    ppm: float = 0.0
    wall: float = 0.0
    muted: tuple[Span, ...] = ()
    camera_off: tuple[Span, ...] = ()
    layers: tuple[str, ...] = ("",)  # rids in rising quality; more than one: simulcast
    upper_gap: Span | None = None  # when the best layer does not flow
    shares: Span | None = None
    video: bool = True
    reports: bool = True


@dataclass(frozen=True)
class Meeting:
    guests: tuple[Guest, ...]
    seconds: float
    seed: int = 5
    width: int = 320
    height: int = 180
    fps: int = 25
    jitter: float = 0.008  # mean of the exponential, seconds
    late: float = 0.02  # share of video packets that come again after a loss
    lost: float = 0.01  # share of audio packets
    close: bool = True  # False: leave the journals as a killed process would
    starts_at: float = 0.0  # seconds after the clock's beginning
    cuts: tuple[tuple[str, float, float], ...] = ()  # (identity, from, to) as events
    media_key: bytes = b""  # of everybody: media are encrypted end to end, and decrypted as they come


@dataclass
class Recorded:
    """Where it is, and what was true. `frames` by identity: (meeting time, stamp) of each picture that was sent."""

    directory: Path
    key: bytes
    zero: float  # meeting time 0, seconds since the epoch
    meeting: Meeting
    frames: dict[str, list[tuple[float, int]]] = field(default_factory=dict)

    def guest(self, identity: str) -> Guest:
        return next(guest for guest in self.meeting.guests if guest.identity == identity)


Event = tuple[float, int, Callable[[], None]]  # arrival, order, what then happens


class _Writer:
    """Collects what arrives when, and plays it into a capture in that order."""

    def __init__(self, meeting: Meeting, capture: CallCapture, clock: ManualClock) -> None:
        self.meeting, self.capture, self.clock = meeting, capture, clock
        self.random = random.Random(meeting.seed)
        self.base = clock.monotonic()
        self.events: list[Event] = []

    def at(self, time: float, action: Callable[[], None]) -> None:
        if time <= self.meeting.seconds + DELAY:
            self.events.append((time, len(self.events), action))

    def way(self) -> float:
        return DELAY + self.random.expovariate(1 / self.meeting.jitter)

    def play(self) -> None:
        now = 0.0
        for time, _, action in sorted(self.events, key=lambda event: event[:2]):
            self.clock.advance(max(0.0, time - now))
            now = max(now, time)
            action()
        self.clock.advance(max(0.0, self.meeting.seconds - now))


class _Sender:
    """One SSRC of one person."""

    def __init__(self, writer: _Writer, guest: Guest, ssrc: int, rate: int, payload_type: int) -> None:
        self.writer, self.guest, self.ssrc, self.rate, self.payload_type = writer, guest, ssrc, rate, payload_type
        self.sequence = writer.random.getrandbits(16)
        self.offset = writer.random.getrandbits(32)
        self.pace = 1 + guest.ppm * 1e-6

    def timestamp(self, time: float) -> int:
        return int(self.offset + time * self.pace * self.rate) & 0xFFFFFFFF

    def send(self, journal: _Journal, time: float, payload: bytes, arrival: float, *, marker: bool) -> None:
        header = bytes([0x80, self.payload_type | (0x80 if marker else 0)])
        header += (self.sequence & 0xFFFF).to_bytes(2, "big") + self.timestamp(time).to_bytes(4, "big")
        self.sequence += 1
        journal.rtp(arrival, self.ssrc, header + self.ssrc.to_bytes(4, "big") + payload)

    def reports(self, journal: _Journal, start: float, end: float) -> None:
        time = start + 0.3
        while time < end and self.guest.reports:
            ntp = int((NTP_EPOCH + self.guest.wall + time * self.pace) * 2**32)
            journal.report(time + self.writer.way(), self.ssrc, ntp, self.timestamp(time))
            time += 2.0


def record(directory: Path, key: bytes, meeting: Meeting) -> Recorded:
    """Write the journals of a meeting."""
    clock = ManualClock()
    clock.advance(meeting.starts_at)
    errors: list[Exception] = []
    capture = CallCapture(directory, key, clock, on_error=errors.append)
    recorded = Recorded(directory, key, clock.wall(), meeting)
    writer = _Writer(meeting, capture, clock)
    for guest in meeting.guests:
        _microphone(writer, guest)
        if guest.video:
            recorded.frames[guest.identity] = _camera(writer, guest)
        if guest.shares:
            _screen(writer, guest, guest.shares)
    writer.play()
    for identity, start, end in meeting.cuts:
        fields: dict[str, Any] = {"from": recorded.zero + start, "to": recorded.zero + end}
        capture.event("cut", identity=identity, **fields)
    if meeting.close:
        capture.close()
    else:
        capture._writer.close()  # everything is on disk and nothing is marked: what a killed process leaves
    assert not errors
    return recorded


class _Journal:
    """A track's journal, which exists from when the track is opened. Times are the meeting's."""

    def __init__(self, writer: _Writer, guest: Guest, kind: str, source: str, opened: float, closed: float) -> None:
        self._writer, self._guest, self._kind, self._source = writer, guest, kind, source
        self._journal: TrackJournal | EncryptedTrack | None = None
        writer.at(opened, self._open)
        if writer.meeting.close or closed < writer.meeting.seconds:
            writer.at(closed, lambda: self._real.closed(writer.base + closed))

    def _open(self) -> None:
        guest = self._guest
        journal = self._writer.capture.track(
            identity=guest.identity,
            user=f"@{guest.identity}:example.org",
            name=guest.name,
            track_sid=f"TR_{guest.identity}_{self._source}",
            kind=self._kind,
            source=self._source,
        )
        key = self._writer.meeting.media_key
        self._journal = decrypting(journal, ring_of(key)) if key else journal

    @property
    def _real(self) -> TrackJournal | EncryptedTrack:
        assert self._journal is not None, "the journal is not open yet"
        return self._journal

    def layer(self, at: float, sender: _Sender, rid: str, mime_type: str) -> None:
        self._writer.at(at, lambda: self._real.layer(sender.ssrc, rid, sender.payload_type, mime_type, sender.rate))

    def rtp(self, at: float, ssrc: int, packet: bytes) -> None:
        self._writer.at(at, lambda: self._real.rtp(ssrc, packet, self._writer.base + at))

    def report(self, at: float, ssrc: int, ntp: int, rtp: int) -> None:
        self._writer.at(at, lambda: self._real.sender_report(ssrc, ntp, rtp, self._writer.base + at))

    def muted(self, spans: tuple[Span, ...]) -> None:
        for start, end in spans:
            self._writer.at(start, partial(self._mute, True, start))
            self._writer.at(end, partial(self._mute, False, end))

    def _mute(self, muted: bool, at: float) -> None:
        self._real.muted(muted, self._writer.base + at)


def _microphone(writer: _Writer, guest: Guest) -> None:
    meeting = writer.meeting
    journal = _Journal(writer, guest, "audio", "microphone", guest.joins, meeting.seconds)
    sender = _Sender(writer, guest, 2000 + guest.number, AUDIO_RATE, 111)
    journal.layer(guest.joins, sender, "", "audio/opus")
    journal.muted(guest.muted)
    for number, clear in enumerate(opus(claps(guest.joins, meeting.seconds, guest.frequency))):
        packet = seal_frame("opus", clear, meeting.media_key) if meeting.media_key else clear
        time = guest.joins + number * FRAME
        if any(start <= time < end for start, end in guest.muted):
            continue
        if writer.random.random() < meeting.lost:
            sender.sequence += 1
            continue
        sender.send(journal, time, packet, time + writer.way(), marker=False)
    sender.reports(journal, guest.joins, meeting.seconds)


def claps(start: float, end: float, frequency: int) -> np.ndarray:
    """Silence with a beep at each whole period of the meeting."""
    sound = np.zeros(round((end - start) * AUDIO_RATE), np.float32)
    tone = tones.beep(frequency)
    time = -(-start // clap.PERIOD) * clap.PERIOD
    while time < end:
        at = round((time - start) * AUDIO_RATE)
        part = tone[: len(sound) - at]
        sound[at : at + len(part)] += part
        time += clap.PERIOD
    return sound


def opus(sound: np.ndarray, bit_rate: int = 32_000) -> Iterator[bytes]:
    """Packets of 20 ms."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = AUDIO_RATE, "mono", "s16"
    encoder.bit_rate, encoder.time_base = bit_rate, Fraction(1, AUDIO_RATE)
    size = round(FRAME * AUDIO_RATE)
    for start in range(0, len(sound) - size + 1, size):
        pcm = (sound[start : start + size] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], "s16", "mono")
        frame.sample_rate, frame.pts = AUDIO_RATE, start
        yield from (bytes(packet) for packet in encoder.encode(frame))


def _camera(writer: _Writer, guest: Guest) -> list[tuple[float, int]]:
    meeting = writer.meeting
    journal = _Journal(writer, guest, "video", "camera", guest.joins, meeting.seconds)
    journal.muted(guest.camera_off)
    sent: list[tuple[float, int]] = []
    best = len(guest.layers) - 1
    for level, rid in enumerate(guest.layers):
        scale = 2 ** (best - level)
        sender = _Sender(writer, guest, 1000 + 10 * guest.number + level, VIDEO_RATE, 96)
        journal.layer(guest.joins, sender, rid, "video/VP8")
        gap = guest.upper_gap if level == best and len(guest.layers) > 1 else None
        off = (*guest.camera_off, gap) if gap else guest.camera_off
        size = (meeting.width // scale // 2 * 2, meeting.height // scale // 2 * 2)
        for time, data in _stamped(meeting, guest, size, off):
            _send_frame(sender, journal, time, data)
        sender.reports(journal, guest.joins, meeting.seconds)
    step = 1 / meeting.fps
    count = int((meeting.seconds - guest.joins) / step)
    for number in range(count):
        time = guest.joins + number * step
        if not any(start <= time < end for start, end in guest.camera_off):
            sent.append((time, number))
    return sent


def _stamped(
    meeting: Meeting, guest: Guest, size: tuple[int, int], off: tuple[Span, ...]
) -> Iterator[tuple[float, bytes]]:
    """(meeting time, encoded frame); the stamp counts frames from when the person came. Key frames after pauses."""
    encoder = vp8_encoder(*size, meeting.fps)
    paused = True
    for number in range(int((meeting.seconds - guest.joins) * meeting.fps)):
        time = guest.joins + number / meeting.fps
        if any(start + LINGER <= time < end for start, end in off):
            paused = True
            continue
        planes = clap.picture(*size, guest.number, number, time)
        yield from ((time, data) for data in encode(encoder, planes, number, meeting.fps, key=paused))
        paused = False


def vp8_encoder(width: int, height: int, fps: int) -> av.VideoCodecContext:
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, fps), Fraction(fps)
    encoder.bit_rate = 250_000 if height > 100 else 120_000
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "g": "3000"}
    encoder.thread_count = 1
    return encoder


def encode(encoder: av.VideoCodecContext, planes: np.ndarray, number: int, fps: int, *, key: bool) -> Iterator[bytes]:
    frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
    frame.pts, frame.time_base = number, Fraction(1, fps)
    if key:
        frame.pict_type = av.video.frame.PictureType.I
    yield from (bytes(packet) for packet in encoder.encode(frame))


def vp8_payloads(data: bytes, picture: int) -> list[bytes]:
    """RFC 7741: X and I set, 15-bit picture id."""
    pieces = [data[at : at + PACKET] for at in range(0, len(data), PACKET)]
    tail = bytes([0x80, 0x80 | picture >> 8 & 0x7F, picture & 0xFF])
    return [bytes([0x90 if number == 0 else 0x80]) + tail + piece for number, piece in enumerate(pieces)]


def _send_frame(sender: _Sender, journal: _Journal, time: float, data: bytes) -> None:
    writer = sender.writer
    if writer.meeting.media_key:
        data = seal_frame("vp8", data, writer.meeting.media_key)
    payloads = vp8_payloads(data, sender.sequence & 0x7FFF)
    for number, payload in enumerate(payloads):
        arrival = time + writer.way()
        if writer.random.random() < writer.meeting.late:
            arrival += 0.08 + 0.1 * writer.random.random()
        sender.send(journal, time, payload, arrival, marker=number == len(payloads) - 1)


def _screen(writer: _Writer, guest: Guest, shares: Span) -> None:
    """A still page at five frames a second; its stamp is the person's number plus 16."""
    start, end = shares
    journal = _Journal(writer, guest, "video", "screen_share", start, end)
    sender = _Sender(writer, guest, 3000 + guest.number, VIDEO_RATE, 97)
    journal.layer(start, sender, "", "video/VP8")
    encoder = vp8_encoder(640, 360, 5)
    for number in range(int((end - start) * 5)):
        planes = clap.picture(640, 360, guest.number + 16, number, 0.5)
        for data in encode(encoder, planes, number, 5, key=number == 0):
            _send_frame(sender, journal, start + number / 5, data)
    sender.reports(journal, start, end)
