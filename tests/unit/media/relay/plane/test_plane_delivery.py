"""Transport-cc towards subscribers: packets bear numbers, and feedback tells when which of them arrived."""

from __future__ import annotations

import itertools

import pytest

from media.relay.plane import rtcp
from media.relay.plane.api import Delivery, Extension
from media.relay.plane.delivery import HISTORY
from media.relay.plane.extensions import ABS_SEND_TIME, TRANSPORT_CC
from media.relay.plane.twcc import TransportFeedback
from tests.support.plane import VP8, VP8_WITHOUT_RTX, House, Received, Vp8Source, down_of, video_up

NUMBER_ID = 11
EXTENSIONS = (Extension(9, ABS_SEND_TIME), Extension(NUMBER_ID, TRANSPORT_CC))
SUBSCRIBER, DOWN = 2, 5
RTX = VP8.rtx_payload_type


class Line:
    """One publisher, and one subscriber whose clock began at another time."""

    def __init__(self, codec=VP8) -> None:
        self.house = House()
        self.plane = self.house.plane
        self.publisher, self.subscriber = self.house.peer(1), self.house.peer(SUBSCRIBER)
        self.plane.add_up_track(1, video_up())
        self.plane.add_down_track(SUBSCRIBER, down_of(1, DOWN, codec=codec, extensions=EXTENSIONS))
        self.plane.set_layer(DOWN, 0)
        self.source = Vp8Source(10)
        self.feedback = TransportFeedback()

    def frame(self, now: float, packets: int = 3, *, key: bool = False) -> list[Received]:
        """Send a frame; returns what the subscriber got of it."""
        before = len(self.subscriber.received)
        for packet in self.source.frame(key=key, packets=packets, size=100):
            self.publisher.send(packet, now)
        return self.subscriber.received[before:]

    def tell(self, arrivals: list[tuple[Received, float]], now: float = 101.0) -> tuple[Delivery, ...]:
        """The subscriber's feedback for these, and what the plane makes of it."""
        for packet, at in arrivals:
            self.feedback.add(packet.elements[NUMBER_ID], at)
        for report in self.feedback.build(1, 2):
            self.subscriber.send_rtcp(report, now)
        return self.plane.deliveries()


def numbers(packets: list[Received]) -> list[int]:
    return [int.from_bytes(packet.elements[NUMBER_ID], "big") for packet in packets]


def test_packets_are_numbered_across_streams_and_retransmissions():
    line = Line()
    self_sent = line.frame(100.0, key=True) + line.frame(100.03)
    line.subscriber.send_rtcp(rtcp.pack_nack(1, self_sent[0].ssrc, [self_sent[1].sequence]), 100.05)
    again = line.subscriber.received[-1]
    assert again.payload_type == RTX
    assert numbers([*self_sent, again]) == list(range(7))
    assert all(9 not in packet.elements for packet in self_sent), "with a number there is no send time"


def test_packets_sent_at_once_are_told_together_with_their_size_and_both_times():
    line = Line()
    first, second = line.frame(100.0, key=True), line.frame(100.1)
    told = line.tell([(packet, 7.0 + 0.01 * index) for index, packet in enumerate(first + second)])
    assert [delivery[:2] for delivery in told] == [(SUBSCRIBER, 100.0), (SUBSCRIBER, 100.1)]
    assert [delivery.packets for delivery in told] == [3, 3]
    assert told[0].octets == sum(len(packet.packet) for packet in first)
    assert told[1].arrived - told[0].arrived == pytest.approx(0.03, abs=0.001)
    assert line.plane.deliveries() == ()


def test_what_did_not_arrive_is_told_as_lost_and_taken_back_when_it_was_late():
    line = Line()
    packets = line.frame(100.0, packets=6, key=True)
    (told,) = line.tell([(packet, 7.0) for index, packet in enumerate(packets) if index != 2])
    assert (told.packets, told.lost) == (5, 1)
    (late,) = line.tell([(packets[2], 7.2)])
    assert (late.packets, late.octets, late.lost) == (0, 0, -1)
    assert line.tell([(packets[2], 7.2)]) == (), "what is told twice counts once"


def test_numbers_and_the_subscribers_clock_wrap(monkeypatch):
    line = Line()
    line.frame(100.0, key=True)
    with monkeypatch.context() as patched:
        patched.setattr(line.subscriber, "take", lambda _: None)  # nobody needs to read these
        for _ in range(650):
            line.frame(100.0, packets=100)
    clock = 64e-3 * (1 << 24) - 0.5  # the reference time has 24 bits
    told: list[Delivery] = []
    for index in range(60):
        packets = line.frame(100.0 + index * 0.033, packets=20)
        told += line.tell([(packet, clock + index * 0.033) for packet in packets], now=100.0 + index * 0.033)
    assert numbers(packets)[-1] < 1200, "the numbers did not wrap"
    assert sum(delivery.packets for delivery in told) == 60 * 20
    for before, after in itertools.pairwise(told):
        assert after.arrived - before.arrived == pytest.approx(0.033, abs=0.001)


