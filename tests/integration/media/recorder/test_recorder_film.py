"""What a job can ask of a film: size limits, cuts, other codecs, decryption in between."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from media.recorder import labels
from media.recorder import render as render_module
from media.recorder.budget import Budget
from media.recorder.errors import RecordingError
from media.recorder.film import FilmError, choose_encoder, verify
from media.recorder.job import Cut, RenderJob
from media.recorder.layout import Rect, grid
from media.recorder.limits import HIGHEST_PRIORITY
from media.recorder.render import CLOSING, render
from palabre.base.sealed import SealedError, SealedFile, new_key
from tests.support import film, tones
from tests.support.synthetic_meeting import Guest, Meeting, record

ANA, BO = 1, 2
SECONDS = 24.0
SMALL: dict[str, Any] = {"height": 360, "frames_per_second": 10}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Two people for 24 seconds, in small pictures."""
    folder = tmp_path_factory.mktemp("film")
    guests = (Guest("ana", "Ana", ANA, 600), Guest("bo", "Bo", BO, 1000, video=False))
    return record(folder / "c", new_key(), Meeting(guests, SECONDS, width=160, height=90, fps=10))


@pytest.fixture
def make(recorded, tmp_path):
    def _make(transform=None, **changes):
        job = RenderJob(str(recorded.directory), str(tmp_path / "o"), recorded.zero, **{**SMALL, **changes})
        return render(job, capture_key=recorded.key, output_key=recorded.key, transform=transform)

    return _make


def test_a_film_above_the_limit_is_split_into_parts_that_play_alone(make, recorded, monkeypatch):
    """The limit is a toy's, so the budget that real limits lead to is given: tests of it are pure."""
    limit = 300_000
    monkeypatch.setattr(render_module, "make_budget", lambda *_: Budget(50_000, 64_000, limit))
    result = make(max_bytes=limit)
    assert [part.start for part in result.parts] == [0.0, 10.0, 20.0]
    assert all(part.size <= limit for part in result.parts)
    assert sum(part.duration for part in result.parts) == pytest.approx(SECONDS, abs=0.2)
    for part in result.parts:
        clear = film.clear(part.path, recorded.key)
        picture, sound = film.lasts(clear)
        assert picture == pytest.approx(part.duration, abs=0.1)
        assert sound == pytest.approx(part.duration, abs=0.1)
        assert film.still(clear, 0.0).std() > 5
        beeps = tones.onsets(film.listen(clear), 600)
        assert all(any(abs(beep - second - 0.05) < 0.1 for beep in beeps) for second in range(1, int(part.duration)))


def test_a_film_that_no_parts_can_hold_is_refused_with_a_sentence(make):
    with pytest.raises(RecordingError, match="too large for this homeserver"):
        make(max_bytes=60_000, max_parts=2)


def test_what_is_cut_out_is_neither_seen_nor_heard(make, recorded):
    zero = recorded.zero
    result = make(ended_at=zero + 8, cuts=(Cut("bo", zero + 2, zero + 4), Cut("ana", zero + 5, zero + 7)))
    mp4 = film.whole(result, recorded.key)
    sound = film.listen(mp4)
    assert tones.heard(sound, 1000, 2.0, 4.0) < 0.02
    assert tones.heard(sound, 600, 2.0, 4.0) > 0.05
    assert tones.heard(sound, 600, 5.0, 7.0) < 0.02
    places = {ANA: grid(2, 640, 360)[0], 10 * ANA: Rect(0, 0, 640, 360)}  # beside Bo, and alone
    seen = film.watch(mp4, lambda _time: places)

    def share(place, start, end):
        """How often the picture was there."""
        there = [s is not None for t, s in zip(seen[place].times, seen[place].stamps, strict=True) if start <= t < end]
        return sum(there) / len(there)

    assert share(ANA, 0.5, 2.0) > 0.9
    assert share(10 * ANA, 2.0, 4.0) > 0.9
    assert share(ANA, 5.0, 7.0) == share(10 * ANA, 5.0, 7.0) == 0
    assert share(ANA, 7.5, 8.0) > 0.9
    assert result.duration == pytest.approx(8.0, abs=0.2)


