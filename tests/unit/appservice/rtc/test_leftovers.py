from __future__ import annotations

import dataclasses

from appservice.rtc.leftovers import GONE_SECONDS, NEVER_SEEN_SECONDS, Absences
from appservice.seams import RtcMember
from palabre.base.ids import EventId, UserId

OURS, THEIRS = "https://meet.example.org/livekit/jwt", "https://rtc.other.org/livekit/jwt"
ROOM = "!room"


def member(user: str = "@alice:hs", **changes: object) -> RtcMember:
    made = RtcMember(
        user_id=UserId(user),
        device_id="D",
        member_id="m",
        identity=f"{user}:D",
        slot_id="m.call#ROOM",
        foci=(OURS,),
        oldest_focus=False,
        created_at=1.0,
        expires_at=1e9,
        event_id=EventId("$1"),
        state_key=f"_{user}_D_m.call",
        sticky=False,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


class Watch:
    def __init__(self) -> None:
        self.absences = Absences(frozenset({OURS}))
        self.now = 0.0

    def after(self, seconds: float, *members: RtcMember, present: str = "") -> list[RtcMember]:
        self.now += seconds
        return self.absences.look(ROOM, members, frozenset(present.split()), self.now)


def test_who_was_there_and_is_gone_is_withdrawn_once() -> None:
    watch, alice = Watch(), member()
    assert watch.after(0, alice, present="@alice:hs:D") == []
    assert watch.after(5, alice) == []
    assert watch.after(GONE_SECONDS - 1, alice) == []
    assert watch.after(1, alice) == [alice]
    assert watch.after(GONE_SECONDS, alice) == []


def test_who_comes_back_is_there() -> None:
    watch, alice = Watch(), member()
    watch.after(0, alice, present="@alice:hs:D")
    watch.after(5, alice)
    watch.after(GONE_SECONDS - 1, alice, present="@alice:hs:D")
    assert watch.after(5, alice) == []
    assert watch.after(GONE_SECONDS - 1, alice) == []


def test_who_has_only_just_announced_has_time_to_connect() -> None:
    watch, alice = Watch(), member()
    assert watch.after(0, alice) == []
    assert watch.after(NEVER_SEEN_SECONDS - 1, alice) == []
    assert watch.after(1, alice) == [alice]


def test_after_a_restart_everybody_has_the_longer_time() -> None:
    watch, alice = Watch(), member()
    watch.after(0, alice)
    assert watch.after(GONE_SECONDS + 1, alice) == []


def test_a_new_event_is_a_sign_of_life() -> None:
    watch, alice = Watch(), member()
    watch.after(0, alice)
    again = dataclasses.replace(alice, event_id=EventId("$2"))
    assert watch.after(NEVER_SEEN_SECONDS - 1, again) == []
    assert watch.after(2, again) == []


def test_who_publishes_elsewhere_is_never_judged() -> None:
    watch = Watch()
    elsewhere = member(foci=(THEIRS, OURS))
    follows = member("@bob:hs", oldest_focus=True, created_at=2.0)
    nowhere = member("@carol:hs", foci=())
    for _ in range(3):
        assert watch.after(NEVER_SEEN_SECONDS, elsewhere, follows, nowhere) == []


def test_what_the_bot_could_not_withdraw_is_left_alone() -> None:
    watch = Watch()
    sticky, own_key = member(sticky=True), member("@bob:hs", state_key="@bob:hs")
    watch.after(0, sticky, own_key)
    assert watch.after(NEVER_SEEN_SECONDS, sticky, own_key) == []
