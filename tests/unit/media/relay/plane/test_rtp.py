from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.relay.plane.rtp import (
    RtpError,
    pack_extensions,
    pack_packet,
    parse_extensions,
    parse_header,
    restore_original,
)
from tests.support.plane import read, rtx_of


@given(
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=40),
    marker=st.booleans(),
    elements=st.dictionaries(st.integers(1, 255), st.binary(max_size=20), max_size=6),
    padding=st.integers(0, 255),
)
def test_what_is_packed_is_parsed(payload_type, sequence, timestamp, ssrc, payload, marker, elements, padding):
    packet = pack_packet(
        payload_type=payload_type,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=payload,
        marker=marker,
        extensions=elements,
        padding=padding,
    )
    got = read(packet)
    assert (got.payload_type, got.marker) == (payload_type, marker)
    assert (got.sequence, got.timestamp, got.ssrc) == (sequence, timestamp, ssrc)
    assert got.payload == payload
    assert got.elements == elements


@pytest.mark.parametrize(
    ("packet", "sentence"),
    [
        (b"", "RTP packet is shorter than its header"),
        (b"\x80" * 11, "RTP packet is shorter than its header"),
        (b"\x00" * 12, "RTP version is not 2"),
        (b"\x8f" + bytes(11), "RTP payload begins after its end"),
        (b"\x90" + bytes(13), "RTP header extension is cut off"),
        (b"\x90" + bytes(11) + b"\xbe\xde\x00\x02" + bytes(4), "RTP payload begins after its end"),
        (b"\xa0" + bytes(12), "RTP padding has length zero"),
        (b"\xa0" + bytes(11) + b"\x02", "RTP payload begins after its end"),
    ],
)
def test_a_broken_header_is_refused_with_a_sentence(packet, sentence):
    with pytest.raises(RtpError, match=f"^{sentence}$"):
        parse_header(packet)


@given(st.binary(max_size=64))
def test_only_the_declared_exception_leaves_the_parser(data):
    try:
        header = parse_header(data)
    except RtpError:
        return
    parse_extensions(data, header[4], header[5], header[6])


def test_a_long_element_makes_the_block_two_byte():
    assert pack_extensions([(1, b"a")])[:2] == b"\xbe\xde"
    block = pack_extensions([(1, b"a"), (2, bytes(17))])
    assert block[:2] == b"\x10\x00"
    assert parse_extensions(block, 0x1000, 4, len(block)) == {1: b"a", 2: bytes(17)}


def test_a_one_byte_block_ends_at_the_reserved_id():
    block = b"\x10a" + b"\xf0" + b"\x20b"
    assert parse_extensions(block, 0xBEDE, 0, len(block)) == {1: b"a"}


def test_an_element_that_reaches_past_the_block_is_left_out():
    assert parse_extensions(b"\x10a\x2fbc", 0xBEDE, 0, 5) == {1: b"a"}
    assert parse_extensions(b"\x01\x01a\x02\x09b", 0x1000, 0, 6) == {1: b"a"}


def test_an_unknown_profile_has_no_elements():
    assert parse_extensions(b"\x10a\x00\x00", 0xABCD, 0, 4) == {}


def test_an_rtx_packet_becomes_the_packet_it_repeats():
    original = pack_packet(payload_type=96, sequence=7, timestamp=8, ssrc=9, payload=b"hello", marker=True)
    repeat = rtx_of(original, ssrc=10, sequence=500)
    second, _, timestamp, _, profile, extension, start, end = parse_header(repeat)
    header = (second & 0x80 | 96, 7, timestamp, 10, profile, extension, start + 2, end)
    restored = read(restore_original(repeat, header, 9))
    assert restored.payload == b"hello"
    assert (restored.sequence, restored.ssrc, restored.payload_type, restored.marker) == (7, 9, 96, True)
