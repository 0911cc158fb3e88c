import pytest

from media.recorder.job import Cut, FilmPart, FilmPerson, Poster, RenderJob, RenderResult


def test_a_job_survives_json():
    job = RenderJob("/c", "/o", 12.5, 99.0, "Comité", 480, 25, "av1", 5, 2, ("Dana",), (Cut("ana", 1.0, 2.0),))
    assert RenderJob.from_json(job.to_json()) == job
    assert RenderJob.from_json('{"capture": "/c", "output": "/o", "started_at": 1}') == RenderJob("/c", "/o", 1)


def test_a_result_survives_json():
    part, poster = FilmPart("/o/f", 10, 0.0, 2.0), Poster("/o/p", 640, 360)
    person = FilmPerson("ana", "@ana:example.org", "Amélie", 2.0)
    result = RenderResult((part,), poster, 1280, 720, 5.0, 2.0, (person,), ("Dana",), True, ("damaged",))
    assert RenderResult.from_json(result.to_json()) == result


@pytest.mark.parametrize(
    "wrong",
    [{"height": 721}, {"frames_per_second": 0}, {"video_codec": "vp8"}, {"max_bytes": -1}, {"max_parts": 0}],
)
def test_a_job_that_cannot_be_rendered_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RenderJob("/c", "/o", 0.0, **wrong)
