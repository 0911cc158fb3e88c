"""Sealed files: what was written comes back, and nothing else does."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from palabre.base.sealed import (
    Ending,
    SealedError,
    SealedFile,
    SealedReader,
    SealedWriter,
    create_key_file,
    new_key,
    read_chunks,
    read_key_file,
    read_sealed,
    sealed_size,
    unwrap_key,
    wrap_key,
    write_sealed,
)
from palabre.base.sealed.file import BLOCK
from palabre.base.sealed.keys import HEADER_BYTES

KEY = bytes(range(32))
MASTER = b"m" * 32


def stream(path: Path, blocks: list[bytes], *, close: bool = True) -> list[int]:
    """Write a stream; where each block ends in the file."""
    writer = SealedWriter(path, KEY)
    ends = []
    for block in blocks:
        writer.append(block)
        ends.append(writer.size)
    if close:
        writer.close()
    else:
        writer.abandon()
    return ends


def read(path: Path, key: bytes = KEY) -> tuple[list[bytes], Ending | None]:
    reader = SealedReader(path, key)
    return list(reader), reader.ending


BLOCKS = [b"first words", b"second words", b"third words"]


def test_a_closed_stream_comes_back_whole(tmp_path):
    stream(tmp_path / "a", BLOCKS)
    assert read(tmp_path / "a") == (BLOCKS, Ending.CLOSED)


def test_a_stream_that_was_not_closed_says_so(tmp_path):
    stream(tmp_path / "a", BLOCKS, close=False)
    assert read(tmp_path / "a") == (BLOCKS, Ending.OPEN)


def test_a_stream_cut_anywhere_gives_every_block_that_is_whole(tmp_path):
    path = tmp_path / "a"
    ends = stream(path, BLOCKS, close=False)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        complete = sum(end <= length for end in ends)
        boundary = length == HEADER_BYTES or length in ends
        assert read(path) == (BLOCKS[:complete], Ending.OPEN if boundary else Ending.TORN)


def test_a_cut_off_end_cannot_pass_for_a_closed_stream(tmp_path):
    path = tmp_path / "a"
    ends = stream(path, BLOCKS)
    path.write_bytes(path.read_bytes()[: ends[1]])
    assert read(path) == (BLOCKS[:2], Ending.OPEN)


def test_a_changed_bit_ends_the_reading_before_its_block(tmp_path):
    path = tmp_path / "a"
    ends = stream(path, BLOCKS)
    data = bytearray(path.read_bytes())
    data[ends[0] + 9] ^= 1
    path.write_bytes(data)
    assert read(path) == (BLOCKS[:1], Ending.DAMAGED)


def test_blocks_cannot_change_places(tmp_path):
    path = tmp_path / "a"
    first, second, third = stream(path, [b"aaaa", b"bbbb", b"cccc"])
    data = path.read_bytes()
    path.write_bytes(data[:first] + data[second:third] + data[first:second] + data[third:])
    assert read(path) == ([b"aaaa"], Ending.DAMAGED)


def test_a_block_of_another_file_with_the_same_key_is_refused(tmp_path):
    one = stream(tmp_path / "a", [b"aaaa"])
    stream(tmp_path / "b", [b"bbbb"])
    mixed = (tmp_path / "a").read_bytes()[:HEADER_BYTES] + (tmp_path / "b").read_bytes()[HEADER_BYTES:]
    (tmp_path / "a").write_bytes(mixed)
    assert one
    assert read(tmp_path / "a") == ([], Ending.DAMAGED)


def test_a_length_that_no_writer_writes_is_damage_and_not_a_huge_read(tmp_path):
    path = tmp_path / "a"
    stream(path, [b"aaaa"], close=False)
    path.write_bytes(path.read_bytes() + struct.pack("!I", 0x7FFFFFFF) + b"x" * 64)
    assert read(path) == ([b"aaaa"], Ending.DAMAGED)


def test_another_key_is_one_declared_error(tmp_path):
    stream(tmp_path / "a", BLOCKS)
    with pytest.raises(SealedError, match="the key is not the one"):
        read(tmp_path / "a", new_key())


def test_nothing_of_a_stream_can_be_read_on_the_disk(tmp_path):
    stream(tmp_path / "a", BLOCKS)
    assert b"words" not in (tmp_path / "a").read_bytes()


def test_a_full_disk_leaves_whole_blocks(tmp_path, monkeypatch):
    path = tmp_path / "a"
    writer = SealedWriter(path, KEY)
    writer.append(b"first")
    real_write = os.write

    def half(descriptor, data):
        if len(data) < 10:
            raise OSError(28, "No space left on device")
        return real_write(descriptor, bytes(data[: len(data) - 9]))

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space"):
        writer.append(b"second")
    writer.abandon()
    monkeypatch.undo()
    assert read(path) == ([b"first"], Ending.OPEN)


Operation = tuple[str, int, int]
operations = st.lists(
    st.tuples(
        st.sampled_from(["write", "read", "seek", "truncate", "flush", "reopen"]),
        st.integers(0, 5 * BLOCK),
        st.integers(0, 2 * BLOCK),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@example([("seek", 1, 0), ("write", 0, 0)])  # nothing is written, so nothing is lengthened
@given(operations)
def test_a_sealed_file_behaves_like_bytes_in_memory(tmp_path_factory, steps: list[Operation]):
    path = tmp_path_factory.mktemp("sealed") / "f"
    sealed, model = SealedFile.create(path, KEY), io.BytesIO()
    for number, (what, place, size) in enumerate(steps):
        if what == "write":
            data = bytes([number + 1]) * size
            assert sealed.write(data) == model.write(data)
        elif what == "read":
            assert sealed.read(size) == model.read(size)
        elif what == "seek":
            assert sealed.seek(place) == model.seek(place)
        elif what == "truncate":
            sealed.truncate(place)
            model.truncate(place)
            model.getbuffer().release()
            if len(model.getvalue()) < place:  # BytesIO does not lengthen
                at = model.tell()
                model.seek(0, io.SEEK_END)
                model.write(bytes(place - len(model.getvalue())))
                model.seek(at)
        else:
            sealed.flush()
            if what == "reopen":
                assert read_sealed(path, KEY) == model.getvalue()
    sealed.close()
    assert read_sealed(path, KEY) == model.getvalue()
    assert sealed_size(path, KEY) == len(model.getvalue())


def test_a_sealed_file_is_streamed_in_pieces(tmp_path):
    content = os.urandom(3 * BLOCK + 17)
    write_sealed(tmp_path / "f", KEY, content)
    pieces = list(read_chunks(tmp_path / "f", KEY, 2 * BLOCK))
    assert [len(piece) for piece in pieces] == [2 * BLOCK, BLOCK + 17]
    assert b"".join(pieces) == content


def test_a_changed_slot_a_missing_slot_and_another_key_are_declared_errors(tmp_path):
    path = tmp_path / "f"
    write_sealed(path, KEY, os.urandom(3 * BLOCK))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(SealedError, match="was changed"):
        read_sealed(path, KEY)
    path.write_bytes(whole[:-BLOCK])
    with pytest.raises(SealedError, match="is missing"):
        read_sealed(path, KEY)
    path.write_bytes(whole)
    with pytest.raises(SealedError, match="the key is not the one"):
        read_sealed(path, new_key())
    with pytest.raises(SealedError, match="not a sealed file"):
        SealedReader(path, KEY)


def test_slots_cannot_change_places(tmp_path):
    path = tmp_path / "f"
    write_sealed(path, KEY, b"a" * BLOCK + b"b" * BLOCK)
    data = path.read_bytes()
    slot = BLOCK + 28
    path.write_bytes(data[: -2 * slot] + data[-slot:] + data[-2 * slot : -slot])
    with pytest.raises(SealedError, match="was changed"):
        read_sealed(path, KEY)


def test_a_file_opened_for_reading_cannot_be_written(tmp_path):
    write_sealed(tmp_path / "f", KEY, b"x")
    with SealedFile.open(tmp_path / "f", KEY) as file:
        assert not file.writable()
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"y")


def test_a_small_file_that_is_large_is_not_read_whole(tmp_path):
    write_sealed(tmp_path / "f", KEY, bytes(100))
    with pytest.raises(SealedError, match="more than 99 bytes"):
        read_sealed(tmp_path / "f", KEY, limit=99)


def test_a_data_key_opens_with_its_master_key_and_purpose_only():
    key = new_key()
    wrapped = wrap_key(MASTER, key, "recording 1")
    assert unwrap_key(MASTER, wrapped, "recording 1") == key
    assert key not in wrapped
    for master, purpose in ((b"n" * 32, "recording 1"), (MASTER, "recording 2")):
        with pytest.raises(SealedError, match="not the one that wrapped"):
            unwrap_key(master, wrapped, purpose)
    with pytest.raises(SealedError, match="no wrapped key"):
        unwrap_key(MASTER, wrapped[:-1], "recording 1")


def test_a_key_file_is_read_back_and_never_replaced(tmp_path):
    key = create_key_file(tmp_path / "key", MASTER, "recording 1")
    assert read_key_file(tmp_path / "key", MASTER, "recording 1") == key
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        create_key_file(tmp_path / "key", MASTER, "recording 1")


def test_short_keys_are_refused(tmp_path):
    with pytest.raises(SealedError, match="32 bytes"):
        SealedFile.create(tmp_path / "f", b"short")
    with pytest.raises(SealedError, match="at least 32 bytes"):
        wrap_key(b"short", new_key(), "x")
