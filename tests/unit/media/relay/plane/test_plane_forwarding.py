"""Who gets what, through real SRTP."""

from __future__ import annotations

import pytest

from media.relay.plane import rtcp
from media.relay.plane.api import Extension
from media.relay.plane.extensions import ABS_SEND_TIME
from media.relay.plane.layer import KEY_FRAME_INTERVAL, MAX_SILENCE
from tests.support.plane import (
    H264,
    OPUS,
    PROFILES,
    House,
    Peer,
    Tap,
    Vp8Source,
    audio_up,
    down_of,
    opus_packet,
    rtx_of,
    video_up,
)

SIMULCAST = ("q", "h", "f")


class Call:
    """A publisher with three simulcast layers and subscribers 10, 11, …, each with a down track of the same number."""

    def __init__(self, subscribers: int = 1, *, layers: int = 3) -> None:
        self.house = House()
        self.plane = self.house.plane
        self.publisher = self.house.peer(1)
        self.plane.add_up_track(1, video_up(rids=SIMULCAST))
        self.sources = [Vp8Source(20 + index, rid=rid) for index, rid in enumerate(SIMULCAST[:layers])]
        self.subscribers = [self.subscribe(10 + index) for index in range(subscribers)]
        self.now = 100.0
        self.flowing = set(range(layers))
        self.requests = 0

    def subscribe(self, number: int, layer: int = 2) -> Peer:
        peer = self.house.peer(number)
        self.plane.add_down_track(number, down_of(1, number))
        self.plane.set_layer(number, layer)
        return peer

    def layer_of(self, down: int = 10) -> int:
        return next(stats.layer for stats in self.plane.down_stats() if stats.down == down)

    def frame(self, *, keys: tuple[int, ...] = (), seconds: float = 1 / 30) -> None:
        end = self.now + seconds
        while self.now < end - 0.05:
            self.now += 0.05
            self.plane.tick(self.now)
        self.now = end
        for index in sorted(self.flowing):
            for packet in self.sources[index].frame(key=index in keys):
                self.publisher.send(packet, self.now)
        self.plane.tick(self.now)

    def asked(self) -> set[int]:
        """Layers of which key frames were asked for since the last call."""
        messages = self.publisher.messages()
        requests = [message for message in messages if isinstance(message, rtcp.KeyFrameRequest)]
        self.requests += len(requests)
        return {ssrc - 20 for request in requests for ssrc in request.ssrcs}

    def play(self, seconds: float) -> None:
        """Frames for a while; what is asked for is answered with the next frame."""
        end = self.now + seconds
        keys: set[int] = set()
        while self.now < end:
            self.frame(keys=tuple(keys))
            keys = self.asked()


@pytest.mark.parametrize("profile", PROFILES)
def test_a_track_reaches_its_subscribers_under_their_own_names(profile):
    house = House()
    publisher, subscriber = house.peer(1, profile), house.peer(2, profile)
    house.plane.add_up_track(1, video_up())
    codec = H264._replace(name="VP8")
    house.plane.add_down_track(2, down_of(1, 5, codec=codec, extensions=(Extension(3, ABS_SEND_TIME),)))
    house.plane.set_layer(5, 0)
    for packet in Vp8Source(20).frame(key=True):
        publisher.send(packet)
    assert [(packet.ssrc, packet.payload_type) for packet in subscriber.received] == [(0x100A, 102)] * 2
    assert [set(packet.elements) for packet in subscriber.received] == [{3}, {3}]


def test_a_stream_that_begins_with_a_key_frame_needs_no_request():
    call = Call()
    call.frame(keys=(0, 1, 2))
    assert call.layer_of() == 2
    assert call.asked() == set()


def test_a_newcomer_waits_for_a_key_frame_which_is_asked_for_at_once():
    call = Call()
    call.frame(keys=(0, 1, 2))
    call.frame()
    late = call.subscribe(11, layer=1)
    assert call.asked() == {1}
    call.frame()
    assert late.received == []
    assert call.layer_of(11) == -1
    call.frame(keys=(1,))
    assert len(late.received) == 2
    assert call.layer_of(11) == 1


def test_a_request_without_an_answer_is_repeated_but_throttled():
    call = Call()
    for _ in range(30):
        call.frame()
    call.asked()
    assert call.requests <= 3 + 1 / KEY_FRAME_INTERVAL
    for _ in range(300):
        call.frame()
    call.asked()
    assert 5 < call.requests < 15


