from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.relay.plane.receiver import (
    AFTER_GAP,
    IN_ORDER,
    LATE,
    LONG_SILENCE,
    MAX_GAP,
    MAX_MISSING,
    OUTAGE,
    RETRY_INTERVALS,
    UNWANTED,
    Receiver,
)


def receive(receiver: Receiver, *sequences: int, now: float = 1.0) -> list[int]:
    verdicts = []
    for sequence in sequences:
        receiver.add(sequence & 0xFFFF, sequence * 3000 & 0xFFFFFFFF, now)
        verdicts.append(receiver.verdict)
    return verdicts


def test_packets_in_order_over_the_wrap():
    receiver = Receiver(90000, nack=True)
    assert receive(receiver, 65534, 65535, 65536, 65537) == [IN_ORDER] * 4
    assert receiver.expected == receiver.received == 4
    assert receiver.report(1, 2.0).highest == 65537


def test_a_late_packet_is_taken_once():
    receiver = Receiver(90000, nack=True)
    assert receive(receiver, 1, 3, 2, 2, 1) == [IN_ORDER, AFTER_GAP, LATE, UNWANTED, UNWANTED]


def test_a_lost_packet_is_asked_for_at_growing_intervals_and_then_given_up():
    receiver = Receiver(90000, nack=True)
    receive(receiver, 1, 4)
    asked = []
    for tick in range(60):
        now = 1.0 + tick * 0.05
        if wanted := receiver.due(now):
            assert wanted == [2, 3]
            asked.append(now)
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert len(asked) == len(RETRY_INTERVALS)
    assert gaps == sorted(gaps)
    assert receiver.missing == {}


def test_without_nack_nothing_is_asked_for_but_late_packets_are_taken():
    receiver = Receiver(48000, nack=False)
    receive(receiver, 1, 3)
    assert receiver.due(1.1) == []
    assert receive(receiver, 2) == [LATE]


def test_an_outage_is_not_asked_for():
    receiver = Receiver(90000, nack=True)
    assert receive(receiver, 1, 3, 4 + MAX_GAP) == [IN_ORDER, AFTER_GAP, OUTAGE]
    assert receiver.due(1.1) == []


def test_a_gap_after_a_long_silence_is_an_outage_sooner():
    receiver = Receiver(90000, nack=True)
    assert receive(receiver, 1, 100) == [IN_ORDER, AFTER_GAP]
    assert receive(receiver, 200, now=1 + 2 * LONG_SILENCE) == [OUTAGE]
    assert receive(receiver, 203, now=1 + 4 * LONG_SILENCE) == [AFTER_GAP]


def test_the_list_of_missing_packets_is_bounded():
    receiver = Receiver(90000, nack=True)
    for step in range(5):
        receive(receiver, step * MAX_GAP)
    assert len(receiver.missing) == MAX_MISSING


def test_a_retransmission_counts_only_when_it_was_missed():
    receiver = Receiver(90000, nack=True)
    receive(receiver, 65535, 65538)
    assert receiver.recover(65535) == -1
    assert receiver.recover(0) == 0x10000 + 65536
    assert receiver.recover(0) == -1
    assert receiver.lost == 1
    assert Receiver(90000, nack=True).recover(5) == -1


def test_the_report_tells_loss_since_the_last_one():
    receiver = Receiver(90000, nack=True)
    receive(receiver, 1, 2, 4)
    block = receiver.report(9, 2.0)
    assert (block.ssrc, block.fraction_lost, block.lost, block.highest) == (9, 64, 1, 4)
    receive(receiver, 5, 6)
    assert receiver.report(9, 3.0).fraction_lost == 0


def test_the_report_answers_the_sender_report():
    receiver = Receiver(90000, nack=True)
    receive(receiver, 1)
    receiver.sender_report(0x1122334455667788, 5.0)
    block = receiver.report(9, 5.5)
    assert (block.last_sr, block.delay) == (0x33445566, 32768)


def test_jitter_follows_the_appendix_of_the_rfc():
    receiver = Receiver(1000, nack=False)
    expected, transit = 0.0, None
    for index, arrival in enumerate((0.0, 0.020, 0.045, 0.060, 0.100)):
        receiver.add(index + 1, 20 * index, 10 + arrival)
        now = 1000 * arrival - 20 * index
        if transit is not None:
            expected += (abs(now - transit) - expected) / 16
        transit = now
    receiver_jitter = receiver.report(1, 11.0).jitter
    assert receiver_jitter == int(expected)


def test_a_pause_of_the_source_is_no_jitter():
    receiver = Receiver(90000, nack=False)
    receiver.add(1, 0, 1.0)
    receiver.add(2, 3000, 60.0)
    assert receiver.report(1, 60.0).jitter == 0


@given(st.integers(0, 0xFFFF), st.lists(st.integers(-40, 40), min_size=1, max_size=200))
def test_each_number_is_let_through_once(start, steps):
    receiver = Receiver(90000, nack=True)
    seen: set[int] = set()
    position = start
    for step in steps:
        position += step
        extended = receiver.add(position & 0xFFFF, 0, 1.0)
        if receiver.verdict != UNWANTED:
            assert extended & 0xFFFF == position & 0xFFFF
            assert extended not in seen
            seen.add(extended)


@pytest.mark.parametrize("sequence", [0, 1, 32768, 65535])
def test_the_first_packet_may_have_any_number(sequence):
    receiver = Receiver(90000, nack=True)
    assert receive(receiver, sequence) == [IN_ORDER]
    assert receiver.report(1, 1.0).highest == sequence
