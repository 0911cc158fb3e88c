"""What can be refused when a recording is read or composed, and what can go wrong while one is written."""

from __future__ import annotations

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
