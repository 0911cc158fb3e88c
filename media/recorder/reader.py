"""A capture as it lies on disk: who and what is in it, and the records of each journal, streamed.

Nothing is decoded here. A journal that ends in the middle (its process was killed) is read up to its last whole block;
one that was changed is read up to the change, and said so in `Capture.damaged`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from media.recorder.capture import CLOSED, EVENTS, FORMAT, TRACK, names
from media.recorder.errors import RecordingError, empty
from media.recorder.records import MICROSECONDS, Kind, Record, RecordError, parse, parse_json
from palabre.base.sealed import Ending, SealedError, SealedReader

MAX_EVENTS = 100_000  # held in memory; a day of one event per second


@dataclass(frozen=True)
class Person:
    """Somebody who was recorded, on one device; `user` says who it is, whatever the device."""

    identity: str
    user: str
    name: str


@dataclass(frozen=True)
class TrackInfo:
    """One journal of one track. `offset` turns the journal's monotonic seconds into seconds since the epoch."""

    file: str
    person: Person
    track_sid: str
    kind: str  # audio or video
    source: str  # camera, microphone, screen_share, screen_share_audio
    opened_at: float
    offset: float

    def at(self, record: Record) -> float:
        """When a record was written, seconds since the epoch."""
        return record.time / MICROSECONDS + self.offset


@dataclass(frozen=True)
class CallEvent:
    """What `CallCapture.event` stored."""

    kind: str
    at: float
    fields: dict[str, Any]


@dataclass
class Capture:
    """An open capture. `ended_at` is right to a quarter of a second where the capture was interrupted."""

    directory: Path
    tracks: tuple[TrackInfo, ...]
    people: tuple[Person, ...]
    events: tuple[CallEvent, ...]
    started_at: float
    ended_at: float
    interrupted: bool
    gaps: tuple[tuple[float, float], ...] = ()  # when the service was away and came back, seconds since the epoch
    damaged: set[str] = field(default_factory=set)  # files that were changed after they were written
    _key: bytes = b""

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Names of people whose media, encrypted end to end, could not be decrypted for a while."""
        return tuple(
            dict.fromkeys(str(event.fields.get("name", "")) for event in self.events if event.kind == "unreadable")
        )

    def records(self, track: TrackInfo) -> Iterator[Record]:
        """Every record of a track's journal, in order of arrival; constant memory."""
        return self._read(track.file)

    def tracks_of(self, identity: str, kind: str | None = None) -> tuple[TrackInfo, ...]:
        """Of one person, oldest first."""
        return tuple(track for track in self.tracks if track.person.identity == identity and kind in (None, track.kind))

    def _read(self, name: str) -> Iterator[Record]:
        reader = SealedReader(self.directory / name, self._key)
        for block in reader:
            yield from parse(block)
        if reader.ending is Ending.DAMAGED:
            self.damaged.add(name)


def open_capture(directory: Path, key: bytes) -> Capture:
    """Read the heads of all journals and the events of the call.

    Raises `RecordingError`: `recording_unreadable` for a wrong key or changed files, `recording_empty` where nothing
    was captured at all.
    """
    if not directory.is_dir() or not any(map(EVENTS.fullmatch, names(directory))):
        raise empty()
    capture = Capture(directory, (), (), (), 0.0, 0.0, interrupted=not (directory / CLOSED).exists(), _key=bytes(key))
    try:
        _load(capture)
    except (SealedError, RecordError) as error:
        raise RecordingError(
            "recording_unreadable", "The recording cannot be opened: its key or its files were changed.", status=500
        ) from error
    return capture


def _load(capture: Capture) -> None:
    events: list[CallEvent] = []
    tracks: list[TrackInfo] = []
    runs: list[tuple[float, float]] = []
    for name in names(capture.directory):
        if EVENTS.fullmatch(name):
            start, end = _load_events(capture, name, events)
            runs.append((start, end))
            capture.ended_at = max(capture.ended_at, end)
        elif TRACK.fullmatch(name) and (head := next(capture._read(name), None)) is not None:
            tracks.append(_track(name, head))
    capture.events = tuple(sorted(events, key=lambda event: event.at))
    capture.tracks = tuple(sorted(tracks, key=lambda track: track.opened_at))
    people: dict[str, Person] = {}  # in the order in which they came
    for person in (*(track.person for track in capture.tracks), *_joined(capture.events)):
        people.setdefault(person.identity, person)
    capture.people = tuple(people.values())
    capture.started_at = min(start for start, _ in runs)
    written = [run for run in runs if run[0] <= run[1]]  # not those that were killed before their first block
    capture.gaps = tuple((end, start) for (_, end), (start, _) in pairwise(written) if end < start)


def _joined(events: tuple[CallEvent, ...]) -> Iterator[Person]:
    for event in events:
        if event.kind == "joined" and (identity := event.fields.get("identity")):
            yield Person(str(identity), str(event.fields.get("user", "")), str(event.fields.get("name", "")))


def _load_events(capture: Capture, name: str, events: list[CallEvent]) -> tuple[float, float]:
    """Append the events of one segment; when it begins and ends."""
    head: dict[str, Any] | None = None
    offset = end = 0.0
    for record in capture._read(name):
        if head is None:
            head = _head(record)
            offset = float(head["wall"]) - float(head["mono"])
        end = max(end, record.time / MICROSECONDS + offset)
        if record.kind == Kind.EVENT and len(events) < MAX_EVENTS:
            fields = parse_json(record)
            events.append(CallEvent(str(fields.pop("kind", "")), record.time / MICROSECONDS + offset, fields))
    if head is None:  # killed before its first block
        return float("inf"), 0.0
    return float(head["wall"]), end


def _head(record: Record) -> dict[str, Any]:
    fields = parse_json(record)
    if record.kind != Kind.META or fields.get("format") != FORMAT:
        raise RecordError("a journal does not begin with what it is, or is of another format")
    return fields


def _track(name: str, record: Record) -> TrackInfo:
    head = _head(record)
    offset = float(head["wall"]) - float(head["mono"])
    return TrackInfo(
        file=name,
        person=Person(head["identity"], head["user"], head["name"]),
        track_sid=head["track_sid"],
        kind=head["kind"],
        source=head["source"],
        opened_at=record.time / MICROSECONDS + offset,
        offset=offset,
    )
