"""What is left when the process that captures is killed, and when files on the disk are damaged."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from media.recorder.capture import CallCapture, list_unfinished
from media.recorder.errors import RecordingError
from media.recorder.job import RenderJob
from media.recorder.reader import open_capture
from media.recorder.records import Kind
from media.recorder.render import render
from media.recorder.rtp import parse_rtp
from palabre.base.clock import SystemClock
from palabre.base.sealed import new_key
from tests.support import film, tones
from tests.support.journal_process import INTERVAL
from tests.support.synthetic_meeting import Guest, Meeting, record

MOST_LOST = 0.5  # seconds
SMALL: dict[str, Any] = {"height": 360, "frames_per_second": 10}


def no_error(error):
    raise AssertionError(error)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """(root, key, last packet handed over) of a capture that ran for about two seconds."""
    key = new_key()
    root = tmp_path_factory.mktemp("killed")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.journal_process", str(root / "c"), key.hex()],
        stdout=subprocess.PIPE,
    )
    last = -1
    assert process.stdout is not None
    for line in process.stdout:
        last = int(line)
        if last == 100:
            process.kill()  # SIGKILL: what still comes was handed over before it
    process.wait()
    return root, key, last


def test_kill_9_loses_at_most_half_a_second(killed):
    root, key, last = killed
    assert list_unfinished(root) == (root / "c",)
    capture = open_capture(root / "c", key)
    (track,) = capture.tracks
    stored = [parse_rtp(r.payload).sequence for r in capture.records(track) if r.kind == Kind.RTP]
    assert stored == list(range(len(stored)))
    assert last - stored[-1] <= MOST_LOST / INTERVAL
    assert capture.interrupted


def test_what_was_captured_before_kill_9_becomes_a_film_that_says_so(killed, tmp_path):
    root, key, last = killed
    started = open_capture(root / "c", key).started_at
    result = render(RenderJob(str(root / "c"), str(tmp_path / "o"), started, **SMALL), capture_key=key, output_key=key)
    assert result.interrupted
    assert result.duration == pytest.approx(last * INTERVAL, abs=1)
    assert tones.onsets(film.listen(film.whole(result, key)), 600)


def test_a_capture_that_goes_on_after_a_crash_is_one_film_with_a_hole(tmp_path):
    """The second segment begins five seconds after the first one ended."""
    key = new_key()
    guest = Guest("ana", "Ana", 1, 600, video=False)
    first = record(tmp_path / "c", key, Meeting((guest,), 3.0, close=False))
    assert open_capture(tmp_path / "c", key).interrupted
    record(tmp_path / "c", key, Meeting((guest,), 3.0, starts_at=8.0))
    job = RenderJob(str(tmp_path / "c"), str(tmp_path / "o"), first.zero, gap_text="The service was away", **SMALL)
    result = render(job, capture_key=key, output_key=key)
    assert not result.interrupted
    ((begins, ends),) = result.gaps
    assert begins <= 3.5
    assert ends == pytest.approx(8.0, abs=0.5)
    sound = film.listen(film.whole(result, key))
    assert result.duration == pytest.approx(11.0, abs=0.2)
    for start, end, heard in ((0.5, 2.5, True), (3.5, 7.5, False), (8.5, 10.5, True)):
        assert (tones.heard(sound, 600, start, end) > 0.05) is heard


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    guests = (Guest("ana", "Ana", 1, 600), Guest("bo", "Bo", 2, 1000))
    meeting = Meeting(guests, 4.0, width=160, height=90, fps=10)
    return record(tmp_path_factory.mktemp("short") / "c", new_key(), meeting)


@pytest.fixture
def short(template, tmp_path):
    """A meeting of two for four seconds, to be damaged."""
    shutil.copytree(template.directory, tmp_path / "c")
    return replace(template, directory=tmp_path / "c")


def job_for(recorded, tmp_path, **changes):
    return RenderJob(str(recorded.directory), str(tmp_path / "o"), recorded.zero, **{**SMALL, **changes})


def make(recorded, tmp_path, **changes):
    return render(job_for(recorded, tmp_path, **changes), capture_key=recorded.key, output_key=recorded.key)


def test_a_journal_that_was_changed_is_used_up_to_the_change_and_the_film_says_so(short, tmp_path):
    changed = max(short.directory.glob("track-*"), key=lambda path: path.stat().st_size)
    data = bytearray(changed.read_bytes())
    data[len(data) * 3 // 4] ^= 1
    changed.write_bytes(data)
    result = make(short, tmp_path)
    assert result.warnings == ("damaged",)
    assert result.duration == pytest.approx(4.0, abs=0.2)


def test_a_journal_cut_in_its_header_is_left_out(short, tmp_path):
    cut = sorted(short.directory.glob("track-*"))[0]
    cut.write_bytes(cut.read_bytes()[:20])
    assert len(make(short, tmp_path).parts) == 1


def test_another_key_makes_no_film_and_one_declared_error(short, tmp_path):
    with pytest.raises(RecordingError) as refused:
        render(job_for(short, tmp_path), capture_key=new_key(), output_key=short.key)
    assert refused.value.code == "recording_unreadable"


def test_a_capture_in_which_nobody_agreed_is_refused_with_a_sentence(tmp_path):
    key = new_key()
    clock = SystemClock()
    started = clock.wall()
    CallCapture(tmp_path / "c", key, clock, on_error=no_error).close()
    job = RenderJob(str(tmp_path / "c"), str(tmp_path / "o"), started, started + 5)
    with pytest.raises(RecordingError, match="Nothing was recorded") as refused:
        render(job, capture_key=key, output_key=key)
    assert refused.value.code == "recording_empty"


def test_a_second_attempt_replaces_what_the_first_one_left(short, tmp_path):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "film-007.mp4.sealed").write_bytes(b"half a film")
    make(short, tmp_path)
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["film-001.mp4.sealed", "poster.jpg.sealed"]


def test_what_progress_raises_ends_the_work(short, tmp_path):
    class StopError(Exception):
        """What a worker raises that is told to end."""

    def stop(done):
        if done > 0.5:
            raise StopError

    with pytest.raises(StopError):
        render(job_for(short, tmp_path), capture_key=short.key, output_key=short.key, progress=stop)
