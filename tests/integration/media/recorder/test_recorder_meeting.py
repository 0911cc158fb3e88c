"""A meeting of three with every trouble a network has: what the film shows and lets hear of it.

Amélie's layers change and she shares her screen, Bjørn mutes, Chloé comes late and turns her camera off for a while;
Dana declined: she was in the call, clapping like the others, and no tap was ever opened.
"""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from media.recorder import labels
from media.recorder.audio import read_pcm
from media.recorder.job import RenderJob
from media.recorder.layout import beside_share, gap_of, grid
from media.recorder.reader import open_capture
from media.recorder.render import render
from palabre.base.sealed import new_key
from tests.support import film, tones
from tests.support.stamps import Stamp
from tests.support.synthetic_meeting import DELAY, Guest, Meeting, record

W, H, FPS = 1280, 720, 15
SECONDS = 16.0
JOINS, SHARE, MUTED, OFF, LOW = 4.0, (11.0, 14.0), (6.0, 9.0), (8.0, 11.0), (6.0, 8.5)
ANA, BO, CHLOE, SCREEN = 1, 2, 3, 17
TONES = dict(zip((ANA, BO, CHLOE), tones.FREQUENCIES, strict=False))
DANAS_TONE = tones.FREQUENCIES[3]
MEETING = Meeting(
    (
        Guest(
            "ana", "Amélie Duränd", ANA, TONES[ANA], ppm=80, wall=120, layers=("q", "h"), upper_gap=LOW, shares=SHARE
        ),
        Guest("bo", "Bjørn Ğül", BO, TONES[BO], ppm=-100, wall=-7.7, muted=(MUTED,)),
        Guest("chloe", "Chloé", CHLOE, TONES[CHLOE], ppm=50, wall=3.2, joins=JOINS, camera_off=(OFF,)),
    ),
    SECONDS,
)


def tiles(time):
    if time < JOINS:
        return dict(zip((ANA, BO), grid(2, W, H), strict=True))
    if SHARE[0] <= time < SHARE[1]:
        large, people = beside_share(3, W, H)
        return dict(zip((SCREEN, ANA, BO, CHLOE), (large, *people), strict=True))
    return dict(zip((ANA, BO, CHLOE), grid(3, W, H), strict=True))


class Made:
    """The film and all that was measured on it."""

    def __init__(self, folder):
        self.key, self.output_key = new_key(), new_key()
        self.recorded = record(folder / "capture", self.key, MEETING)
        self.progress: list[float] = []
        job = RenderJob(
            str(folder / "capture"), str(folder / "film"), self.recorded.zero, title="Comité", not_recorded=("Dana",)
        )
        self.result = render(job, capture_key=self.key, output_key=self.output_key, progress=self.progress.append)
        self.folder = folder
        self.mp4 = film.whole(self.result, self.output_key)
        self.seen = film.watch(self.mp4, tiles)
        self.sound = film.listen(self.mp4)

    def claps(self, number):
        """Whole seconds at which somebody was seen and heard clapping."""
        first, last = (int(JOINS), 15) if number == CHLOE else (1, 15)
        silent = {ANA: (), BO: range(int(MUTED[0]), int(MUTED[1])), CHLOE: range(int(OFF[0]), int(OFF[1]))}[number]
        return [second for second in range(first, last + 1) if second not in silent]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("meeting"))


def nearest(times, second):
    return min(times, key=lambda time: abs(time - second - DELAY))


def test_the_film_lasts_as_long_as_the_meeting(made):
    picture, sound = film.lasts(made.mp4)
    assert picture == pytest.approx(SECONDS, abs=1)
    assert sound == pytest.approx(picture, abs=0.1)
    assert made.result.duration == pytest.approx(SECONDS, abs=1)
    assert made.result.started_at == made.recorded.zero


@pytest.mark.parametrize("number", [ANA, BO, CHLOE])
def test_a_claps_flash_and_beep_are_within_a_tenth_of_a_second(made, number):
    flashes, beeps = made.seen[number].flashes(), tones.onsets(made.sound, TONES[number])
    for second in made.claps(number):
        assert abs(nearest(flashes, second) - nearest(beeps, second)) < 0.1


def test_claps_of_different_people_are_within_a_fifth_of_a_second(made):
    for second in range(12, 16):
        moments = [nearest(made.seen[number].flashes(), second) for number in TONES]
        moments += [nearest(tones.onsets(made.sound, tone), second) for tone in TONES.values()]
        assert max(moments) - min(moments) < 0.2


def test_claps_are_where_they_were_in_the_meeting(made):
    for number, tone in TONES.items():
        beeps = tones.onsets(made.sound, tone)
        assert all(abs(nearest(beeps, second) - second) < 0.15 for second in made.claps(number))


def test_who_mutes_is_silent(made):
    assert tones.heard(made.sound, TONES[BO], MUTED[0] + 0.1, MUTED[1]) < 0.02
    assert tones.heard(made.sound, TONES[BO], MUTED[1], MUTED[1] + 0.5) > 0.1


def test_a_latecomer_is_neither_seen_nor_heard_before(made):
    assert tones.heard(made.sound, TONES[CHLOE], 0, JOINS) < 0.02
    assert min(made.seen[CHLOE].times) >= JOINS


