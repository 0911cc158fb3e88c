"""What the plane tells publishers, and what it makes of what subscribers tell it."""

from __future__ import annotations

import pytest

from media.relay.plane import rtcp
from media.relay.plane.layer import KEY_FRAME_INTERVAL
from media.relay.plane.receiver import MAX_GAP, MISSING_LIFETIME
from media.relay.plane.rtp import pack_packet
from media.relay.plane.session import LOCAL_SSRC, REPORTS_PER_PACKET
from media.relay.plane.uptrack import REPAIR_INTERVAL
from tests.support.plane import (
    MID_ID,
    OPUS,
    TRANSPORT_CC_ID,
    VP8_WITHOUT_RTX,
    House,
    Tap,
    Vp8Source,
    audio_up,
    down_of,
    opus_packet,
    read,
    rtx_of,
    video_up,
)
from tests.unit.media.relay.plane.test_twcc import decode


class Call:
    """One publisher of one layer, one subscriber."""

    def __init__(self, **up) -> None:
        self.house = House()
        self.plane = self.house.plane
        self.publisher, self.subscriber = self.house.peer(1), self.house.peer(2)
        self.plane.add_up_track(1, video_up(**up))
        self.plane.add_down_track(2, down_of(1, 5))
        self.plane.set_layer(5, 0)
        self.source = Vp8Source(20)

    def send(self, *packets: bytes, now: float = 100.0) -> None:
        for packet in packets:
            self.publisher.send(packet, now)

    def said(self, kind: type) -> list:
        return [message for message in self.publisher.messages() if isinstance(message, kind)]

    def drops(self) -> dict[str, int]:
        return dict(self.plane.drops())


def test_a_lost_packet_is_asked_for_at_once_and_forwarded_when_rtx_brings_it():
    call = Call()
    first, lost, last = call.source.frame(key=True, packets=3)
    call.send(first, last)
    assert call.said(rtcp.Nack) == [rtcp.Nack(20, (read(lost).sequence,))]
    call.send(rtx_of(lost, ssrc=21, sequence=900))
    assert [packet.sequence for packet in call.subscriber.received] == [1, 3, 2]
    assert call.subscriber.received[2].payload == read(lost).payload
    assert call.plane.up_stats()[0].lost == 0


def test_a_plain_retransmission_serves_where_rtx_was_not_negotiated():
    call = Call(codec=VP8_WITHOUT_RTX)
    first, lost, last = call.source.frame(key=True, packets=3)
    call.send(first, last)
    assert call.said(rtcp.Nack) == [rtcp.Nack(20, (read(lost).sequence,))]
    call.send(lost)
    assert [packet.sequence for packet in call.subscriber.received] == [1, 3, 2]


def test_what_comes_by_rtx_and_again_by_itself_is_forwarded_once():
    call = Call()
    first, late, last = call.source.frame(key=True, packets=3)
    call.send(first, last, rtx_of(late, ssrc=21, sequence=900), late)
    assert len(call.subscriber.received) == 3
    assert call.drops() == {"duplicate_or_too_late": 1}


def test_rtx_of_what_was_not_lost_is_a_probe_and_stays_here():
    call = Call()
    packets = call.source.frame(key=True)
    call.send(*packets)
    call.send(rtx_of(packets[0], ssrc=21, sequence=900))
    call.send(pack_packet(payload_type=97, sequence=901, timestamp=0, ssrc=21, payload=b"", padding=200))
    assert len(call.subscriber.received) == 2
    assert call.drops() == {"probe": 2}


def test_rtx_may_come_before_the_media():
    call = Call()
    packets = call.source.frame(key=True)
    call.send(rtx_of(packets[0], ssrc=21, sequence=900))
    call.send(*packets)
    assert len(call.subscriber.received) == 2


def test_losses_of_a_layer_that_nobody_gets_are_not_asked_for():
    call = Call()
    call.plane.set_layer(5, -1)
    first, _, last = call.source.frame(key=True, packets=3)
    call.send(first, last)
    assert call.said(rtcp.Nack) == []


