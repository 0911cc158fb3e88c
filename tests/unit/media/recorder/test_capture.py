"""Journals as they are written and found again."""

import threading
import time

import pytest

from media.recorder import writer as writer_module
from media.recorder.capture import CLOSED, CallCapture, list_unfinished
from media.recorder.errors import CaptureError, RecordingError
from media.recorder.journal import TrackJournal
from media.recorder.reader import open_capture
from media.recorder.records import Kind
from media.relay.seams import TapSink
from palabre.base.clock import ManualClock
from palabre.base.sealed import SealedError, SealedWriter, new_key

KEY = bytes(range(32))
ANA = {"identity": "ana/phone", "user": "@ana:example.org", "name": "Amélie"}
CAMERA = {"track_sid": "TR_1", "kind": "video", "source": "camera"}


def start(directory, errors=None):
    clock = ManualClock()
    return CallCapture(directory, KEY, clock, on_error=(errors if errors is not None else []).append), clock


def sink_of(journal: TrackJournal) -> TapSink:
    """mypy checks here that a journal fits the relay's seam."""
    return journal


def fill(capture, clock, packets=20):
    journal = capture.track(**ANA, **CAMERA)
    sink_of(journal).layer(7, "h", 96, "video/VP8", 90_000)
    for number in range(packets):
        clock.advance(0.02)
        journal.rtp(7, b"packet %d" % number, clock.monotonic())
    journal.sender_report(7, 1 << 40, 99, clock.monotonic())
    journal.muted(True, clock.monotonic())
    return journal


def test_what_a_tap_gives_is_read_back_in_order(tmp_path):
    capture, clock = start(tmp_path / "c")
    fill(capture, clock).closed(clock.monotonic())
    capture.close()
    found = open_capture(tmp_path / "c", KEY)
    assert not found.interrupted
    assert [(p.identity, p.user, p.name) for p in found.people] == [("ana/phone", "@ana:example.org", "Amélie")]
    (track,) = found.tracks
    records = list(found.records(track))
    assert [record.kind for record in records] == [
        Kind.META,
        Kind.META,
        *[Kind.RTP] * 20,
        Kind.SR,
        Kind.EVENT,
        Kind.EVENT,
    ]
    assert [record.payload for record in records[2:22]] == [b"packet %d" % number for number in range(20)]
    assert track.at(records[21]) == pytest.approx(clock.wall(), abs=0.001)
    assert found.ended_at - found.started_at == pytest.approx(0.4, abs=0.001)


def test_a_track_that_comes_back_gets_a_journal_of_its_own(tmp_path):
    capture, clock = start(tmp_path / "c")
    first = fill(capture, clock)
    first.closed(clock.monotonic())
    first.rtp(7, b"after the end", clock.monotonic())
    fill(capture, clock)
    capture.close()
    found = open_capture(tmp_path / "c", KEY)
    assert len(found.tracks) == 2
    assert all(b"after the end" not in record.payload for track in found.tracks for record in found.records(track))


def test_events_are_kept_with_their_time(tmp_path):
    capture, clock = start(tmp_path / "c")
    clock.advance(5)
    capture.event("joined", identity="bo", user="@bo:example.org", name="Bjørn")
    capture.close()
    found = open_capture(tmp_path / "c", KEY)
    joined, closed = found.events
    assert (joined.kind, joined.fields["name"], round(joined.at - found.started_at)) == ("joined", "Bjørn", 5)
    assert closed.kind == "closed"
    assert [person.identity for person in found.people] == ["bo"]


def test_a_restart_begins_a_new_segment_and_touches_no_old_file(tmp_path):
    capture, clock = start(tmp_path / "c")
    fill(capture, clock)
    capture.close()
    before = {path.name: path.read_bytes() for path in (tmp_path / "c").glob("*.journal")}
    again, clock = start(tmp_path / "c")
    assert list_unfinished(tmp_path) == (tmp_path / "c",)
    clock.advance(100)
    fill(again, clock)
    again.close()
    names = sorted(path.name for path in (tmp_path / "c").glob("*.journal"))
    assert names == [
        "events-0001.journal", "events-0002.journal", "track-0001-001.journal", "track-0002-001.journal",
    ]  # fmt: skip
    assert all((tmp_path / "c" / name).read_bytes() == content for name, content in before.items())
    assert [track.file for track in open_capture(tmp_path / "c", KEY).tracks] == names[2:]


