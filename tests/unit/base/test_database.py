from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from palabre.base.database import Connection, Database, Scheme, UpgradeTable, open_database, transaction

table = UpgradeTable(version_table_name="numbers_version")


async def _first(connection: Connection, _scheme: Scheme) -> None:
    await connection.execute("CREATE TABLE number (value INTEGER)")


table.register(_first)


@pytest.fixture
async def database(tmp_path: Path):
    pool, (handle,) = await open_database(f"sqlite:///{tmp_path}/test.db", [table])
    yield handle
    await pool.stop()


async def numbers(database: Database) -> list[int]:
    return [row["value"] for row in await database.fetch("SELECT value FROM number")]


async def test_a_cancelled_transaction_is_undone_and_the_next_one_works(database: Database) -> None:
    inside = asyncio.Event()

    async def interrupted() -> None:
        async with transaction(database) as connection:
            await connection.execute("INSERT INTO number VALUES (1)")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(interrupted())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with transaction(database) as connection:
        await connection.execute("INSERT INTO number VALUES (2)")
    assert await numbers(database) == [2]


async def test_a_transaction_within_a_transaction_is_part_of_it(database: Database) -> None:
    async def failing() -> None:
        async with transaction(database):
            async with transaction(database) as connection:
                await connection.execute("INSERT INTO number VALUES (1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    assert await numbers(database) == []
