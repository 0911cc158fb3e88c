"""Payloads to frames, against other people's packetisers and real encoders and decoders."""

from fractions import Fraction
from typing import Any

import av
import pytest
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from hypothesis import given
from hypothesis import strategies as st

from media.recorder.depacketise import codec_of, depacketiser, leb128, read_leb128
from media.recorder.limits import leave_realtime
from tests.support import clap, stamps

W, H, MTU = 320, 180, 400


def coded(name, count=12, **options):
    """(data, is key) of some stamped frames; the sixth is a key frame again."""
    encoder = av.CodecContext.create(name, "w")
    encoder.width, encoder.height, encoder.pix_fmt = W, H, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    if name != "libsvtav1":
        encoder.bit_rate = 400_000
    encoder.options = options
    frames = []
    av.logging.set_level(av.logging.ERROR)
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(clap.picture(W, H, 1, number, number / 25), "yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        if number in (0, 6):
            frame.pict_type = av.video.frame.PictureType.I
        frames += [(bytes(packet), packet.is_keyframe) for packet in encoder.encode(frame)]
    leave_realtime()
    return frames + [(bytes(packet), packet.is_keyframe) for packet in encoder.encode()]


def push(codec, packets, lost=()):
    """`packets` as (timestamp, marker, payload), those at the positions `lost` left out."""
    machine = depacketiser(codec, 7)
    frames, gap = [], False
    for position, (timestamp, marker, payload) in enumerate(packets):
        if position in lost:
            gap = True
            continue
        frames += machine.push(timestamp, position / 100, marker=marker, gap=gap, payload=payload)
        gap = False
    return frames + machine.flush(), machine


def packets_of(frames, payloads):
    out = []
    for number, (data, key) in enumerate(frames):
        pieces = payloads(data, key)
        out += [(number * 3600, at == len(pieces) - 1, piece) for at, piece in enumerate(pieces)]
    return out


def vp9_payloads(data, key):
    """One layer: I with a 7-bit id, P but for key frames, B and E."""
    pieces = [data[at : at + MTU] for at in range(0, len(data), MTU)]
    return [
        bytes([0x80 | 0x40 * (not key) | 0x08 * (at == 0) | 0x04 * (at == len(pieces) - 1), 5]) + piece
        for at, piece in enumerate(pieces)
    ]


def obus(data):
    """(header byte without size, content) of each unit but temporal delimiters."""
    units, offset = [], 0
    while offset < len(data):
        header = data[offset]
        size, start = read_leb128(data, offset + 1)
        if header >> 3 & 15 != 2:
            units.append(bytes([header & ~2]) + data[start : start + size])
        offset = start + size
    return units


def av1_payloads(data, key):
    """Units split over packets as they come: W is 1, Z and Y where one is torn."""
    payloads = []
    for position, unit in enumerate(obus(data)):
        pieces = [unit[at : at + MTU] for at in range(0, len(unit), MTU)]
        for at, piece in enumerate(pieces):
            header = 0x80 * (at > 0) | 0x40 * (at < len(pieces) - 1) | 0x10
            header |= 0x08 * (key and position == 0 and at == 0)
            payloads.append(bytes([header]) + piece)
    return payloads


CODECS = {
    "vp8": ("libvpx", {"deadline": "realtime", "lag-in-frames": "0"},
            lambda data, key: Vp8Encoder._packetize(data, 77), "vp8"),
    "h264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1"},
             lambda data, key: H264Encoder._packetize(H264Encoder._split_bitstream(data)), "h264"),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "lag-in-frames": "0", "cpu-used": "8"}, vp9_payloads, "vp9"),
    "av1": ("libsvtav1", {"preset": "10", "crf": "40", "svtav1-params": "pred-struct=1"},
            av1_payloads, "libdav1d"),
}  # fmt: skip


@pytest.mark.parametrize("codec", CODECS)
def test_frames_come_out_as_a_decoder_takes_them(codec):
    encoder, options, payloads, decoder_name = CODECS[codec]
    coded_frames = coded(encoder, **options)
    frames, machine = push(codec, packets_of(coded_frames, payloads))
    assert len(frames) == len(coded_frames)
    assert machine.broken == 0
    assert all(frame.complete and not frame.after_gap for frame in frames)
    assert frames[0].key
    decoder: Any = av.CodecContext.create(decoder_name, "r")
    pictures = [picture for frame in frames for picture in decoder.decode(av.Packet(frame.data))] + decoder.decode(None)
    read = [stamps.read(picture.to_ndarray()[:H]) for picture in pictures]
    assert [stamp and stamp.frame for stamp in read] == list(range(12))


