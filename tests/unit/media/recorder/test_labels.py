"""Names as they are drawn."""

import numpy as np
import pytest
from PIL import Image, ImageFont

from media.recorder import labels
from media.recorder.canvas import Canvas, planes_from, sprite, yuv
from media.recorder.layout import Rect

TILE = Rect(0, 0, 320, 180)


def contrast(one, other):
    """WCAG 2.2, relative luminance."""

    def luminance(colour):
        linear = [(c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4) for c in (v / 255 for v in colour)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", ["Amélie Duränd", "Bjørn Ğül", "Łukasz Żółć", "Ștefan", "Œuvre Ÿ"])
def test_the_bundled_typeface_has_the_letters_of_europe(name):
    font = labels.font_for(name, 20)
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert "Atkinson" in str(font.getname()[0])


def test_a_letter_that_the_typeface_lacks_is_looked_for_in_others():
    fonts = list(labels._typefaces(20))
    best = labels.font_for("Иван", 20)
    assert labels._lacking(best, "Иван") == min(labels._lacking(font, "Иван") for font in fonts)


def test_accents_are_drawn_composed_or_not():
    composed = labels.name_plate("Amélie", TILE, 720, muted=False)
    decomposed = labels.name_plate("Ame\u0301lie", TILE, 720, muted=False)
    plain = labels.name_plate("Amelie", TILE, 720, muted=False)
    assert np.array_equal(composed.planes[0], decomposed.planes[0])
    assert not np.array_equal(composed.planes[0], plain.planes[0])


@pytest.mark.parametrize("width", [60, 120, 320])
@pytest.mark.parametrize("muted", [False, True])
def test_a_long_name_is_shortened_to_its_tile(width, muted):
    plate = labels.name_plate("Maximiliane-Friederike von und zu Hohenstein", Rect(0, 0, width, 90), 720, muted=muted)
    assert plate.width <= width
    assert plate.width % 2 == plate.height % 2 == 0


@pytest.mark.parametrize(
    ("name", "cleaned"), [("  Ana \n Bo\u202e ", "Ana Bo"), ("", "?"), ("\x00\x07", "?"), ("x" * 500, "x" * 80)]
)
def test_names_are_made_drawable(name, cleaned):
    assert labels.clean(name) == cleaned


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Amélie Duränd", "AD"), ("chloé", "CH"), ("Jean-Luc de la Tour", "JT"), ("🙂", "?"), ("(x) y", "XY")],
)
def test_initials(name, letters):
    assert labels.initials(name) == letters


@pytest.mark.parametrize("colour", labels.AVATARS)
def test_white_initials_can_be_read_on_every_avatar(colour):
    assert contrast(colour, labels.WHITE) >= 4.5


def test_a_muted_microphone_is_drawn():
    with_icon = labels.name_plate("Bo", TILE, 720, muted=True)
    assert with_icon.width > labels.name_plate("Bo", TILE, 720, muted=False).width


def test_colours_come_out_as_they_went_in():
    """Against ITU-R BT.601: white, black, and the three primaries at 100 %."""
    assert [yuv(*c) for c in ((255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255))] == [
        (235, 128, 128), (16, 128, 128), (81, 90, 240), (145, 54, 34), (41, 240, 110),
    ]  # fmt: skip
    planes = planes_from(Image.new("RGB", (4, 2), (255, 0, 0)))
    assert [int(plane[0, 0]) for plane in planes] == [81, 90, 240]


def test_a_sprite_covers_by_its_transparency():
    canvas = Canvas(8, 8)
    canvas.fill(Rect(0, 0, 8, 8), (16, 128, 128))
    half = Image.new("RGBA", (3, 3), (255, 255, 255, 128))
    canvas.blend(sprite(half), 2, 2)
    assert int(canvas.planes[0][3, 3]) == pytest.approx(126, abs=2)
    assert int(canvas.planes[0][0, 0]) == 16
    assert int(canvas.planes[0][6, 6]) == 16


def test_lines_are_broken_between_words_and_fit():
    text = "Not recorded, as they did not consent: Maximiliane-Friederike von und zu Hohenstein, Bo, Ana."
    font = labels.font_for(text, 20)
    lines = labels.wrap(text, font, 300)
    assert " ".join(lines) == text
    assert all(font.getlength(line) <= 300 for line in lines)
    (long,) = labels.wrap("x" * 200, font, 300)
    assert long.endswith("…")


def test_a_card_at_the_end_stays_inside_the_picture_however_many_are_named():
    names = ", ".join(["Maximiliane-Friederike von und zu Hohenstein"] * 40)
    image = np.asarray(labels.closing_card("Budget", [f"Not recorded: {names}.", f"Not reached: {names}."], 640, 360))
    written = (image != labels.GROUND).any(axis=2)
    assert written.any()
    assert not written[:10].any()
    assert not written[-10:].any()
    assert not written[:, :40].any()
    assert not written[:, -40:].any()
