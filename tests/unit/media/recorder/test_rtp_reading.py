import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.recorder.rtp import HOLD, HOLD_FIRST, Reorder, RtpError, Unwrap, parse_rtp


def packet(first=0x80, payload=b"hello", extension=b"", csrcs=0):
    header = (
        bytes([first | csrcs, 0x80 | 96]) + (7).to_bytes(2, "big") + (9).to_bytes(4, "big") + (5).to_bytes(4, "big")
    )
    return header + bytes(4 * csrcs) + extension + payload


def test_header_extensions_sources_and_padding_are_taken_off():
    extension = b"\xbe\xde\x00\x01" + b"\x10\x55\x00\x00"
    read = parse_rtp(packet(0x80 | 0x10 | 0x20, b"hello\x00\x00\x03", extension, csrcs=2))
    assert read == (True, 96, 7, 9, 5, b"hello")


@given(st.binary(max_size=64))
def test_any_bytes_are_a_packet_or_one_declared_error(data):
    with suppress(RtpError):
        parse_rtp(data)


@pytest.mark.parametrize("data", [b"", packet(0x40), packet(0x90, b"\xbe\xde\x00\x09"), packet(0xA0, b"\xff")])
def test_what_is_no_packet_is_refused(data):
    with pytest.raises(RtpError):
        parse_rtp(data)


@given(st.lists(st.integers(-2000, 20_000), min_size=1, max_size=200), st.integers(0, 65_535))
def test_a_counter_that_wraps_is_unwrapped(steps, start):
    unwrap = Unwrap(16)
    first = unwrap(start)
    value, newest = start, start
    for step in steps:
        value = newest + step
        newest = max(newest, value)
        assert unwrap(value & 0xFFFF) - first == value - start


def test_peeking_does_not_move_the_counter():
    unwrap = Unwrap(16)
    base = unwrap(100)
    assert unwrap.peek(30_000) - base == 29_900
    assert unwrap.peek(65_000) - base == 65_000 - 65_536 - 100


def run(arrivals):
    """Push (sequence, arrival); what comes out, with gaps."""
    reorder: Reorder[int] = Reorder()
    out = [each for sequence, at in arrivals for each in reorder.push(sequence & 0xFFFF, at, sequence)]
    return out + list(reorder.flush()), reorder


@given(st.integers(0, 65_535), st.integers(0, 2**32))
def test_packets_that_come_within_the_hold_are_put_in_order(start, seed):
    shuffled = random.Random(seed)
    sent = [(start + n, n * 0.02) for n in range(120)]
    delayed = sorted((at + shuffled.uniform(0, HOLD_FIRST / 2), number) for number, at in sent)
    out, reorder = run([(number, at) for at, number in delayed])
    assert [item for item, _ in out] == [number for number, _ in sent]
    assert not any(gap for _, gap in out)
    assert reorder.lost == 0


def test_the_first_packet_may_be_the_second_to_arrive():
    out, _ = run([(11, 0.0), (10, 0.1), (12, 0.5)])
    assert [item for item, _ in out] == [10, 11, 12]


def test_a_packet_that_never_comes_is_a_gap_after_a_while():
    out, reorder = run([(10, 0.0), (11, 0.3), (13, 0.4), (14, 0.5), (15, 0.5 + HOLD)])
    assert out == [(10, False), (11, False), (13, True), (14, False), (15, False)]
    assert reorder.lost == 1


def test_repeated_packets_come_out_once():
    out, reorder = run([(10, 0.0), (11, 0.3), (11, 0.4), (10, 0.5), (12, 0.6)])
    assert [item for item, _ in out] == [10, 11, 12]
    assert reorder.repeated == 2


def test_a_sender_that_begins_anew_far_back_is_followed():
    out, _ = run([(50_000, 0.0), (50_001, 0.3), (20_000, 0.6), (20_001, 0.7)])
    assert [item for item, _ in out] == [50_000, 50_001, 20_000, 20_001]
