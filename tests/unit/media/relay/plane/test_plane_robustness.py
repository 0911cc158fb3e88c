"""Bad and hostile input: dropped, counted, and without effect on anyone else."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Error

from media.relay.plane import rtcp
from media.relay.plane.rtp import pack_packet
from media.relay.plane.session import MAX_SENT_STREAMS, MAX_STREAMS
from tests.support.plane import (
    MID_ID,
    House,
    Peer,
    Vp8Source,
    audio_up,
    down_of,
    opus_packet,
    read,
    video_up,
)


class Call:
    """A publisher, a subscriber, and one frame that has already gone through."""

    def __init__(self) -> None:
        self.house = House()
        self.plane = self.house.plane
        self.publisher, self.subscriber = self.house.peer(1), self.house.peer(2)
        self.plane.add_up_track(1, video_up())
        self.plane.add_down_track(2, down_of(1, 5))
        self.plane.set_layer(5, 0)
        self.source = Vp8Source(20)
        for packet in self.source.frame(key=True):
            self.publisher.send(packet)

    def drops(self) -> dict[str, int]:
        return dict(self.plane.drops())

    def still_works(self) -> None:
        before = len(self.subscriber.received)
        for packet in self.source.frame():
            self.publisher.send(packet)
        assert len(self.subscriber.received) == before + 2


@pytest.mark.parametrize("connected", [True, False])
def test_datagrams_of_every_length_are_dropped_and_counted(connected):
    call = Call()
    stranger = call.house.peer(3, connected=connected)
    if not connected:
        call.plane.add_session(3)
    rng, count = random.Random(1), 0
    for size in range(65):
        for first in (0x80, 0x90, 0xA0, 0xBF):
            for second in (96, 0xE0, 200, 201, 205, 206):
                for tail in (bytes(64), b"\xff" * 64, rng.randbytes(64)):
                    call.plane.receive(3, (bytes((first, second)) + tail)[:size], 100.0)
                    count += 1
    assert sum(call.drops().values()) == count
    assert stranger.raw == []
    call.still_works()


@settings(deadline=None, max_examples=150)
@given(first=st.integers(0x80, 0xBF), second=st.integers(0, 255), tail=st.binary(min_size=10, max_size=62))
def test_authenticated_nonsense_never_raises(first, second, tail):
    call = Call()
    packet = bytes((first, second)) + tail
    for protect in (call.publisher._send.protect, call.publisher._send.protect_rtcp):
        try:
            datagram = protect(packet)
        except Error:
            continue  # libsrtp doesn't even send that
        call.plane.receive(1, datagram, 100.0)
    call.plane.tick(100.05)


@settings(deadline=None, max_examples=150)
@given(
    kind=st.integers(192, 223),
    count=st.integers(0, 31),
    body=st.binary(max_size=60).map(lambda body: body[: len(body) // 4 * 4]),
)
def test_authenticated_rtcp_of_any_content_never_raises(kind, count, body):
    call = Call()
    packet = bytes((0x80 | count, kind)) + (len(body) // 4).to_bytes(2, "big") + body
    for peer in (call.publisher, call.subscriber):
        if len(packet) >= 8:
            peer.send_rtcp(packet)
    call.plane.tick(100.05)
    call.still_works()


@settings(deadline=None, max_examples=150)
@given(
    payload=st.binary(max_size=30),
    marker=st.booleans(),
    elements=st.dictionaries(st.integers(1, 14), st.binary(max_size=20), max_size=5),
)
def test_packets_of_any_payload_and_extensions_never_raise(payload, marker, elements):
    call = Call()
    for payload_type in (96, 97):
        for ssrc in (20, 21):
            call.publisher.send(
                pack_packet(
                    payload_type=payload_type,
                    sequence=call.source.sequence + 1,
                    timestamp=1,
                    ssrc=ssrc,
                    payload=payload,
                    marker=marker,
                    extensions=elements,
                )
            )
    call.plane.tick(100.05)


def test_an_estimate_that_names_255_ssrcs_and_a_reserved_feedback_symbol_are_harmless():
    call = Call()
    estimate = bytearray(rtcp.pack_remb(9, 1000, [1]))
    estimate[16] = 255
    symbols = rtcp.pack_transport_feedback(9, 1, b"\x00\x00\x00\x07\x00\x00\x00\x00" + b"\xff\xff" * 4)
    call.subscriber.send_rtcp(bytes(estimate))
    assert call.plane.remote_bandwidth(2) == 1000
    call.subscriber.send_rtcp(symbols)
    assert dict(call.plane.drops()) == {"rtcp_malformed": 1}
    call.still_works()


def test_a_thousand_replayed_packets_are_dropped():
    call = Call()
    datagrams = []
    for _ in range(500):
        for packet in call.source.frame():
            datagrams.append(call.publisher.protect(packet))
            call.plane.receive(1, datagrams[-1], 100.0)
    before = len(call.subscriber.received)
    for datagram in datagrams:
        call.plane.receive(1, datagram, 100.0)
    assert len(call.subscriber.received) == before
    assert call.drops()["srtp_replay"] == 1000
    call.still_works()


def test_a_replayed_report_is_dropped():
    call = Call()
    datagram = call.subscriber._send.protect_rtcp(rtcp.pack_remb(9, 1000, []))
    for _ in range(3):
        call.plane.receive(2, datagram, 100.0)
    assert call.drops() == {"srtp_replay": 2}


def test_packets_of_one_session_mean_nothing_in_another():
    call = Call()
    stranger = call.house.peer(3)
    call.plane.receive(3, call.publisher.protect(call.source.frame()[0]), 100.0)
    assert call.drops() == {"srtp_authentication": 1}
    for packet in call.source.frame(key=True):
        stranger.send(packet)  # the victim's SSRC and mid, under the stranger's own keys
    assert call.drops()["unknown_ssrc"] == 2
    assert len(call.subscriber.received) == 2


def test_two_publishers_may_use_the_same_ssrc():
    call = Call()
    other = call.house.peer(3)
    call.plane.add_up_track(3, video_up(7))
    call.plane.add_down_track(2, down_of(7, 6))
    call.plane.set_layer(6, 0)
    call.subscriber.received.clear()
    source = Vp8Source(20, sequence=5000, seed=99)
    mine, theirs = call.source.frame(), source.frame(key=True)
    for packet in mine:
        call.publisher.send(packet)
    for packet in theirs:
        other.send(packet)
    by_ssrc = {ssrc: [p.payload for p in call.subscriber.received if p.ssrc == ssrc] for ssrc in (0x100A, 0x100C)}
    assert [payload[5:] for payload in by_ssrc[0x100A]] == [read(packet).payload[5:] for packet in mine]
    assert [payload[5:] for payload in by_ssrc[0x100C]] == [read(packet).payload[5:] for packet in theirs]


def test_the_track_that_an_ssrc_was_learnt_for_keeps_it():
    call = Call()
    call.plane.add_up_track(1, video_up(8, mid="8"))
    call.plane.add_down_track(2, down_of(8, 7))
    call.plane.set_layer(7, 0)
    call.source.mid = "8"
    call.still_works()
    assert {packet.ssrc for packet in call.subscriber.received} == {0x100A}


def test_without_a_mid_the_payload_type_decides_when_it_is_clear():
    house = House()
    publisher, subscriber = house.peer(1), house.peer(2)
    house.plane.add_up_track(1, video_up())
    house.plane.add_up_track(1, audio_up())
    house.plane.add_down_track(2, down_of(1, 5))
    house.plane.set_layer(5, 0)

    def packet(ssrc: int) -> bytes:
        payload = b"\x10\x00" + bytes(20)
        return pack_packet(payload_type=96, sequence=1, timestamp=1, ssrc=ssrc, payload=payload)

    publisher.send(packet(1))
    assert len(subscriber.received) == 1
    house.plane.add_up_track(1, video_up(9, mid="9"))
    publisher.send(packet(2))
    assert dict(house.plane.drops()) == {"unknown_ssrc": 1}


def test_announced_ssrcs_need_no_mid():
    house = House()
    publisher, subscriber = house.peer(1), house.peer(2)
    house.plane.add_up_track(1, video_up(ssrcs=((20, 21),)))
    house.plane.add_up_track(1, video_up(9, mid="9", ssrcs=((30, 31),)))
    house.plane.add_down_track(2, down_of(9, 5))
    house.plane.set_layer(5, 0)
    payload = b"\x10\x00" + bytes(20)
    publisher.send(pack_packet(payload_type=96, sequence=1, timestamp=1, ssrc=30, payload=payload))
    assert len(subscriber.received) == 1


def test_unknown_rids_and_payload_types_are_dropped():
    house = House()
    publisher = house.peer(1)
    house.plane.add_up_track(1, video_up(rids=("q", "h")))
    publisher.send(Vp8Source(20, rid="z").frame()[0])
    publisher.send(Vp8Source(21).frame()[0])
    source = Vp8Source(22, rid="q", payload_type=120)
    publisher.send(source.frame()[0])
    source.payload_type = 96
    publisher.send(source.frame()[0])
    source.payload_type = 120
    publisher.send(source.frame()[0])
    assert dict(house.plane.drops()) == {"unknown_rid": 2, "unknown_payload_type": 2}


def test_streams_without_end_are_forgotten_and_those_in_use_stay():
    call = Call()
    for ssrc in range(10_000, 10_000 + 3 * MAX_STREAMS):
        call.publisher.send(
            pack_packet(payload_type=96, sequence=1, timestamp=1, ssrc=ssrc, payload=b"x", extensions={MID_ID: b"no"})
        )
    assert len(call.house.reference._sessions[1]._streams) == MAX_STREAMS
    assert call.drops() == {"unknown_ssrc": 3 * MAX_STREAMS}
    call.still_works()


def test_ended_subscriptions_without_end_are_forgotten():
    call = Call()
    for ssrc in range(10_000, 10_000 + 2 * MAX_SENT_STREAMS, 2):
        call.plane.add_down_track(2, down_of(1, 6, ssrc=ssrc))
        call.plane.remove_down_track(6)
    assert len(call.house.reference._sessions[2]._sent) == MAX_SENT_STREAMS


def test_a_publisher_that_changes_its_ssrc_with_every_packet_keeps_one_layer():
    call = Call()
    for ssrc in range(10_000, 10_200):
        source = Vp8Source(ssrc)
        call.publisher.send(source.frame(key=True)[0])
    assert [stats.ssrc for stats in call.plane.up_stats()] == [10_199]
    numbers = [packet.sequence for packet in call.subscriber.received]
    assert numbers == list(range(1, len(numbers) + 1))


def test_an_oversized_datagram_is_dropped():
    call = Call()
    call.plane.receive(1, b"\x80\x60" + bytes(3000), 100.0)
    assert call.drops() == {"too_long": 1}


def test_keys_may_be_set_again():
    call = Call()
    again = Peer(call.plane, 1, "AEAD_AES_256_GCM")
    call.plane.set_keys(1, again.profile, again.key, again.their_key)
    before = len(call.subscriber.received)
    for packet in call.source.frame():
        again.send(packet)
    assert len(call.subscriber.received) == before + 2


def test_a_flood_of_requests_is_answered_within_bounds():
    call = Call()
    for _ in range(20):
        call.subscriber.send_rtcp(rtcp.pack_nack(9, 0x100A, list(range(1, 1000))))
    assert len(call.subscriber.received) == 4  # two packets, each once more


def test_sound_and_picture_of_one_publisher_do_not_mix():
    call = Call()
    call.plane.add_up_track(1, audio_up())
    before = len(call.subscriber.received)
    call.publisher.send(opus_packet(1, ssrc=20))  # its microphone's payload on its camera's SSRC
    assert len(call.subscriber.received) == before
    assert call.drops() == {"unknown_payload_type": 1}
