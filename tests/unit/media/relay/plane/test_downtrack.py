"""One subscription without SRTP: numbers, times and caches, packet by packet."""

from __future__ import annotations

from media.relay.plane import rtcp
from media.relay.plane.api import Extension
from media.relay.plane.downtrack import CACHE_SIZE, MAX_HOLES, MAX_RESENDS, DownTrack
from media.relay.plane.extensions import ABS_SEND_TIME, Plan
from media.relay.plane.layer import ClockReport, Layer
from media.relay.plane.media import Media
from media.relay.plane.receiver import Receiver
from tests.support.plane import OPUS, VP8, VP8_WITHOUT_RTX, Received, down_of, read

CLOCK = 90000


def media(sequence: int, *, timestamp: int = 0, marker: bool = False, starts: bool = False, picture: int = -1) -> Media:
    size = 2 if picture >= 0 else 0
    middle = (0x8000 | picture).to_bytes(2, "big") + bytes((picture & 0xFF,)) if size else b""
    head = b"\x90\xc0" if size else b""
    rest = b"payload %d" % sequence
    base = picture & 0xFF if size else -1
    return Media(sequence, timestamp, 0x80 if marker else 0, head, middle, rest, picture, size, base, starts)


def layer(index: int = 0) -> Layer:
    made = Layer(index, "qhf"[index])
    made.bind(100 + index, Receiver(CLOCK, nack=True))
    return made


class Stream:
    """A down track and what it sent."""

    def __init__(self, codec=VP8, next_sequence: int = 1) -> None:
        self.sent: list[bytes] = []
        self.reports: list[bytes] = []
        spec = down_of(1, 5, codec=codec)
        plan = Plan((), (Extension(9, ABS_SEND_TIME),), codec)
        plan.prepare({}, b"now")
        self.down = DownTrack(
            spec,
            plan,
            self.sent.append,
            self.reports.append,
            lambda octets, now: b"\0\0",
            lambda octets: True,
            next_sequence=next_sequence,
            next_rtx_sequence=next_sequence,
        )

    def received(self) -> list[Received]:
        return [read(packet) for packet in self.sent]

    def numbers(self) -> list[int]:
        return [packet.sequence for packet in self.received()]


def test_the_first_packet_gets_the_first_number_and_keeps_its_time():
    stream = Stream()
    stream.down.start(layer(), media(70_000, timestamp=123, marker=True), 1.0)
    (packet,) = stream.received()
    assert (packet.sequence, packet.timestamp, packet.marker) == (1, 123, True)
    assert (packet.ssrc, packet.payload_type) == (0x100A, 96)
    assert packet.elements == {9: b"now"}


def test_padding_is_swallowed_and_late_packets_find_their_places():
    stream = Stream()
    stream.down.start(layer(), media(100), 1.0)
    for sequence in (101, 102):
        stream.down.padding(sequence)
    stream.down.forward(media(104), 1.0)  # 103 is late
    stream.down.padding(105)
    stream.down.forward(media(106), 1.0)
    stream.down.forward(media(103), 1.0)
    assert stream.numbers() == [1, 3, 4, 2]


def test_padding_that_comes_late_fills_the_place_kept_for_it():
    stream = Stream()
    stream.down.start(layer(), media(100), 1.0)
    stream.down.forward(media(102), 1.0)
    stream.down.padding(101)
    assert stream.numbers() == [1, 3, 2]
    filling = stream.received()[2]
    assert filling.padding
    assert filling.payload == b""


def test_late_padding_behind_everything_sent_is_swallowed():
    stream = Stream()
    stream.down.start(layer(), media(100, picture=1, marker=True), 1.0)
    stream.down.padding(103)
    stream.down.padding(101)
    stream.down.padding(102)
    stream.down.forward(media(104, picture=2), 1.0)
    assert stream.numbers() == [1, 2]


def test_media_between_swallowed_padding_keeps_its_own_place():
    stream = Stream()
    stream.down.start(layer(), media(100), 1.0)
    stream.down.padding(103)
    stream.down.forward(media(102), 1.0)
    stream.down.forward(media(101), 1.0)
    stream.down.forward(media(104), 1.0)
    assert stream.numbers() == [1, 3, 2, 4]


def test_media_between_two_swallowed_packets_that_came_in_the_wrong_order():
    stream = Stream()
    stream.down.start(layer(), media(100), 1.0)
    stream.down.padding(105)
    stream.down.padding(102)
    for sequence in (103, 101, 104, 106):
        stream.down.forward(media(sequence), 1.0)
    assert stream.numbers() == [1, 3, 2, 4, 5]


def test_lost_padding_between_two_pictures_leaves_no_gap():
    stream = Stream()
    stream.down.start(layer(), media(100, picture=7, marker=True), 1.0)
    stream.down.forward(media(104, picture=8, starts=True), 1.0)
    stream.down.padding(102)
    stream.down.forward(media(101, picture=9), 1.0)  # cannot be: it has no place
    assert stream.numbers() == [1, 2]


