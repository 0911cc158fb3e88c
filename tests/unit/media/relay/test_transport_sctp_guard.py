"""No SCTP packet that aiortc would choke on gets past the guard, and none of a real association is refused."""

import struct

import pytest
from aiortc.rtcsctptransport import (
    DataChunk,
    ForwardTsnChunk,
    HeartbeatChunk,
    InitChunk,
    ReconfigChunk,
    SackChunk,
    parse_packet,
    serialize_packet,
)
from google_crc32c import value as crc32c
from hypothesis import given
from hypothesis import strategies as st

from media.relay.transport.sctp_guard import SctpError, check


def packet(*chunks: bytes) -> bytes:
    return struct.pack("!HHLL", 5000, 5000, 1, 0) + b"".join(chunks)


def checked_packet(body: bytes) -> bytes:
    """With the checksum that aiortc wants, so that its parser goes on to the chunks."""
    header = struct.pack("!HHL", 5000, 5000, 1)
    return header + struct.pack("<L", crc32c(header + bytes(4) + body)) + body


def chunk(kind: int, body: bytes, *, length: int | None = None) -> bytes:
    return struct.pack("!BBH", kind, 0, len(body) + 4 if length is None else length) + body + bytes(-len(body) % 4)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 65535])
@pytest.mark.parametrize("kind", [4, 5, 6, 9, 130])
def test_a_parameter_with_an_impossible_length_is_refused(kind: int, length: int) -> None:
    with pytest.raises(SctpError, match="parameter length"):
        check(packet(chunk(kind, struct.pack("!HH", 1, length))))


@pytest.mark.parametrize("length", [0, 1, 2, 3, 65535])
@pytest.mark.parametrize("kind", [1, 2])
def test_so_is_one_behind_the_numbers_of_an_init(kind: int, length: int) -> None:
    with pytest.raises(SctpError, match="parameter length"):
        check(packet(chunk(kind, bytes(16) + struct.pack("!HH", 1, length))))


@pytest.mark.parametrize("length", [0, 1, 2, 3, 65535])
def test_a_chunk_with_an_impossible_length_is_refused(length: int) -> None:
    with pytest.raises(SctpError, match="chunk length"):
        check(packet(chunk(4, b"", length=length)))


@pytest.mark.parametrize(("kind", "body"), [(0, 12), (1, 15), (2, 15), (3, 11), (7, 3), (192, 3)])
def test_a_chunk_shorter_than_its_type_is_refused(kind: int, body: int) -> None:
    with pytest.raises(SctpError, match="too short"):
        check(packet(chunk(kind, bytes(body))))


def test_gaps_that_would_cover_millions_of_numbers_are_refused() -> None:
    gaps = struct.pack("!HH", 1, 65535) * 200
    with pytest.raises(SctpError, match="gaps"):
        check(packet(chunk(3, struct.pack("!LLHH", 0, 0, 200, 0) + gaps)))


def test_an_init_beside_another_chunk_is_refused() -> None:
    with pytest.raises(SctpError, match="INIT beside"):
        check(packet(chunk(1, bytes(16)), chunk(10, b"")))


def test_a_stream_number_that_no_browser_opens_is_refused() -> None:
    with pytest.raises(SctpError, match="stream"):
        check(packet(chunk(0, struct.pack("!LHHL", 1, 5000, 0, 51) + b"x")))


def test_what_aiortc_itself_sends_passes() -> None:
    init = InitChunk()
    init.initiate_tag, init.advertised_rwnd, init.initial_tsn = 1, 1 << 20, 1
    init.outbound_streams = init.inbound_streams = 65535
    init.params = [(49152, b""), (32776, bytes([192, 130]))]
    data = DataChunk(flags=3)
    data.tsn, data.stream_id, data.protocol, data.user_data = 9, 1, 53, b"hello"
    sack = SackChunk()
    sack.cumulative_tsn, sack.advertised_rwnd, sack.gaps = 5, 1000, [(2, 3), (5, 5)]
    forward = ForwardTsnChunk()
    forward.cumulative_tsn, forward.streams = 7, [(1, 2)]
    reconfig = ReconfigChunk()
    reconfig.params = [(13, struct.pack("!LLLH", 1, 2, 3, 1))]
    heartbeat = HeartbeatChunk()
    heartbeat.params = [(1, b"12345")]
    for good in (init, data, sack, forward, reconfig, heartbeat):
        check(serialize_packet(5000, 5000, 1, good))


@given(kind=st.integers(0, 255), body=st.binary(max_size=80))
def test_whatever_passes_is_parsed_by_aiortc_without_an_error_of_its_own(kind: int, body: bytes) -> None:
    hostile = checked_packet(chunk(kind, body))
    try:
        check(hostile)
    except SctpError:
        return
    parse_packet(hostile)
