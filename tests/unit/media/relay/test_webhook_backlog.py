"""The events that wait to be told: in order, bounded, and with what was lost counted."""

from __future__ import annotations

from livekit.protocol.webhook import WebhookEvent

from media.relay.webhooks.backlog import FIRST_PAUSE, LONGEST_PAUSE, Backlog


def event(name: str) -> WebhookEvent:
    return WebhookEvent(event=name)


def test_events_go_out_in_the_order_in_which_they_came() -> None:
    backlog = Backlog(10, 60.0)
    backlog.put(event("a"), 0.0)
    backlog.put(event("b"), 1.0)
    told = []
    while (one := backlog.next(2.0)) is not None:
        told.append(one.event)
        backlog.done()
    assert told == ["a", "b"]


def test_a_failed_event_is_tried_again_before_the_next_with_growing_pauses() -> None:
    backlog = Backlog(10, 1e6)
    backlog.put(event("a"), 0.0)
    backlog.put(event("b"), 0.0)
    pauses = []
    for _ in range(9):
        found = backlog.next(0.0)
        assert found is not None
        assert found.event == "a"
        pauses.append(backlog.failed())
    assert pauses[:4] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    backlog.done()
    backlog.next(0.0)
    assert backlog.failed() == FIRST_PAUSE


def test_what_finds_no_place_is_counted_in_the_next_that_goes_out() -> None:
    backlog = Backlog(2, 60.0)
    assert [backlog.put(event(name), 0.0) for name in "abcd"] == [True, True, False, False]
    first = backlog.next(0.0)
    assert first is not None
    assert (first.event, first.num_dropped) == ("a", 2)
    backlog.done()
    second = backlog.next(0.0)
    assert second is not None
    assert (second.event, second.num_dropped) == ("b", 0)


def test_an_event_that_waited_too_long_is_lost_and_counted() -> None:
    backlog = Backlog(10, 60.0)
    backlog.put(event("old"), 0.0)
    backlog.put(event("young"), 50.0)
    found = backlog.next(61.0)
    assert found is not None
    assert (found.event, found.num_dropped) == ("young", 1)


def test_an_event_that_the_receiver_refuses_is_not_tried_again() -> None:
    backlog = Backlog(10, 60.0)
    backlog.put(event("a"), 0.0)
    backlog.put(event("b"), 0.0)
    backlog.next(0.0)
    backlog.refused()
    found = backlog.next(0.0)
    assert found is not None
    assert (found.event, found.num_dropped) == ("b", 1)
    backlog.done()
    assert backlog.next(0.0) is None
