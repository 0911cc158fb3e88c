"""An append-only encrypted stream of blocks: whatever was written before a crash can be read, and nothing else can.

File: header (keys.py), then blocks: `u32 flags and length | ciphertext and tag`. The nonce is the block's number, which
also stands in the associated data beside the file's id and the length field: a block that is changed, moved, swapped
with another file's or left out ends the reading there. A closed stream ends with an empty block that is marked final.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from palabre.base.sealed.keys import HEADER_BYTES, NONCE_BYTES, TAG_BYTES, new_header, read_header

_MAGIC = b"PALSTRM1"
_FINAL = 0x8000_0000
MAX_BLOCK = 256 * 1024  # bytes in the clear; what a reader is willing to hold for one block


class Ending(Enum):
    """How a stream ends."""

    CLOSED = "closed"  # by its writer: all of it is here
    OPEN = "open"  # after a whole block: it is still being written, or the writer was killed
    TORN = "torn"  # inside a block: the writer was killed while writing
    DAMAGED = "damaged"  # a whole block is there and is not what was written


class SealedWriter:
    """Appends blocks to a new file. Not thread-safe: one owner.

    Raises `OSError` where the disk fails; the file is then cut back to its last whole block, where it can be.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        header, self._cipher = new_header(_MAGIC, key)
        self._header = header
        self._number = 0
        self._size = 0
        self._closed = False
        try:
            self._write(header)
        except OSError:
            os.close(self._descriptor)
            raise

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._size

    def append(self, block: bytes) -> None:
        """Seal and write one block of 1 to `MAX_BLOCK` bytes."""
        if not 0 < len(block) <= MAX_BLOCK:
            raise ValueError(f"a block has 1 to {MAX_BLOCK} bytes")
        self._seal(block, 0)

    def sync(self) -> None:
        """Wait until the disk has it: matters for power cuts, not for a killed process."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Mark the end, sync, close. Calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._seal(b"", _FINAL)
            os.fdatasync(self._descriptor)
        finally:
            os.close(self._descriptor)

    def abandon(self) -> None:
        """Close without marking the end: the disk failed, and readers shall know that something is missing."""
        if not self._closed:
            self._closed = True
            os.close(self._descriptor)

    def _seal(self, block: bytes, flags: int) -> None:
        length = struct.pack("!I", (len(block) + TAG_BYTES) | flags)
        sealed = self._cipher.encrypt(_nonce(self._number), block, self._header + length)
        self._write(length + sealed)
        self._number += 1

    def _write(self, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)


class SealedReader:
    """Iterates over the whole blocks of a stream, in order, once; constant memory. `ending` is known afterwards.

    Raises `SealedError` for a wrong key. A file cut inside its header has no blocks and is `TORN`.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self.ending: Ending | None = None
        with path.open("rb") as file:
            self._header = file.read(HEADER_BYTES)
        self._cipher: AESGCM | None = None
        if len(self._header) == HEADER_BYTES:
            self._cipher = read_header(_MAGIC, self._header, key)

    def __iter__(self) -> Iterator[bytes]:
        if self._cipher is None:
            self.ending = Ending.TORN
            return
        with self._path.open("rb") as file:
            file.seek(HEADER_BYTES)
            number = 0
            while True:
                prefix = file.read(4)
                if len(prefix) < 4:
                    self.ending = Ending.TORN if prefix else Ending.OPEN
                    return
                (field,) = struct.unpack("!I", prefix)
                length = field & ~_FINAL
                if not TAG_BYTES <= length <= MAX_BLOCK + TAG_BYTES:
                    self.ending = Ending.DAMAGED
                    return
                sealed = file.read(length)
                if len(sealed) < length:
                    self.ending = Ending.TORN
                    return
                try:
                    block = self._cipher.decrypt(_nonce(number), sealed, self._header + prefix)
                except InvalidTag:
                    self.ending = Ending.DAMAGED
                    return
                if field & _FINAL:
                    self.ending = Ending.CLOSED
                    return
                yield block
                number += 1


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_BYTES, "big")
