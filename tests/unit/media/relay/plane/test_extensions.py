from __future__ import annotations

import pytest

from media.relay.plane.api import Extension
from media.relay.plane.extensions import (
    ABS_SEND_TIME,
    AUDIO_LEVEL,
    DEPENDENCY_DESCRIPTOR,
    MID,
    TRANSPORT_CC,
    VIDEO_ORIENTATION,
    Plan,
    absolute_send_time,
)
from media.relay.plane.rtp import parse_extensions
from tests.support.plane import OPUS, VP8, VP8_WITHOUT_RTX, House, down_of, video_up

UP = (
    Extension(1, MID),
    Extension(2, TRANSPORT_CC),
    Extension(3, AUDIO_LEVEL),
    Extension(4, VIDEO_ORIENTATION),
    Extension(5, DEPENDENCY_DESCRIPTOR),
    Extension(6, ABS_SEND_TIME),
)
EVERYTHING = {1: b"0", 2: b"\x00\x01", 3: b"\x80", 4: b"\x01", 5: bytes(20), 6: b"old"}
NOW = b"now"
AV1 = VP8._replace(name="AV1")


def elements_of(block: bytes) -> dict[int, bytes]:
    return parse_extensions(block, int.from_bytes(block[:2], "big"), 4, len(block)) if block else {}


def block(plan: Plan, elements: dict[int, bytes]) -> dict[int, bytes]:
    plan.prepare(elements, NOW)
    return elements_of(plan.current)


def test_elements_travel_under_the_subscribers_ids_and_hop_elements_stay():
    down = (
        Extension(11, AUDIO_LEVEL),
        Extension(12, VIDEO_ORIENTATION),
        Extension(13, MID),
        Extension(14, TRANSPORT_CC),
    )
    assert block(Plan(UP, down, OPUS), EVERYTHING) == {11: b"\x80", 12: b"\x01", 14: bytes(2)}


def test_send_time_is_ours():
    plan = Plan(UP, (Extension(9, ABS_SEND_TIME), Extension(10, AUDIO_LEVEL)), OPUS)
    assert block(plan, {6: b"old"}) == {9: NOW}
    assert block(plan, {3: b"\x80", 6: b"old"}) == {9: NOW, 10: b"\x80"}


def test_a_long_dependency_descriptor_travels_for_av1_and_stays_for_vp8():
    down = (Extension(9, ABS_SEND_TIME), Extension(10, DEPENDENCY_DESCRIPTOR))
    av1 = Plan(UP, down, AV1)
    av1.prepare(EVERYTHING, NOW)
    assert av1.current[:2] == b"\x10\x00"
    assert elements_of(av1.current) == {9: NOW, 10: bytes(20)}
    assert block(Plan(UP, down, VP8), EVERYTHING) == {9: NOW}


@pytest.mark.parametrize("descriptor", [b"", bytes(4), bytes(20)])
def test_a_retransmission_gets_the_time_it_is_sent(descriptor):
    plan = Plan(UP, (Extension(9, ABS_SEND_TIME), Extension(10, DEPENDENCY_DESCRIPTOR)), AV1)
    plan.prepare({5: descriptor} if descriptor else {}, NOW)
    refreshed = elements_of(plan.stamp(plan.current, b"new"))
    assert refreshed == elements_of(plan.current) | {9: b"new"}


def test_a_number_takes_the_place_of_the_send_time_except_where_the_same_packet_is_sent_again():
    down = (Extension(9, ABS_SEND_TIME), Extension(10, TRANSPORT_CC))
    assert block(Plan(UP, down, VP8), EVERYTHING) == {10: bytes(2)}
    assert block(Plan(UP, down, VP8_WITHOUT_RTX), EVERYTHING) == {9: NOW}


def test_nothing_negotiated_is_no_block():
    plan = Plan(UP, (), VP8)
    plan.prepare(EVERYTHING, NOW)
    assert plan.current == b""


def test_plans_that_do_the_same_have_the_same_key():
    down = (Extension(9, ABS_SEND_TIME), Extension(10, AUDIO_LEVEL))
    assert Plan(UP, down, OPUS).key == Plan(UP, (*down, Extension(12, MID)), OPUS).key


def test_send_time_is_a_fixed_point_clock_that_wraps():
    assert absolute_send_time(1.0) == b"\x04\x00\x00"
    assert absolute_send_time(64.0) == b"\x00\x00\x00"
    assert absolute_send_time(1.5) == b"\x06\x00\x00"


def test_a_track_forgets_plans_that_nobody_has():
    house = House()
    house.peer(1)
    house.plane.add_up_track(1, video_up())
    for number in range(1, 9):
        house.plane.add_down_track(1, down_of(1, number, extensions=(Extension(number, ABS_SEND_TIME),)))
    track = house.reference._ups[1][1]
    assert len(track._plans) == 8
    for number in range(1, 8):
        house.plane.remove_down_track(number)
    assert len(track._plans) == 1
