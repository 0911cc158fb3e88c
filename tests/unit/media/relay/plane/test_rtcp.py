from __future__ import annotations

import pytest
from aiortc.rtp import RtcpPacket, RtcpPsfbPacket, RtcpRrPacket, RtcpRtpfbPacket, RtcpSrPacket, pack_remb_fci
from hypothesis import given
from hypothesis import strategies as st

from media.relay.plane import rtcp

words = st.integers(0, 0xFFFFFFFF)
blocks = st.builds(
    rtcp.ReportBlock, words, st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF), words, words, words, words
)


@given(words, st.integers(0, 2**64 - 1), words, words, words, st.lists(blocks, max_size=31))
def test_a_sender_report_comes_back(ssrc, ntp, rtp, packets, octets, reports):
    packet = rtcp.pack_sender_report(ssrc, ntp, rtp, packets, octets, reports)
    assert rtcp.parse(packet) == [rtcp.SenderReport(ssrc, ntp, rtp, packets, octets, tuple(reports))]


@given(words, st.lists(blocks, max_size=31))
def test_a_receiver_report_comes_back(ssrc, reports):
    packet = rtcp.pack_receiver_report(ssrc, reports)
    assert rtcp.parse(packet) == [rtcp.ReceiverReport(ssrc, tuple(reports))]


@given(st.integers(0, 0xFFFF), st.sets(st.integers(0, 400), min_size=1, max_size=60))
def test_a_nack_comes_back_also_over_the_wrap(first, offsets):
    sequences = tuple((first + offset) & 0xFFFF for offset in sorted(offsets))
    assert rtcp.parse(rtcp.pack_nack(1, 2, sequences)) == [rtcp.Nack(2, sequences)]


@given(st.integers(0, 2**40), st.lists(words, max_size=5))
def test_a_bandwidth_estimate_comes_back_to_eighteen_bits(bitrate, ssrcs):
    (message,) = rtcp.parse(rtcp.pack_remb(1, bitrate, ssrcs))
    assert isinstance(message, rtcp.Remb)
    assert bitrate - (bitrate >> 17) <= message.bitrate <= bitrate


def test_requests_and_goodbyes_come_back():
    packet = rtcp.pack_pli(1, 2) + rtcp.pack_fir(1, 3, 255) + rtcp.pack_bye([4, 5])
    assert rtcp.parse(packet) == [
        rtcp.KeyFrameRequest((2,)),
        rtcp.KeyFrameRequest((3,)),
        rtcp.Bye((4, 5)),
    ]


def test_aiortc_reads_what_we_write():
    report = rtcp.ReportBlock(7, 3, 40, 50, 60, 70, 80)
    sender, receiver, nack, pli = RtcpPacket.parse(
        rtcp.pack_sender_report(1, 2, 3, 4, 5)
        + rtcp.pack_receiver_report(6, [report])
        + rtcp.pack_nack(1, 9, (65530, 65535, 30))
        + rtcp.pack_pli(1, 9)
    )
    assert isinstance(sender, RtcpSrPacket)
    assert sender.sender_info.ntp_timestamp == 2
    assert isinstance(receiver, RtcpRrPacket)
    assert (receiver.reports[0].packets_lost, receiver.reports[0].jitter) == (40, 60)
    assert isinstance(nack, RtcpRtpfbPacket)
    assert nack.lost == [65530, 65535, 30]
    assert isinstance(pli, RtcpPsfbPacket)
    assert pli.media_ssrc == 9


def test_we_read_what_aiortc_writes():
    packet = bytes(RtcpPsfbPacket(fmt=15, ssrc=1, media_ssrc=0, fci=pack_remb_fci(4_160_000, [2])))
    packet += bytes(RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=2, lost=[10, 12, 40]))
    assert rtcp.parse(packet) == [rtcp.Remb(4_160_000), rtcp.Nack(2, (10, 12, 40))]


@pytest.mark.parametrize(
    ("packet", "sentence"),
    [
        (b"", "RTCP datagram is empty"),
        (b"\x80", "RTCP header is cut off"),
        (b"\x00\xc8\x00\x00", "RTCP version is not 2"),
        (b"\x80\xc8\x00\x05", "RTCP packet is cut off"),
        (b"\xa0\xc8\x00\x00", "RTCP padding has a wrong length"),
        (b"\x80\xc8\x00\x01abcd", "RTCP sender report is cut off"),
        (b"\x80\xc9\x00\x00", "RTCP receiver report is cut off"),
        (b"\x81\xc9\x00\x01abcd", "RTCP report block is cut off"),
        (b"\x82\xcb\x00\x01abcd", "RTCP BYE is cut off"),
        (b"\x81\xcd\x00\x01abcd", "RTCP feedback is cut off"),
        (b"\x8f\xce\x00\x03abcdabcdREMB", "RTCP REMB is cut off"),
    ],
)
def test_broken_rtcp_is_refused_with_a_sentence(packet, sentence):
    with pytest.raises(rtcp.RtcpError, match=f"^{sentence}$"):
        rtcp.parse(packet)


def test_an_estimate_that_names_more_ssrcs_than_it_holds_is_read_all_the_same():
    packet = rtcp.pack_remb(1, 1000, [])
    packet = packet[:16] + b"\xff" + packet[17:]
    assert rtcp.parse(packet) == [rtcp.Remb(1000)]


@given(st.binary(max_size=80), st.sampled_from([0x80, 0x81, 0x8F, 0x9F, 0xA1]), st.integers(192, 223))
def test_only_the_declared_exception_leaves_the_parser(tail, first, kind):
    words_of_tail = len(tail) // 4
    for data in (tail, bytes((first, kind)) + tail, bytes((first, kind, 0, words_of_tail)) + tail[: 4 * words_of_tail]):
        try:
            rtcp.parse(data)
        except rtcp.RtcpError:
            continue


def test_a_nack_is_bounded():
    fci = b"\x00\x00\xff\xff" * 300
    packet = b"\x81\xcd" + (2 + 300).to_bytes(2, "big") + bytes(8) + fci
    (message,) = rtcp.parse(packet)
    assert isinstance(message, rtcp.Nack)
    assert len(message.sequences) == rtcp.MAX_NACKED
