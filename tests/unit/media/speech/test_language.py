"""Which language somebody is taken to speak."""

from __future__ import annotations

from media.speech.language import LanguageChooser

FRENCH = {"fr": 0.98, "de": 0.01, "en": 0.01}
ENGLISH = {"fr": 0.01, "de": 0.01, "en": 0.98}
UNSURE = {"fr": 0.4, "de": 0.15, "en": 0.45}


def chooser() -> LanguageChooser:
    return LanguageChooser(("fr", "de", "en"))


def test_one_long_clear_utterance_settles_it():
    assert not chooser().settled
    found = chooser()
    found.hear(FRENCH, 4.0)
    assert found.settled
    assert found.choose(FRENCH, 4.0) == "fr"


def test_short_utterances_prove_nothing_and_follow_what_was_spoken_before():
    found = chooser()
    found.hear(ENGLISH, 1.0)
    assert not found.settled
    found.hear(FRENCH, 4.0)
    assert found.choose(ENGLISH, 1.0) == "fr"


def test_unclear_utterances_are_averaged():
    found = chooser()
    for probabilities in (UNSURE, {"fr": 0.8, "de": 0.1, "en": 0.1}, UNSURE):
        found.hear(probabilities, 4.0)
    assert found.settled
    assert found.choose(UNSURE, 4.0) == "fr"


def test_a_sentence_in_another_language_is_taken_as_such_and_what_follows_is_not():
    found = chooser()
    for _ in range(3):
        found.hear(FRENCH, 5.0)
    found.hear(ENGLISH, 5.0)
    assert found.choose(ENGLISH, 5.0) == "en"
    assert found.choose(UNSURE, 1.0) == "fr"


def test_somebody_who_changes_for_good_is_followed():
    found = chooser()
    for _ in range(3):
        found.hear(FRENCH, 5.0)
    for _ in range(2):
        found.hear(ENGLISH, 5.0)
    assert found.choose(UNSURE, 1.0) == "en"


def test_before_anything_long_was_heard_the_best_guess_has_to_do():
    assert chooser().choose(ENGLISH, 1.0) == "en"
    assert chooser().choose({}, 1.0) == "fr"


def test_a_meeting_of_one_language_has_no_choice():
    found = LanguageChooser(("de",))
    assert found.settled
    assert found.choose({"de": 1.0}, 5.0) == "de"
