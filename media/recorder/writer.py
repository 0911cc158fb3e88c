"""The thread that seals and writes journals, so that a slow or full disk never holds up the packets of a call.

Concurrency: the event loop appends records to a `JournalFile`'s queue (a deque: append and popleft are atomic) and
does nothing else. One thread per capture owns everything behind the queues: it wakes every `FLUSH_INTERVAL`, writes
what is queued in blocks of at most `BLOCK_BYTES`, and every `SYNC_EVERY` wakes waits for the disk. `put` and `close`
of files come from the event loop; `JournalWriter.close` from anywhere but that thread, and waits for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from media.recorder.errors import CaptureError
from palabre.base.metrics import counter
from palabre.base.sealed import SealedWriter

FLUSH_INTERVAL = 0.2  # seconds: what kill -9 can cost, with some room below the quarter second we promise
SYNC_EVERY = 5  # wakes: about once a second; matters for power cuts only
BLOCK_BYTES = 64 * 1024  # what a torn block can cost
MAX_PENDING = 16 * 1024 * 1024  # bytes per journal: some 20 s of a good camera while the disk does not answer

log = structlog.get_logger("recorder")
_written = counter("recorder_journal_bytes", "Bytes of journals sealed and written")
_dropped = counter("recorder_dropped_records", "Records that were not written because the disk failed or was too slow")


class JournalFile:
    """A queue of records in front of one sealed stream."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.closing = False  # set by the event loop: nothing follows
        self.stalled = False  # set by the event loop: the queue was full
        self._queue: deque[bytes] = deque()
        self._queued = 0  # bytes, counted by the event loop only
        self._taken = 0  # bytes, counted by the thread only
        self._stream: SealedWriter | None = None

    def put(self, record: bytes) -> None:
        """Queue one record; dropped when the file is closing or the disk is `MAX_PENDING` bytes behind."""
        if self.closing:
            return
        if self._queued - self._taken > MAX_PENDING:
            self.stalled = True
            _dropped.inc()
            return
        self._queued += len(record)
        self._queue.append(record)

    # the rest is for the thread

    def beat(self, record: bytes) -> None:
        """Queue a record from the thread itself; taken off its own count, for the other is not its to change."""
        self._taken -= len(record)
        self._queue.append(record)

    def flush(self, key: bytes) -> None:
        """Write what is queued. Raises `OSError`."""
        while block := self._take():
            if self._stream is None:
                self._stream = SealedWriter(self.path, key)
            self._stream.append(block)
            self._taken += len(block)
            _written.inc(len(block))

    def _take(self) -> bytes:
        records: list[bytes] = []
        size = 0
        while self._queue and (not records or size + len(self._queue[0]) <= BLOCK_BYTES):
            records.append(self._queue.popleft())
            size += len(records[-1])
        return b"".join(records)

    def sync(self) -> None:
        if self._stream is not None:
            self._stream.sync()

    def finish(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def abandon(self) -> None:
        """The disk failed: leave the file as it is and forget what is queued."""
        self.closing = True
        _dropped.inc(len(self._queue))
        self._queue.clear()
        if self._stream is not None:
            self._stream.abandon()


class JournalWriter:
    """The thread and the files it writes. `heartbeat` is called there at every wake, before writing."""

    def __init__(self, key: bytes, on_error: Callable[[CaptureError], None], heartbeat: Callable[[], None]) -> None:
        self._key = key
        self._on_error = on_error
        self._heartbeat = heartbeat
        self._files: list[JournalFile] = []
        self._lock = threading.Lock()  # of the list
        self._stop = threading.Event()
        self.failed = False
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def open(self, path: Path) -> JournalFile:
        """A new journal; the file appears with its first block."""
        file = JournalFile(path)
        with self._lock:
            self._files.append(file)
        if self.failed:
            file.closing = True
        return file

    def close(self) -> None:
        """Write and close everything that is open, and end the thread."""
        for file in self._snapshot():
            file.closing = True
        self._stop.set()
        self._thread.join()

    def _snapshot(self) -> list[JournalFile]:
        with self._lock:
            return list(self._files)

    def _run(self) -> None:
        wakes = 0
        while not self.failed:
            stopping = self._stop.wait(FLUSH_INTERVAL)
            wakes += 1
            if not stopping:
                self._heartbeat()
            try:
                self._write(sync=wakes % SYNC_EVERY == 0)
            except OSError as error:
                self._fail(error)
            if stopping:
                return

    def _write(self, *, sync: bool) -> None:
        for file in self._snapshot():
            closing = file.closing  # read before the flush: what was queued before it is then written
            file.flush(self._key)
            if closing:
                file.finish()
                with self._lock:
                    self._files.remove(file)
            elif sync:
                file.sync()
            if file.stalled:
                file.stalled = False
                self._on_error(CaptureError("the disk is too slow: a part of the recording is missing", fatal=False))

    def _fail(self, error: OSError) -> None:
        self.failed = True
        for file in self._snapshot():
            file.abandon()
        log.error("capture stopped: the disk failed", error=error.strerror, errno=error.errno)
        self._on_error(CaptureError(f"the recording stopped: {error.strerror}", fatal=True))
