"""Where the packets of a running capture go: the seam behind which the recorder may sit in this process or another.

`open_files` of `bridge.capture.Captures` makes one per capture. It may take its time, and raises `OSError` where the
disk refuses, or `CallerError` (`recorder_unavailable`) where the recorder cannot be had; after a restart it is called
again for the same capture, which then goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.capture_store import Capture
from bridge.people import Person
from media.relay.seams import TapSink, TrackFacts


class CaptureFiles(Protocol):
    """Where the packets of one capture go: the recorder's journals."""

    @property
    def encrypted(self) -> bool:
        """It reads tracks that are encrypted end to end, and no others."""
        ...

    def consented(self, person: str, at: float) -> None:
        """From then on (seconds since the epoch) this person's tracks may be read. Told again after a restart."""
        ...

    def track(self, person: Person, identity: str, track: TrackFacts) -> TapSink:
        """A new file for this track, of somebody who has consented."""
        ...

    def withdrawn(self, person: str, identities: Sequence[str], at: float) -> None:
        """They took their consent back; their tracks are closed already."""
        ...

    async def close(self) -> None:
        """Everything is on disk afterwards."""
        ...


@dataclass
class Running:
    """A capture with its open files. None: the service was started again, and nobody of the call is back yet."""

    capture: Capture
    files: CaptureFiles | None
