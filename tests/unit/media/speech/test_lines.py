"""Lines of a length that people read, with the times of their words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media.speech.engine import Recognition, Word
from media.speech.lines import LONGEST_LINE, cut_lines


def recognised(text: str, seconds: float = 0.0) -> Recognition:
    """With word times of half a second each, or without any."""
    words = tuple(Word(word, n * 0.5, n * 0.5 + 0.4) for n, word in enumerate(text.split())) if seconds else ()
    return Recognition(text, words, -0.1, 0.0, "en")


def test_a_short_utterance_is_one_line():
    (line,) = cut_lines(recognised("Good morning everybody.", 2.0), 2.0)
    assert (line.text, line.start, line.end) == ("Good morning everybody.", 0.0, 1.4)


def test_sentences_are_lines_but_a_yes_stays_with_what_follows():
    text = "Yes. I would like to begin with the budget. Any questions so far, anybody?"
    assert [line.text for line in cut_lines(recognised(text, 9.0), 9.0)] == [
        "Yes. I would like to begin with the budget.",
        "Any questions so far, anybody?",
    ]


def test_a_long_sentence_is_cut_at_a_comma_into_shares_of_about_the_same_length():
    text = (
        "Ich ging also in das Haus hinein und holte meine Geige, die ich recht artig spielte, von der Wand, "
        "mein Vater gab mir noch einige Groschen Geld mit auf den Weg"
    )
    lines = [line.text for line in cut_lines(recognised(text, 20.0), 20.0)]
    assert " ".join(lines) == text
    assert lines[0].endswith(",")
    assert max(map(len, lines)) <= LONGEST_LINE
    assert min(map(len, lines)) >= LONGEST_LINE / 3


def test_without_word_times_lines_share_the_time_by_their_letters():
    first, second = cut_lines(recognised("One sentence of this length. Two sentence of this length."), 8.0)
    assert (first.start, second.end) == (0.0, 8.0)
    assert 3.5 < first.end == second.start < 4.5


def test_times_never_leave_the_utterance():
    words = (Word("before", -0.5, 0.2), Word("after.", 1.0, 99.0))
    (line,) = cut_lines(Recognition("before after.", words, 0.0, 0.0, "en"), 2.0)
    assert (line.start, line.end) == (0.0, 2.0)


@given(st.lists(st.text(st.sampled_from("ab.,?"), min_size=1, max_size=40), max_size=80), st.booleans())
def test_no_word_is_lost_or_said_twice_and_times_run_forward(words, timed):
    text = " ".join(words)
    lines = cut_lines(recognised(text, 40.0 if timed else 0.0), 40.0)
    assert " ".join(line.text for line in lines) == text
    times = [time for line in lines for time in (line.start, line.end)]
    assert times == sorted(times)
