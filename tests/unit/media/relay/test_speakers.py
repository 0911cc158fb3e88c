"""Who speaks, as changes."""

from __future__ import annotations

from media.relay.speakers import SILENT_LOOKS, Speakers


def changes(speakers: Speakers, **levels: int) -> list[tuple[str, bool]]:
    return [(info.sid, info.active) for info in speakers.look(levels)]


def test_only_changes_are_told() -> None:
    speakers = Speakers()
    assert changes(speakers, a=20, b=90) == [("a", True)]
    assert changes(speakers, a=20, b=90) == []
    assert changes(speakers, a=20, b=30) == [("b", True)]
    assert sorted(info.sid for info in speakers.current()) == ["a", "b"]


def test_a_pause_between_words_is_not_silence() -> None:
    speakers = Speakers()
    changes(speakers, a=20)
    for _ in range(SILENT_LOOKS - 1):
        assert changes(speakers, a=127) == []
    assert changes(speakers, a=127) == [("a", False)]
    assert changes(speakers, a=127) == []


def test_speaking_on_starts_the_pause_anew() -> None:
    speakers = Speakers()
    for _ in range(5):
        changes(speakers, a=20)
        changes(speakers, a=127)
    assert [info.sid for info in speakers.current()] == ["a"]


def test_who_is_muted_or_gone_stops_at_once() -> None:
    speakers = Speakers()
    changes(speakers, a=20)
    assert changes(speakers) == [("a", False)]


def test_louder_is_more() -> None:
    speakers = Speakers()
    (quiet,) = speakers.look({"a": 40})
    (loud,) = speakers.look({"a": 0})
    assert 0 < quiet.level < loud.level == 1.0
