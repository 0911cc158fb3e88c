"""One process for one bot: two would use the same encryption keys and lose messages.

A lock that ends with the process, however it ends: on a file beside SQLite's, or an advisory one in PostgreSQL.
"""

from __future__ import annotations

import fcntl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import IO, Any

from appservice.errors import StartError
from palabre.base.database import Database, Scheme

ADVISORY_LOCK = 0x70616C61627265  # "palabre"


class AlreadyRunningError(StartError):
    """Another process has the lock."""

    def __init__(self) -> None:
        super().__init__("Another Palabre uses this database: stop it first, one bot is one process.")


class ProcessLock:
    """`acquire` once, `release` at the end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._file: IO[str] | None = None
        self._held = AsyncExitStack()

    async def acquire(self) -> None:
        """Raises `AlreadyRunningError`."""
        if self._database.scheme == Scheme.SQLITE:
            self._lock_file(Path(self._database.url.path + ".lock"))
            return
        connection: Any = await self._held.enter_async_context(self._database.acquire_direct())
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", ADVISORY_LOCK):
            await self._held.aclose()
            raise AlreadyRunningError

    async def release(self) -> None:
        """Give it back; nothing when it isn't held."""
        if self._file is not None:
            self._file.close()
            self._file = None
        await self._held.aclose()
        self._held = AsyncExitStack()

    def _lock_file(self, path: Path) -> None:
        file = path.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise AlreadyRunningError from None
        self._file = file