def test_a_subscriber_gets_the_best_flowing_layer_it_may_have():
    call = Call()
    call.play(0.5)
    assert call.layer_of() == 2
    call.plane.set_layer(10, 1)
    call.play(0.5)
    assert call.layer_of() == 1
    call.plane.set_layer(10, 2)
    call.play(0.7)
    assert call.layer_of() == 2


def test_a_layer_that_stops_is_replaced_by_the_next_lower_one_and_comes_back():
    call = Call()
    call.play(0.5)
    call.flowing = {0, 1}
    call.play(1.5)
    assert call.layer_of() == 1
    call.flowing = {0, 1, 2}
    call.play(1.5)
    assert call.layer_of() == 2


def test_only_higher_layers_flowing_is_better_than_nothing():
    call = Call()
    call.plane.set_layer(10, 0)
    call.flowing = {2}
    call.play(0.3)
    assert call.layer_of() == 2


def test_the_old_layer_goes_on_until_the_new_one_has_a_key_frame():
    call = Call()
    call.play(0.5)
    call.plane.set_layer(10, 0)
    subscriber = call.subscribers[0]
    before = len(subscriber.received)
    call.frame()
    call.frame()
    assert call.layer_of() == 2
    assert len(subscriber.received) == before + 4
    call.frame(keys=(0,))
    assert call.layer_of() == 0


def test_nothing_arrives_while_paused_and_no_number_is_missing_afterwards():
    call = Call()
    call.play(0.5)
    subscriber = call.subscribers[0]
    call.plane.set_layer(10, -1)
    before = len(subscriber.received)
    call.play(0.5)
    assert len(subscriber.received) == before
    call.plane.set_layer(10, 2)
    call.play(0.7)
    numbers = [packet.sequence for packet in subscriber.received]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > before


def test_a_muted_camera_comes_back_without_a_key_frame():
    call = Call()
    call.play(0.5)
    call.now += MAX_SILENCE + 5
    for _ in range(3):
        call.plane.tick(call.now)
    call.requests = 0
    subscriber = call.subscribers[0]
    before = len(subscriber.received)
    call.frame()
    call.asked()
    assert len(subscriber.received) == before + 2
    assert call.requests == 0


def test_a_still_screen_share_does_not_count_as_stopped():
    call = Call()
    call.play(0.5)
    for _ in range(20):  # the rate falls slowly to one frame a second
        call.frame(seconds=0.4)
    for _ in range(10):
        call.frame(seconds=1.0)
    call.asked()
    assert call.layer_of() == 2
    call.requests = 0
    for _ in range(10):
        call.frame(seconds=1.0)
    call.asked()
    assert call.requests == 0


def test_subscribers_choose_independently():
    call = Call(3)
    for number, layer in ((10, 0), (11, 1), (12, 2)):
        call.plane.set_layer(number, layer)
    call.play(1.0)
    assert [call.layer_of(number) for number in (10, 11, 12)] == [0, 1, 2]


def test_wishes_are_known_for_dynacast():
    call = Call(2)
    assert call.plane.wanted_layer(1) == 2
    call.plane.set_layer(10, 1)
    call.plane.set_layer(11, 0)
    assert call.plane.wanted_layer(1) == 1
    call.plane.set_layer(10, -1)
    call.plane.set_layer(11, -1)
    assert call.plane.wanted_layer(1) == -1
    call.plane.add_tap(1, Tap(), 1)
    assert call.plane.wanted_layer(1) == 1


