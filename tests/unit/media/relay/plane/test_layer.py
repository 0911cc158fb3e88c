from __future__ import annotations

import itertools

from media.relay.plane.layer import (
    KEY_FRAME_INTERVAL,
    MAX_SILENCE,
    MIN_SILENCE,
    PATIENCE,
    PATIENT_KEY_FRAME_INTERVAL,
    Layer,
)
from media.relay.plane.media import Media
from media.relay.plane.receiver import Receiver


def layer_at(frames_per_second: float) -> tuple[Layer, float]:
    """A layer after twenty seconds at that rate, and the time."""
    layer = Layer(0, "")
    layer.bind(1, Receiver(90000, nack=True))
    now = 100.0
    for number in range(int(20 * frames_per_second)):
        now += 1 / frames_per_second
        layer.passed(Media(number, 3000 * number, 0x80, b"", b"", b"frame", -1, 0, -1, False), now)
    return layer, now


def test_a_camera_is_silent_after_half_a_second():
    layer, now = layer_at(30)
    assert not layer.silent(now + MIN_SILENCE - 0.01)
    assert layer.silent(now + MIN_SILENCE + 0.01)


def test_a_still_screen_is_silent_when_several_of_its_frames_are_overdue():
    layer, now = layer_at(2)
    assert not layer.silent(now + 1.5)
    assert layer.silent(now + 2.5)


def test_the_slowest_source_is_silent_after_a_few_seconds():
    layer, now = layer_at(0.5)
    assert not layer.silent(now + MAX_SILENCE - 0.1)
    assert layer.silent(now + MAX_SILENCE + 0.1)


def test_requests_become_rarer_while_nobody_answers_them():
    layer, start = layer_at(30)
    asked = [tick * 0.05 for tick in range(400) if layer.key_frame_due(start + tick * 0.05)]
    gaps = [round(later - earlier, 2) for earlier, later in itertools.pairwise(asked)]
    assert set(gaps[: PATIENCE - 1]) == {KEY_FRAME_INTERVAL}
    assert set(gaps[PATIENCE:]) == {PATIENT_KEY_FRAME_INTERVAL}
    layer.key_frame_came((640, 360))
    assert (layer.width, layer.height) == (640, 360)
    assert not layer.key_frame_wanted


def test_a_key_frame_that_does_not_tell_its_size_leaves_it_as_it_was():
    layer, _ = layer_at(30)
    layer.key_frame_came((640, 360))
    layer.key_frame_came((0, 0))
    assert (layer.width, layer.height) == (640, 360)
