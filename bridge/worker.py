"""`python -m bridge.worker`: makes the artefacts of one capture in a process of its own, behind running calls.

Glue between the recorder and speech, which don't know each other. Reads one job (bridge.work) from standard input,
writes progress and one result as lines of JSON to standard output (bridge.jobs), logs to standard error. It ends itself
when its service is gone: nobody would take the result.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from bridge.consent_store import Kind
from media.recorder.audio import read_pcm
from media.recorder.job import Cut, FilmPart, RenderJob, RenderResult
from media.recorder.limits import worker_limits
from media.recorder.reader import Capture, Person, open_capture
from media.recorder.render import render
from media.recorder.spans import intersect, total
from media.speech.job import Progress, SpeechTrack, transcribe_tracks
from media.speech.models import ModelsMissingError
from media.speech.render import to_json, to_markdown, to_webvtt
from media.speech.settings import SpeechSettings
from media.speech.transcript import CallFacts, Transcript
from palabre.base.errors import CallerError
from palabre.base.log import configure_logs
from palabre.base.sealed import write_sealed
from palabre.base.words import say

EXCERPT_LINES = 3
SERVICE_GONE = 3  # exit status

Report = Callable[[float], None]
Artefact = dict[str, Any]


def main() -> int:
    configure_logs(json=True)
    worker_limits()
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_service, args=(sys.stdin,), daemon=True).start()
    try:
        result = run(job, lambda done: _write({"progress": round(done, 4)}))
    except CallerError as refusal:
        _write({"refused": {"code": refusal.code, "sentence": refusal.sentence, "params": refusal.params}})
    except ModelsMissingError as missing:
        _write({"refused": {"code": "models_missing", "sentence": str(missing), "params": {}}})
    else:
        _write({"result": result})
    return 0


def run(job: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """`{"artefacts", "duration", "excerpt", "missing_seconds", "unreadable"}` of a job.

    Raises `CallerError`, `ModelsMissingError`.
    """
    make = _recording if Kind(job["kind"]) is Kind.RECORDING else _transcript
    return make(job, _key(job, "capture_key"), _key(job, "output_key"), report)


def _recording(job: Mapping[str, Any], capture_key: bytes, output_key: bytes, report: Report) -> dict[str, Any]:
    film = render(
        RenderJob(
            capture=job["tracks"],
            output=job["output"],
            started_at=job["started_at"],
            ended_at=job["ended_at"],
            title=job["title"],
            gap_text=say(job["language"], "recording.gap"),
            height=job["height"],
            frames_per_second=job["frames_per_second"],
            max_bytes=job["max_bytes"],
            not_recorded=(*job["missing"], *job["unreached"]),
            notices=tuple(job["notices"]),
            cuts=tuple(Cut(**cut) for cut in job["cuts"]),
        ),
        capture_key=capture_key,
        output_key=output_key,
        progress=report,
    )
    poster = {
        "path": _below(film.poster.path, job["output"]),
        "width": film.poster.width,
        "height": film.poster.height,
    }
    artefacts = [_film_part(job, film, number, poster) for number in range(len(film.parts))]
    return {
        "artefacts": artefacts,
        "duration": film.duration - film.closing,
        "excerpt": [],
        "missing_seconds": total(film.gaps),
        "unreadable": list(film.unreadable),
    }


def _film_part(job: Mapping[str, Any], film: RenderResult, number: int, poster: Mapping[str, Any]) -> Artefact:
    part: FilmPart = film.parts[number]
    suffix = f" ({number + 1} of {len(film.parts)})" if len(film.parts) > 1 else ""
    return {
        "name": f"{job['stem']}{suffix}.mp4",
        "mime_type": "video/mp4",
        "size": part.size,
        "path": _below(part.path, job["output"]),
        "details": {"width": film.width, "height": film.height, "duration": part.duration, "poster": dict(poster)},
    }


def _transcript(job: Mapping[str, Any], capture_key: bytes, output_key: bytes, report: Report) -> dict[str, Any]:
    capture = open_capture(Path(job["tracks"]), capture_key)
    duration = max(0.0, (job["ended_at"] or capture.ended_at) - job["started_at"])
    people = capture.people
    zero = job["started_at"]
    gaps = intersect([(start - zero, end - zero) for start, end in capture.gaps], [(0.0, duration)])

    def progress(done: Progress) -> None:
        share = min(1.0, done.seconds / duration) if duration else 1.0
        report((done.track + share) / len(people))

    transcript = transcribe_tracks(
        [_voice(job, capture, person) for person in people],
        CallFacts(
            title=job["title"],
            started_at=job["started_at"],
            duration=duration,
            participants=tuple(job["present"]),
            not_recorded=tuple(job["missing"]),
            partly_recorded=tuple(job["partly"]),
            unreached=tuple(job["unreached"]),
            unreadable=capture.unreadable,
            interrupted=job["interrupted"],
            gaps=gaps,
        ),
        SpeechSettings.model_validate(job["speech"]),
        progress=progress,
    )
    if not transcript.lines:
        raise CallerError("recording_empty", "Nobody who agreed said a word.")
    return {
        "artefacts": _write_transcript(job, transcript, output_key),
        "duration": duration,
        "excerpt": [[line.speaker, line.text] for line in transcript.lines[:EXCERPT_LINES]],
        "missing_seconds": total(gaps),
        "unreadable": list(capture.unreadable),
    }


def _voice(job: Mapping[str, Any], capture: Capture, person: Person) -> SpeechTrack:
    """One device of somebody; who it is has one name whatever the device."""
    zero = job["started_at"]
    cuts = [(cut["start"] - zero, cut["end"] - zero) for cut in job["cuts"] if cut["identity"] == person.identity]
    return SpeechTrack(person.user, person.name, read_pcm(capture, person.identity, started_at=zero, cuts=cuts))


def _write_transcript(job: Mapping[str, Any], transcript: Transcript, output_key: bytes) -> list[Artefact]:
    """For people first, then subtitles, then for programs."""
    output = Path(job["output"])
    output.mkdir(mode=0o700, parents=True, exist_ok=True)
    artefacts = []
    for ending, mime_type, text in (
        ("md", "text/markdown", to_markdown(transcript, job["language"])),
        ("vtt", "text/vtt", to_webvtt(transcript)),
        ("json", "application/json", to_json(transcript)),
    ):
        content = text.encode()
        path = output / f"transcript.{ending}"
        path.unlink(missing_ok=True)  # of an earlier attempt
        write_sealed(path, output_key, content)
        name = f"{job['stem']}.{ending}"
        artefacts.append({"name": name, "mime_type": mime_type, "size": len(content), "path": path.name, "details": {}})
    return artefacts


def _key(job: Mapping[str, Any], name: str) -> bytes:
    return base64.b64decode(job[name])


def _below(path: str, folder: str) -> str:
    """`path` as seen from `folder`: where things lie may change, how they lie together does not."""
    return str(Path(path).relative_to(folder)) if Path(path).is_absolute() else path


def _end_with_service(stdin: TextIO) -> None:
    """The service holds the other end of standard input; it closes when the service ends, however that happens."""
    stdin.read()
    os._exit(SERVICE_GONE)


def _write(message: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
