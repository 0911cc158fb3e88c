"""A long meeting takes no more memory than a short one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from media.recorder.job import RenderJob
from palabre.base.sealed import new_key
from tests.support.synthetic_meeting import Guest, Meeting, record

ALLOWED = 25  # MB more for ten times the length: allocators, clocks, the film's index


def used(folder, minutes):
    """(MB, CPU seconds) of rendering a meeting of that length."""
    guests = (
        Guest("ana", "Ana", 1, 600, ppm=60, camera_off=((20.0, 50.0),)),
        Guest("bo", "Bo", 2, 1000, muted=((5.0, 55.0),)),
    )
    meeting = Meeting(guests, minutes * 60.0, width=160, height=90, fps=10)
    recorded = record(folder / "c", new_key(), meeting)
    job = RenderJob(str(folder / "c"), str(folder / "o"), recorded.zero, height=360, frames_per_second=10)
    command = [sys.executable, "-m", "tests.support.render_process", job.to_json(), recorded.key.hex(), new_key().hex()]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(answer[0]), float(answer[1])


@pytest.mark.long
def test_memory_stays_flat_over_long_meetings(tmp_path):
    short, _ = used(tmp_path / "short", 2)
    long, seconds = used(tmp_path / "long", 20)
    print(f"{short:.0f} MB for 2 minutes, {long:.0f} MB for 20, {seconds / 20:.1f} s of CPU per minute")
    assert long - short < ALLOWED
