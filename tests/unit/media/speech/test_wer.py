"""The measure that other tests judge by must itself be right."""

from __future__ import annotations

from tests.support.wer import word_error_rate, word_errors, words


def test_case_punctuation_and_the_writing_of_numbers_do_not_count():
    assert word_errors("One, two – three!", "one 2 three", "en") == (0, 3)
    assert words("L’appel 1", "fr") == ["l", "appel", "un"]


def test_each_wrong_missing_and_added_word_counts_once():
    assert word_errors("a b c d", "a x c d", "en") == (1, 4)
    assert word_errors("a b c d", "a c d", "en") == (1, 4)
    assert word_errors("a b c d", "a b b c d", "en") == (1, 4)
    assert word_errors("a b c d", "", "en") == (4, 4)


def test_a_rate_may_be_above_one():
    assert word_error_rate("a", "b c d", "en") == 3.0
