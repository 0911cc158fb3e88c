"""Which section carries which subscription, in offers of ours and of the client's."""

from __future__ import annotations

import itertools

import pytest

from media.relay.downlinks import OFFERS, OfferedSlots, OfferEvent, OfferState, ReceivedSlots, downlink
from media.relay.sdp import Description, parse
from media.relay.subscriptions import Subscription
from tests.unit.media.relay.test_sdp import capture
from tests.unit.media.relay.test_tracks import announced

_numbers = itertools.count(1)


def subscription(*, video: bool = True) -> Subscription:
    return Subscription(next(_numbers), announced(video=video), 1, 2)


def shown(slots: OfferedSlots) -> list[tuple[str, str, bool]]:
    return [(section.mid, section.kind, section.downlink is not None) for section in slots.offer()]


def test_offers_get_a_section_per_track_after_the_data_channels() -> None:
    slots = OfferedSlots()
    assert shown(slots) == []
    first, second = subscription(), subscription(video=False)
    slots.add(first)
    slots.add(second)
    assert shown(slots) == [("1", "video", True), ("2", "audio", True)]
    assert slots.track_ids() == {"1": first.track.sid, "2": second.track.sid}


def test_a_section_is_used_again_only_after_the_client_knows_it_inactive() -> None:
    slots, first, second = OfferedSlots(), subscription(), subscription()
    slots.add(first)
    slots.offer()
    slots.answered()
    slots.remove(first)
    slots.add(second)
    assert shown(slots) == [("1", "video", False), ("2", "video", True)]
    slots.answered()
    slots.remove(second)
    third = subscription()
    slots.add(third)
    assert shown(slots)[0] == ("1", "video", True)


def test_an_answer_to_an_older_offer_frees_nothing() -> None:
    slots, first = OfferedSlots(), subscription()
    slots.add(first)
    slots.offer()
    slots.remove(first)  # while the offer that shows it as active is under way
    slots.answered()
    slots.add(subscription())
    assert shown(slots) == [("1", "video", False), ("2", "video", True)]


def test_sections_are_not_shared_between_sound_and_picture() -> None:
    slots, video = OfferedSlots(), subscription()
    slots.add(video)
    slots.offer()
    slots.remove(video)
    slots.offer()
    slots.answered()
    slots.add(subscription(video=False))
    assert shown(slots) == [("1", "video", False), ("2", "audio", True)]


def test_the_stream_names_publisher_and_track() -> None:
    one = subscription()
    assert downlink(one).sending.stream == f"PA_a|{one.track.sid}"


@pytest.fixture
def offer() -> Description:
    return parse(capture("chromium-single-join.offer"))  # three audio and three video sections to receive in


def test_a_client_s_sections_are_filled_and_the_rest_asked_for(offer: Description) -> None:
    slots = ReceivedSlots()
    for _ in range(4):
        slots.add(subscription())
    assert slots.missing() == (0, 4)
    downs = slots.answer(offer)
    assert list(downs) == ["3", "4", "5"]
    assert slots.missing() == (0, 1)


def test_a_released_section_is_free_after_an_answer_that_shows_it(offer: Description) -> None:
    slots, first, second = ReceivedSlots(), subscription(), subscription()
    slots.add(first)
    assert list(slots.answer(offer)) == ["3"]
    slots.remove(first)
    slots.add(second)
    assert list(slots.answer(offer)) == ["4"]
    slots.remove(second)
    slots.answer(offer)
    slots.add(subscription())
    assert list(slots.answer(offer)) == ["3"]


def test_who_loses_its_section_waits_for_another(offer: Description) -> None:
    slots, one = ReceivedSlots(), subscription()
    slots.add(one)
    slots.answer(offer)
    without = parse(capture("chromium-single-join.offer").replace("a=mid:3\n", "a=mid:3x\n").replace(" 3 ", " 3x "))
    assert list(slots.answer(without)) == ["4"]


def test_sections_in_which_the_client_sends_are_not_ours() -> None:
    slots = ReceivedSlots()
    for _ in range(9):
        slots.add(subscription())
    assert "7" not in slots.answer(parse(capture("chromium-single-publisher.offer")))


def test_offers_wait_for_their_answer_and_every_event_has_its_row() -> None:
    assert set(OFFERS) == set(itertools.product(OfferState, OfferEvent))
    state, made = OfferState.IDLE, []
    for event in (
        OfferEvent.CHANGE,
        OfferEvent.CHANGE,
        OfferEvent.CHANGE,
        OfferEvent.ANSWER,
        OfferEvent.ANSWER,
        OfferEvent.ANSWER,
        OfferEvent.RESTART,
    ):
        state, make = OFFERS[state, event]
        made.append(make)
    assert made == [True, False, False, True, False, False, True]
