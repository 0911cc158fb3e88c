from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from media.relay.plane.codecs import (
    DESCRIBERS,
    PLAIN,
    describe_av1,
    describe_h264,
    describe_vp8,
    describe_vp9,
    frame_size,
    opus_span,
    picture_id,
)


def encoded(codec: str, width: int, height: int, **options: str) -> list[bytes]:
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.time_base = width, height, "yuv420p", Fraction(1, 30)
    context.options = options
    frames = []
    for number in range(3):
        frame = av.VideoFrame(width, height, "yuv420p")
        frame.pts = number
        frames += [bytes(packet) for packet in context.encode(frame)]
    return frames + [bytes(packet) for packet in context.encode(None)]


def vp8(picture: int | None = None, base: int | None = None, *, start: int = 1, part: int = 0, body: bytes) -> bytes:
    descriptor = VpxPayloadDescriptor(partition_start=start, partition_id=part, picture_id=picture, tl0picidx=base)
    return bytes(descriptor) + body


def test_a_vp8_key_frame_is_found_with_its_size():
    key, delta, *_ = encoded("libvpx", 320, 180, deadline="realtime")
    packet = vp8(300, 9, body=key)
    assert describe_vp8(packet, 0, len(packet)) == (True, True, 2, 2, 4)
    assert picture_id(packet, 2, 2) == 300
    assert frame_size("VP8", packet, 0, len(packet)) == (320, 180)
    packet = vp8(300, 9, body=delta)
    assert describe_vp8(packet, 0, len(packet)) == (False, True, 2, 2, 4)


def test_only_the_first_packet_of_a_vp8_frame_begins_it():
    for start, part in ((0, 0), (1, 1), (0, 3)):
        packet = vp8(3, start=start, part=part, body=bytes(20))
        assert describe_vp8(packet, 0, len(packet))[:2] == (False, False)


def test_short_and_absent_vp8_picture_ids():
    packet = b"\x90\x80\x05" + b"\x00"
    assert describe_vp8(packet, 0, len(packet)) == (True, True, 2, 1, 0)
    assert picture_id(packet, 2, 1) == 5
    packet = vp8(body=b"\x00")
    assert describe_vp8(packet, 0, len(packet)) == (True, True, 0, 0, 0)


def test_a_vp9_key_frame_is_found_with_its_size():
    # I, B, V; 15 bit picture id; structure with one layer and its size, no group
    packet = bytes((0x80 | 0x08 | 0x02, 0x81, 0x02, 0x10, 0x05, 0x00, 0x02, 0xD0)) + b"frame"
    assert describe_vp9(packet, 0, len(packet)) == (True, True, 1, 2, 0)
    assert frame_size("VP9", packet, 0, len(packet)) == (1280, 720)


def test_a_vp9_layer_above_the_first_begins_nothing():
    # I, L, B; 7 bit picture id; spatial layer 1; TL0PICIDX
    packet = bytes((0x80 | 0x20 | 0x08, 0x05, 0x02, 0x07)) + b"frame"
    assert describe_vp9(packet, 0, len(packet)) == (False, False, 1, 1, 3)
    predicted = bytes((0x80 | 0x40 | 0x08, 0x05)) + b"frame"
    assert describe_vp9(predicted, 0, len(predicted))[:2] == (False, True)


@pytest.mark.parametrize(("width", "height"), [(640, 360), (1280, 720), (320, 180), (426, 240)])
def test_an_h264_parameter_set_begins_a_key_frame_and_tells_its_size(width, height):
    stream = encoded("libx264", width, height, tune="zerolatency", preset="ultrafast", bf="0")[0]
    units = [unit.lstrip(b"\x00") for unit in stream.split(b"\x00\x00\x01") if unit.strip(b"\x00")]
    parameters = next(unit for unit in units if unit[0] & 0x1F == 7)
    picture = next(unit for unit in units if unit[0] & 0x1F == 5)
    assert describe_h264(parameters, 0, len(parameters))[0]
    assert frame_size("H264", parameters, 0, len(parameters)) == (width, height)
    aggregate = b"\x18" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in (parameters, picture[:40]))
    assert describe_h264(aggregate, 0, len(aggregate))[0]
    assert frame_size("H264", aggregate, 0, len(aggregate)) == (width, height)
    assert not describe_h264(picture, 0, len(picture))[0]
    assert describe_h264(b"\x7c\x87" + parameters[1:], 0, 10)[0]
    assert not describe_h264(b"\x7c\x07" + parameters[1:], 0, 10)[0]


def test_an_av1_sequence_begins_at_the_n_bit():
    assert describe_av1(b"\x08rest", 0, 5)[0]
    assert not describe_av1(b"\x88rest", 0, 5)[0]
    assert not describe_av1(b"\x10rest", 0, 5)[0]


@given(st.sampled_from(sorted(DESCRIBERS)), st.binary(max_size=64), st.integers(0, 8))
def test_no_payload_makes_the_readers_raise(codec, payload, start):
    packet = bytes(start) + payload
    description = DESCRIBERS[codec](packet, start, len(packet))
    _, _, at, size, base_at = description
    if at:
        assert start < at <= len(packet) - size
        assert base_at < len(packet)
    elif not payload:
        assert description == PLAIN
    if payload:
        width, height = frame_size(codec, packet, start, len(packet))
        assert 0 <= width <= 16384
        assert 0 <= height <= 16384


@pytest.mark.parametrize(
    ("toc", "ticks"),
    [
        (0x00, 480),
        (0x18, 2880),
        (0x58, 2880),
        (0x60, 480),
        (0x68, 960),
        (0x80, 120),
        (0xF8, 960),
        (0x79, 1920),
        (0x7B, 0),
    ],
)
def test_what_an_opus_packet_plays_stands_in_its_first_byte(toc: int, ticks: int) -> None:
    assert opus_span(bytes((0, toc)), 1) == ticks
