"""One database for everybody: SQLite by default, PostgreSQL by URL, one upgrade table per package.

Built on `mautrix.util.async_db`: `$1` placeholders work on both. Every package hands in its
`UpgradeTable`; `open_database` runs them all on one pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mautrix.util.async_db import Connection, Database, Scheme, UpgradeTable

__all__ = ["Connection", "Database", "Scheme", "UpgradeTable", "open_database", "transaction"]


async def open_database(url: str, tables: Sequence[UpgradeTable]) -> tuple[Database, list[Database]]:
    """Open the pool at `url` and bring every table up to date.

    Returns the owner of the pool (stop that one) and one handle per upgrade table, in order, all sharing the pool.
    A database with a newer schema is refused by `mautrix.util.async_db.UnsupportedDatabaseVersion`.
    """
    pool = Database.create(url, upgrade_table=UpgradeTable(version_table_name="palabre_pool"), owner_name="palabre")
    await pool.start()
    handles = []
    for table in tables:
        handle = Database.create(url, upgrade_table=table)
        handle.override_pool(pool)
        await handle.start()
        handles.append(handle)
    return pool, handles


class _AbandonedError(Exception):
    """Stands for a cancellation where mautrix rolls back on `Exception` alone."""


@asynccontextmanager
async def transaction(database: Database) -> AsyncIterator[Connection]:
    """All or nothing of what is done inside, also when the task is cancelled there.

    Calls of the same task on any handle of the pool run inside it; don't start tasks or wait for the network in it.
    """
    acquire: Any = database.acquire
    try:
        async with acquire() as connection, connection.transaction():
            try:
                yield connection
            except asyncio.CancelledError as error:
                raise _AbandonedError from error
    except _AbandonedError as abandoned:
        raise asyncio.CancelledError from abandoned
