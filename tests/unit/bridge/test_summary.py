from __future__ import annotations

from bridge.call_store import Attendance
from bridge.consent_store import Answer, Consent, Kind
from bridge.people import Person
from bridge.summary import presence
from palabre.base.ids import CallId

START, END = 1000.0, 2000.0


def was_there(name: str, joined: float | None = 900.0, left: float | None = None, device: str = "tab") -> Attendance:
    return Attendance(f"{name}/{device}", Person(name, name.title()), joined, left)


def said(name: str, answer: Answer, at: float, kind: Kind = Kind.RECORDING) -> Consent:
    return Consent(CallId("c"), name, kind, answer, "page", at)


def test_whoever_said_no_or_nothing_is_missing() -> None:
    people = [was_there("ada"), was_there("bob"), was_there("eve")]
    history = [said("ada", Answer.YES, START), said("bob", Answer.NO, START + 3), said("eve", Answer.ASKED, START)]
    there = presence(people, history, Kind.RECORDING, START, END)
    assert (there.present, there.missing, there.partly) == (("Ada", "Bob", "Eve"), ("Bob", "Eve"), ())


def test_a_yes_after_a_moment_is_whole_and_a_late_or_withdrawn_one_is_partly() -> None:
    people = [was_there("ada"), was_there("bob"), was_there("eve")]
    history = [
        said("ada", Answer.YES, START + 20),
        said("bob", Answer.YES, START + 500),
        said("eve", Answer.YES, START),
        said("eve", Answer.NO, START + 400),
    ]
    there = presence(people, history, Kind.RECORDING, START, END)
    assert (there.missing, there.partly) == ((), ("Bob", "Eve"))


def test_consent_for_one_kind_says_nothing_about_the_other() -> None:
    history = [said("ada", Answer.YES, START, Kind.TRANSCRIPTION)]
    assert presence([was_there("ada")], history, Kind.RECORDING, START, END).missing == ("Ada",)


def test_a_yes_from_before_the_capture_counts() -> None:
    there = presence([was_there("ada")], [said("ada", Answer.YES, 950.0)], Kind.RECORDING, START, END)
    assert (there.missing, there.partly) == ((), ())


def test_whoever_left_before_or_came_after_or_never_came_was_not_there() -> None:
    people = [was_there("ada", 100.0, 900.0), was_there("bob", 2500.0), was_there("eve", None)]
    assert presence(people, [], Kind.RECORDING, START, END).present == ()


def test_somebody_on_two_devices_is_one_person() -> None:
    people = [was_there("ada", 900.0, 1200.0), was_there("ada", 1100.0, device="phone")]
    there = presence(people, [said("ada", Answer.YES, START)], Kind.RECORDING, START, END)
    assert (there.present, there.partly) == (("Ada",), ())


def test_leaving_ends_nobodys_consent() -> None:
    people = [was_there("ada", 900.0, 1500.0)]
    history = [said("ada", Answer.YES, START), said("ada", Answer.UNASKED, END)]
    assert presence(people, history, Kind.RECORDING, START, END).partly == ()