def test_unfinished_captures_are_found_and_others_are_not(tmp_path):
    assert list_unfinished(tmp_path / "nowhere") == ()
    for name in ("a", "b"):
        capture, clock = start(tmp_path / name)
        fill(capture, clock)
        capture.close()
    (tmp_path / "b" / CLOSED).unlink()
    (tmp_path / "other").mkdir()
    assert list_unfinished(tmp_path) == (tmp_path / "b",)
    assert open_capture(tmp_path / "b", KEY).interrupted


def test_nothing_about_people_stands_in_names_or_bytes(tmp_path):
    capture, clock = start(tmp_path / "c")
    fill(capture, clock)
    capture.event("joined", identity="bo", name="Bjørn")
    capture.close()
    for path in (tmp_path / "c").iterdir():
        content = path.name.encode() + path.read_bytes()
        for secret in (b"ana", "Amélie".encode(), b"packet 1", b"TR_1", b"camera", b"joined"):
            assert secret not in content
        assert path.stat().st_mode & 0o077 == 0


def test_another_key_is_one_declared_error(tmp_path):
    capture, clock = start(tmp_path / "c")
    fill(capture, clock)
    capture.close()
    with pytest.raises(RecordingError, match="cannot be opened") as refused:
        open_capture(tmp_path / "c", new_key())
    assert refused.value.code == "recording_unreadable"


def test_a_directory_without_journals_is_an_empty_recording(tmp_path):
    for directory in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RecordingError) as refused:
            open_capture(directory, KEY)
        assert refused.value.code == "recording_empty"


def test_a_key_of_the_wrong_length_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(SealedError):
        CallCapture(tmp_path / "c", b"short", ManualClock(), on_error=lambda _error: None)
    assert not (tmp_path / "c").exists()


class FullDisk(SealedWriter):
    """Fails after the first block."""

    def append(self, block):
        if self.size > 60:
            raise OSError(28, "No space left on device")
        super().append(block)


def test_a_full_disk_is_reported_once_and_the_call_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_module, "SealedWriter", FullDisk)
    told = threading.Event()
    errors = []

    def on_error(error):
        errors.append(error)
        told.set()

    clock = ManualClock()
    capture = CallCapture(tmp_path / "c", KEY, clock, on_error=on_error)
    journal = capture.track(**ANA, **CAMERA)
    while not told.is_set():
        journal.rtp(7, b"x" * 1000, clock.monotonic())
        time.sleep(0.01)
    journal.rtp(7, b"y", clock.monotonic())
    late = capture.track(**ANA, **CAMERA)
    late.rtp(7, b"z", clock.monotonic())
    capture.event("left", identity="ana/phone")
    capture.close()
    assert [(str(error), error.fatal) for error in errors] == [("the recording stopped: No space left on device", True)]
    assert not (tmp_path / "c" / CLOSED).exists()


def test_a_disk_that_does_not_answer_costs_a_hole_and_no_memory(tmp_path, monkeypatch):
    slow = threading.Event()

    class SlowDisk(SealedWriter):
        def append(self, block):
            slow.wait(10)
            super().append(block)

    monkeypatch.setattr(writer_module, "SealedWriter", SlowDisk)
    monkeypatch.setattr(writer_module, "MAX_PENDING", 100_000)
    errors: list[CaptureError] = []
    capture, clock = start(tmp_path / "c", errors)
    journal = capture.track(**ANA, **CAMERA)
    for _ in range(500):
        journal.rtp(7, b"x" * 1000, clock.monotonic())
    slow.set()
    capture.close()
    assert [error.fatal for error in errors] == [False]
    (track,) = open_capture(tmp_path / "c", KEY).tracks
    stored = sum(record.kind == Kind.RTP for record in open_capture(tmp_path / "c", KEY).records(track))
    assert 90 <= stored <= 110