@pytest.mark.parametrize("number", [ANA, BO, CHLOE, SCREEN])
def test_every_tile_shows_its_own_person_at_the_right_moment(made, number):
    seen = made.seen[number]
    starts = {CHLOE: JOINS, SCREEN: SHARE[0]}.get(number, 0.0)
    rate = 5 if number == SCREEN else MEETING.fps
    off = OFF if number == CHLOE else (0.0, 0.0)
    expected = [
        (time, stamp)
        for time, stamp in zip(seen.times, seen.stamps, strict=True)
        if not off[0] <= time < off[1] + 0.2 and time - starts > 0.2
    ]
    read: list[tuple[float, Stamp]] = [(time, stamp) for time, stamp in expected if stamp is not None]
    assert len(read) >= 0.97 * len(expected)
    assert {stamp.person for _, stamp in read} == {number}
    ages = [time - starts - stamp.frame / rate for time, stamp in read]
    assert min(ages) > -0.05
    assert np.percentile(ages, 95) < 0.15 + 1 / rate


def test_a_camera_that_is_off_shows_no_old_picture(made):
    seen = made.seen[CHLOE]
    off = [s for t, s in zip(seen.times, seen.stamps, strict=True) if OFF[0] + 0.1 < t < OFF[1]]
    assert len(off) > 30
    assert not any(off)


def test_names_are_on_the_tiles_of_their_people(made):
    luma = film.still(made.mp4, 7.5)
    inset = gap_of(H)
    names = {guest.number: guest.name for guest in MEETING.guests}
    for number, rect in tiles(7.5).items():
        likeness = {}
        for other, name in names.items():
            plate = labels.name_plate(name, rect, H, muted=other == BO)
            y = rect.y + (rect.height - plate.height - inset) // 2 * 2
            likeness[other] = film.shows(luma, plate, rect.x + inset, y)
        assert max(likeness, key=likeness.__getitem__) == number
        assert likeness[number] > 0.8


def test_who_declined_is_neither_seen_nor_heard_nor_named(made):
    assert tones.heard(made.sound, DANAS_TONE, 0, SECONDS) < 0.02
    shown = {stamp.person for seen in made.seen.values() for stamp in seen.stamps if stamp}
    assert shown == {ANA, BO, CHLOE, SCREEN}
    assert [person.name for person in made.result.people] == ["Amélie Duränd", "Bjørn Ğül", "Chloé"]
    assert made.result.not_recorded == ("Dana",)


def test_the_result_says_how_long_everybody_was_there(made):
    assert [round(person.seconds) for person in made.result.people] == [16, 16, 12]
    assert made.result.people[0].user == "@ana:example.org"
    assert not made.result.interrupted
    assert made.result.warnings == ()


def test_nobody_is_louder_than_the_others(made):
    loudest = [tones.heard(made.sound, tone, 9.0, 10.5) for tone in TONES.values()]
    assert max(loudest) / min(loudest) < 1.5
    assert np.abs(made.sound).max() < 0.95


def test_the_film_plays_before_it_is_loaded_whole(made):
    order = film.boxes(made.mp4)
    assert order.index("moov") < order.index("mdat")
    assert made.result.parts[0].size == len(made.mp4)


def test_the_poster_shows_people(made):
    poster = Image.open(io.BytesIO(film.clear(made.result.poster.path, made.output_key)))
    assert poster.format == "JPEG"
    assert poster.size == (made.result.poster.width, made.result.poster.height) == (640, 360)
    assert np.asarray(poster.convert("L")).std() > 20


def test_progress_rises_from_nothing_to_all(made):
    assert made.progress == sorted(made.progress)
    assert 0 < made.progress[0] < 0.5
    assert made.progress[-1] == 1.0
    assert len(made.progress) >= SECONDS


def test_nothing_that_lies_on_the_disk_can_be_read(made):
    secrets = [b"ftyp", b"moov", b"JFIF", b"x264", b"@ana", b"TR_ana", "Amélie".encode(), b"opus"]
    files = [path for path in made.folder.rglob("*") if path.is_file()]
    assert len(files) >= 9
    for path in files:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret in content], path.name


def test_one_persons_voice_comes_alone_for_the_transcript(made):
    capture = open_capture(made.folder / "capture", made.key)
    for number, identity in ((ANA, "ana"), (BO, "bo"), (CHLOE, "chloe")):
        line = np.zeros(round(SECONDS * 16_000) + 16_000, np.float32)
        end = 0.0
        for start, block in read_pcm(capture, identity, started_at=made.recorded.zero):
            assert start >= end - 0.001
            assert len(block) <= 16_000
            end = start + len(block) / 16_000
            at = round(start * 16_000)
            line[max(0, at) : at + len(block)] = block[max(0, -at) :]
        beeps = tones.onsets(line, TONES[number], rate=16_000)
        spoken = [
            second for second in range(1, 16) if second in made.claps(number) or (number == CHLOE and second >= JOINS)
        ]
        assert all(abs(nearest(beeps, second) - second) < 0.1 for second in spoken)
        others = [tone for other, tone in TONES.items() if other != number]
        assert max(tones.heard(line, tone, 0, SECONDS, rate=16_000) for tone in others) < 0.02
    assert list(read_pcm(capture, "dana", started_at=made.recorded.zero)) == []