def test_a_lost_picture_leaves_its_gap():
    stream = Stream()
    stream.down.start(layer(), media(100, picture=7, marker=True), 1.0)
    stream.down.forward(media(104, picture=9, starts=True), 1.0)
    stream.down.forward(media(106, picture=9), 1.0)
    assert stream.numbers() == [1, 5, 7]


def test_what_is_older_than_the_remembered_padding_is_dropped():
    stream = Stream()
    stream.down.start(layer(), media(0), 1.0)
    for step in range(1, MAX_HOLES + 10):
        stream.down.padding(3 * step)
        stream.down.forward(media(3 * step + 2), 1.0)  # 3 * step + 1 is late
    before = len(stream.sent)
    stream.down.forward(media(4), 1.0)
    assert len(stream.sent) == before
    stream.down.forward(media(3 * MAX_HOLES + 1), 1.0)
    assert len(stream.sent) == before + 1
    assert len(set(stream.numbers())) == len(stream.sent)


def test_nothing_from_before_the_switch_is_sent():
    stream = Stream()
    stream.down.start(layer(), media(100), 1.0)
    stream.down.forward(media(99), 1.0)
    assert stream.numbers() == [1]


def test_a_new_layer_continues_numbers_pictures_and_time():
    low, high = layer(0), layer(2)
    stream = Stream()
    stream.down.start(low, media(100, timestamp=5000, picture=0x7FFE), 1.0)
    stream.down.forward(media(101, timestamp=8000, picture=0x7FFF), 1.033)
    stream.down.start(high, media(9000, timestamp=77, picture=300), 1.133)
    stream.down.forward(media(9001, timestamp=3077, picture=301), 1.166)
    packets = stream.received()
    assert [packet.sequence for packet in packets] == [1, 2, 3, 4]
    assert [packet.timestamp for packet in packets] == [5000, 8000, 17000, 20000]
    assert [packet.payload[2:5].hex() for packet in packets] == ["fffefe", "ffffff", "800000", "800101"]