def test_a_film_ends_with_a_silent_card_that_says_who_is_not_in_it(make, recorded):
    """It follows what was recorded, whose seconds stay those of the call."""
    notices = ("Personnes non enregistrées, faute de consentement : Dörte, Łukasz.",)
    result = make(ended_at=recorded.zero + 4, notices=notices, title="Comité de pilotage")
    assert (result.duration, result.closing) == (pytest.approx(4.0 + CLOSING, abs=0.2), CLOSING)
    mp4 = film.whole(result, recorded.key)
    assert film.lasts(mp4)[1] == pytest.approx(4.0 + CLOSING, abs=0.2)
    card = np.asarray(labels.closing_card("Comité de pilotage", notices, 640, 360).convert("L"), float)
    shown = film.still(mp4, 6.0).astype(float)
    assert np.corrcoef(shown.ravel(), card.ravel())[0, 1] > 0.95
    assert np.corrcoef(film.still(mp4, 3.0).astype(float).ravel(), card.ravel())[0, 1] < 0.5
    sound = film.listen(mp4)
    assert tones.heard(sound, 600, 0.0, 4.0) > 0.05
    assert np.abs(sound[int(4.2 * 48_000) :]).max() < 0.01


def test_a_cut_event_of_the_capture_counts_as_well(tmp_path):
    key = new_key()
    meeting = Meeting((Guest("ana", "Ana", ANA, 600, video=False),), 4.0, cuts=(("ana", 1.5, 2.5),))
    made = record(tmp_path / "c", key, meeting)
    job = RenderJob(str(made.directory), str(tmp_path / "o"), made.zero, **SMALL)
    result = render(job, capture_key=key, output_key=key)
    sound = film.listen(film.whole(result, key))
    assert tones.heard(sound, 600, 1.5, 2.5) < 0.02
    assert tones.heard(sound, 600, 0.5, 1.4) > 0.05


def test_frames_can_be_changed_between_journal_and_decoder(make, recorded):
    """As end-to-end decryption will: here whatever Bo sent stays unreadable."""

    def without_bo(track, frame):
        return None if track.person.identity == "bo" else frame

    result = make(ended_at=recorded.zero + 4, transform=without_bo)
    sound = film.listen(film.whole(result, recorded.key))
    assert tones.heard(sound, 1000, 0, 4) < 0.02
    assert tones.heard(sound, 600, 0, 4) > 0.05


@pytest.mark.parametrize(("wish", "codec"), [("av1", "libdav1d"), ("vp9", "vp9")])
def test_other_codecs_can_be_wished_for(make, recorded, wish, codec):
    result = make(ended_at=recorded.zero + 3, video_codec=wish)
    mp4 = film.whole(result, recorded.key)
    with av.open(io.BytesIO(mp4)) as opened:
        assert opened.streams.video[0].codec_context.name == codec
    assert film.lasts(mp4)[0] == pytest.approx(3.0, abs=0.2)
    priorities = {os.sched_getparam(int(task.name)).sched_priority for task in Path("/proc/self/task").iterdir()}
    assert HIGHEST_PRIORITY not in priorities, "the encoder keeps the whole machine to itself"


def test_an_encoder_that_this_machine_lacks_is_replaced(monkeypatch):
    have = set(av.codecs_available) - {"libx264"}
    monkeypatch.setattr(av, "codecs_available", have)
    assert choose_encoder("h264")[0] == "libsvtav1"
    monkeypatch.setattr(av, "codecs_available", set())
    with pytest.raises(FilmError, match="none of the encoders"):
        choose_encoder("h264")


def test_a_film_that_is_not_whole_does_not_pass(make, recorded, tmp_path):
    (part,) = make(ended_at=recorded.zero + 3).parts
    verify(part, recorded.key)
    wrong = part.__class__(part.path, part.size, part.start, part.duration + 1)
    with pytest.raises(FilmError, match="lasts"):
        verify(wrong, recorded.key)
    with SealedFile.create(tmp_path / "half", recorded.key) as half:
        half.write(film.clear(part.path, recorded.key).replace(b"moov", b"free"))
    with pytest.raises(FilmError, match="index is not at its front"):
        verify(part.__class__(str(tmp_path / "half"), 0, 0, 3), recorded.key)
    with pytest.raises(SealedError):
        verify(part, new_key())
