import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.recorder.records import (
    MAX_PAYLOAD,
    Kind,
    RecordError,
    pack,
    pack_frame,
    pack_json,
    pack_report,
    parse,
    parse_frame,
    parse_json,
    parse_report,
)


@given(st.lists(st.tuples(st.sampled_from(Kind), st.integers(0, 2**40), st.binary(max_size=2000))))
def test_what_is_packed_is_parsed(records):
    block = b"".join(pack(kind, time / 1_000_000, payload) for kind, time, payload in records)
    parsed = list(parse(block))
    assert [(each.kind, each.payload) for each in parsed] == [(kind, payload) for kind, _, payload in records]
    assert all(abs(each.time - time) <= 1 for each, (_, time, _) in zip(parsed, records, strict=True))


def test_a_sender_report_keeps_its_ntp_fraction():
    (record,) = parse(pack_report(3.5, 0xDEADBEEF, (3_900_000_000 << 32) | (1 << 31), 77))
    report = parse_report(record)
    assert report == (0xDEADBEEF, 3_900_000_000.5, 77)


def test_fields_keep_their_accents():
    (record,) = parse(pack_json(Kind.EVENT, 0, {"kind": "joined", "name": "Amélie Ğül"}))
    assert parse_json(record) == {"kind": "joined", "name": "Amélie Ğül"}


def test_a_payload_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match="at most 65535 bytes"):
        pack(Kind.RTP, 0, bytes(MAX_PAYLOAD + 1))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (b"\x02\x00", "cut off in its header"),
        (pack(Kind.RTP, 0, b"abc")[:-1], "longer than its block"),
    ],
)
def test_a_block_that_ends_in_a_record_is_refused(block, message):
    with pytest.raises(RecordError, match=message):
        list(parse(block))


@pytest.mark.parametrize("payload", [b"{", b"[]", b"\xff"])
def test_an_event_that_is_no_object_is_refused(payload):
    (record,) = parse(pack(Kind.EVENT, 0, payload))
    with pytest.raises(RecordError):
        parse_json(record)


@pytest.mark.parametrize("size", [0, 1, MAX_PAYLOAD, 200_000])
def test_a_frame_of_any_size_is_a_few_records(size):
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    records = list(parse(b"".join(pack_frame(1.5, 7, 0xFFFFFFFF, data, key=True, after_gap=False))))
    parts = [parse_frame(record) for record in records]
    assert b"".join(part.data for part in parts) == data
    assert {part[:5] for part in parts} == {(7, 0xFFFFFFFF, size, True, False)}
    assert {record.time for record in records} == {1_500_000}


def test_a_frame_that_is_no_frame_is_refused():
    (record,) = parse(pack(Kind.FRAME, 0, b"short"))
    with pytest.raises(RecordError):
        parse_frame(record)