def test_sender_reports_tie_the_clocks_of_two_layers():
    low, high = layer(0), layer(2)
    low.report = ClockReport(10 << 32, 1000, 1.0)
    high.report = ClockReport((10 << 32) + (1 << 31), 500_000, 1.5)  # half a second later
    stream = Stream()
    stream.down.start(low, media(100, timestamp=1000 + CLOCK), 2.0)  # 11 s
    stream.down.start(high, media(500, timestamp=500_000 + CLOCK), 2.6)  # 11.5 s
    assert [packet.timestamp for packet in stream.received()] == [1000 + CLOCK, 1000 + CLOCK + CLOCK // 2]


def test_reports_that_contradict_the_time_that_passed_are_not_believed():
    low, high = layer(0), layer(2)
    low.report = ClockReport(10 << 32, 1000, 1.0)
    high.report = ClockReport(900 << 32, 1000, 1.0)
    stream = Stream()
    stream.down.start(low, media(100, timestamp=1000), 2.0)
    stream.down.start(high, media(500, timestamp=1000), 2.1)
    assert stream.received()[1].timestamp == 1000 + CLOCK // 10


def test_time_goes_forward_even_when_the_layer_is_behind():
    low, high = layer(0), layer(2)
    low.report = ClockReport(10 << 32, 1000, 1.0)
    high.report = ClockReport(10 << 32, 1000, 1.0)
    stream = Stream()
    stream.down.start(low, media(100, timestamp=5000), 2.0)
    stream.down.start(high, media(500, timestamp=4000), 2.0)
    assert [packet.timestamp for packet in stream.received()] == [5000, 5001]


def test_after_a_pause_the_same_layer_keeps_its_clock_and_leaves_no_gap():
    low = layer(0)
    stream = Stream()
    stream.down.start(low, media(100, timestamp=1000, picture=5), 1.0)
    stream.down.start(low, media(400, timestamp=1000 + 10 * CLOCK, picture=205), 11.0)
    packets = stream.received()
    assert [packet.sequence for packet in packets] == [1, 2]
    assert packets[1].timestamp == 1000 + 10 * CLOCK
    assert packets[1].payload[2:5] == b"\x80\x06\x06"


def test_a_sender_report_is_told_in_the_numbers_of_the_stream():
    low, high = layer(0), layer(2)
    high.report = ClockReport(7 << 32, 50_000, 9.0)
    stream = Stream()
    stream.down.start(low, media(1, timestamp=1000), 9.9)
    stream.down.start(high, media(1, timestamp=50_000 + CLOCK), 10.0)
    shift = stream.received()[1].timestamp - (50_000 + CLOCK)
    (report,) = rtcp.parse(stream.reports[-1])
    assert isinstance(report, rtcp.SenderReport)
    assert (report.ssrc, report.ntp) == (0x100A, 8 << 32)
    assert report.rtp == (50_000 + CLOCK + shift) & 0xFFFFFFFF
    assert (report.packets, report.octets) == (2, stream.down.octets)


def test_the_round_trip_is_taken_from_the_answer_to_a_report():
    high = layer(2)
    high.report = ClockReport(7 << 32, 50_000, 10.0)
    stream = Stream()
    stream.down.start(high, media(1), 10.0)
    stream.down.receiver_report(rtcp.ReportBlock(0x100A, 64, 1, 1, 0, 7 << 16, 65536 // 2), 10.7)
    assert abs(stream.down.rtt - 0.2) < 1e-6
    assert stream.down.loss == 0.25
    stream.down.receiver_report(rtcp.ReportBlock(0x100A, 0, 1, 1, 0, 1234, 0), 99.0)
    assert abs(stream.down.rtt - 0.2) < 1e-6


def test_a_retransmission_goes_out_on_its_own_stream_with_the_time_it_is_sent():
    stream = Stream()
    stream.down.start(layer(), media(100, timestamp=7, marker=True, picture=3), 1.0)
    original = stream.received()[0]
    stream.down.resend((1,), 2.0)
    repeat = stream.received()[1]
    assert (repeat.ssrc, repeat.payload_type, repeat.sequence) == (0x100B, 97, 1)
    assert (repeat.timestamp, repeat.marker) == (7, True)
    assert repeat.payload == b"\x00\x01" + original.payload
    assert repeat.elements[9] != original.elements[9]


def test_without_rtx_the_very_same_packet_is_sent_again():
    stream = Stream(VP8_WITHOUT_RTX)
    stream.down.start(layer(), media(100), 1.0)
    stream.down.resend((1,), 2.0)
    assert stream.sent[0] == stream.sent[1]


def test_two_requests_for_a_packet_at_once_are_one():
    stream = Stream()
    stream.down.start(layer(), media(100), 1.0)
    stream.down.resend((1, 1), 2.0)
    stream.down.resend((1,), 2.0)
    assert len(stream.sent) == 2
    stream.down.tick()
    stream.down.resend((1,), 2.1)
    assert len(stream.sent) == 3


def test_retransmissions_are_bounded_in_age_and_number():
    stream = Stream()
    down = stream.down
    down.start(layer(), media(0), 1.0)
    for sequence in range(1, CACHE_SIZE + 10):
        down.forward(media(sequence), 1.0)
    stream.sent.clear()
    down.resend((1, 2, 3), 2.0)
    assert stream.sent == []
    down.resend(tuple(range(20, 20 + 2 * MAX_RESENDS)), 2.0)
    assert len(stream.sent) == MAX_RESENDS == down.retransmitted


def test_without_nack_nothing_is_kept():
    stream = Stream(OPUS)
    stream.down.start(layer(), media(1), 1.0)
    stream.down.resend((1,), 2.0)
    assert len(stream.sent) == 1


def test_numbers_go_on_over_the_wrap():
    stream = Stream(next_sequence=65535)
    stream.down.start(layer(), media(10), 1.0)
    stream.down.forward(media(11), 1.0)
    stream.down.forward(media(12), 1.0)
    assert stream.numbers() == [65535, 0, 1]
    stream.down.resend((65535, 0), 2.0)
    assert [packet.payload[:2] for packet in stream.received()[3:]] == [b"\xff\xff", b"\x00\x00"]


def test_a_short_picture_id_is_rewritten_in_its_seven_bits():
    first = Media(1, 0, 0, b"\x90\x80", b"\x7f", b"a", 127, 1, -1, True)
    second = Media(900, 0, 0, b"\x90\x80", b"\x05", b"b", 5, 1, -1, True)
    stream = Stream()
    stream.down.start(layer(0), first, 1.0)
    stream.down.start(layer(1), second, 1.1)
    assert [packet.payload for packet in stream.received()] == [b"\x90\x80\x7fa", b"\x90\x80\x00b"]


def test_a_layout_with_something_between_picture_id_and_base_layer_is_kept():
    """VP9 has a byte of layer indices there."""
    first = Media(1, 0, 0, b"\xa8", b"\x80\x05\x02\x09", b"a", 5, 2, 9, True)
    second = Media(900, 0, 0, b"\xa8", b"\x80\x50\x04\x20", b"b", 0x50, 2, 0x20, True)
    stream = Stream()
    stream.down.start(layer(0), first, 1.0)
    stream.down.start(layer(1), second, 1.1)
    assert [packet.payload for packet in stream.received()] == [b"\xa8\x80\x05\x02\x09a", b"\xa8\x80\x06\x04\x0ab"]
