"""Where captures and artefacts lie on disk, and their keys. Everything there is sealed; names tell nothing.

`captures/ID/key` and `captures/ID/tracks/…`: raw tracks, deleted once what was made of them is posted.
`artefacts/ID/key` and `artefacts/ID/files/…`: what was made of capture ID. Deleting a folder deletes its key, which is
all that opens its files.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from bridge.capture_store import Capture
from bridge.people import Person
from media.recorder.capture import CallCapture
from media.recorder.errors import CaptureError
from media.relay.seams import TapSink, TrackFacts, TrackSource
from palabre.base.clock import Clock
from palabre.base.sealed import create_key_file, read_key_file

MASTER_BYTES = 32
KEY_FILE = "key"


def master_key(text: str) -> bytes:
    """The master key as the settings write it. Raises `ValueError`."""
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("master_key must be base64") from error
    if len(key) != MASTER_BYTES:
        raise ValueError(f"master_key must be {MASTER_BYTES} random bytes in base64, this has {len(key)}")
    return key


class Folders:
    """Below the data directory. Methods touch the disk: call them in a thread where a call runs."""

    def __init__(self, data_directory: Path, master: bytes) -> None:
        self._captures = data_directory / "captures"
        self._artefacts = data_directory / "artefacts"
        self._master = master

    def tracks(self, capture: str) -> Path:
        return self._captures / capture / "tracks"

    def output(self, capture: str) -> Path:
        return self._artefacts / capture / "files"

    def create_tracks_key(self, capture: str) -> bytes:
        return self._create_key(self._captures / capture, capture)

    def tracks_key(self, capture: str) -> bytes:
        """Raises `FileNotFoundError` when the capture never got as far, or its tracks were deleted."""
        return read_key_file(self._captures / capture / KEY_FILE, self._master, capture)

    def open_tracks(self, capture: str) -> bytes:
        """The key of a capture that begins, or goes on after a restart."""
        try:
            return self.tracks_key(capture)
        except FileNotFoundError:
            return self.create_tracks_key(capture)

    def output_key(self, capture: str) -> bytes:
        """Of the artefacts; made when there is none."""
        folder = self._artefacts / capture
        try:
            return read_key_file(folder / KEY_FILE, self._master, capture)
        except FileNotFoundError:
            return self._create_key(folder, capture)

    def delete_tracks(self, capture: str) -> None:
        _delete(self._captures / capture)

    def delete_output(self, capture: str) -> None:
        _delete(self._artefacts / capture)

    def capture_ids(self) -> list[str]:
        """Captures with a folder, also those that a crash kept out of the database."""
        return sorted(path.name for path in self._captures.iterdir()) if self._captures.is_dir() else []

    def _create_key(self, folder: Path, capture: str) -> bytes:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return create_key_file(folder / KEY_FILE, self._master, capture)


def _delete(folder: Path) -> None:
    """The key goes first: if the rest fails, what is left can't be read."""
    (folder / KEY_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def source_of(track: TrackFacts) -> str:
    """What a track is; where an SDK does not say, what it is by far the most often."""
    likely = TrackSource.MICROPHONE if track.kind == "audio" else TrackSource.CAMERA
    return str((likely if track.source is TrackSource.UNKNOWN else track.source).value)


class JournalFiles:
    """The journals of one running capture. Implements `bridge.capture.CaptureFiles`."""

    encrypted = False

    def __init__(self, journals: CallCapture) -> None:
        self._journals = journals

    def track(self, person: Person, identity: str, track: TrackFacts) -> TapSink:
        return self._journals.track(
            identity=identity,
            user=person.key,
            name=person.name,
            track_sid=track.sid,
            kind=track.kind,
            source=source_of(track),
        )

    def consented(self, person: str, at: float) -> None:
        """Nothing to do: only packets of people who agreed come here at all."""

    def withdrawn(self, person: str, identities: Sequence[str], at: float) -> None:
        for identity in identities:
            self._journals.event("left", identity=identity)

    async def close(self) -> None:
        await asyncio.to_thread(self._journals.close)


async def open_journals(
    folders: Folders, capture: Capture, clock: Clock, on_error: Callable[[CaptureError], None]
) -> JournalFiles:
    """A capture's folder and journals, continued where it was begun before a restart.

    Raises `OSError` where the disk refuses. `on_error` is called from another thread.
    """

    def make() -> CallCapture:
        return CallCapture(folders.tracks(capture.id), folders.open_tracks(capture.id), clock, on_error=on_error)

    return JournalFiles(await asyncio.to_thread(make))
