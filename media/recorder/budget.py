"""How many bits a film may take so that it fits what a homeserver accepts: one file, several, or none. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from media.recorder.errors import too_large

AUDIO_RATE = 48_000  # Hz
AAC_FRAME = 1024  # samples
# Bits per pixel of the finished film. Superfast at crf 26 takes 0.03 to 0.08 for calls; above the first, the picture is
# noise that nobody asked for; below the second, text on shared screens cannot be read.
MOST_BITS, LEAST_BITS = 0.16, 0.022
SOUND, SOUND_TIGHT = 96_000, 64_000  # bit/s of AAC, mono; the second where bytes are scarce
BUFFER = 2.0  # seconds over which the encoder keeps its rate
KEY_FRAMES = 4.0  # seconds between them: seeking, and where players begin
SPLIT = 10  # seconds: a film is split at multiples of it
_SLACK = 5.0  # seconds of film that encoder and muxer hold when a split is decided
_USABLE = 0.97  # of a part; the rest is for the container and for what an encoder overshoots
_INDEX_PER_SAMPLE = 10  # bytes of an MP4's index for a frame; measured 5.1 to 6.9, with chunks of a second
_INDEX = 16 * 1024


@dataclass(frozen=True)
class Budget:
    """`video_rate` and `audio_rate` in bit/s, not to be exceeded over `BUFFER`; `part_bytes` 0: no limit."""

    video_rate: int
    audio_rate: int
    part_bytes: int

    def must_split(self, written: int) -> bool:
        """Whether the next `SPLIT` seconds may not fit behind `written` bytes."""
        if not self.part_bytes:
            return False
        rate = self.video_rate + self.audio_rate
        coming = (SPLIT + _SLACK) * rate + BUFFER * self.video_rate
        return written + coming / 8 > self.part_bytes


def index_bytes(seconds: float, frames_per_second: int) -> int:
    """Room for an MP4's index at the front, so that it plays before it is loaded whole."""
    return _INDEX + math.ceil(seconds * (frames_per_second + AUDIO_RATE / AAC_FRAME) * _INDEX_PER_SAMPLE)


def make_budget(seconds: float, pixels: int, frames_per_second: int, max_bytes: int, max_parts: int) -> Budget:
    """The best quality that fits into the fewest parts.

    Raises `RecordingError("recording_too_large")` where even `max_parts` of the plainest picture do not hold it.
    """
    most, least = (round(bits * pixels * frames_per_second) for bits in (MOST_BITS, LEAST_BITS))
    if not max_bytes:
        return Budget(most, SOUND, 0)
    usable = max_bytes * _USABLE * 8 - index_bytes(seconds, frames_per_second) * 8
    for parts in range(1, max_parts + 1):
        each = seconds / parts + (SPLIT + _SLACK if parts > 1 else 0.0)  # a part ends before it is quite full
        for sound in (SOUND, SOUND_TIGHT):
            video = (usable / (each + BUFFER)) - sound
            if video >= (least if sound == SOUND_TIGHT else 2 * least):
                return Budget(min(most, int(video)), sound, max_bytes)
    raise too_large(seconds, max_bytes)