@pytest.mark.parametrize("codec", ["vp8", "h264", "vp9"])
def test_key_frames_are_known_without_decoding(codec):
    encoder, options, payloads, _ = CODECS[codec]
    frames, _ = push(codec, packets_of(coded(encoder, **options), payloads))
    assert [number for number, frame in enumerate(frames) if frame.key] == [0, 6]


@pytest.mark.parametrize("codec", CODECS)
def test_whatever_packet_is_lost_no_broken_frame_passes_for_whole(codec):
    encoder, options, payloads, _ = CODECS[codec]
    packets = packets_of(coded(encoder, count=4, **options), payloads)
    whole = {frame.timestamp: frame.data for frame in push(codec, packets)[0]}
    for lost in range(1, len(packets)):
        frames, _ = push(codec, packets, lost={lost})
        assert all(frame.data == whole[frame.timestamp] for frame in frames if frame.complete)
        touched = packets[lost][0]
        later = [frame for frame in frames if frame.timestamp > touched]
        broken = [frame for frame in frames if frame.timestamp == touched]
        assert not any(frame.complete for frame in broken)
        assert broken or not later or later[0].after_gap or not later[0].complete


@pytest.mark.parametrize("codec", [*CODECS, "opus", "red"])
@given(
    payloads=st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans(), st.binary(max_size=40)), max_size=20)
)
def test_any_bytes_are_taken_without_an_error(codec, payloads):
    machine = depacketiser(codec, 1)
    frames = []
    for timestamp, marker, gap, payload in payloads:
        frames += machine.push(timestamp, 0.0, marker=marker, gap=gap, payload=payload)
    frames += machine.flush()
    assert all(isinstance(frame.data, bytes) for frame in frames)


def test_a_frame_without_marker_ends_with_the_next_timestamp():
    frames, _ = push("vp8", [(0, False, b"\x10\x00key"), (3600, True, b"\x10\x01delta")])
    assert [(frame.data, frame.key, frame.complete) for frame in frames] == [
        (b"\x00key", True, True),
        (b"\x01delta", False, True),
    ]


def test_layers_of_a_vp9_picture_become_one_superframe():
    # I, L with non-flexible mode (one more byte), B and E each; spatial layers 0 and 1
    layers = [(bytes([0x80 | 0x20 | 0x08 | 0x04, number, spatial << 1, 0]), bytes([65 + spatial]) * 300)
              for number, spatial in ((5, 0), (5, 1))]  # fmt: skip
    packets = [(9, at == 1, header + data) for at, (header, data) in enumerate(layers)]
    ((_, _, _, data, key, complete, _, layers),), _ = push("vp9", packets)
    marker = bytes([0xC0 | 1 << 3 | 1])
    size = (300).to_bytes(2, "little")
    assert data == b"A" * 300 + b"B" * 300 + marker + size + size + marker
    assert layers == (300, 300)
    assert key
    assert complete


def test_a_lost_packet_of_sound_comes_back_with_the_next():
    """RFC 2198: F, payload type, 14 bits of offset, 10 bits of length."""

    def red(now, before):
        header = bytes([0x80 | 111]) + (960 << 10 | len(before)).to_bytes(3, "big") + bytes([111])
        return header + before + now

    packets = [(960, False, red(b"one", b"")), (1920, False, red(b"two", b"one")), (2880, False, red(b"three", b"two"))]
    frames, _ = push("red", packets, lost={1})
    assert [(frame.timestamp, frame.data) for frame in frames] == [(960, b"one"), (1920, b"two"), (2880, b"three")]


def test_padding_is_no_frame():
    frames, _ = push("opus", [(0, False, b""), (960, False, b"x")])
    assert [frame.data for frame in frames] == [b"x"]


@given(st.integers(0, 2**40))
def test_av1_numbers_come_back(value):
    assert read_leb128(leb128(value), 0) == (value, len(leb128(value)))


def test_codecs_are_known_by_mime_type():
    assert [codec_of(name) for name in ("video/VP8", "audio/opus", "audio/red", "video/H264", "video/HEVC", "")] == [
        "vp8", "opus", "red", "h264", "", "",
    ]  # fmt: skip
