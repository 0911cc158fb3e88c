"""What is drawn again, and what must not be left behind."""

import numpy as np
from av.video.frame import VideoFrame

from media.recorder import labels
from media.recorder.canvas import Canvas, yuv
from media.recorder.layout import Rect
from media.recorder.stage import Cards, Stage, snapshot
from media.recorder.timeline import Scene, Tile

W, H = 640, 360
LEFT, RIGHT = Rect(0, 0, 320, 360), Rect(320, 0, 320, 360)
RING = yuv(*labels.SPEAKING)


class Reader:
    """A picture that is there from `since` on; `version` as `PictureReader` has it."""

    def __init__(self, since=0.0, luma=200):
        self.since, self.version, self.asked = since, 0, []
        self.picture = VideoFrame.from_ndarray(np.full((270, 320), luma, np.uint8), "yuv420p")

    def advance(self, at):
        self.asked.append(at)
        self.version = int(at * 10)
        return self.picture if at >= self.since else None


NO_CARDS = Cards("")


def tile(identity, rect, video=None):
    return Tile(identity, identity.title(), rect, video, screen=False, muted=False)


def stage(scenes, readers=None, speaking=None, cards=NO_CARDS):
    opened: list[str] = []

    def opener(name):
        def make():
            opened.append(name)
            return (readers or {})[name]

        return make

    made = Stage(Canvas(W, H), scenes, {name: opener(name) for name in readers or {}}, speaking or {}, cards)
    return made, opened


def ring_pixels(canvas, rect):
    luma, cb, cr = canvas.planes
    y, x = np.mgrid[rect.y : rect.y + rect.height : 2, rect.x : rect.x + rect.width : 2]
    near = [
        abs(plane.astype(int) - value) < 6
        for plane, value in zip((luma[y, x], cb[y // 2, x // 2], cr[y // 2, x // 2]), RING, strict=True)
    ]
    return int((near[0] & near[1] & near[2]).sum())


def test_a_ring_is_around_who_speaks_and_goes_without_a_trace():
    """The picture does not fill its tile, so that it does not draw over the ring by itself."""
    scene = Scene(0.0, 10.0, (tile("ana", LEFT, "a"), tile("bo", RIGHT)))
    made, _ = stage([scene], {"a": Reader()}, {"ana": ((1.0, 2.0),), "bo": ((1.0, 2.0),)})
    made.draw(0.5)
    assert ring_pixels(made.canvas, LEFT) == ring_pixels(made.canvas, RIGHT) == 0
    made.draw(1.5)
    assert ring_pixels(made.canvas, LEFT) > 100
    assert ring_pixels(made.canvas, RIGHT) > 100
    made.draw(2.5)
    assert ring_pixels(made.canvas, LEFT) == ring_pixels(made.canvas, RIGHT) == 0


def test_a_picture_that_ends_leaves_the_card_with_the_name():
    scene = Scene(0.0, 10.0, (tile("ana", LEFT, "a"), tile("bo", RIGHT)))
    reader = Reader()
    made, _ = stage([scene], {"a": reader})
    made.draw(1.0)
    assert made.live == 1
    assert int(made.canvas.planes[0][180, 40]) > 150
    reader.since = 99.0
    made.draw(2.0)
    assert made.live == 0
    assert int(made.canvas.planes[0][180, 40]) < 80


def test_readers_are_opened_when_shown_and_let_go_after_the_last_time():
    first = Scene(0.0, 1.0, (tile("ana", LEFT, "a"), tile("bo", RIGHT)))
    second = Scene(1.0, 2.0, (tile("ana", LEFT), tile("bo", RIGHT, "b")))
    readers = {"a": Reader(), "b": Reader()}
    made, opened = stage([first, second], readers)
    made.draw(0.5)
    assert opened == ["a"]
    made.draw(1.5)
    assert opened == ["a", "b"]
    assert list(made._readers) == ["b"]


def test_nothing_of_a_scene_is_left_in_the_next():
    full = Rect(0, 0, W, H)
    made, _ = stage([Scene(0.0, 1.0, (tile("ana", full, "a"),)), Scene(1.0, 2.0, ())], {"a": Reader()})
    made.draw(0.5)
    assert made.canvas.planes[0].mean() > 150
    made.draw(1.5)
    assert made.canvas.planes[0].std() < 1


def test_while_nobody_is_there_the_title_is_shown():
    made, _ = stage([Scene(0.0, 1.0, ())], cards=Cards("Comité de pilotage"))
    made.draw(0.0)
    assert int(made.canvas.planes[0].max()) > 120


def test_a_snapshot_has_the_colours_of_the_canvas():
    canvas = Canvas(W, H)
    canvas.fill(Rect(0, 0, W, H), yuv(200, 30, 40))
    image = snapshot(canvas, 160)
    assert image.size == (160, 90)
    assert np.abs(np.asarray(image)[40, 80].astype(int) - (200, 30, 40)).max() <= 3


def test_where_nobody_is_because_the_service_was_away_that_is_written_and_not_the_title():
    nobody, away, nobody_again = Scene(0.0, 2.0, ()), Scene(4.0, 9.0, ()), Scene(9.0, 12.0, ())
    cards = Cards("Budget", "The service was away", ((4.2, 8.9),))
    assert [cards.text(scene) for scene in (nobody, away, nobody_again)] == ["Budget", "The service was away", "Budget"]
    made, _ = stage([nobody, away], cards=cards)
    made.draw(1.0)
    title = made.canvas.planes[0].copy()
    made.draw(5.0)
    assert (made.canvas.planes[0] != title).any()


def test_from_the_end_of_the_call_on_it_is_written_who_is_not_in_the_film():
    cards = Cards("Budget", notices=("Not recorded: Eve.",), closing=2.0)
    made, _ = stage([Scene(0.0, 2.0, ()), Scene(2.0, 8.0, ())], cards=cards)
    made.draw(1.0)
    title = made.canvas.planes[0].copy()
    made.draw(2.0)
    assert (made.canvas.planes[0] > 120).sum() > (title > 120).sum()
