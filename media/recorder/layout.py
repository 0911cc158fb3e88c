"""Where pictures go: rectangles on the canvas, all numbers even, for a chroma sample covers two pixels. Pure."""

from __future__ import annotations

from typing import NamedTuple

GAP = 8  # pixels between tiles at 720 lines
STRIP = 0.19  # of the width, for people beside a shared screen: names stay readable, text on the screen too
STRETCH = 0.03  # of a side that nobody sees; slivers beside a picture are seen
MAX_GRID = 9  # tiles: beyond that, faces of a 720-line film are stamps
MAX_BESIDE = 5  # that fit below each other in the strip


class Rect(NamedTuple):
    """In pixels from the top left."""

    x: int
    y: int
    width: int
    height: int


def even(value: float) -> int:
    """The largest even number not above `value`."""
    return int(value) // 2 * 2


def gap_of(height: int) -> int:
    """The gap between tiles on a canvas of `height` lines."""
    return max(2, even(GAP * height / 720))


def grid(count: int, width: int, height: int) -> tuple[Rect, ...]:
    """`count` tiles of 16:9 as large as they can be, row by row, each row centred."""
    if count < 1:
        return ()
    gap = gap_of(height)
    tile_width = tile_height = columns = 0
    for tried in range(1, count + 1):
        rows = -(-count // tried)
        room_w, room_h = (width - gap * (tried + 1)) / tried, (height - gap * (rows + 1)) / rows
        fitted = min(room_w, room_h * 16 / 9)
        if even(fitted) > tile_width:
            tile_width, tile_height, columns = even(fitted), even(fitted * 9 / 16), tried
    if count == 1:  # one person alone fills the picture
        return (fit(16, 9, Rect(0, 0, even(width), even(height))),)
    rows = -(-count // columns)
    top = (height - rows * tile_height - (rows - 1) * gap) / 2
    tiles = []
    for number in range(count):
        row, column = divmod(number, columns)
        in_row = min(columns, count - row * columns)
        left = (width - in_row * tile_width - (in_row - 1) * gap) / 2
        x, y = left + column * (tile_width + gap), top + row * (tile_height + gap)
        tiles.append(Rect(even(x), even(y), tile_width, tile_height))
    return tuple(tiles)


def beside_share(count: int, width: int, height: int) -> tuple[Rect, tuple[Rect, ...]]:
    """(the shared screen, up to `MAX_BESIDE` people in a strip on its right)."""
    if count < 1:
        return Rect(0, 0, even(width), even(height)), ()
    gap = gap_of(height)
    count = min(count, MAX_BESIDE)
    strip = even(min(width * STRIP, (height - gap * (MAX_BESIDE + 1)) / MAX_BESIDE * 16 / 9))
    tile = even(strip * 9 / 16)
    x = even(width - gap - strip)
    top = (height - count * tile - (count - 1) * gap) / 2
    people = tuple(Rect(x, even(top + number * (tile + gap)), strip, tile) for number in range(count))
    return Rect(gap, gap, even(x - 2 * gap), even(height - 2 * gap)), people


def fit(width: int, height: int, into: Rect) -> Rect:
    """A picture of that shape inside `into`, whole, centred, as large as it can be; all of it when it nearly fits."""
    if abs(width * into.height / (height * into.width) - 1) < STRETCH:
        return into
    scale = min(into.width / width, into.height / height)
    w, h = max(2, even(width * scale + 0.5)), max(2, even(height * scale + 0.5))
    return Rect(into.x + even((into.width - w) / 2), into.y + even((into.height - h) / 2), w, h)
