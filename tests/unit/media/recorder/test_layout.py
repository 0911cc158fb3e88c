import pytest

from media.recorder.layout import MAX_BESIDE, Rect, beside_share, fit, grid


def overlap(a, b):
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def check(rects, width, height):
    for number, rect in enumerate(rects):
        assert all(value % 2 == 0 for value in rect), "chroma samples cover two pixels"
        assert rect.x >= 0
        assert rect.y >= 0
        assert rect.x + rect.width <= width
        assert rect.y + rect.height <= height
        assert not any(overlap(rect, other) for other in rects[number + 1 :])


@pytest.mark.parametrize(("width", "height"), [(640, 360), (852, 480), (1280, 720), (1920, 1080)])
@pytest.mark.parametrize("count", range(1, 10))
def test_tiles_of_a_grid_are_even_inside_and_apart(count, width, height):
    tiles = grid(count, width, height)
    assert len(tiles) == count
    check(tiles, width, height)
    assert all(abs(tile.width / tile.height - 16 / 9) < 0.05 for tile in tiles)


def test_the_last_row_of_a_grid_is_centred():
    first, second, third = grid(3, 1280, 720)
    assert third.x + third.width / 2 == pytest.approx(640, abs=2)
    assert first.y == second.y < third.y


def test_one_person_fills_the_picture():
    assert grid(1, 1280, 720) == (Rect(0, 0, 1280, 720),)


@pytest.mark.parametrize(("width", "height"), [(640, 360), (1280, 720), (1920, 1080)])
@pytest.mark.parametrize("count", range(8))
def test_a_shared_screen_is_large_and_people_are_beside_it(count, width, height):
    screen, people = beside_share(count, width, height)
    assert len(people) == min(count, MAX_BESIDE)
    check((screen, *people), width, height)
    assert screen.width * screen.height > 0.7 * width * height


@pytest.mark.parametrize(
    ("shape", "expected"), [((640, 360), (320, 180)), ((360, 640), (100, 180)), ((4, 3), (240, 180))]
)
def test_pictures_of_any_shape_are_shown_whole(shape, expected):
    width, height = shape
    rect = fit(width, height, Rect(100, 50, 320, 180))
    assert (rect.width, rect.height) == expected
    check((rect,), 420, 230)
