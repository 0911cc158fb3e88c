"""A number drawn into pictures so that it survives codecs and scaling: who this is, and which frame.

A block in the middle of the picture (x 25 to 75 %, y 30 to 70 %), 8 x 4 cells, dark or light. The corners are light,
dark / dark, light and give the threshold; the other 28 cells are id (5 bits), frame (15) and a CRC-8. Read at 160 x 90
and 30 kbit/s without error; `READER` is the same for pages.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

COLUMNS, ROWS = 8, 4
LEFT, TOP, WIDE, HIGH = 0.25, 0.30, 0.50, 0.40  # of the picture
DARK, LIGHT = 24, 228
LEAST_CONTRAST = 60  # of 255: less is no stamp
_CORNERS = {0: 1, 7: 0, 24: 0, 31: 1}


class Stamp(NamedTuple):
    """`person` below 32, `frame` below 32768; `margin` is how far the worst cell was from doubt, at most 0.5."""

    person: int
    frame: int
    margin: float


def crc8(value: int, bits: int = 20) -> int:
    """Polynomial 07, begun with A5."""
    crc = 0xA5
    for bit in range(bits - 1, -1, -1):
        feedback = (value >> bit & 1) ^ (crc >> 7)
        crc = (crc << 1 & 0xFF) ^ (0x07 if feedback else 0)
    return crc


def cells(person: int, frame: int) -> NDArray[np.uint8]:
    """The block as ROWS x COLUMNS of 0 and 1."""
    value = (person & 31) << 15 | (frame & 32767)
    word = value << 8 | crc8(value)
    bits = iter(word >> shift & 1 for shift in range(27, -1, -1))
    flat = [_CORNERS[n] if n in _CORNERS else next(bits) for n in range(ROWS * COLUMNS)]
    return np.array(flat, np.uint8).reshape(ROWS, COLUMNS)


def draw(luma: NDArray[np.uint8], person: int, frame: int) -> None:
    """Put a stamp into a luma plane (or a grey picture)."""
    height, width = luma.shape
    x0, y0 = round(LEFT * width), round(TOP * height)
    x1, y1 = round((LEFT + WIDE) * width), round((TOP + HIGH) * height)
    rows = np.arange(y1 - y0) * ROWS // (y1 - y0)
    columns = np.arange(x1 - x0) * COLUMNS // (x1 - x0)
    luma[y0:y1, x0:x1] = np.where(cells(person, frame)[rows][:, columns], LIGHT, DARK)


def read(luma: NDArray[np.uint8], rect: tuple[int, int, int, int] | None = None) -> Stamp | None:
    """The stamp of the picture that fills `rect` (x, y, width, height; all of it by default), or None."""
    x, y, width, height = rect or (0, 0, luma.shape[1], luma.shape[0])
    wide, high = WIDE * width / COLUMNS, HIGH * height / ROWS
    means = np.empty(ROWS * COLUMNS)
    for number in range(ROWS * COLUMNS):
        row, column = divmod(number, COLUMNS)
        left, top = x + LEFT * width + column * wide, y + TOP * height + row * high
        a, b = round(left + 0.25 * wide), round(left + 0.75 * wide)
        c, d = round(top + 0.25 * high), round(top + 0.75 * high)
        means[number] = luma[c : max(d, c + 1), a : max(b, a + 1)].mean()
    light, dark = (means[0] + means[31]) / 2, (means[7] + means[24]) / 2
    if light - dark < LEAST_CONTRAST:
        return None
    threshold = (light + dark) / 2
    word = 0
    for number in range(ROWS * COLUMNS):
        if number not in _CORNERS:
            word = word << 1 | int(means[number] > threshold)
    if crc8(word >> 8) != word & 0xFF:
        return None
    return Stamp(word >> 23, word >> 8 & 32767, float(np.abs(means - threshold).min() / (light - dark)))


# For pages: readStamp(canvasContext, x, y, width, height) -> {person, frame} or null.
READER = """
function readStamp(ctx, x, y, w, h) {
  const px = ctx.getImageData(x, y, w, h).data, mean = [];
  for (let n = 0; n < 32; n++) {
    const cw = 0.5 * w / 8, ch = 0.4 * h / 4, l = 0.25 * w + (n % 8) * cw, t = 0.3 * h + (n >> 3) * ch;
    let sum = 0, count = 0;
    for (let j = Math.round(t + ch / 4); j < t + 0.75 * ch; j++)
      for (let i = Math.round(l + cw / 4); i < l + 0.75 * cw; i++) {
        const at = 4 * (j * w + i);
        sum += 0.299 * px[at] + 0.587 * px[at + 1] + 0.114 * px[at + 2];
        count++;
      }
    mean.push(sum / Math.max(1, count));
  }
  const light = (mean[0] + mean[31]) / 2, dark = (mean[7] + mean[24]) / 2;
  if (light - dark < 60) return null;
  let value = 0, crc = 0, bits = [];
  mean.forEach((m, n) => { if (![0, 7, 24, 31].includes(n)) bits.push(m > (light + dark) / 2 ? 1 : 0); });
  let register = 0xA5;
  for (let n = 0; n < 20; n++) {
    value = value * 2 + bits[n];
    const feedback = bits[n] ^ (register >> 7);
    register = ((register << 1) & 0xFF) ^ (feedback ? 7 : 0);
  }
  for (let n = 20; n < 28; n++) crc = crc * 2 + bits[n];
  return crc === register ? { person: value >> 15, frame: value & 32767 } : null;
}
"""
