"""One track's picture at each moment: layers, losses, pauses."""

from dataclasses import dataclass

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from media.recorder.clocks import MediaClock, Piece
from media.recorder.depacketise import EncodedFrame
from media.recorder.layers import LayerPlan
from media.recorder.layout import Rect
from media.recorder.video import AHEAD, FREEZE, PictureReader, Scaler
from tests.support import clap, stamps
from tests.support.synthetic_meeting import encode, vp8_encoder

FPS = 10
LOW, HIGH = 1, 2
WIDTHS = {LOW: 160, HIGH: 320}
ALWAYS = ((0.0, 1000.0),)


@dataclass(frozen=True)
class Flaw:
    """What is wrong with a frame."""

    complete: bool = True
    after_gap: bool = False
    data: bytes = b""


def layer(ssrc, count, *, keys=(0,), flaws=None, missing=()):
    """Stamped frames of one layer, ten a second."""
    flaws = flaws or {}
    width = WIDTHS[ssrc]
    encoder = vp8_encoder(width, width * 9 // 16, FPS)
    frames = []
    for number in range(count):
        planes = clap.picture(width, width * 9 // 16, ssrc, number, 0.5)
        (data,) = encode(encoder, planes, number, FPS, key=number in keys)
        flaw = flaws.get(number, Flaw())
        if number not in missing:
            frames.append(
                EncodedFrame(
                    ssrc, number * 9000, number / FPS, flaw.data or data, number in keys, flaw.complete, flaw.after_gap
                )
            )
    return frames


def reader(frames, plans):
    clock = MediaClock(90_000, (Piece(0.0, np.array([0.0]), np.array([0.0])),))
    ordered = sorted(frames, key=lambda frame: frame.arrival)
    return PictureReader(ordered, dict.fromkeys(plans, clock), dict.fromkeys(plans, "vp8"), plans)


def seen(pictures, times):
    """(width, stamped frame) at each moment, None without a picture."""
    out: list[tuple[int, int | None] | None] = []
    for time in times:
        picture = pictures.advance(time)
        if picture is None:
            out.append(None)
            continue
        stamp = stamps.read(np.asarray(picture.to_ndarray()[: picture.height], np.uint8))
        out.append((picture.width, stamp and stamp.frame))
    return out


def test_a_layer_that_is_only_decoded_is_not_seen():
    plans = {
        HIGH: LayerPlan(((0.0, 1.0), (2.0, 3.0)), ((0.0, 1.0), (2.0, 3.0))),
        LOW: LayerPlan(((0.0, 2.0),), ((1.0, 2.0),)),
    }
    pictures = reader(layer(HIGH, 30, keys=(0, 20)) + layer(LOW, 30), plans)
    times = [0.55, 0.95, 1.25, 1.95, 2.25, 2.95]
    assert seen(pictures, times) == [(320, 5), (320, 9), (160, 12), (160, 19), (320, 22), (320, 29)]


def test_a_frame_that_waited_for_a_lost_packet_does_not_hold_up_the_picture():
    """It comes out after later frames of another layer, and belongs before them."""
    low, high = layer(LOW, 30), layer(HIGH, 30)
    late = [replace_arrival(frame, 1.6) if 10 <= frame.timestamp / 9000 <= 15 else frame for frame in high]
    plans = {HIGH: LayerPlan(ALWAYS, ALWAYS), LOW: LayerPlan(ALWAYS, ())}
    assert seen(reader(low + late, plans), [1.05, 1.25, 1.55]) == [(320, 10), (320, 12), (320, 15)]


def replace_arrival(frame, arrival):
    return frame._replace(arrival=arrival)


def test_no_more_is_read_ahead_than_a_lost_packet_is_waited_for():
    pictures = reader(layer(HIGH, 60), {HIGH: LayerPlan(ALWAYS, ALWAYS)})
    most = 0
    for tenth in range(60):
        pictures.advance(tenth / 10)
        most = max(most, len(pictures._waiting))
    assert most <= (AHEAD + 0.3) * FPS


def test_nothing_is_seen_outside_of_what_is_shown():
    plans = {HIGH: LayerPlan(ALWAYS, ((0.5, 1.0), (2.0, 3.0)))}
    assert seen(reader(layer(HIGH, 30), plans), [0.25, 0.75, 1.25, 2.05]) == [None, (320, 7), None, (320, 20)]


@pytest.mark.parametrize("flaw", [Flaw(complete=False), Flaw(after_gap=True), Flaw(data=b"\xff\x00garbage")])
def test_after_a_broken_frame_the_picture_stands_until_the_next_key_frame(flaw):
    frames = layer(HIGH, 30, keys=(0, 15), flaws={8: flaw})
    got = seen(reader(frames, {HIGH: LayerPlan(ALWAYS, ALWAYS)}), [0.75, 0.85, 1.25, 1.55])
    assert got == [(320, 7), (320, 7), (320, 7), (320, 15)]


def test_without_any_key_frame_a_picture_does_not_stand_for_ever():
    frames = layer(HIGH, 50, flaws={8: Flaw(after_gap=True)}, missing={7})
    pictures = reader(frames, {HIGH: LayerPlan(ALWAYS, ALWAYS)})
    assert seen(pictures, [0.7 + FREEZE]) == [(320, 6)]
    assert pictures.version == 7
    pictures.advance(0.9 + FREEZE)
    assert pictures.version > 7


def test_a_track_begins_with_a_key_frame():
    frames = layer(HIGH, 20, keys=(0, 10))[5:]
    assert seen(reader(frames, {HIGH: LayerPlan(ALWAYS, ALWAYS)}), [0.75, 1.05]) == [None, (320, 10)]


def test_a_picture_is_scaled_whole_into_its_tile():
    planes = clap.picture(320, 180, 3, 77, 0.5)
    picture = VideoFrame.from_ndarray(planes, "yuv420p")
    tile = Rect(100, 40, 240, 240)
    rect, (luma, _, _) = Scaler(sharp=False).place(picture, tile)
    assert rect == (100, 92, 240, 134)
    assert luma.shape == (134, 240)
    stamp = stamps.read(luma)
    assert stamp is not None
    assert (stamp.person, stamp.frame) == (3, 77)


def test_pictures_in_other_colours_are_converted():
    """The same red in full-range BT.601, as some encoders send it."""
    picture = av.VideoFrame(16, 16, "yuvj420p")
    for plane, value in zip(picture.planes, (76, 85, 255), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    _, parts = Scaler(sharp=False).place(picture, Rect(0, 0, 16, 16))
    assert [int(part[4, 4]) for part in parts] == pytest.approx([81, 90, 240], abs=2)
