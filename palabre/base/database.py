"""One database for everybody: SQLite by default, PostgreSQL by URL, one upgrade table per package.

Built on `mautrix.util.async_db`: `$1` placeholders work on both. Every package hands in its
`UpgradeTable`; `open_database` runs them all on one pool.

A task started inside a transaction inherits its connection: never start one there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mautrix.util.async_db import Connection, Database, Scheme, UpgradeTable
from mautrix.util.async_db.aiosqlite import TxnConnection, in_transaction

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


@asynccontextmanager
async def transaction(database: Database) -> AsyncIterator[Connection]:
    """`async with transaction(database) as connection:` all of it happens, or nothing.

    Calls on `database` itself inside the block belong to it too. Short: with SQLite everybody else waits.
    """
    acquiring: Any = database.acquire()  # mistyped in mautrix
    async with acquiring as connection, connection.transaction():
        yield connection


@asynccontextmanager
async def _transaction(connection: TxnConnection) -> AsyncIterator[None]:
    """mautrix's own (0.21.1), which leaves the transaction open when its task is cancelled: the only SQLite connection
    of the process then refuses every further one.
    """
    if in_transaction.get():
        yield
        return
    token = in_transaction.set(True)
    try:
        await connection.execute("BEGIN TRANSACTION")
        yield
    except BaseException:
        await connection.rollback()
        raise
    else:
        await connection.commit()
    finally:
        in_transaction.reset(token)


setattr(TxnConnection, "transaction", _transaction)  # noqa: B010  mypy refuses to assign methods