def test_lost_padding_is_not_asked_for_where_picture_ids_tell_it():
    call = Call(codec=VP8_WITHOUT_RTX)
    call.send(*call.source.frame(key=True))
    call.source.padding()
    call.send(*call.source.frame())
    assert call.said(rtcp.Nack) == []
    call.source.sequence += 1  # a lost packet of a picture that is not there either
    call.source.picture += 1
    call.send(*call.source.frame())
    assert len(call.said(rtcp.Nack)) == 1


def test_lost_padding_of_sound_is_not_asked_for_and_leaves_no_hole():
    """The Rust SDK pads on the microphone's SSRC while it has no camera."""
    codec = OPUS._replace(nack=True)
    house = House()
    publisher, subscriber = house.peer(1), house.peer(2)
    house.plane.add_up_track(1, audio_up()._replace(codecs=(codec,)))
    house.plane.add_down_track(2, down_of(2, 6, codec=codec))
    house.plane.set_layer(6, 0)
    one, many = b"\x78sound", b"\x7bsound"  # a frame of 20 ms; as many as the next byte says, which may be encrypted
    sent = [(1, 0, one), (2, 1, one), (6, 2, one), (8, 4, one), (9, 5, many), (11, 6, one)]
    for sequence, turn, payload in sent:
        publisher.send(opus_packet(sequence, payload=payload, timestamp=turn * 960))
    assert [packet.sequence for packet in subscriber.received] == [1, 2, 3, 5, 6, 8]
    asked = [message.sequences for message in publisher.messages() if isinstance(message, rtcp.Nack)]
    assert asked == [(7,), (10,)]


@pytest.mark.parametrize("lost_packets", [1, MAX_GAP + 1])
def test_readers_get_a_key_frame_when_packets_are_lost_for_good(lost_packets):
    call = Call()
    call.plane.set_layer(5, -1)
    call.plane.add_tap(1, Tap(), 0)
    call.send(*call.source.frame(key=True))
    call.source.frame(packets=lost_packets)
    for step in range(1, 200):
        call.send(*call.source.frame(), now=100 + step * 0.05)
        call.plane.tick(100 + step * 0.05)
        if requests := call.said(rtcp.KeyFrameRequest):
            break
    assert requests == [rtcp.KeyFrameRequest((20,))]
    assert step * 0.05 <= MISSING_LIFETIME + 0.1


def test_key_frames_for_readers_are_rare_on_a_lossy_line():
    call = Call()
    call.plane.set_layer(5, -1)
    call.plane.add_tap(1, Tap(), 0)
    requests = 0
    call.send(*call.source.frame(key=True))
    for step in range(1, 601):
        now, answer = 100 + step / 20, bool(call.said(rtcp.KeyFrameRequest))
        requests += answer
        call.source.sequence += step % 7 == 0  # lost, and nobody knows what it was
        call.source.picture += step % 7 == 0
        call.send(*call.source.frame(key=answer), now=now)
        call.plane.tick(now)
    assert 5 <= requests <= 30 / REPAIR_INTERVAL


def test_a_subscriber_asks_for_itself_when_packets_are_lost_for_good():
    call = Call()
    call.send(*call.source.frame(key=True))
    call.source.frame()
    for step in range(1, 100):
        call.send(*call.source.frame(), now=100 + step * 0.05)
        call.plane.tick(100 + step * 0.05)
    assert call.said(rtcp.KeyFrameRequest) == []


def test_lost_sound_is_not_asked_for_but_late_sound_is_forwarded():
    house = House()
    publisher, subscriber = house.peer(1), house.peer(2)
    house.plane.add_up_track(1, audio_up())
    house.plane.add_down_track(2, down_of(2, 6, codec=OPUS))
    house.plane.set_layer(6, 0)
    for sequence in (1, 3, 2, 4):
        publisher.send(opus_packet(sequence))
    assert [packet.sequence for packet in subscriber.received] == [1, 3, 2, 4]
    assert publisher.messages() == []


def test_after_an_outage_subscribers_start_anew_without_a_gap():
    call = Call()
    call.send(*call.source.frame(key=True))
    call.source.sequence += MAX_GAP + 5
    call.send(*call.source.frame(), now=101.0)
    assert call.said(rtcp.KeyFrameRequest) == [rtcp.KeyFrameRequest((20,))]
    assert len(call.subscriber.received) == 2
    call.send(*call.source.frame(key=True), now=101.1)
    assert [packet.sequence for packet in call.subscriber.received] == [1, 2, 3, 4]


