"""What is drawn once and shown often: name plates, initials for people without a picture, cards with words on them.

The typeface is the call page's, Atkinson Hyperlegible Next (SIL Open Font License, `fonts/OFL.txt`), which has the
letters of Europe's Latin alphabets. Names in other scripts are set in DejaVu Sans where the system has it.
"""

from __future__ import annotations

import hashlib
import io
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import resources

from PIL import Image, ImageDraw, ImageFont

from media.recorder.canvas import Sprite, sprite
from media.recorder.layout import Rect, even

# The call page's dark theme
GROUND = (21, 23, 20)  # around tiles
TILE = (43, 42, 39)
PLATE = (13, 15, 12, 204)
WHITE = (255, 255, 255)
QUIET = (189, 188, 177)
SPEAKING = (111, 211, 198)
# Eight muted hues on which white has a contrast of at least 4.5
AVATARS = (
    (11, 94, 87),
    (122, 62, 29),
    (74, 79, 140),
    (140, 47, 84),
    (61, 99, 40),
    (110, 74, 140),
    (36, 96, 140),
    (122, 82, 0),
)
FONTS = resources.files("media.recorder").joinpath("fonts")
_SMOOTH = 4  # shapes are drawn that much larger and scaled down
_MAX_NAME = 80  # characters: more cannot be read on any tile
_MOST_LINES = 12  # on a card: what can be read in the seconds that it stays

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@lru_cache(maxsize=1)
def _bundled() -> bytes:
    return FONTS.joinpath("AtkinsonHyperlegibleNext-Medium.ttf").read_bytes()


def _typefaces(size: int) -> Iterator[Font]:
    yield ImageFont.truetype(io.BytesIO(_bundled()), size)
    for system in ("DejaVuSans.ttf", "NotoSans-Regular.ttf"):
        try:
            yield ImageFont.truetype(system, size)
        except OSError:  # not installed
            continue


@lru_cache(maxsize=64)
def font_for(text: str, size: int) -> Font:
    """The first typeface that has every letter of `text`, or the one that lacks the fewest."""
    return min(_typefaces(size), key=lambda font: _lacking(font, text))


def _lacking(font: Font, text: str) -> int:
    unknown = bytes(font.getmask("\uffff"))
    return sum(bytes(font.getmask(letter)) == unknown for letter in set(text) if not letter.isspace())


def clean(name: str) -> str:
    """A name as one line that can be drawn: composed letters, no control characters, not endless."""
    return _drawable(name)[:_MAX_NAME] or "?"


