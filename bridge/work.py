"""What the artefact worker is asked to do: a capture, where its results go, and what is known about the call. Pure.

The job crosses a pipe to a process of the same machine and holds its keys; it is never stored or logged.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from bridge.capture_store import Capture
from bridge.meetings import Meeting
from bridge.settings import BridgeSettings
from bridge.summary import Presence
from bridge.wording import film_notices
from media.recorder.job import Cut

STEM_LIMIT = 80  # characters of a file's name before its ending
# Of the upload limit: a homeserver counts the whole request, and a film that is split aims at this size.
UPLOAD_SHARE = 0.97
_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"/\\|?*\u202a-\u202e\u2066-\u2069]+')


def make_job(
    settings: BridgeSettings,
    meeting: Meeting,
    capture: Capture,
    there: Presence,
    cuts: Sequence[Cut],
    *,
    tracks: Path,
    output: Path,
    capture_key: bytes,
    output_key: bytes,
    upload_limit: int,
) -> dict[str, Any]:
    """The document that `bridge.worker` reads."""
    return {
        "kind": capture.kind.value,
        "tracks": str(tracks),
        "output": str(output),
        "capture_key": base64.b64encode(capture_key).decode(),
        "output_key": base64.b64encode(output_key).decode(),
        "stem": file_stem(meeting.title, capture.started_at),
        "title": meeting.title,
        "language": meeting.language,
        "started_at": capture.started_at,
        "ended_at": None if capture.interrupted else capture.ended_at,
        "interrupted": capture.interrupted,
        "present": list(there.present),
        "missing": [*there.missing, *there.removed],
        "partly": list(there.partly),
        "cuts": [asdict(cut) for cut in cuts],
        "unreached": list(there.unreached),
        "notices": list(film_notices(meeting.language, [*there.missing, *there.removed], there.unreached)),
        "height": settings.recording.height,
        "frames_per_second": settings.recording.frames_per_second,
        "max_bytes": int(upload_limit * UPLOAD_SHARE),
        "speech": settings.transcript.model_dump(mode="json"),
    }


def file_stem(title: str, started_at: float) -> str:
    """`Budget 2026-11-24 10h30`: what people sort their downloads by, safe as a file name everywhere."""
    moment = datetime.fromtimestamp(started_at).astimezone()
    safe = " ".join(_FORBIDDEN.sub(" ", title).split()).strip(". ")
    return f"{safe[:STEM_LIMIT]} {moment:%Y-%m-%d %Hh%M}".strip()
