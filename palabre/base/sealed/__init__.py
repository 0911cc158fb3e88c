"""Files that are encrypted as they are written: nothing of a recording lies in the clear on a disk.

AES-256-GCM throughout. A recording has a random *data key* (`create_key_file`), wrapped by the service's master key;
each file derives its own key from the data key and a random file id, so that no nonce is ever used twice under a key.

* `SealedWriter` and `SealedReader`: an append-only stream of blocks that survives `kill -9` up to the last whole block.
* `SealedFile`: random access like `io.RawIOBase`, for muxers that go back and patch; `read_chunks` streams it out.

What is protected: reading, changing, reordering, swapping between files, and truncation (a reader can tell). What is
not: the size of files and when they were written, and putting an older state of a `SealedFile`'s block back.
"""

from __future__ import annotations

from palabre.base.sealed.file import SealedFile, read_chunks, read_sealed, sealed_size, write_sealed
from palabre.base.sealed.keys import (
    SealedError,
    check_key,
    create_key_file,
    new_key,
    read_key_file,
    unwrap_key,
    wrap_key,
)
from palabre.base.sealed.stream import Ending, SealedReader, SealedWriter

__all__ = [
    "Ending",
    "SealedError",
    "SealedFile",
    "SealedReader",
    "SealedWriter",
    "check_key",
    "create_key_file",
    "new_key",
    "read_chunks",
    "read_key_file",
    "read_sealed",
    "sealed_size",
    "unwrap_key",
    "wrap_key",
    "write_sealed",
]
