import pytest

from media.recorder.budget import SPLIT, make_budget
from media.recorder.errors import RecordingError

PIXELS, FPS = 1280 * 720, 15
MB = 1_000_000


def test_without_a_limit_quality_is_not_bounded_by_size():
    budget = make_budget(3600, PIXELS, FPS, 0, 8)
    assert budget.part_bytes == 0
    assert budget.video_rate > 2_000_000
    assert not budget.must_split(10**12)


def test_a_short_film_under_a_limit_keeps_its_quality():
    assert make_budget(60, PIXELS, FPS, 50 * MB, 8).video_rate == make_budget(60, PIXELS, FPS, 0, 8).video_rate


@pytest.mark.parametrize("minutes", [5, 10, 15])
def test_a_longer_film_is_made_cheaper_so_that_one_file_holds_it(minutes):
    budget = make_budget(minutes * 60, PIXELS, FPS, 50 * MB, 8)
    assert (budget.video_rate + budget.audio_rate) * minutes * 60 / 8 < 50 * MB
    assert budget.video_rate > 200_000


def test_a_long_film_is_split_only_near_the_limit():
    budget = make_budget(3 * 3600, PIXELS, FPS, 100 * MB, 8)
    worst = (budget.video_rate + budget.audio_rate) * SPLIT / 8
    assert not budget.must_split(50 * MB)
    assert budget.must_split(int(100 * MB - worst))


def test_what_cannot_be_posted_is_refused_with_a_sentence():
    with pytest.raises(RecordingError, match=r"\(180 min\) is too large .* at most 10 MB") as refused:
        make_budget(3 * 3600, PIXELS, FPS, 10 * MB, 8)
    assert refused.value.code == "recording_too_large"
    assert refused.value.params == {"minutes": 180, "limit": 10}
