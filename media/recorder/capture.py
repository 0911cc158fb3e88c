"""One capture of a call: a directory of journals, written while people talk, that a crash leaves readable.

The directory holds `events-RRRR.journal` and `track-RRRR-NNN.journal`, all sealed, RRRR counting the processes that
wrote to it (a restart begins a new segment and never touches old files), and `closed` once everything is on disk.
Names of files say nothing about people: who is in which file stands inside.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from media.recorder.errors import CaptureError
from media.recorder.journal import TrackJournal
from media.recorder.records import Kind, pack, pack_json
from media.recorder.writer import JournalWriter
from palabre.base.clock import Clock
from palabre.base.sealed import check_key

CLOSED = "closed"
EVENTS = re.compile(r"events-(\d{4})\.journal")
TRACK = re.compile(r"track-(\d{4})-(\d{3,})\.journal")
FORMAT = 1  # of the journals, in every first record


class CallCapture:
    """Owned by the event loop; the writing thread is its own. `key` is the data key of this capture.

    `on_error` is called from the writing thread, once per fault (`CaptureError.fatal`: nothing more is written); it
    must return at once. Packets are then dropped and counted, and the call goes on. Raises `OSError` only when the
    directory cannot be made, and `SealedError` for a key of the wrong length.
    """

    def __init__(self, directory: Path, key: bytes, clock: Clock, *, on_error: Callable[[CaptureError], None]) -> None:
        check_key(key)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / CLOSED).unlink(missing_ok=True)
        self.directory = directory
        self._clock = clock
        self._anchor = {"format": FORMAT, "wall": clock.wall(), "mono": clock.monotonic()}
        self._run = 1 + max((int(found[1]) for found in map(EVENTS.fullmatch, names(directory)) if found), default=0)
        self._tracks = 0
        self._closed = False
        self._writer = JournalWriter(key, on_error, self._heartbeat)
        self._events = self._writer.open(directory / f"events-{self._run:04}.journal")
        self._writer.start()
        self._events.put(pack_json(Kind.META, clock.monotonic(), self._anchor))

    def track(self, *, identity: str, user: str, name: str, track_sid: str, kind: str, source: str) -> TrackJournal:
        """A journal for a tap that is about to be opened; only after that person's consent.

        `kind` is audio or video, `source` LiveKit's: camera, microphone, screen_share, screen_share_audio. The same
        track may come again after its journal was closed: it gets a new one.
        """
        if self._closed:
            raise RuntimeError("the capture is closed")
        self._tracks += 1
        file = self._writer.open(self.directory / f"track-{self._run:04}-{self._tracks:03}.journal")
        who = {"identity": identity, "user": user, "name": name}
        what = {"track_sid": track_sid, "kind": kind, "source": source}
        file.put(pack_json(Kind.META, self._clock.monotonic(), {**self._anchor, **who, **what}))
        return TrackJournal(file, track_sid)

    def event(self, kind: str, **fields: str | float | bool) -> None:
        """Something that composition shall know; the kinds it understands stand in `media.recorder`."""
        self._events.put(pack_json(Kind.EVENT, self._clock.monotonic(), {**fields, "kind": kind}))

    def close(self) -> None:
        """Write what is queued, close every journal, mark the directory. Waits for the disk; again does nothing.

        Tracks whose taps are still open end here. Without the mark (the disk failed) the capture counts as interrupted.
        """
        if self._closed:
            return
        self._events.put(pack_json(Kind.EVENT, self._clock.monotonic(), {"kind": "closed"}))
        self.break_off()
        if not self._writer.failed:
            mark_closed(self.directory)

    def break_off(self) -> None:
        """Write what is queued and close every journal, without the mark: whoever captures must end in the middle."""
        if not self._closed:
            self._closed = True
            self._writer.close()

    def _heartbeat(self) -> None:
        self._events.beat(pack(Kind.ALIVE, self._clock.monotonic()))


def mark_closed(directory: Path) -> None:
    """Say on disk that nothing will be added."""
    (directory / CLOSED).touch(mode=0o600)


def names(directory: Path) -> list[str]:
    """Names of the files in a directory, sorted."""
    return sorted(path.name for path in directory.iterdir())


def list_unfinished(root: Path) -> tuple[Path, ...]:
    """Captures below `root`, one directory each, that were not closed: their process died, or they are running."""
    if not root.is_dir():
        return ()
    return tuple(
        path
        for path in sorted(root.iterdir())
        if path.is_dir() and any(map(EVENTS.fullmatch, names(path))) and not (path / CLOSED).exists()
    )
