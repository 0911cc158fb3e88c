"""Tracks become one transcript in order of time."""

from __future__ import annotations

from media.speech.transcript import CallFacts, Line, assemble, turns

FACTS = CallFacts("Budget", 1_795_514_640.0, 600.0, ("Alice", "Bruno", "Chloé"), not_recorded=("Chloé",))


def line(speaker: str, start: float, end: float, text: str = "words", language: str = "fr") -> Line:
    return Line(speaker, f"@{speaker.lower()}:example.org", start, end, text, language)


def test_people_who_speak_in_turn_and_at_once_stand_in_order_of_their_beginning():
    alice = [line("Alice", 0.0, 8.0), line("Alice", 8.5, 12.0)]
    bruno = [line("Bruno", 4.0, 5.0), line("Bruno", 11.0, 15.0)]
    transcript = assemble(FACTS, [alice, bruno])
    assert [(said.speaker, said.start) for said in transcript.lines] == [
        ("Alice", 0.0),
        ("Bruno", 4.0),
        ("Alice", 8.5),
        ("Bruno", 11.0),
    ]
    assert (transcript.title, transcript.duration, transcript.not_recorded) == ("Budget", 600.0, ("Chloé",))


def test_two_who_begin_at_the_same_moment_have_a_stable_order():
    first, second = line("Alice", 1.0, 2.0), line("Bruno", 1.0, 2.0)
    assert assemble(FACTS, [[second], [first]]).lines == assemble(FACTS, [[first], [second]]).lines


def test_the_most_spoken_language_comes_first():
    said = [line("Alice", 0, 1, "short", "de"), line("Alice", 2, 3, "a much longer sentence", "fr")]
    assert assemble(FACTS, [said]).languages == ("fr", "de")


def test_a_call_in_which_nobody_spoke_has_an_empty_transcript():
    assert assemble(FACTS, []).lines == ()


def test_lines_of_one_speaker_are_one_turn_until_another_speaks():
    found = turns([line("Alice", 0, 1), line("Alice", 2, 3), line("Bruno", 4, 5), line("Alice", 6, 7)])
    assert [(turn.speaker, len(turn.lines)) for turn in found] == [("Alice", 2), ("Bruno", 1), ("Alice", 1)]


def test_a_long_silence_and_a_long_speech_begin_new_turns():
    assert len(turns([line("Alice", 0, 1), line("Alice", 60, 61)])) == 2
    assert len(turns([line("Alice", 10.0 * n, 10.0 * n + 9) for n in range(20)])) == 2


def test_two_people_of_the_same_name_are_not_one():
    same = Line("Alice", "@other:example.org", 2, 3, "words", "fr")
    assert len(turns([line("Alice", 0, 1), same])) == 2
