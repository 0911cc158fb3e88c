"""A random-access encrypted file, like `io.RawIOBase`: what muxers write to that go back and patch what they wrote.

File: header (keys.py), sealed length, then slots of fixed size: `nonce | ciphertext of BLOCK bytes | tag`. Every write
of a slot takes a fresh random nonce; the associated data hold the file's id and the slot's number.
"""

from __future__ import annotations

import io
import os
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag

from palabre.base.sealed.keys import (
    HEADER_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    SealedError,
    new_header,
    read_header,
)

if TYPE_CHECKING:  # names that only type checkers know
    from _typeshed import ReadableBuffer, WriteableBuffer

_MAGIC = b"PALFILE1"
BLOCK = 64 * 1024  # bytes in the clear: a muxer's buffer is 32 KiB, so most writes touch one block
_SLOT = NONCE_BYTES + BLOCK + TAG_BYTES
_LENGTH_BYTES = NONCE_BYTES + 8 + TAG_BYTES
_FIRST_SLOT = HEADER_BYTES + _LENGTH_BYTES
_CACHED = 8  # blocks held in the clear: a muxer works at the end and at one older place
CHUNK = 1 << 20  # bytes; what `read_chunks` yields, the piece size of uploads


class SealedFile(io.RawIOBase):
    """Create with `SealedFile.create`, open for reading with `SealedFile.open`. Not thread-safe: one owner.

    What was written is whole on disk after `flush` or `close`. Reading raises `SealedError` where bytes were changed.
    """

    def __init__(self, descriptor: int, header: bytes, key: bytes, *, writable: bool) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._header = header
        self._cipher = read_header(_MAGIC, header, key)
        self._writable = writable
        self._position = 0
        self._length = 0
        self._blocks: OrderedDict[int, bytearray] = OrderedDict()  # oldest use first
        self._dirty: set[int] = set()

    @classmethod
    def create(cls, path: Path, key: bytes) -> SealedFile:
        """A new empty file; an old one of that name is replaced."""
        header, _ = new_header(_MAGIC, key)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.pwrite(descriptor, header, 0)
            file = cls(descriptor, header, key, writable=True)
            file._write_length()
        except OSError:
            os.close(descriptor)
            raise
        return file

    @classmethod
    def open(cls, path: Path, key: bytes) -> SealedFile:
        """For reading. Raises `SealedError` for a wrong key, `FileNotFoundError`."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            file = cls(descriptor, os.pread(descriptor, HEADER_BYTES, 0), key, writable=False)
            file._length = file._read_length()
        except (OSError, SealedError):
            os.close(descriptor)
            raise
        return file

    # io.RawIOBase

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return self._writable

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise ValueError("a position before the beginning")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        target = memoryview(buffer).cast("B")
        count = max(0, min(len(target), self._length - self._position))
        done = 0
        while done < count:
            number, start = divmod(self._position, BLOCK)
            piece = min(BLOCK - start, count - done)
            target[done : done + piece] = self._block(number)[start : start + piece]
            done += piece
            self._position += piece
        return done

    def write(self, data: ReadableBuffer) -> int:
        if not self._writable:
            raise io.UnsupportedOperation("open for reading only")
        source = memoryview(data).cast("B")
        if source:
            self._fill(self._position)
        done = 0
        while done < len(source):
            number, start = divmod(self._position, BLOCK)
            piece = min(BLOCK - start, len(source) - done)
            self._block(number)[start : start + piece] = source[done : done + piece]
            self._dirty.add(number)
            done += piece
            self._position += piece
            self._length = max(self._length, self._position)
        return done

    def truncate(self, size: int | None = None) -> int:
        """Cut, or lengthen with zeros."""
        size = self._position if size is None else size
        if not self._writable:
            raise io.UnsupportedOperation("open for reading only")
        slots = -(-size // BLOCK)
        for number in [number for number in self._blocks if number >= slots]:
            del self._blocks[number]
            self._dirty.discard(number)
        if size < self._length:
            if rest := size % BLOCK:
                self._block(slots - 1)[rest:] = bytes(BLOCK - rest)
                self._dirty.add(slots - 1)
            os.ftruncate(self._descriptor, _FIRST_SLOT + slots * _SLOT)
        self._fill(size)
        self._length = size
        return size

    def flush(self) -> None:
        if self.closed or not self._writable:
            return
        for number in sorted(self._dirty):
            self._write_slot(number, self._blocks[number])
        self._dirty.clear()
        self._write_length()

    def close(self) -> None:
        if self.closed:
            return
        try:
            self.flush()
            if self._writable:
                os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)
            self._blocks.clear()
            self._writable = False  # `super().close()` flushes once more
            super().close()

    # slots

    def _fill(self, end: int) -> None:
        """Zeros between the end of the file and a place beyond it, so that every slot of a file is sealed."""
        for number in range(-(-self._length // BLOCK), -(-end // BLOCK)):
            self._block(number)
            self._dirty.add(number)
        self._length = max(self._length, end)

    def _block(self, number: int) -> bytearray:
        """The block in the clear, from the cache or the disk; zeros where nothing was written yet."""
        if (block := self._blocks.get(number)) is not None:
            self._blocks.move_to_end(number)
            return block
        block = self._blocks[number] = self._read_slot(number)
        if len(self._blocks) > _CACHED:
            oldest, content = self._blocks.popitem(last=False)
            if oldest in self._dirty:
                self._write_slot(oldest, content)
                self._dirty.discard(oldest)
        return block

    def _read_slot(self, number: int) -> bytearray:
        if number * BLOCK >= self._length:
            return bytearray(BLOCK)
        slot = os.pread(self._descriptor, _SLOT, _FIRST_SLOT + number * _SLOT)
        return bytearray(self._open(slot, number.to_bytes(8, "big"), BLOCK))

    def _write_slot(self, number: int, block: bytearray) -> None:
        self._store(_FIRST_SLOT + number * _SLOT, self._seal(bytes(block), number.to_bytes(8, "big")))

    def _write_length(self) -> None:
        self._store(HEADER_BYTES, self._seal(self._length.to_bytes(8, "big"), b"length"))

    def _read_length(self) -> int:
        return int.from_bytes(self._open(os.pread(self._descriptor, _LENGTH_BYTES, HEADER_BYTES), b"length", 8), "big")

    def _seal(self, clear: bytes, place: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, clear, self._header + place)

    def _open(self, sealed: bytes, place: bytes, size: int) -> bytes:
        if len(sealed) != NONCE_BYTES + size + TAG_BYTES:
            raise SealedError("a part of the sealed file is missing")
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._header + place)
        except InvalidTag as error:
            raise SealedError("a part of the sealed file was changed") from error

    def _store(self, offset: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._descriptor, rest, offset)
            rest, offset = rest[written:], offset + written


def sealed_size(path: Path, key: bytes) -> int:
    """Bytes in the clear. Raises `SealedError`."""
    with SealedFile.open(path, key) as file:
        return file.seek(0, os.SEEK_END)


def read_chunks(path: Path, key: bytes, size: int = CHUNK) -> Iterator[bytes]:
    """The content in pieces of `size` bytes, the last one shorter: for uploads. Raises `SealedError`."""
    with SealedFile.open(path, key) as file:
        while piece := file.read(size):
            yield piece


def read_sealed(path: Path, key: bytes, limit: int = 64 * CHUNK) -> bytes:
    """The whole content of a small file. Raises `SealedError`, also above `limit` bytes."""
    if sealed_size(path, key) > limit:
        raise SealedError(f"the sealed file has more than {limit} bytes")
    return b"".join(read_chunks(path, key))


def write_sealed(path: Path, key: bytes, data: bytes) -> None:
    """Store a small file whole, on disk before this returns."""
    with SealedFile.create(path, key) as file:
        file.write(data)