def test_packets_older_than_the_history_are_forgotten():
    line = Line()
    first = line.frame(100.0, key=True)
    for index in range(HISTORY // 50 + 1):
        line.frame(100.1 + index * 0.03, packets=50)
    assert line.tell([(packet, 7.0) for packet in first]) == ()


def test_feedback_nobody_takes_is_bounded():
    line = Line()
    for index in range(1100):
        packets = line.frame(100.0 + index * 0.033, packets=1, key=index == 0)
        for packet in packets:
            line.feedback.add(packet.elements[NUMBER_ID], 7.0 + index * 0.033)
        for report in line.feedback.build(1, 2):
            line.subscriber.send_rtcp(report, 100.0)
    assert len(line.plane.deliveries()) == 1024


def test_what_was_sent_again_is_not_sent_anew_before_a_round_trip():
    line = Line()
    packets = line.frame(100.0, key=True)
    line.publisher.send_rtcp(rtcp.pack_sender_report(10, 1 << 40, line.source.timestamp, 1, 1), 100.0)
    (report,) = (message for message in line.subscriber.messages() if isinstance(message, rtcp.SenderReport))
    block = rtcp.ReportBlock(packets[0].ssrc, 0, 0, 1, 0, report.ntp >> 16 & 0xFFFFFFFF, 0)
    line.subscriber.send_rtcp(rtcp.pack_receiver_report(1, [block]), 100.3)
    assert line.plane.down_stats()[0].rtt == pytest.approx(0.3)
    for now, again in ((100.4, 1), (100.5, 1), (100.65, 1), (100.71, 2)):
        line.plane.tick(now)
        line.subscriber.send_rtcp(rtcp.pack_nack(1, packets[0].ssrc, [packets[1].sequence]), now)
        assert line.plane.down_stats()[0].retransmitted == again


def test_padding_repeats_what_was_sent_last_as_retransmissions_that_do_not_count():
    line = Line()
    packets = line.frame(100.0, key=True)
    line.plane.pad(DOWN, 300, 100.1)
    padding = line.subscriber.received[3:]
    assert [packet.payload_type for packet in padding] == [RTX] * 3
    assert [packet.payload[:2] for packet in padding] == [p.sequence.to_bytes(2, "big") for p in reversed(packets)]
    assert numbers(padding) == [3, 4, 5]
    assert line.plane.down_stats()[0].retransmitted == 0
    line.plane.pad(DOWN, 1_000_000, 100.2)
    assert len(line.subscriber.received) - 6 <= 64


@pytest.mark.parametrize("codec", [VP8_WITHOUT_RTX, VP8])
def test_nothing_is_padded_where_it_could_not_be_told_apart(codec):
    line = Line(codec)
    if codec is not VP8:
        line.frame(100.0, key=True)
    before = len(line.subscriber.received)
    line.plane.pad(DOWN, 1000, 100.1)
    assert len(line.subscriber.received) == before


def feedback(body: str) -> bytes:
    return rtcp.pack_receiver_report(1) + rtcp.pack_transport_feedback(1, 2, bytes.fromhex(body))


@pytest.mark.parametrize(
    "body",
    [
        "0000",  # no header
        "00000003 00000001",  # no chunk
        "00000003 00000001 2003 0101",  # a delta is missing
        "00000002 00000001 4002 000101",  # half a delta is missing
        "00000001 00000001 6001 0101",  # a reserved symbol
        "00000001 00000001 0000",  # an empty run
        "00002000 00000001 1fff 0001",  # more than can be remembered
    ],
)
def test_feedback_that_contradicts_itself_is_dropped_whole(body):
    line = Line()
    line.frame(100.0, key=True)
    line.subscriber.send_rtcp(feedback(body.replace(" ", "")), 101.0)
    assert dict(line.plane.drops()) == {"rtcp_malformed": 1}
    assert line.plane.deliveries() == ()


@pytest.mark.parametrize(
    ("body", "arrived", "lost"),
    [
        ("00000003 00000100 2003 010203", 3, 0),  # a run of small deltas
        ("00000003 00000100 b000 0102 0000", 2, 1),  # a vector of one-bit symbols: 11 0
        ("00000003 00000100 d840 01 0002", 2, 1),  # a vector of two-bit symbols: small, large, lost
    ],
)
def test_all_forms_of_status_chunks_are_read(body, arrived, lost):
    line = Line()
    line.frame(100.0, key=True)
    line.subscriber.send_rtcp(feedback(body.replace(" ", "")), 101.0)
    (told,) = line.plane.deliveries()
    assert (told.packets, told.lost) == (arrived, lost)


def test_what_is_missed_is_sent_again_within_a_rate_that_a_tick_earns():
    line = Line()
    packets = line.frame(100.0, packets=40, key=True)
    line.plane.limit_resends(SUBSCRIBER, 40_000)
    missed = rtcp.pack_nack(1, packets[0].ssrc, [packet.sequence for packet in packets])
    line.subscriber.send_rtcp(missed, 100.0)
    assert line.plane.down_stats()[0].retransmitted == 0, "nothing was earned yet"
    line.plane.tick(101.0)
    line.subscriber.send_rtcp(missed, 101.0)
    first = line.plane.down_stats()[0].retransmitted
    assert first * len(packets[0].packet) == pytest.approx(40_000 / 8 / 4, rel=0.2), "a quarter of a second at once"
    line.plane.tick(101.05)
    line.plane.limit_resends(SUBSCRIBER, 0)
    line.subscriber.send_rtcp(missed, 101.5)
    assert line.plane.down_stats()[0].retransmitted == first + 40


def test_what_belongs_to_a_layer_that_was_left_is_not_sent_again():
    line = Line()
    left = line.frame(100.0, key=True)
    line.plane.set_layer(DOWN, -1)
    line.plane.set_layer(DOWN, 0)
    line.frame(100.1)
    present = line.frame(100.2, key=True)
    for packets, again in ((left, 0), (present, 3)):
        line.subscriber.send_rtcp(rtcp.pack_nack(1, packets[0].ssrc, [packet.sequence for packet in packets]), 100.4)
        assert line.plane.down_stats()[0].retransmitted == again