def _drawable(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    printable = "".join(letter for letter in composed if letter == " " or unicodedata.category(letter)[0] != "C")
    return " ".join(printable.split())


def initials(name: str) -> str:
    """Up to two letters: of the first and the last word, or the first two of a single one."""
    words = [letters for word in clean(name).split() if (letters := "".join(filter(str.isalnum, word)))]
    if not words:
        return "?"
    return (words[0][0] + words[-1][0] if len(words) > 1 else words[0][:2]).upper()


def shorten(text: str, font: Font, width: float) -> str:
    """`text`, or its beginning and an ellipsis, so that it is at most `width` pixels wide."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1].rstrip()
    return text + "…"


def wrap(text: str, font: Font, width: float) -> list[str]:
    """`text` in lines of at most `width` pixels, broken between words; a word that is longer is shortened."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(shorten(word, font, width))
    return lines


def plate_size(tile: Rect, lines: int) -> int:
    """Letter size on a tile of a film of that many lines, in pixels: what can be read, and no louder on large tiles."""
    return max(12, round(min(tile.height / 14, lines / 36)))


def name_plate(name: str, tile: Rect, lines: int, *, muted: bool) -> Sprite:
    """The name on a dark plate, with a crossed microphone where the person cannot be heard; fits into `tile`."""
    size = plate_size(tile, lines)
    pad, height = round(size * 0.5), even(size * 1.7)
    icon = round(size * 1.1) if muted else 0
    label = clean(name)
    font = font_for(label, size)
    text = shorten(label, font, tile.width - 4 * pad - icon)
    width = min(even(font.getlength(text) + 2 * pad + (icon + pad // 2 if muted else 0) + 1), even(tile.width))
    image = _rounded(width, height, round(size * 0.35), PLATE)
    if muted:
        image.alpha_composite(_crossed_microphone(icon), (pad, (height - icon) // 2))
    left = pad + (icon + pad // 2 if muted else 0)
    ImageDraw.Draw(image).text((left, height / 2), text, fill=WHITE, font=font, anchor="lm")
    return sprite(image)


def person_card(name: str, identity: str, width: int, height: int) -> Image.Image:
    """A tile for somebody who sends no picture: their initials in a circle of their colour."""
    image = Image.new("RGB", (width, height), TILE)
    size = max(24, even(min(width, height) * 0.36))
    colour = AVATARS[hashlib.sha256(identity.encode()).digest()[0] % len(AVATARS)]
    circle = _rounded(size, size, size // 2, (*colour, 255))
    letters = initials(name)
    font = font_for(letters, max(11, round(size * 0.4)))
    ImageDraw.Draw(circle).text((size / 2, size / 2), letters, fill=WHITE, font=font, anchor="mm")
    image.paste(circle, ((width - size) // 2, (height - size) // 2), circle)
    return image


def title_card(title: str, width: int, height: int) -> Image.Image:
    """What is shown while nobody is: the meeting's title."""
    image = Image.new("RGB", (width, height), GROUND)
    if not title.strip():
        return image
    label = clean(title)
    font = font_for(label, max(16, height // 20))
    text = shorten(label, font, width * 0.8)
    ImageDraw.Draw(image).text((width / 2, height / 2), text, fill=QUIET, font=font, anchor="mm")
    return image


def closing_card(title: str, notices: Sequence[str], width: int, height: int) -> Image.Image:
    """What a film ends with: its title, and below it what is to be known of who is not in it."""
    image = Image.new("RGB", (width, height), GROUND)
    draw = ImageDraw.Draw(image)
    size = max(14, height // 24)
    lines: list[tuple[str, Font, tuple[int, int, int]]] = []
    if title.strip():
        large = font_for(clean(title), max(16, height // 20))
        lines.append((shorten(clean(title), large, width * 0.8), large, QUIET))
    font = font_for("".join(notices), size)
    for notice in notices:
        lines += [("", font, WHITE), *((line, font, WHITE) for line in wrap(_drawable(notice), font, width * 0.8))]
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], ("…", font, WHITE)]
    top = (height - (len(lines) - 1) * size * 1.5) / 2
    for number, (text, typeface, colour) in enumerate(lines):
        draw.text((width / 2, top + number * size * 1.5), text, fill=colour, font=typeface, anchor="mm")
    return image


def corner_mask(radius: int) -> tuple[Sprite, Sprite, Sprite, Sprite]:
    """What rounds a tile: the ground's colour outside a quarter circle; top left, top right, bottom left and right."""
    side = even(radius + 1)
    mask = _shape(side * 2, side * 2, side)
    ground = Image.new("RGBA", (side * 2, side * 2), (*GROUND, 255))
    ground.putalpha(mask.point(lambda value: 255 - value))
    boxes = ((0, 0), (side, 0), (0, side), (side, side))
    first, second, third, fourth = (sprite(ground.crop((x, y, x + side, y + side))) for x, y in boxes)
    return first, second, third, fourth


def _shape(width: int, height: int, radius: int) -> Image.Image:
    """A filled rectangle with round corners, as a mask with smooth edges."""
    large = Image.new("L", (width * _SMOOTH, height * _SMOOTH), 0)
    box = (0, 0, width * _SMOOTH - 1, height * _SMOOTH - 1)
    ImageDraw.Draw(large).rounded_rectangle(box, radius=radius * _SMOOTH, fill=255)
    return large.resize((width, height), Image.Resampling.BOX)


def _rounded(width: int, height: int, radius: int, colour: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("RGBA", (width, height), (*colour[:3], 0))
    image.putalpha(_shape(width, height, radius).point(lambda value: value * colour[3] // 255))
    return image


def _crossed_microphone(size: int) -> Image.Image:
    side = size * _SMOOTH
    unit = side / 24  # drawn on a grid of 24
    image = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(image)
    line = max(1, round(2 * unit))

    def box(*edges: float) -> tuple[float, ...]:
        return tuple(edge * unit for edge in edges)

    draw.rounded_rectangle(box(9, 2, 15, 14), radius=3 * unit, outline=255, width=line)
    draw.arc(box(5, 4, 19, 18), 0, 180, fill=255, width=line)
    draw.line(box(12, 18, 12, 22), fill=255, width=line)
    draw.line(box(8, 22, 16, 22), fill=255, width=line)
    draw.line(box(3, 2, 21, 22), fill=0, width=line * 2)
    draw.line(box(4, 2, 22, 22), fill=255, width=line)
    icon = Image.new("RGBA", (size, size), (*WHITE, 0))
    icon.putalpha(image.resize((size, size), Image.Resampling.BOX))
    return icon
