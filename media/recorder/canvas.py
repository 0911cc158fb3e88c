"""The picture being composed: three planes of YUV 4:2:0, and what can be put on them. Numpy only, no decoding.

Colours are BT.601, limited range, as WebRTC's codecs have them; the film is tagged so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from media.recorder.layout import Rect

Plane = NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]
# ITU-R BT.601-7, 8 bits, black at 16 and white at 235
_FROM_RGB = np.array([[65.738, 129.057, 25.064], [-37.945, -74.494, 112.439], [112.439, -94.154, -18.285]]) / 256
_OFFSETS = np.array([16.0, 128.0, 128.0])


def yuv(red: int, green: int, blue: int) -> tuple[int, int, int]:
    """A colour for `Canvas.fill`."""
    luma, cb, cr = (round(float(value)) for value in _FROM_RGB @ (red, green, blue) + _OFFSETS)
    return luma, cb, cr


@dataclass(frozen=True)
class Sprite:
    """A small picture with transparency, drawn once and blended often. Width and height are even."""

    planes: tuple[NDArray[np.float32], ...]  # premultiplied with alpha
    keep: tuple[NDArray[np.float32], ...]  # what remains of the ground: 1 - alpha

    @property
    def width(self) -> int:
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        return int(self.planes[0].shape[0])


def sprite(image: Image.Image) -> Sprite:
    """From an RGBA picture; padded to even sides."""
    pixels = np.asarray(image.convert("RGBA"), dtype=np.float32)
    odd_h, odd_w = pixels.shape[0] % 2, pixels.shape[1] % 2
    pixels = np.pad(pixels, ((0, odd_h), (0, odd_w), (0, 0)))
    alpha = pixels[..., 3] / 255
    full = (pixels[..., :3] @ _FROM_RGB.T + _OFFSETS) * alpha[..., None]
    half, half_alpha = _halve(full), _halve(alpha)
    planes = (full[..., 0], half[..., 1], half[..., 2])
    return Sprite(
        tuple(plane.astype(np.float32) for plane in planes),
        ((1 - alpha).astype(np.float32), (1 - half_alpha).astype(np.float32)),
    )


def planes_from(image: Image.Image) -> Planes:
    """An opaque picture of even size, in the film's colours."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.float32) @ _FROM_RGB.T + _OFFSETS
    half = _halve(pixels)
    luma, cb, cr = (np.rint(plane).astype(np.uint8) for plane in (pixels[..., 0], half[..., 1], half[..., 2]))
    return luma, cb, cr


def _halve(values: NDArray[np.float64] | NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean of each square of four pixels."""
    squares = values.reshape(values.shape[0] // 2, 2, values.shape[1] // 2, 2, *values.shape[2:])
    return np.asarray(squares.mean(axis=(1, 3)), dtype=np.float64)


class Canvas:
    """Width and height are even, and so are all rectangles."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.planes: Planes = (
            np.zeros((height, width), np.uint8),
            np.zeros((height // 2, width // 2), np.uint8),
            np.zeros((height // 2, width // 2), np.uint8),
        )

    def fill(self, rect: Rect, colour: tuple[int, int, int]) -> None:
        for plane, value in zip(self._parts(rect), colour, strict=True):
            plane[:] = value

    def paste(self, rect: Rect, planes: Planes) -> None:
        """An opaque picture of exactly the size of `rect`."""
        for plane, source in zip(self._parts(rect), planes, strict=True):
            plane[:] = source

    def blend(self, what: Sprite, x: int, y: int) -> None:
        """`what` with its top left corner there; must lie inside."""
        parts = self._parts(Rect(x, y, what.width, what.height))
        for plane, source, keep in zip(parts, what.planes, (what.keep[0], what.keep[1], what.keep[1]), strict=True):
            plane[:] = plane * keep + source + 0.5

    def frame(self, rect: Rect, thickness: int, colour: tuple[int, int, int]) -> None:
        """A border inside `rect`."""
        x, y, width, height = rect
        self.fill(Rect(x, y, width, thickness), colour)
        self.fill(Rect(x, y + height - thickness, width, thickness), colour)
        self.fill(Rect(x, y, thickness, height), colour)
        self.fill(Rect(x + width - thickness, y, thickness, height), colour)

    def _parts(self, rect: Rect) -> Planes:
        x, y, width, height = rect
        luma, cb, cr = self.planes
        half = (slice(y // 2, (y + height) // 2), slice(x // 2, (x + width) // 2))
        return luma[y : y + height, x : x + width], cb[half], cr[half]
