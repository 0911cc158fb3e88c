"""The artefact worker as a process: what it makes, what it refuses, and how it ends when something else does."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.jobs import WorkerDiedError, run_worker
from media.recorder.render import CLOSING
from palabre.base.errors import CallerError
from palabre.base.sealed import new_key, read_sealed
from tests.support.recorded import read_recording
from tests.support.synthetic_meeting import Guest, Meeting, record

SECONDS = 8.0


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    """A recording of two people in small pictures, to be made."""
    key = new_key()
    guests = (Guest("@ana:b/x", "Ana", 1, 600), Guest("@bo:b/x", "Bo", 2, 1000, video=False))
    recorded = record(tmp_path / "tracks", key, Meeting(guests, SECONDS, width=160, height=90, fps=10))
    return {
        "kind": "recording",
        "tracks": str(recorded.directory),
        "output": str(tmp_path / "files"),
        "capture_key": base64.b64encode(key).decode(),
        "output_key": base64.b64encode(key).decode(),
        "stem": "Budget",
        "title": "Budget",
        "language": "en",
        "started_at": recorded.zero,
        "ended_at": recorded.zero + SECONDS,
        "interrupted": False,
        "present": ["Ana", "Bo", "Eve"],
        "missing": ["Eve"],
        "partly": [],
        "unreached": [],
        "notices": ["Not recorded, as they did not consent: Eve."],
        "cuts": [],
        "height": 480,
        "frames_per_second": 10,
        "max_bytes": 0,
        "speech": {},
    }


def workers() -> Iterator[tuple[int, int]]:
    """(process, parent) of every running worker."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if b"bridge.worker" in command:
            yield int(folder.name), int(parent)


async def test_a_job_gives_a_film_that_plays_and_progress_on_the_way(job: dict[str, Any]) -> None:
    progress: list[float] = []
    result = await run_worker(job, progress.append)
    (film,) = result["artefacts"]
    assert (film["name"], film["mime_type"]) == ("Budget.mp4", "video/mp4")
    assert result["duration"] == pytest.approx(SECONDS, abs=0.2)
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    folder, key = Path(job["output"]), base64.b64decode(job["output_key"])
    content = read_sealed(folder / film["path"], key)
    assert len(content) == film["size"]
    assert read_recording(content).duration == pytest.approx(SECONDS + CLOSING, abs=0.2)
    assert read_sealed(folder / film["details"]["poster"]["path"], key).startswith(b"\xff\xd8")


async def test_what_can_never_be_made_is_refused_with_a_code(job: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CallerError) as caught:
        await run_worker(job | {"ended_at": job["started_at"]}, lambda _: None)
    assert caught.value.code == "recording_empty"
    with pytest.raises(CallerError) as caught:
        await run_worker(job | {"capture_key": base64.b64encode(new_key()).decode()}, lambda _: None)
    assert caught.value.code == "recording_unreadable"


async def test_a_worker_that_is_killed_can_be_started_again_on_the_same_folder(job: dict[str, Any]) -> None:
    def kill(_done: float) -> None:
        for process, parent in workers():
            if parent == os.getpid():
                os.kill(process, signal.SIGKILL)

    with pytest.raises(WorkerDiedError):
        await run_worker(job, kill)
    result = await run_worker(job, lambda _: None)
    assert result["duration"] == pytest.approx(SECONDS, abs=0.2)


async def test_a_worker_ends_with_its_service(job: dict[str, Any]) -> None:
    service = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.support.worker_parent"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert service.stdin is not None
    assert service.stdout is not None
    service.stdin.write(json.dumps(job).encode())
    service.stdin.close()
    await service.stdout.readline()  # the first progress: the worker is at work
    (worker,) = [process for process, parent in workers() if parent == service.pid]
    service.kill()
    await service.wait()
    async with asyncio.timeout(10):
        while worker in {process for process, _ in workers()}:  # noqa: ASYNC110 - not our child
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("job_change", [{"kind": "nonsense"}, {"tracks": 5}])
async def test_a_worker_that_crashes_is_no_result(job: dict[str, Any], job_change: dict[str, Any]) -> None:
    with pytest.raises(WorkerDiedError):
        await run_worker(job | job_change, lambda _: None)