def test_an_outage_of_sound_goes_on_at_once():
    house = House()
    publisher, subscriber = house.peer(1), house.peer(2)
    house.plane.add_up_track(1, audio_up())
    house.plane.add_down_track(2, down_of(2, 6, codec=OPUS))
    house.plane.set_layer(6, 0)
    for sequence in (1, 2, 2000, 2001):
        publisher.send(opus_packet(sequence), 100 + sequence / 50)
    assert [packet.sequence for packet in subscriber.received] == [1, 2, 3, 4]
    assert [packet.timestamp // 960 for packet in subscriber.received] == [1, 2, 2000, 2001]


def feedback(call: Call) -> list[dict[int, float | None]]:
    """Transport-cc feedback so far: it comes behind an empty receiver report."""
    packets = [packet[8:] for packet in call.publisher.control if packet[8:10] in (b"\x8f\xcd", b"\xaf\xcd")]
    call.publisher.control.clear()
    return [decode(packet) for packet in packets]


def test_publishers_learn_every_tenth_of_a_second_what_arrived_of_all_their_streams():
    call = Call()
    packets = [*call.source.frame(key=True), call.source.padding()]
    call.send(*packets, now=100.01)
    call.send(rtx_of(packets[0], ssrc=21, sequence=1), now=100.01)
    unknown = {MID_ID: b"9", TRANSPORT_CC_ID: b"\x00\x04"}
    call.send(
        pack_packet(payload_type=96, sequence=1, timestamp=0, ssrc=77, payload=b"x", extensions=unknown), now=100.02
    )
    call.publisher.control.clear()
    call.plane.tick(100.05)
    assert feedback(call) == [{0: 100.01, 1: 100.01, 2: 100.01, 3: None, 4: 100.02}]
    call.plane.tick(100.10)
    assert feedback(call) == []
    call.send(*call.source.frame(), now=100.12)
    call.plane.tick(100.15)
    assert len(feedback(call)) == 1


def test_publishers_get_a_receiver_report_each_second():
    call = Call()
    call.send(*call.source.frame(key=True))
    call.plane.tick(100.0)
    call.publisher.control.clear()
    for step in range(1, 61):
        call.plane.tick(100 + step * 0.05)
    reports = [report for report in call.said(rtcp.ReceiverReport) if report.reports]
    assert len(reports) == 3
    assert {(report.ssrc, report.reports[0].ssrc) for report in reports} == {(LOCAL_SSRC, 20)}


def test_many_streams_are_reported_in_several_packets():
    house = House()
    publisher = house.peer(1)
    for number in range(40):
        house.plane.add_up_track(1, audio_up(number, mid=str(number)))
        publisher.send(opus_packet(1, ssrc=1000 + number, mid=str(number)))
    publisher.control.clear()
    house.plane.tick(100.0)
    reports = [message for message in publisher.messages() if isinstance(message, rtcp.ReceiverReport)]
    sizes = [len(report.reports) for report in reports]
    assert sizes == [REPORTS_PER_PACKET, 40 - REPORTS_PER_PACKET]


def test_a_sender_report_is_forwarded_at_once_in_the_numbers_of_the_stream():
    call = Call()
    call.send(*call.source.frame(key=True))
    call.publisher.send_rtcp(rtcp.pack_sender_report(20, 5 << 32, 53_000, 2, 90))
    (report,) = call.subscriber.messages()
    assert report == rtcp.SenderReport(0x100A, 5 << 32, 53_000, 2, 90, ())


def test_a_report_for_a_newcomer_is_brought_up_to_date():
    call = Call()
    call.send(*call.source.frame(key=True))
    call.publisher.send_rtcp(rtcp.pack_sender_report(20, 5 << 32, 53_000, 2, 90), 100.0)
    late = call.house.peer(3)
    call.plane.add_down_track(3, down_of(1, 6))
    call.plane.set_layer(6, 0)
    call.send(*call.source.frame(key=True), now=101.0)
    (report,) = late.messages()
    assert isinstance(report, rtcp.SenderReport)
    assert (report.ntp, report.rtp) == (6 << 32, 53_000 + 90_000)


def test_the_publisher_learns_its_round_trip():
    call = Call()
    call.send(*call.source.frame(key=True))
    call.publisher.send_rtcp(rtcp.pack_sender_report(20, 0x12345678 << 16, 0, 2, 90), 100.0)
    call.plane.tick(100.5)
    (report,) = (report for report in call.said(rtcp.ReceiverReport) if report.reports)
    assert (report.reports[0].last_sr, report.reports[0].delay) == (0x12345678, 32768)


@pytest.mark.parametrize("request_of", [rtcp.pack_pli, lambda sender, ssrc: rtcp.pack_fir(sender, ssrc, 1)])
def test_a_subscribers_request_for_a_key_frame_goes_to_the_publisher_throttled(request_of):
    call = Call()
    call.send(*call.source.frame(key=True))
    for step in range(100):
        now = 101 + step * 0.01
        call.send(*call.source.frame(), now=now)
        call.subscriber.send_rtcp(request_of(9, 0x100A), now)
        call.plane.tick(now)
    requests = call.said(rtcp.KeyFrameRequest)
    assert requests[0] == rtcp.KeyFrameRequest((20,))
    assert len(requests) == 1 / KEY_FRAME_INTERVAL


def test_a_request_is_fulfilled_by_the_next_key_frame():
    call = Call()
    call.send(*call.source.frame(key=True))
    call.plane.request_key_frame(1, 101.0)
    assert len(call.said(rtcp.KeyFrameRequest)) == 1
    call.send(*call.source.frame(key=True), now=101.1)
    for step in range(40):
        call.plane.tick(101.2 + step / 20)
    assert call.said(rtcp.KeyFrameRequest) == []


def test_requests_for_streams_of_others_are_ignored():
    call = Call()
    call.send(*call.source.frame(key=True))
    call.publisher.messages()
    stranger = call.house.peer(3)
    stranger.send_rtcp(rtcp.pack_pli(9, 0x100A) + rtcp.pack_nack(9, 0x100A, [1]) + rtcp.pack_pli(9, 20))
    assert call.publisher.messages() == []
    assert len(call.subscriber.received) == 2


def test_the_subscribers_bandwidth_loss_and_round_trip_are_known():
    call = Call()
    call.send(*call.source.frame(key=True))
    assert call.plane.remote_bandwidth(2) == 0
    call.subscriber.send_rtcp(rtcp.pack_remb(9, 512_000, [0x100A]))
    assert call.plane.remote_bandwidth(2) == 512_000
    call.publisher.send_rtcp(rtcp.pack_sender_report(20, 5 << 32, 53_000, 2, 90), 100.0)
    block = rtcp.ReportBlock(0x100A, 128, 1, 1, 0, 5 << 16, 0)
    call.subscriber.send_rtcp(rtcp.pack_receiver_report(9, [block]), 100.25)
    (stats,) = call.plane.down_stats()
    assert (stats.packets, stats.loss, stats.rtt) == (2, 0.5, 0.25)


def test_retransmissions_are_counted():
    call = Call()
    call.send(*call.source.frame(key=True))
    call.subscriber.send_rtcp(rtcp.pack_nack(9, 0x100A, [1, 2, 3]))
    assert call.plane.down_stats()[0].retransmitted == 2


def test_a_layer_that_says_goodbye_is_left_at_the_next_tick():
    house = House()
    publisher = house.peer(1)
    house.peer(2)
    house.plane.add_up_track(1, video_up(rids=("q", "h")))
    house.plane.add_down_track(2, down_of(1, 5))
    house.plane.set_layer(5, 2)
    low, high = Vp8Source(20, rid="q"), Vp8Source(21, rid="h")
    for packet in low.frame(key=True) + high.frame(key=True):
        publisher.send(packet)
    assert house.plane.down_stats()[0].layer == 1
    publisher.send_rtcp(rtcp.pack_bye([21]))
    house.plane.tick(100.05)
    for packet in low.frame(key=True):
        publisher.send(packet)
    assert house.plane.down_stats()[0].layer == 0
