from __future__ import annotations

import pytest
from pylibsrtp import Policy, Session

from media.relay.plane.rtp import pack_packet
from media.relay.plane.srtp import MAX_DATAGRAM, REPLAY_WINDOW, SrtpError, SrtpReceiver, SrtpSender
from tests.support.plane import PROFILES

REPORT = b"\x80\xc9\x00\x01" + bytes(4)


def packet(sequence: int, payload: bytes = b"payload") -> bytes:
    return pack_packet(payload_type=96, sequence=sequence, timestamp=1, ssrc=5, payload=payload)


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_protected_is_unprotected(profile):
    key = bytes(range(PROFILES[profile][1]))
    sender, receiver = SrtpSender(profile, key), SrtpReceiver(profile, key)
    assert receiver.rtp(sender.rtp(packet(1))) == packet(1)
    assert receiver.rtcp(sender.rtcp(REPORT)) == REPORT


@pytest.mark.parametrize("profile", PROFILES)
def test_pylibsrtp_itself_understands_it(profile):
    number, size = PROFILES[profile]
    key = bytes(range(size))
    session = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=number))
    assert session.unprotect(SrtpSender(profile, key).rtp(packet(1))) == packet(1)


def test_a_protection_that_is_taken_out_of_its_sender_keeps_the_keys():
    protects = [SrtpSender("AEAD_AES_128_GCM", bytes([number] * 28)).rtp for number in range(50)]
    for number, protect in enumerate(protects):
        receiver = SrtpReceiver("AEAD_AES_128_GCM", bytes([number] * 28))
        assert receiver.rtp(protect(packet(1))) == packet(1)


def contexts() -> tuple[SrtpSender, SrtpReceiver]:
    return SrtpSender("AEAD_AES_128_GCM", bytes(28)), SrtpReceiver("AEAD_AES_128_GCM", bytes(28))


def reason_of(function, data: bytes) -> str:
    with pytest.raises(SrtpError) as error:
        function(data)
    return error.value.reason


def test_a_replay_is_told_apart_from_a_forgery():
    sender, receiver = contexts()
    datagram = sender.rtp(packet(1))
    receiver.rtp(datagram)
    assert reason_of(receiver.rtp, datagram) == "srtp_replay"
    forged = sender.rtp(packet(2))
    assert reason_of(receiver.rtp, forged[:-1] + bytes((forged[-1] ^ 1,))) == "srtp_authentication"


def test_packets_may_come_late_within_the_window():
    sender, receiver = contexts()
    datagrams = [sender.rtp(packet(sequence)) for sequence in range(1, REPLAY_WINDOW + 10)]
    receiver.rtp(datagrams[-1])
    assert receiver.rtp(datagrams[20]) == packet(21)
    assert reason_of(receiver.rtp, datagrams[0]) == "srtp_replay"


def test_the_same_packet_may_be_protected_again():
    sender, _ = contexts()
    assert sender.rtp(packet(1)) == sender.rtp(packet(1))


def test_an_oversized_packet_is_refused_before_libsrtp_sees_it():
    sender, receiver = contexts()
    assert reason_of(sender.rtp, packet(1, bytes(MAX_DATAGRAM))) == "too_long"
    assert reason_of(receiver.rtp, bytes(MAX_DATAGRAM + 1)) == "too_long"


@pytest.mark.parametrize("size", range(65))
def test_short_datagrams_raise_the_declared_exception(size):
    _, receiver = contexts()
    for first in (0x80, 0x90, 0x9F, 0xBF):
        datagram = (bytes((first, 96)) + bytes(62))[:size]
        assert reason_of(receiver.rtp, datagram)
        assert reason_of(receiver.rtcp, datagram)


def test_forgetting_a_stream_that_never_came_is_fine():
    sender, receiver = contexts()
    first = sender.rtp(packet(1))
    receiver.rtp(first)
    receiver.forget(12345)
    assert receiver.rtp(sender.rtp(packet(2))) == packet(2)
    assert reason_of(receiver.rtp, first) == "srtp_replay", "the streams that came are remembered"


def test_a_short_key_and_an_unknown_profile_are_our_fault():
    with pytest.raises(ValueError, match="key must contain"):
        SrtpSender("AEAD_AES_128_GCM", bytes(27))
    with pytest.raises(KeyError):
        SrtpSender("NULL_HMAC_SHA1_80", bytes(30))
