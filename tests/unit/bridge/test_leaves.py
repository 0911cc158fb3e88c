"""What becomes of a delegated leave, event by event, with the time as an argument."""

from __future__ import annotations

import itertools
import random

import pytest

from bridge.leaves import (
    AWAY_GRACE,
    LONGEST_PAUSE,
    LONGEST_WAIT,
    RETURN_GRACE,
    TABLE,
    Act,
    Event,
    Leave,
    State,
    delegated,
    step,
)
from palabre.base.ids import MeetingId

START = 1_000.0
HOUR = 3600.0
ANSWERS = {Event.PUT_OFF, Event.SENT, Event.UNKNOWN, Event.REFUSED, Event.FAILED}


def fresh(timeout: float = HOUR) -> Leave:
    return delegated(MeetingId("m"), "@a:hs:DEV", "@a:hs", "https://hs", "syd_1", timeout, now=START)


def go(leave: Leave, *events: Event, now: float = START) -> Leave:
    """The leave after these, which must not end it."""
    for event in events:
        after, _ = step(leave, event, now)
        assert after is not None
        leave = after
    return leave


def test_every_event_is_foreseen_in_every_state_but_answers_where_nothing_was_asked() -> None:
    for state, event in itertools.product(State, Event):
        if state is State.WAITING and event in ANSWERS:
            assert (state, event) not in TABLE
        else:
            assert (state, event) in TABLE


def test_a_client_that_connects_is_put_off_at_once_and_then_at_four_fifths_of_its_timeout() -> None:
    leave, act = step(fresh(), Event.PRESENT, START + 2)
    assert leave is not None
    assert (leave.state, act) == (State.CONNECTED, Act.RESTART)
    leave, act = step(leave, Event.PUT_OFF, START + 3)
    assert leave is not None
    assert (leave.due_at, act) == (START + 3 + 0.8 * HOUR, None)
    _, act = step(leave, Event.DUE, leave.due_at)
    assert act is Act.RESTART


def test_a_client_that_never_connects_leaves_when_its_timeout_is_over_or_after_an_hour() -> None:
    for timeout, wait in ((18.0, 18.0), (HOUR, HOUR), (5 * HOUR, LONGEST_WAIT)):
        leave = fresh(timeout)
        assert leave.due_at == START + wait
        assert step(leave, Event.DUE, leave.due_at)[1] is Act.SEND


def test_a_connection_that_ends_is_a_leaving_after_a_moment_in_which_it_may_come_back() -> None:
    leave = go(fresh(), Event.PRESENT, Event.PUT_OFF, Event.GONE)
    assert (leave.state, leave.due_at) == (State.AWAY, START + AWAY_GRACE)
    back, act = step(leave, Event.PRESENT, START + 0.2)
    assert back is not None
    assert (back.state, act) == (State.CONNECTED, Act.RESTART)
    leaving, act = step(leave, Event.DUE, leave.due_at)
    assert leaving is not None
    assert (leaving.state, act) == (State.LEAVING, Act.SEND)
    assert step(leaving, Event.SENT, START + 6) == (None, None)


@pytest.mark.parametrize("answer", [Event.UNKNOWN, Event.REFUSED])
def test_an_event_that_the_homeserver_does_not_have_any_more_is_nobodys_business(answer: Event) -> None:
    connected = go(fresh(), Event.PRESENT)
    leaving = go(fresh(), Event.PRESENT, Event.GONE, Event.DUE)
    assert step(connected, answer, START) == (None, None)
    assert step(leaving, answer, START) == (None, None)


def test_a_homeserver_that_does_not_answer_is_asked_again_with_growing_pauses_until_it_acts_by_itself() -> None:
    leave: Leave | None = go(fresh(600.0), Event.PRESENT, Event.PUT_OFF, Event.GONE, Event.DUE)
    now, pauses = START + 10, []
    while leave is not None:
        leave, act = step(leave, Event.FAILED, now)
        if leave is not None:
            assert act is None
            pauses.append(leave.due_at - now)
            now = leave.due_at
            assert step(leave, Event.DUE, now)[1] is Act.SEND
    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses) == LONGEST_PAUSE
    assert now >= START + 600


def test_the_homeservers_wish_to_be_left_alone_is_obeyed() -> None:
    leave, _ = step(go(fresh(), Event.PRESENT), Event.FAILED, START, wait=120.0)
    assert leave is not None
    assert leave.due_at == START + 120
    leave, _ = step(leave, Event.FAILED, START + 120, wait=0.0)
    assert leave is not None
    assert leave.due_at == START + 122


def test_an_answer_to_putting_off_that_comes_when_the_client_is_gone_does_not_keep_it() -> None:
    leave = go(fresh(), Event.PRESENT, Event.GONE)
    for answer in (Event.PUT_OFF, Event.FAILED):
        after = go(leave, answer)
        assert (after.state, after.due_at) == (State.AWAY, leave.due_at)
    leaving = go(leave, Event.DUE, Event.PUT_OFF)
    assert leaving.state is State.LEAVING


def test_a_client_that_comes_back_while_its_leaving_cannot_be_sent_stays() -> None:
    leave = go(fresh(), Event.PRESENT, Event.GONE, Event.DUE, Event.FAILED)
    after, act = step(leave, Event.PRESENT, START + 20)
    assert after is not None
    assert (after.state, act, after.attempts) == (State.CONNECTED, Act.RESTART, 0)


def test_after_a_restart_of_ours_clients_have_a_while_to_come_back() -> None:
    connected = go(fresh(), Event.PRESENT, Event.PUT_OFF)
    for before in (connected, go(connected, Event.GONE)):
        leave = go(before, Event.RESTARTED, now=START + 100)
        assert (leave.state, leave.due_at) == (State.AWAY, START + 100 + RETURN_GRACE)
    waiting = go(fresh(), Event.RESTARTED, now=START + 100)
    assert (waiting.state, waiting.due_at) == (State.WAITING, START + HOUR)
    leaving = go(connected, Event.GONE, Event.DUE, Event.RESTARTED, now=START + 100)
    assert (leaving.state, leaving.due_at) == (State.LEAVING, START + 100)


def test_what_the_homeserver_has_sent_by_itself_while_we_were_down_is_forgotten() -> None:
    connected = go(fresh(), Event.PRESENT, Event.PUT_OFF)
    for leave in (fresh(), connected, go(connected, Event.GONE), go(connected, Event.GONE, Event.DUE)):
        assert step(leave, Event.RESTARTED, START + HOUR) == (None, None)


def test_a_timeout_of_a_millisecond_does_not_make_us_ask_a_thousand_times_a_second() -> None:
    leave = go(fresh(0.001), Event.PRESENT, Event.PUT_OFF)
    assert leave.due_at - START >= 1.0


@pytest.mark.parametrize("seed", range(50))
def test_in_whatever_order_things_happen_a_leave_ends_or_has_a_time_to_look_again(seed: int) -> None:
    """And a client that is away for good is sent away within seconds of it, or by its homeserver."""
    chance = random.Random(seed)
    leave: Leave | None = fresh(chance.choice([10.0, 600.0, HOUR]))
    now = START
    for _ in range(200):
        assert leave is not None
        event = chance.choice([each for each in Event if (leave.state, each) in TABLE])
        now += chance.random() * 10
        leave, act = step(leave, event, now)
        if leave is None:
            return
        assert leave.due_at <= max(now, leave.put_off_at) + max(LONGEST_WAIT, leave.timeout)
        assert act is None or leave.state in (State.CONNECTED, State.LEAVING)
