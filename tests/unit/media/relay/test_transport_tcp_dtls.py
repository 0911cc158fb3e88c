"""Framing of ICE over TCP, and the cutting of DTLS flights into datagrams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.relay.transport.dtls import MTU, DtlsCertificate, DtlsError, DtlsSession, pack_records
from media.relay.transport.tcp import MAX_FRAME, FrameError, FrameReader, frame


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 50), min_size=1, max_size=40))
def test_frames_come_out_whole_however_the_stream_is_cut(datagrams: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(datagram) for datagram in datagrams)
    reader, got, position, turn = FrameReader(), [], 0, 0
    while position < len(stream):
        step = cuts[turn % len(cuts)]
        got += reader.receive(stream[position : position + step])
        position, turn = position + step, turn + 1
    assert got == datagrams


def test_a_frame_longer_than_any_datagram_is_refused() -> None:
    with pytest.raises(FrameError):
        FrameReader().receive((MAX_FRAME + 1).to_bytes(2, "big"))


def record(size: int) -> bytes:
    return b"\x16\xfe\xfd" + bytes(8) + size.to_bytes(2, "big") + bytes(size)


@given(st.lists(st.integers(1, 900), max_size=12))
def test_records_are_packed_whole_into_datagrams_below_the_mtu(sizes: list[int]) -> None:
    stream = b"".join(record(size) for size in sizes)
    datagrams = pack_records(stream)
    assert b"".join(datagrams) == stream
    assert all(len(datagram) <= MTU for datagram in datagrams)
    assert all(datagram[0] == 0x16 for datagram in datagrams)


def shake(server: DtlsSession, client: DtlsSession, to_server: list[bytes], to_client: list[bytes]) -> None:
    client.start()
    while to_server or to_client:
        while to_server:
            server.receive(to_server.pop(0))
        while to_client:
            client.receive(to_client.pop(0))


def pair(*, claimed: tuple[str, str] | None = None) -> tuple[DtlsSession, DtlsSession, list[bytes], list[bytes]]:
    ours, theirs = DtlsCertificate(), DtlsCertificate()
    to_server: list[bytes] = []
    to_client: list[bytes] = []
    server = DtlsSession(ours, server=True, remote=claimed or theirs.fingerprint, send=to_client.append)
    client = DtlsSession(theirs, server=False, remote=ours.fingerprint, send=to_server.append)
    return server, client, to_server, to_client


def test_both_sides_get_the_same_keys_under_the_cheapest_profile() -> None:
    server, client, to_server, to_client = pair()
    shake(server, client, to_server, to_client)
    assert server.keys is not None
    assert client.keys is not None
    assert server.keys.profile == "AEAD_AES_128_GCM"
    assert (server.keys.receive, server.keys.send) == (client.keys.send, client.keys.receive)


def test_a_certificate_other_than_the_announced_one_is_refused() -> None:
    server, client, to_server, to_client = pair(claimed=DtlsCertificate().fingerprint)
    with pytest.raises(DtlsError, match="certificate"):
        shake(server, client, to_server, to_client)
    assert server.keys is None


def test_a_lost_flight_is_sent_again() -> None:
    server, client, to_server, to_client = pair()
    client.start()
    to_server.clear()
    assert client.timeout() is not None
    client._ssl.DTLSv1_get_timeout()
    while not to_server:
        client.retransmit()
    shake(server, client, to_server, to_client)
    assert server.keys is not None


@given(st.binary(min_size=1, max_size=100))
def test_noise_does_not_end_a_session_that_is_up(noise: bytes) -> None:
    server, client, to_server, to_client = pair()
    shake(server, client, to_server, to_client)
    server.receive(b"\x17" + noise)
    server.receive(record(30))
    client.send(b"still here")
    assert server.receive(to_server.pop()) == [b"still here"]
    assert not server.closed
