from __future__ import annotations

import random
import struct

from hypothesis import given
from hypothesis import strategies as st

from media.relay.plane.twcc import MAX_RECEIVED, TransportFeedback


def decode(packet: bytes) -> dict[int, float | None]:
    """What a publisher reads: transport sequence number -> arrival in seconds (mod 2**24 * 64 ms), None: lost.

    Written from draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1, apart from the builder.
    """
    first, kind, words = struct.unpack_from("!BBH", packet)
    assert (first & 0x1F, kind, 4 * (words + 1)) == (15, 205, len(packet))
    if first & 0x20:
        packet = packet[: -packet[-1]]
    base, count, reference = struct.unpack_from("!HHI", packet, 12)
    position = 20
    symbols: list[int] = []
    while len(symbols) < count:
        (chunk,) = struct.unpack_from("!H", packet, position)
        position += 2
        if not chunk & 0x8000:
            symbols += [chunk >> 13 & 3] * (chunk & 0x1FFF)
        elif chunk & 0x4000:
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    clock = (reference >> 8) * 256
    told: dict[int, float | None] = {}
    for index, symbol in enumerate(symbols[:count]):
        number = (base + index) & 0xFFFF
        if symbol == 0:
            told[number] = None
            continue
        size = ">B" if symbol == 1 else ">h"
        (delta,) = struct.unpack_from(size, packet, position)
        position += struct.calcsize(size)
        clock += delta
        told[number] = clock / 4000
    assert position == len(packet)
    return told


def feed(feedback: TransportFeedback, arrivals: list[tuple[int, float]]) -> None:
    for number, now in arrivals:
        feedback.add((number & 0xFFFF).to_bytes(2, "big"), now)


@given(st.integers(0, 0xFFFF), st.integers(0, 2**32), st.integers(1, 900), st.floats(0, 0.4))
def test_the_publisher_reads_what_arrived_and_when(start, seed, count, loss):
    rng = random.Random(seed)
    now, arrivals = 1000 * rng.random(), {}
    for number in range(start, start + count):
        now += rng.choice((0.0001, 0.001, 0.02, 0.3))
        if rng.random() >= loss:
            arrivals[number & 0xFFFF] = now
    feedback = TransportFeedback()
    shuffled = sorted(arrivals.items(), key=lambda item: item[1] + rng.uniform(0, 0.003))
    feed(feedback, shuffled)
    told: dict[int, float | None] = {}
    for packet in feedback.build(1, 2):
        assert len(packet) < 1200
        told |= decode(packet)
    assert {number for number, at in told.items() if at is not None} == set(arrivals)
    for number, arrival in arrivals.items():
        at = told[number]
        assert at is not None
        assert abs(at - arrival) < 0.0003


def test_nothing_is_told_when_nothing_came():
    assert TransportFeedback().build(1, 2) == []


def test_a_loss_between_two_feedbacks_is_told_in_the_second():
    feedback = TransportFeedback()
    feed(feedback, [(10, 1.0), (11, 1.001)])
    feedback.build(1, 2)
    feed(feedback, [(13, 1.1)])
    (packet,) = feedback.build(1, 2)
    assert decode(packet) == {12: None, 13: 1.1}


def test_a_late_packet_is_told_without_taking_others_back():
    feedback = TransportFeedback()
    feed(feedback, [(10, 1.0), (12, 1.001)])
    feedback.build(1, 2)
    feed(feedback, [(11, 1.01), (13, 1.02)])
    told = [decode(packet) for packet in feedback.build(1, 2)]
    assert [set(part) for part in told] == [{11}, {13}]


def test_feedback_is_counted():
    feedback = TransportFeedback()
    counts = []
    for number in range(300):
        feed(feedback, [(number, number / 10)])
        (packet,) = feedback.build(1, 2)
        counts.append(packet[19])
    assert counts == [number & 0xFF for number in range(300)]


def test_a_long_outage_starts_a_new_base():
    feedback = TransportFeedback()
    feed(feedback, [(10, 1.0)])
    feedback.build(1, 2)
    feed(feedback, [(5000, 30.0)])
    (packet,) = feedback.build(1, 2)
    assert decode(packet) == {5000: 30.0}


def test_one_feedback_stays_below_a_datagram():
    feedback = TransportFeedback()
    feed(feedback, [(number, 1 + number / 1000) for number in range(3 * MAX_RECEIVED)])
    packets = feedback.build(1, 2)
    assert len(packets) == 3
    assert max(len(packet) for packet in packets) < 1200


def test_an_element_of_the_wrong_size_is_ignored():
    feedback = TransportFeedback()
    feedback.add(b"", 1.0)
    feedback.add(b"\x01", 1.0)
    assert feedback.build(1, 2) == []
