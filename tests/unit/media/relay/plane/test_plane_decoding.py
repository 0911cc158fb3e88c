"""A subscriber of real VP8 in three sizes: what arrives is decoded by libvpx, over layer switches and losses."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc.codecs.vpx import VpxPayloadDescriptor

from media.relay.plane import rtcp
from tests.support.plane import House, Received, Vp8Source, down_of, video_up

SIZES = {"q": (80, 48), "h": (160, 96), "f": (320, 192)}
PIECE = 300  # bytes of a frame in one packet
FRAMES_PER_SECOND = 20
STEP = 8  # brightness per frame: what the picture shows is its number


class Encoder(Vp8Source):
    """A layer whose frames are real: libvpx's, cut as RFC 7741 says. The whole picture has the brightness asked for."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.width, self.height = SIZES[self.rid]
        self.codec: Any = av.CodecContext.create("libvpx", "w")
        self.codec.width, self.codec.height = self.width, self.height
        self.codec.pix_fmt, self.codec.time_base = "yuv420p", Fraction(1, FRAMES_PER_SECOND)
        self.codec.bit_rate = self.width * self.height * 4
        self.codec.options = {"deadline": "realtime", "lag-in-frames": "0", "cpu-used": "8"}
        self.number = 0

    def picture_of(self, brightness: int, *, key: bool) -> list[bytes]:
        frame = av.VideoFrame(self.width, self.height, "yuv420p")
        noise = np.random.default_rng(self.number).integers(0, 3, (self.height, self.width), dtype=np.uint8)
        for plane in frame.planes:
            area = np.full((plane.height, plane.line_size), 128, np.uint8)
            if plane.width == self.width:
                area[:, : plane.width] = brightness + noise
            plane.update(area.tobytes())
        frame.pts = self.number
        frame.pict_type = av.video.frame.PictureType.I if key else av.video.frame.PictureType.NONE
        self.number += 1
        self.timestamp = (self.timestamp + 90_000 // FRAMES_PER_SECOND) & 0xFFFFFFFF
        self.picture = (self.picture + 1) & 0x7FFF
        self.base = (self.base + 1) & 0xFF
        (encoded,) = [bytes(packet) for packet in self.codec.encode(frame)]
        packets = []
        for start in range(0, len(encoded), PIECE):
            descriptor = VpxPayloadDescriptor(
                partition_start=int(start == 0), partition_id=0, picture_id=self.picture, tl0picidx=self.base
            )
            payload = bytes(descriptor) + encoded[start : start + PIECE]
            packets.append(self.packet(payload, marker=start + PIECE >= len(encoded)))
        return packets


def frames_of(packets: list[Received]) -> list[tuple[int, bytes]]:
    """(timestamp, frame) as a jitter buffer puts them together: whole runs of numbers up to a marker."""
    frames: list[tuple[int, bytes]] = []
    parts: list[bytes] = []
    expected = -1
    for packet in packets:
        descriptor, body = VpxPayloadDescriptor.parse(packet.payload)
        if packet.sequence != expected:
            parts = []
        if descriptor.partition_start and descriptor.partition_id == 0:
            parts = [b""]
        if parts:
            parts.append(body)
            if packet.marker:
                frames.append((packet.timestamp, b"".join(parts)))
                parts = []
        expected = (packet.sequence + 1) & 0xFFFF
    return frames


def test_what_a_subscriber_gets_decodes_over_switches_pauses_and_losses():
    house = House()
    publisher, subscriber = house.peer(1), house.peer(2)
    house.plane.add_up_track(1, video_up(rids=tuple(SIZES)))
    house.plane.add_down_track(2, down_of(1, 5))
    encoders = [
        Encoder(20 + index, rid=rid, sequence=65_500 + 10 * index, timestamp=1_000_000 * index, picture=500 * index)
        for index, rid in enumerate(SIZES)
    ]
    wishes = {0: 2, 12: 0, 24: 1, 36: -1, 44: 2, 56: 0}
    keys, history, now = set(SIZES), {}, 100.0
    for number in range(70):
        now += 1 / FRAMES_PER_SECOND
        if number in wishes:
            house.plane.set_layer(5, wishes[number])
        for encoder in encoders:
            packets = encoder.picture_of(20 + STEP * (number % 25), key=encoder.rid in keys)
            for index, packet in enumerate(packets):
                history[encoder.ssrc, (encoder.sequence - len(packets) + 1 + index) & 0xFFFF] = packet
                if not (number % 9 == 5 and index == 0 and len(packets) > 1):  # lost
                    publisher.send(packet, now)
        keys = set()
        house.plane.tick(now)
        for message in publisher.messages():
            if isinstance(message, rtcp.KeyFrameRequest):
                keys |= {encoder.rid for encoder in encoders if encoder.ssrc in message.ssrcs}
            elif isinstance(message, rtcp.Nack):
                for sequence in message.sequences:
                    publisher.send(history[message.ssrc, sequence], now)

    received = sorted(subscriber.received, key=lambda packet: packet.sequence)
    assert [packet.sequence for packet in received] == list(range(1, len(received) + 1))
    frames = frames_of(received)
    decoder: Any = av.CodecContext.create("vp8", "r")
    shown = []
    for timestamp, encoded in frames:
        (picture,) = decoder.decode(av.Packet(encoded))
        luma = np.frombuffer(bytes(picture.planes[0]), np.uint8).reshape(picture.height, -1)[:, : picture.width]
        shown.append((timestamp, picture.width, round((float(luma.mean()) - 21) / STEP)))
    assert len(shown) >= 58, "pictures are missing"
    assert {width for _, width, _ in shown} == {80, 160, 320}
    times = [timestamp for timestamp, _, _ in shown]
    assert times == sorted(set(times))
    numbers = [number for _, _, number in shown]
    steps = [(after - before) % 25 for before, after in itertools.pairwise(numbers)]
    # Each picture follows the one before; a switch shows one picture in both sizes, the pause leaves eight or nine out.
    assert all(step in (0, 1) or 8 <= step <= 10 for step in steps), steps
    assert sum(step > 1 for step in steps) == 1
