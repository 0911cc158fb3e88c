"""Who is where on the screen at which time: from what people did to a list of scenes. Pure.

People appear in the order in which they came, and keep their places. A shared screen takes the large place (the newest,
if there are several) with people beside it. Where more are present than fit, those who spoke last are shown. Whoever
sends no picture has a tile with their name. Who was not recorded does not exist here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from media.recorder.layout import MAX_BESIDE, MAX_GRID, Rect, beside_share, grid
from media.recorder.spans import Spans, contains, union

SHORTEST_SCENE = 0.5  # seconds: changes that are nearer to each other happen together, with the first of them
_JUST_BEFORE = 1e-6
SPEAKING_MATTERS = 1.5  # seconds of speech after which somebody who is not shown takes a place: a cough does not


@dataclass(frozen=True)
class Video:
    """A picture that can be shown. `name` is unique (its journal's file); `visible` when there is something to see."""

    name: str
    visible: Spans


@dataclass(frozen=True)
class Attendee:
    """One recorded person, in film seconds."""

    identity: str
    name: str
    present: Spans
    cameras: tuple[Video, ...]
    screens: tuple[Video, ...]
    muted: Spans  # no microphone is heard
    speaking: Spans


@dataclass(frozen=True)
class Tile:
    """A place on the screen. `video` None: a plate with the name. `screen`: it shows that person's screen."""

    identity: str
    name: str
    rect: Rect
    video: str | None
    screen: bool
    muted: bool


@dataclass(frozen=True)
class Scene:
    """What does not change from `start` to `end`."""

    start: float
    end: float
    tiles: tuple[Tile, ...]


def make_timeline(people: Sequence[Attendee], duration: float, width: int, height: int) -> tuple[Scene, ...]:
    """Scenes from 0 to `duration` without holes. `people` in the order in which they shall appear."""
    edges = _edges(people, duration)
    shown: list[str] = []
    scenes: list[Scene] = []
    for start, end in pairwise(edges):
        at = min(start + SHORTEST_SCENE, end) - _JUST_BEFORE  # changes that were left out have happened by then
        present = [person for person in people if contains(person.present, at)]
        screen = _screen(present, at)
        shown = _choose(present, shown, at, MAX_BESIDE if screen else MAX_GRID)
        tiles = _place([p for p in present if p.identity in shown], screen, at, width, height)
        if scenes and scenes[-1].tiles == tiles:
            scenes[-1] = Scene(scenes[-1].start, end, tiles)
        else:
            scenes.append(Scene(start, end, tiles))
    return tuple(scenes)


def _edges(people: Sequence[Attendee], duration: float) -> list[float]:
    """Moments at which something may change, at least `SHORTEST_SCENE` apart."""
    crowded = len(people) > min(MAX_BESIDE, MAX_GRID)
    moments = {0.0}
    for person in people:
        videos = (*person.cameras, *person.screens)
        for spans in (person.present, person.muted, *(video.visible for video in videos)):
            moments.update(edge for span in spans for edge in span)
        if crowded:
            moments.update(start + SPEAKING_MATTERS for start, end in person.speaking if end - start > SPEAKING_MATTERS)
    edges = [0.0]
    for moment in sorted(moment for moment in moments if 0.0 < moment < duration):
        if moment - edges[-1] >= SHORTEST_SCENE:
            edges.append(moment)
    if duration - edges[-1] < SHORTEST_SCENE and len(edges) > 1:
        edges.pop()
    return [*edges, duration]


def _screen(present: Sequence[Attendee], at: float) -> tuple[Attendee, Video] | None:
    """The screen that was shared last."""
    shared = [
        (max(start for start, _ in video.visible if start <= at), person, video)
        for person in present
        for video in person.screens
        if contains(video.visible, at)
    ]
    return max(shared, key=lambda each: each[0])[1:] if shared else None


def _choose(present: Sequence[Attendee], shown: Sequence[str], at: float, room: int) -> list[str]:
    """Identities that are shown: all, or those who spoke last, preferring who is shown already."""
    if len(present) <= room:
        return [person.identity for person in present]

    def merit(person: Attendee) -> tuple[float, bool, float]:
        spoke = max((min(b, at) for a, b in person.speaking if a + SPEAKING_MATTERS <= at), default=-1.0)
        return spoke, person.identity in shown, -person.present[0][0]

    return [person.identity for person in sorted(present, key=merit, reverse=True)[:room]]


def _place(
    people: Sequence[Attendee], screen: tuple[Attendee, Video] | None, at: float, width: int, height: int
) -> tuple[Tile, ...]:
    tiles: list[Tile] = []
    rects = grid(len(people), width, height)
    if screen is not None:
        large, rects = beside_share(len(people), width, height)
        owner, video = screen
        tiles.append(Tile(owner.identity, owner.name, large, video.name, screen=True, muted=False))
    for person, rect in zip(people, rects, strict=True):
        camera = next((video.name for video in reversed(person.cameras) if contains(video.visible, at)), None)
        muted = contains(person.muted, at)
        tiles.append(Tile(person.identity, person.name, rect, camera, screen=False, muted=muted))
    return tuple(tiles)


def on_screen(scenes: Sequence[Scene], video: str) -> Spans:
    """When a picture is shown."""
    return union((scene.start, scene.end) for scene in scenes if any(tile.video == video for tile in scene.tiles))
