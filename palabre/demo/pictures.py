"""What the demo's cameras and screens show: drawn people who move and speak, and a page of text that scrolls."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from media.recorder.labels import font_for

Picture = npt.NDArray[np.uint8]  # height x width x 4, RGBA

WIDTH, HEIGHT = 640, 360
SWAY = 16  # positions of the head, so that a standing picture can't be mistaken for video
MOUTHS = 4  # from closed to wide open


@dataclass(frozen=True)
class Look:
    """How somebody looks, as RGB."""

    wall: tuple[int, int, int]
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    coat: tuple[int, int, int]


LOOKS = (
    Look((226, 218, 202), (141, 85, 51), (38, 26, 22), (56, 92, 138)),
    Look((196, 212, 206), (232, 184, 148), (72, 46, 28), (38, 84, 58)),
    Look((214, 204, 222), (198, 140, 100), (20, 20, 24), (128, 52, 62)),
    Look((206, 214, 226), (246, 208, 180), (176, 132, 72), (64, 64, 92)),
)


@lru_cache(maxsize=len(LOOKS) * SWAY * MOUTHS)
def person(look: int, sway: int, mouth: int) -> Picture:
    """One frame of somebody; `sway` below SWAY, `mouth` below MOUTHS."""
    style = LOOKS[look % len(LOOKS)]
    image = Image.new("RGBA", (WIDTH, HEIGHT), (*style.wall, 255))
    draw = ImageDraw.Draw(image)
    shade = (max(style.wall[0] - 34, 0), max(style.wall[1] - 34, 0), max(style.wall[2] - 34, 0))
    for shelf in range(7):
        draw.rectangle((470 + shelf * 20, 40, 480 + shelf * 20, 110 + (shelf * 37) % 34), fill=shade)
    offset = round(14 * np.sin(2 * np.pi * sway / SWAY))
    centre = WIDTH // 2 + offset
    draw.ellipse((centre - 150, 246, centre + 150, 520), fill=style.coat)
    draw.rectangle((centre - 22, 210, centre + 22, 270), fill=style.skin)
    draw.ellipse((centre - 76, 60, centre + 76, 240), fill=style.skin)
    draw.pieslice((centre - 80, 46, centre + 80, 200), 180, 360, fill=style.hair)
    for eye in (-30, 30):
        draw.ellipse((centre + eye - 6, 136, centre + eye + 6, 148), fill=(30, 26, 24))
    opening = 2 + mouth * 7
    draw.ellipse((centre - 24, 192 - opening // 2, centre + 24, 192 + opening // 2 + 2), fill=(110, 32, 40))
    return np.asarray(image)


def page(lines: tuple[str, ...], step: int) -> Picture:
    """A shared screen of 1280x720: a document whose current line is marked, one line further each step."""
    image = _page(lines).copy()
    draw = ImageDraw.Draw(image)
    row = 150 + (step % max(len(lines), 1)) * 56
    draw.rectangle((70, row - 6, 76, row + 40), fill=(11, 94, 87, 255))
    return np.asarray(image)


@lru_cache(maxsize=4)
def _page(lines: tuple[str, ...]) -> Image.Image:
    image = Image.new("RGBA", (1280, 720), (255, 255, 255, 255))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 1280, 88), fill=(11, 94, 87, 255))
    draw.text((90, 22), lines[0], font=font_for(lines[0], 40), fill=(255, 255, 255, 255))
    for number, line in enumerate(lines[1:]):
        draw.text((100, 150 + number * 56), line, font=font_for(line, 30), fill=(29, 27, 22, 255))
    return image
