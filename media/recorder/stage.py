"""The film's picture at each moment: scenes drawn on one canvas, redrawing only what changed. No files, no encoding."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from av.video.frame import VideoFrame
from PIL import Image

from media.recorder import labels
from media.recorder.canvas import Canvas, Planes, Sprite, planes_from, yuv
from media.recorder.layout import Rect, even, gap_of
from media.recorder.spans import Spans, contains
from media.recorder.timeline import Scene, Tile, on_screen
from media.recorder.video import PictureReader, Scaler, planes_of

_GROUND = yuv(*labels.GROUND)
_TILE = yuv(*labels.TILE)
_SPEAKING = yuv(*labels.SPEAKING)
RING = 4  # pixels at 720 lines
_SMPTE170M = 6  # AVCOL_SPC_, BT.601
CORNER = 10  # radius in pixels at 720 lines


@dataclass
class _Place:
    """What is on screen in one tile, to know what must be drawn again."""

    tile: Tile
    plate: Sprite
    scaler: Scaler
    drawn: tuple[int, bool] | None = None  # version of the picture (-1: the card), speaking
    rect: Rect | None = None  # of the picture inside the tile
    ringed: bool = False


@dataclass(frozen=True)
class Cards:
    """What is written where nobody is to be seen: the title, or `gap_text` where a gap is why; `notices` from
    `closing` on, film seconds, where the call is over."""

    title: str
    gap_text: str = ""
    gaps: Spans = ()
    notices: tuple[str, ...] = ()
    closing: float = math.inf

    def text(self, scene: Scene) -> str:
        why = any(start < scene.end and end > scene.start for start, end in self.gaps)
        return self.gap_text if why and self.gap_text else self.title

    def draw(self, scene: Scene, width: int, height: int) -> Image.Image:
        if scene.start >= self.closing:
            return labels.closing_card(self.title, self.notices, width, height)
        return labels.title_card(self.text(scene), width, height)


class Stage:
    """Ask for moments in rising time. Readers are opened when they are first shown, and let go after the last time."""

    def __init__(
        self,
        canvas: Canvas,
        scenes: Sequence[Scene],
        pictures: Mapping[str, Callable[[], PictureReader]],
        speaking: Mapping[str, Spans],
        cards: Cards,
    ) -> None:
        self.canvas = canvas
        self._scenes = list(scenes)
        self._scene: Scene | None = None
        self._places: list[_Place] = []
        self._open = pictures
        self._readers: dict[str, PictureReader] = {}
        self._last_shown = {name: spans[-1][1] for name in pictures if (spans := on_screen(scenes, name))}
        self._speaking = speaking
        self._cards = cards
        scale = canvas.height / 720
        self._ring = max(2, even(RING * scale))
        self._corners = labels.corner_mask(max(4, round(CORNER * scale)))
        self._inset = max(4, gap_of(canvas.height))
        self.live = 0  # tiles with a moving picture at the last moment drawn
        self.since = 0.0  # when the scene of the last moment drawn began

    def draw(self, at: float) -> None:
        """Bring the canvas to `at` film seconds."""
        if self._scene is None or at >= self._scene.end:
            self._change_scene(at)
        self.live = 0
        for place in self._places:
            picture, version = self._picture(place.tile, at)
            self.live += picture is not None
            speaking = not place.tile.screen and contains(self._speaking.get(place.tile.identity, ()), at)
            if place.drawn != (version, speaking):
                self._draw_tile(place, picture, speaking)
                place.drawn = (version, speaking)

    def _change_scene(self, at: float) -> None:
        while len(self._scenes) > 1 and at >= self._scenes[0].end:
            self._scenes.pop(0)
        scene = self._scene = self._scenes[0]
        self.since = scene.start
        whole = Rect(0, 0, self.canvas.width, self.canvas.height)
        self.canvas.fill(whole, _GROUND)
        if not scene.tiles:
            self.canvas.paste(whole, planes_from(self._cards.draw(scene, whole.width, whole.height)))
        self._places = [
            _Place(
                tile,
                labels.name_plate(tile.name, tile.rect, self.canvas.height, muted=tile.muted),
                Scaler(sharp=tile.screen),
            )
            for tile in scene.tiles
        ]
        for name in [name for name in self._readers if self._last_shown[name] <= at]:
            del self._readers[name]

    def _picture(self, tile: Tile, at: float) -> tuple[VideoFrame | None, int]:
        """(what the tile shows, a number that changes with it)."""
        if tile.video is None:
            return None, -1
        reader = self._readers.get(tile.video)
        if reader is None:
            reader = self._readers[tile.video] = self._open[tile.video]()
        picture = reader.advance(at)
        return picture, reader.version if picture is not None else -1

    def _draw_tile(self, place: _Place, picture: VideoFrame | None, speaking: bool) -> None:
        tile, rect = place.tile, place.tile.rect
        if picture is None:
            self.canvas.paste(rect, _card(tile))
            place.rect = None
        else:
            inside, planes = place.scaler.place(picture, rect)
            if inside != rect and (inside != place.rect or place.ringed):
                self.canvas.fill(rect, _TILE)
            self.canvas.paste(inside, planes)
            place.rect = inside
        alone = rect.width >= self.canvas.width - 1
        place.ringed = speaking and not alone
        if place.ringed:
            self.canvas.frame(rect, self._ring, _SPEAKING)
        if not alone:
            self._round(rect)
        plate = place.plate
        x, y = rect.x + self._inset, rect.y + even(rect.height - plate.height - self._inset)
        if plate.width + self._inset <= rect.width and y >= rect.y:
            self.canvas.blend(plate, x, y)

    def _round(self, rect: Rect) -> None:
        side = self._corners[0].width
        right, bottom = rect.x + rect.width - side, rect.y + rect.height - side
        places = ((rect.x, rect.y), (right, rect.y), (rect.x, bottom), (right, bottom))
        for corner, (x, y) in zip(self._corners, places, strict=True):
            self.canvas.blend(corner, x, y)


def _card(tile: Tile) -> Planes:
    return planes_from(labels.person_card(tile.name, tile.identity, tile.rect.width, tile.rect.height))


def snapshot(canvas: Canvas, width: int) -> Image.Image:
    """The canvas as a picture of `width` pixels."""
    frame = VideoFrame(canvas.width, canvas.height, "yuv420p")
    for target, source in zip(planes_of(frame), canvas.planes, strict=True):
        target[:] = source
    frame.colorspace = _SMPTE170M
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    return image.resize((width, round(canvas.height * width / canvas.width)), Image.Resampling.LANCZOS)
