"""Where utterances begin and end."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from media.speech.cutting import LEAD, LEAST_SPEECH, LONGEST, MARGIN, PAUSE, SEARCH, TAIL, Cutter, Span

QUIET, LOUD = 0.01, 0.99


def cut(probabilities: list[float]) -> list[Span]:
    cutter = Cutter()
    spans = [span for span in map(cutter.feed, probabilities) if span]
    last = cutter.finish()
    return [*spans, last] if last else spans


def test_silence_has_no_utterance():
    assert cut([QUIET] * 500) == []


def test_an_utterance_keeps_a_little_before_and_after_its_speech():
    assert cut([QUIET] * 50 + [LOUD] * 40 + [QUIET] * 50) == [Span(50 - LEAD, 90 + TAIL)]


def test_it_is_over_as_soon_as_the_pause_is_long_enough():
    cutter = Cutter()
    for probability in [LOUD] * 40 + [QUIET] * (PAUSE - 1):
        assert cutter.feed(probability) is None
    assert cutter.feed(QUIET) == Span(0, 40 + TAIL)


def test_a_short_pause_does_not_end_it():
    speech = [LOUD] * 40 + [QUIET] * (PAUSE - 1) + [LOUD] * 40
    assert cut(speech + [QUIET] * PAUSE) == [Span(0, len(speech) + TAIL)]


def test_a_weak_syllable_does_not_end_it_and_does_not_begin_one():
    assert cut([0.4] * 200) == []
    assert len(cut([LOUD] * 20 + [0.4] * 60 + [LOUD] * 20 + [QUIET] * 30)) == 1


def test_a_click_is_no_utterance():
    assert cut([QUIET] * 30 + [LOUD] * (LEAST_SPEECH - 1) + [QUIET] * 60) == []
    assert len(cut([QUIET] * 30 + [LOUD] * LEAST_SPEECH + [QUIET] * 60)) == 1


def test_a_long_speech_is_cut_at_its_quietest_moment_of_late():
    speech = [LOUD] * (2 * LONGEST)
    speech[40] = 0.4  # quieter still, but too early
    dip = LONGEST - SEARCH // 2
    speech[dip] = 0.45
    first, second, *_ = cut(speech)
    assert first == Span(0, dip)
    assert second.first == dip


def test_a_long_speech_is_not_cut_in_what_was_just_heard():
    speech = [LOUD] * LONGEST
    speech[-MARGIN + 1] = 0.4
    assert cut([*speech, *[QUIET] * PAUSE])[0].end < LONGEST - MARGIN


def test_the_track_may_end_in_the_middle_of_a_word():
    assert cut([LOUD] * 40) == [Span(0, 40)]


@given(st.lists(st.tuples(st.sampled_from([QUIET, 0.4, 0.6, LOUD]), st.integers(1, 80)), max_size=40))
def test_utterances_are_in_order_never_too_long_and_never_twice_the_same_sound(runs):
    probabilities = [probability for probability, count in runs for _ in range(count)]
    cutter = Cutter()
    spans = []
    for probability in probabilities:
        oldest = cutter.oldest
        if span := cutter.feed(probability):
            assert span.first >= oldest  # what was to be kept was enough
            spans.append(span)
    if last := cutter.finish():
        spans.append(last)
    for span in spans:
        assert 0 < span.end - span.first <= LONGEST
        assert span.end <= len(probabilities)
    for before, after in itertools.pairwise(spans):
        assert before.end <= after.first
