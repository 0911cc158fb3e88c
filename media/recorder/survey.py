"""The first pass over a capture: who was there when, what can be seen and heard of them, and how loud they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from media.recorder.audio import blocks_of, cuts_of, heard_spans, open_sound
from media.recorder.errors import empty
from media.recorder.frames import Transform
from media.recorder.index import TrackIndex, index_person
from media.recorder.job import RenderJob
from media.recorder.loudness import LoudnessMeter
from media.recorder.reader import Capture, Person, open_capture
from media.recorder.spans import Span, Spans, intersect, subtract, union
from media.recorder.timeline import Attendee, Video

Progress = Callable[[float], None]
PRESENCE_GAP = 2.0  # seconds between two tracks of somebody who did not leave


@dataclass(frozen=True)
class Sound:
    """A track that is heard. `heard` in film seconds, without cuts; `gain` as a factor."""

    index: TrackIndex
    heard: Spans
    gain: float


@dataclass(frozen=True)
class Survey:
    """All that composition needs. `pictures` by the names in `people`; times in film seconds."""

    capture: Capture
    zero: float
    duration: float
    people: tuple[Attendee, ...]  # in the order in which they came
    users: dict[str, str]  # Matrix user ids by identity
    pictures: dict[str, TrackIndex]
    sounds: tuple[Sound, ...]


def survey(job: RenderJob, key: bytes, transform: Transform | None, tell: Progress) -> Survey:
    """Read everything once. `tell` is called with 0 to 1. Raises `RecordingError`."""
    capture = open_capture(Path(job.capture), key)
    duration = _duration(job, capture)
    people: list[Attendee] = []
    pictures: dict[str, TrackIndex] = {}
    sounds: list[Sound] = []
    for number, person in enumerate(capture.people):
        cuts = _cuts(job, capture, person.identity)
        tracks = index_person(capture, capture.tracks_of(person.identity), job.started_at)
        tell((number + 0.5) / len(capture.people))
        heard: dict[str, Spans] = {}
        for index in tracks:
            if index.track.kind == "video":
                pictures[index.track.file] = index
            elif spans := heard_spans(index, cuts, duration):
                sound, heard[index.track.file] = _listen(capture, index, spans, job.started_at, transform)
                sounds.append(sound)
        people.append(_attendee(person, tracks, heard, _Frame(capture, job.started_at, duration, cuts)))
        tell((number + 1) / len(capture.people))
    if not sounds and not any(index.spans for index in pictures.values()):
        raise empty()
    return Survey(
        capture=capture,
        zero=job.started_at,
        duration=duration,
        people=tuple(sorted((each for each in people if each.present), key=lambda each: each.present[0][0])),
        users={person.identity: person.user for person in capture.people},
        pictures=pictures,
        sounds=tuple(sounds),
    )


def _duration(job: RenderJob, capture: Capture) -> float:
    """Seconds, a whole number of frames and at least one."""
    end = capture.ended_at if job.ended_at is None else job.ended_at
    frames = round((end - job.started_at) * job.frames_per_second)
    if frames < 1:
        raise empty()
    return frames / job.frames_per_second


def _cuts(job: RenderJob, capture: Capture, identity: str) -> Spans:
    zero = job.started_at
    later = ((cut.start - zero, cut.end - zero) for cut in job.cuts if cut.identity == identity)
    return union((*cuts_of(capture, identity, zero), *later))


def _listen(
    capture: Capture, index: TrackIndex, spans: Spans, zero: float, transform: Transform | None
) -> tuple[Sound, Spans]:
    """(the track at its loudness, when somebody speaks in it)."""
    meter = LoudnessMeter()
    sound = open_sound(capture, index, zero, transform)
    for span in spans:
        for at, count in blocks_of(span):
            if (block := sound.block(at, count)) is not None:
                meter.add(at, block)
    loudness = meter.result()
    return Sound(index, spans, loudness.gain), loudness.speaking


@dataclass(frozen=True)
class _Frame:
    """Where the facts about one person are fitted into."""

    capture: Capture
    zero: float
    duration: float
    cuts: Spans

    def clip(self, spans: Spans) -> Spans:
        return subtract(intersect(spans, ((0.0, self.duration),)), self.cuts)


def _attendee(person: Person, tracks: tuple[TrackIndex, ...], speaking: dict[str, Spans], frame: _Frame) -> Attendee:
    stays = [(index.opened, index.ended) for index in tracks] + _stays(frame, person.identity)
    present = frame.clip(union(stays, gap=PRESENCE_GAP))
    microphones = [index for index in tracks if index.track.source == "microphone"]
    audible = union(span for index in microphones for span in subtract(((index.opened, index.ended),), index.muted))

    def videos(source: str) -> tuple[Video, ...]:
        found = (index for index in tracks if index.track.source == source)
        return tuple(Video(index.track.file, frame.clip(_visible(index))) for index in found)

    return Attendee(
        identity=person.identity,
        name=person.name,
        present=present,
        cameras=videos("camera"),
        screens=videos("screen_share"),
        muted=subtract(present, audible),
        speaking=union(span for index in microphones for span in speaking.get(index.track.file, ())),
    )


def _stays(frame: _Frame, identity: str) -> list[Span]:
    """From `joined` to `left` events of somebody."""
    stays: list[Span] = []
    since: float | None = None
    for event in frame.capture.events:
        if event.fields.get("identity") != identity:
            continue
        if event.kind == "joined" and since is None:
            since = event.at - frame.zero
        elif event.kind == "left" and since is not None:
            stays.append((since, event.at - frame.zero))
            since = None
    if since is not None:
        stays.append((since, frame.capture.ended_at - frame.zero))
    return stays


def _visible(index: TrackIndex) -> Spans:
    """When there is a picture. A screen that does not change sends nothing, and is still there."""
    spans = index.spans
    if index.track.source == "screen_share" and spans:
        spans = ((spans[0][0], max(index.ended, spans[-1][1])),)
    return subtract(spans, index.muted)
