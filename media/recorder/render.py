"""From a capture to a film, in a worker process: two passes over the journals, of which the second one composes.

Constant memory for long meetings: what grows with time are the clocks (24 bytes per second and layer), loudness (12
bytes per tenth of a second of speech) and the film's own index.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from media.recorder.audio import RATE, open_sound
from media.recorder.budget import make_budget
from media.recorder.canvas import Canvas
from media.recorder.film import FILM_FILES, FilmSpec, FilmWriter, verify
from media.recorder.frames import Transform
from media.recorder.job import FilmPart, FilmPerson, Poster, RenderJob, RenderResult
from media.recorder.mix import Mixer, MixTrack
from media.recorder.spans import intersect, total
from media.recorder.stage import Cards, Stage, snapshot
from media.recorder.survey import Progress, Survey, survey
from media.recorder.timeline import Scene, make_timeline, on_screen
from media.recorder.video import PictureReader, open_picture
from palabre.base.sealed import write_sealed

POSTER_WIDTH = 640  # pixels: what rooms show before a film plays
POSTER_QUALITY = 82
CLOSING = 6.0  # seconds that the card at the end stays: two sentences with some names
_SETTLED = 1.0  # seconds into a scene before it can be the poster
_COMPANY = 2  # moving pictures that make a good poster
_SURVEYED, _COMPOSED = 0.15, 0.98  # of all work, as measured on meetings of four
_MILLISECOND = RATE // 1000

log = structlog.get_logger("recorder")


def render(
    job: RenderJob,
    *,
    capture_key: bytes,
    output_key: bytes,
    progress: Progress | None = None,
    transform: Transform | None = None,
) -> RenderResult:
    """Compose the film of a capture. Blocking: for a process of its own.

    `progress` is called with 0 to 1, about once per second of film; what it raises ends the work. `transform` sees each
    encoded frame before it is decoded. Raises `RecordingError` (with the sentence to post), `FilmError` where the
    result is not what it should be, `OSError` where the disk fails.
    """
    tell = progress or (lambda _done: None)
    known = survey(job, capture_key, transform, lambda done: tell(done * _SURVEYED))
    closing = CLOSING if job.notices else 0.0
    end = known.duration + closing
    scenes = make_timeline(known.people, known.duration, job.width, job.height)
    if closing:
        scenes = (*scenes, Scene(known.duration, end, ()))
    canvas = Canvas(job.width, job.height)
    speaking = {person.identity: person.speaking for person in known.people}
    gaps = intersect(
        [(start - known.zero, end - known.zero) for start, end in known.capture.gaps], [(0.0, known.duration)]
    )
    cards = Cards(job.title, job.gap_text, gaps, job.notices, known.duration)
    stage = Stage(canvas, scenes, _pictures(known, scenes, transform), speaking, cards)
    mixer = Mixer([_mixed(known, number, transform) for number in range(len(known.sounds))])
    output = Path(job.output)
    output.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in output.glob(FILM_FILES):  # of an attempt that was killed
        old.unlink()
    parts, poster = _compose(job, end, stage, mixer, output_key, tell)
    for part in parts:
        verify(part, output_key)
    tell(1.0)
    damaged, undecodable = known.capture.damaged, mixer.undecodable
    return RenderResult(
        parts=parts,
        poster=poster,
        width=job.width,
        height=job.height,
        started_at=job.started_at,
        duration=sum(part.duration for part in parts),
        people=tuple(
            FilmPerson(person.identity, known.users[person.identity], person.name, round(total(person.present), 3))
            for person in known.people
        ),
        not_recorded=job.not_recorded,
        interrupted=known.capture.interrupted,
        warnings=(("damaged",) if damaged else ()) + (("undecodable",) if undecodable else ()),
        gaps=gaps,
        closing=closing,
        unreadable=known.capture.unreadable,
    )


def _pictures(
    known: Survey, scenes: tuple[Scene, ...], transform: Transform | None
) -> dict[str, Callable[[], PictureReader]]:
    visible = {video.name: video.visible for each in known.people for video in (*each.cameras, *each.screens)}
    return {
        name: partial(
            open_picture,
            known.capture,
            known.pictures[name],
            known.zero,
            intersect(on_screen(scenes, name), spans),
            transform,
        )
        for name, spans in visible.items()
    }


def _mixed(known: Survey, number: int, transform: Transform | None) -> MixTrack:
    sound = known.sounds[number]
    return MixTrack(partial(open_sound, known.capture, sound.index, known.zero, transform), sound.heard, sound.gain)


def _compose(
    job: RenderJob, duration: float, stage: Stage, mixer: Mixer, key: bytes, tell: Progress
) -> tuple[tuple[FilmPart, ...], Poster]:
    """Second by second: its frames, then its sound."""
    rate = job.frames_per_second
    frames = round(duration * rate)
    budget = make_budget(duration, job.width * job.height, rate, job.max_bytes, job.max_parts)
    output = Path(job.output)
    film = FilmWriter(output, key, FilmSpec(job.width, job.height, rate, job.video_codec), budget, duration)
    poster = _PosterChoice()
    try:
        for first in range(0, frames, rate):
            count = min(rate, frames - first)
            for number in range(first, first + count):
                stage.draw(number / rate)
                film.picture(stage.canvas)
            poster.consider(stage, first / rate)
            film.sound(mixer.block(count * 1000 // rate * _MILLISECOND))
            tell(_SURVEYED + (_COMPOSED - _SURVEYED) * (first + count) / frames)
    except BaseException:
        film.abandon()
        raise
    return film.close(), poster.store(output / "poster.jpg.sealed", key)


class _PosterChoice:
    """The first settled moment with the most company: two moving pictures are enough."""

    def __init__(self) -> None:
        self._live = -1
        self._jpeg = b""
        self._size = (0, 0)

    def consider(self, stage: Stage, at: float) -> None:
        live = min(stage.live, _COMPANY)
        if live <= self._live or (self._jpeg and at - stage.since < _SETTLED):
            return
        image = snapshot(stage.canvas, POSTER_WIDTH)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=POSTER_QUALITY, optimize=True)
        self._live, self._jpeg, self._size = live, buffer.getvalue(), image.size

    def store(self, path: Path, key: bytes) -> Poster:
        write_sealed(path, key, self._jpeg)
        return Poster(str(path), *self._size)
