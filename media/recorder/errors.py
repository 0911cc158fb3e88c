"""What can be refused when a recording is read or composed, and what can go wrong while one is written."""

from __future__ import annotations

import math

from palabre.base.errors import CallerError


class RecordingError(CallerError):
    """A recording that cannot be made, with the sentence to post instead of it.

    Codes: `recording_empty` (nobody was recorded), `recording_too_large` (even in the most parts allowed),
    `recording_unreadable` (wrong key, or the files were changed).
    """


class CaptureError(Exception):
    """The disk fails or cannot keep up. The call goes on; the recording has a hole or ends here.

    `fatal`: nothing more is written.
    """

    def __init__(self, sentence: str, *, fatal: bool) -> None:
        super().__init__(sentence)
        self.fatal = fatal


def too_large(seconds: float, max_bytes: int) -> RecordingError:
    """The refusal of a film that no number of parts brings under the homeserver's limit."""
    minutes, limit = math.ceil(seconds / 60), max_bytes // 1_000_000
    return RecordingError(
        "recording_too_large",
        f"The recording ({minutes} min) is too large for this homeserver, which takes files of at most {limit} MB.",
        status=413,
        minutes=minutes,
        limit=limit,
    )


def empty() -> RecordingError:
    """Nobody agreed, or nobody sent anything."""
    return RecordingError("recording_empty", "Nothing was recorded.", status=404)