def test_sound_starts_at_once_and_pauses_without_a_gap():
    house = House()
    publisher, subscriber = house.peer(1), house.peer(2)
    house.plane.add_up_track(1, audio_up())
    house.plane.add_down_track(2, down_of(2, 6, codec=OPUS))
    house.plane.set_layer(6, 0)
    for sequence in range(1, 10):
        house.plane.set_layer(6, -1 if sequence in (4, 5) else 0)
        publisher.send(opus_packet(sequence), 100 + sequence / 50)
    assert [packet.sequence for packet in subscriber.received] == list(range(1, 8))
    times = [packet.timestamp // 960 for packet in subscriber.received]
    assert times == [1, 2, 3, 6, 7, 8, 9]
    assert subscriber.received[0].elements[10] == b"\x9e"


def test_the_loudest_level_is_told_once():
    house = House()
    publisher = house.peer(1)
    house.plane.add_up_track(1, audio_up())
    house.plane.add_up_track(1, video_up())
    assert house.plane.audio_levels() == ((2, 127),)
    for sequence, level in enumerate((60, 20, 40)):
        publisher.send(opus_packet(sequence, level=level))
    assert house.plane.audio_levels() == ((2, 20),)
    assert house.plane.audio_levels() == ((2, 127),)


def test_another_codec_than_the_negotiated_one_is_not_forwarded():
    house = House()
    publisher, subscriber = house.peer(1), house.peer(2)
    house.plane.add_up_track(1, video_up()._replace(codecs=(H264, video_up().codecs[0])))
    house.plane.add_down_track(2, down_of(1, 5))
    house.plane.set_layer(5, 0)
    source = Vp8Source(20)
    for packet in source.frame(key=True):
        publisher.send(packet)
    assert len(subscriber.received) == 2
    source.payload_type = H264.payload_type
    for packet in source.frame(key=True):
        publisher.send(packet)
    assert len(subscriber.received) == 2
    source.payload_type = 96
    for packet in source.frame(key=True):
        publisher.send(packet)
    assert len(subscriber.received) == 4


def test_padding_of_a_codec_without_picture_ids_leaves_no_gap():
    house = House()
    publisher, subscriber = house.peer(1), house.peer(2)
    house.plane.add_up_track(1, video_up(codec=H264))
    house.plane.add_down_track(2, down_of(1, 5, codec=H264))
    house.plane.set_layer(5, 0)
    source = Vp8Source(20, payload_type=H264.payload_type)
    publisher.send(source.packet(b"\x67parameters", marker=True))
    for _ in range(3):
        publisher.send(source.padding())
        publisher.send(source.packet(b"\x41picture", marker=True))
    assert [packet.sequence for packet in subscriber.received] == [1, 2, 3, 4]


def test_a_new_stream_for_a_layer_continues_the_old_one():
    call = Call(layers=1)
    call.play(0.5)
    old = call.sources[0]
    # A timestamp that would be half a second off, were it taken for one of the old stream.
    ahead = old.timestamp + 45_000
    call.sources[0] = Vp8Source(90, rid="q", sequence=40_000, timestamp=ahead, picture=900, base=200)
    call.frame(keys=(0,))
    before, after = call.subscribers[0].received[-3], call.subscribers[0].received[-2]
    assert abs(after.timestamp - before.timestamp - 3000) <= 1
    for packet in old.frame(key=True):
        call.publisher.send(packet, call.now)
    numbers = [packet.sequence for packet in call.subscribers[0].received]
    assert numbers == list(range(1, len(numbers) + 1))


def test_before_the_subscriber_has_keys_nothing_is_spent_on_it():
    house = House()
    publisher, subscriber = house.peer(1), house.peer(2, connected=False)
    house.plane.add_session(2)
    house.plane.add_up_track(1, video_up())
    house.plane.add_down_track(2, down_of(1, 5))
    house.plane.set_layer(5, 0)
    source = Vp8Source(20)
    for packet in source.frame(key=True):
        publisher.send(packet)
    house.plane.set_keys(2, subscriber.profile, subscriber.key, subscriber.their_key)
    assert any(isinstance(message, rtcp.KeyFrameRequest) for message in publisher.messages())
    for packet in source.frame(key=True):
        publisher.send(packet)
    assert [packet.sequence for packet in subscriber.received] == [1, 2]


def test_an_ssrc_that_is_used_again_goes_on_where_it_ended():
    """Otherwise two packets would share one AES-GCM nonce."""
    call = Call()
    call.play(0.3)
    subscriber = call.subscribers[0]
    last = subscriber.received[-1].sequence
    call.plane.remove_down_track(10)
    call.plane.add_down_track(10, down_of(1, 10))
    call.plane.set_layer(10, 2)
    call.play(0.7)
    numbers = [packet.sequence for packet in subscriber.received]
    assert numbers == list(range(1, len(numbers) + 1))
    assert numbers[-1] > last


def test_names_in_use_are_our_fault():
    call = Call()
    with pytest.raises(ValueError, match="session 1 exists"):
        call.plane.add_session(1)
    with pytest.raises(ValueError, match="down track 10 exists"):
        call.plane.add_down_track(10, down_of(1, 10))
    with pytest.raises(ValueError, match="SSRC is in use"):
        call.plane.add_down_track(10, down_of(1, 99, ssrc=0x1000 + 20))
    with pytest.raises(ValueError, match="belongs to another session"):
        call.plane.add_up_track(10, video_up())
    with pytest.raises(KeyError):
        call.plane.set_layer(12345, 0)


def test_a_publisher_who_leaves_takes_its_tracks_and_their_subscriptions_along():
    call = Call(2)
    call.play(0.3)
    call.plane.remove_session(1)
    call.plane.tick(call.now)
    assert call.plane.down_stats() == ()
    assert call.plane.up_stats() == ()
    with pytest.raises(KeyError):
        call.plane.remove_down_track(10)


def test_a_subscriber_who_leaves_takes_its_subscriptions_along():
    call = Call(2)
    call.play(0.3)
    call.plane.remove_session(10)
    call.play(0.3)
    assert [stats.down for stats in call.plane.down_stats()] == [11]


def test_renegotiation_keeps_what_flows():
    call = Call()
    call.play(0.5)
    call.plane.add_up_track(1, video_up(rids=SIMULCAST))
    before = len(call.subscribers[0].received)
    call.frame()
    assert call.layer_of() == 2
    assert len(call.subscribers[0].received) == before + 2


def test_layers_that_renegotiation_drops_are_gone():
    call = Call()
    call.play(0.5)
    call.plane.add_up_track(1, video_up(rids=("q", "h")))
    call.play(0.7)
    assert call.layer_of() == 1
    assert {stats.ssrc for stats in call.plane.up_stats()} == {20, 21}
    assert dict(call.plane.drops())["unknown_rid"] > 0


def test_statistics_tell_rates_sizes_and_losses():
    call = Call()
    for index in range(61):
        call.frame(keys=(0, 1, 2) if index == 0 else ())
    low = call.plane.up_stats()[0]
    assert (low.track, low.layer, low.ssrc) == (1, 0, 20)
    assert (low.width, low.height) == (640, 360)
    assert low.packets == 122
    assert 0.9 < low.bitrate / (2 * 45 * 8 * 30) < 1.1
    call.sources[0].frame()
    call.frame()
    assert call.plane.up_stats()[0].lost == 2


def test_a_tap_reads_the_layers_it_may_and_gets_a_key_frame():
    call = Call(0)
    call.frame(keys=(0, 1, 2))
    call.asked()
    tap = Tap()
    call.plane.add_tap(1, tap, 1)
    assert call.asked() == {0, 1}
    assert tap.layers == [(20, "q", 96, "video/VP8", 90000), (21, "h", 96, "video/VP8", 90000)]
    sent = call.sources[0].frame(key=True)
    for packet in sent + call.sources[2].frame():
        call.publisher.send(packet, 123.0)
    assert tap.packets == [(20, packet, 123.0) for packet in sent]
    call.publisher.send_rtcp(rtcp.pack_sender_report(20, 5, 6, 7, 8) + rtcp.pack_sender_report(22, 5, 6, 7, 8))
    assert tap.reports == [(20, 5, 6)]
    call.plane.remove_tap(1, tap)
    call.frame()
    assert len(tap.packets) == 2


def test_a_tap_added_early_is_told_of_layers_as_they_appear():
    call = Call(0)
    tap = Tap()
    call.plane.add_tap(1, tap, 2)
    call.frame(keys=(0, 1, 2))
    assert [layer[1] for layer in tap.layers] == ["q", "h", "f"]
    assert len(tap.packets) == 6


def test_a_tap_gets_a_retransmission_as_the_packet_it_repeats():
    call = Call(0, layers=1)
    tap = Tap()
    call.plane.add_tap(1, tap, 2)
    first, lost, last = call.sources[0].frame(key=True, packets=3)
    call.publisher.send(first)
    call.publisher.send(last)
    call.publisher.send(rtx_of(lost, ssrc=99, sequence=1, rid="q"))
    _, repeated, _ = tap.packets[2]
    assert repeated[:12] == bytes((lost[0],)) + lost[1:12]
    assert repeated.endswith(lost[-45:])


def test_a_tap_of_sound_gets_the_packets_and_the_type():
    house = House()
    publisher = house.peer(1)
    house.plane.add_up_track(1, audio_up())
    tap = Tap()
    house.plane.add_tap(2, tap, 0)
    publisher.send(opus_packet(1))
    assert tap.layers == [(7, "", 111, "audio/opus", 48000)]
    assert [packet for _, packet, _ in tap.packets] == [opus_packet(1)]
