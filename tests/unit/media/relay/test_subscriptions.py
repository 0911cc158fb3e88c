"""Which layer a subscriber gets, and what a publisher is asked to encode."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models, rtc

from media.relay import dynacast
from media.relay.dynacast import Dynacast
from media.relay.measures import Meter
from media.relay.negotiation import AgreedUp
from media.relay.plane.api import Codec, DownStats, LayerStats
from media.relay.quality import rate, update
from media.relay.subscriptions import OFF, Subscription, Wish, layer_to_send, wanted_quality
from tests.unit.media.relay.test_tracks import announced

LAYERS = [
    models.VideoLayer(quality=models.LOW, width=320, height=180),
    models.VideoLayer(quality=models.MEDIUM, width=640, height=360),
    models.VideoLayer(quality=models.HIGH, width=1280, height=720),
]


def subscription(**request: Any) -> Subscription:
    track = announced(layers=LAYERS, width=1280, height=720, **request)
    track.carried_by(AgreedUp("1", "video", Codec(96, "VP8", 90000, 97, True), (), ("q", "h", "f"), ()))
    return Subscription(1, track, 1, 2)


@pytest.mark.parametrize(
    ("wish", "quality"),
    [
        (Wish(), models.HIGH),
        (Wish(quality=models.LOW), models.LOW),
        (Wish(disabled=True), OFF),
        (Wish(width=300, height=170), models.LOW),
        (Wish(width=330, height=190), models.LOW),  # a tenth larger is not seen
        (Wish(width=400, height=225), models.MEDIUM),
        (Wish(width=1000, height=600), models.HIGH),
        (Wish(width=4000, height=3000), models.HIGH),
        (Wish(quality=99), models.HIGH),
    ],
)
def test_the_smallest_layer_that_fills_the_element_is_enough(wish: Wish, quality: int) -> None:
    assert wanted_quality(subscription().track.info, wish) == quality


def test_layers_without_a_size_say_nothing_and_of_equal_ones_the_best_counts() -> None:
    wish = Wish(width=320, height=180)
    assert wanted_quality(announced(layers=[models.VideoLayer(quality=models.LOW)]).info, wish) == models.HIGH
    same = [models.VideoLayer(quality=quality, height=720) for quality in (models.HIGH, models.LOW)]
    assert wanted_quality(announced(layers=same).info, wish) == models.HIGH


def test_a_setting_of_quality_off_is_off() -> None:
    assert Wish.of(rtc.UpdateTrackSettings(quality=models.OFF)).disabled
    assert not Wish.of(rtc.UpdateTrackSettings(quality=models.LOW)).disabled


def test_a_muted_track_a_disabled_one_and_a_poor_line_get_less() -> None:
    video = subscription()
    assert layer_to_send(video) == 2
    video.limit = 0
    assert layer_to_send(video) == 0
    video.wish = Wish(disabled=True)
    assert layer_to_send(video) == OFF
    video.wish = Wish()
    video.track.info.muted = True
    assert layer_to_send(video) == OFF


def test_sound_has_one_layer_whatever_the_line() -> None:
    assert layer_to_send(Subscription(1, announced(video=False), 1, 0, limit=OFF)) == 0


def test_dynacast_asks_for_more_at_once_and_for_less_after_a_pause() -> None:
    state = Dynacast(5.0)
    assert not state.look(models.HIGH, 0.0)
    assert not state.look(models.LOW, 1.0)
    assert not state.look(models.LOW, 5.9)
    assert state.look(models.LOW, 6.0)
    assert state.announced == models.LOW
    assert state.look(models.MEDIUM, 6.1)
    assert not state.look(OFF, 7.0)
    assert not state.look(models.MEDIUM, 8.0)  # back before the pause was over
    assert not state.look(OFF, 9.0)
    assert state.look(OFF, 14.0)


def test_a_quality_update_has_the_old_and_the_new_form() -> None:
    message = dynacast.update(announced(), models.MEDIUM)
    assert [(item.quality, item.enabled) for item in message.subscribed_qualities] == [(0, True), (1, True), (2, False)]
    assert message.subscribed_codecs[0].codec == "vp8"
    assert list(message.subscribed_codecs[0].qualities) == list(message.subscribed_qualities)


def test_totals_become_what_happened_since_the_last_look() -> None:
    meter = Meter()

    def layer(packets: int, lost: int, number: int = 0) -> LayerStats:
        return LayerStats(7, number, 1, 0, packets, lost, 0, 0)

    def down(octets: int) -> DownStats:
        return DownStats(9, 0, 0, octets, 0, 0.25, 0.0)

    first = meter.look([layer(100, 5)], [down(1000)], 1.0)
    assert (first.up_loss[7], first.down_rate[9], first.down_loss[9]) == (0.0, 0, 0.25)
    second = meter.look([layer(150, 10), layer(40, 5, 1)], [down(2000)], 3.0)
    assert second.up_loss[7] == 10 / 100
    assert second.down_rate[9] == 4000


@pytest.mark.parametrize(
    ("loss", "reachable", "quality"),
    [
        (0.0, True, models.EXCELLENT),
        (0.05, True, models.GOOD),
        (0.5, True, models.POOR),
        (0.0, False, models.LOST),
    ],
)
def test_quality_follows_loss(loss: float, reachable: bool, quality: int) -> None:
    assert rate(loss, reachable=reachable) == quality
    assert update({"PA_x": rate(loss, reachable=reachable)}).updates[0].quality == quality
