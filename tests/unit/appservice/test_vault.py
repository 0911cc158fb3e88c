from __future__ import annotations

from pathlib import Path

import pytest

from appservice.lock import AlreadyRunningError, ProcessLock
from appservice.schema import upgrade_table
from appservice.vault import Vault, WrongSecretError, derive_key
from palabre.base.database import Database, open_database


@pytest.fixture
async def database(tmp_path: Path):
    pool, (handle,) = await open_database(f"sqlite:///{tmp_path}/test.db", [upgrade_table])
    yield handle
    await pool.stop()


async def test_a_secret_is_read_back_and_does_not_lie_in_clear(database: Database) -> None:
    vault = Vault(database, "secret one")
    assert await vault.get("recovery_key") is None
    await vault.put("recovery_key", "EsTM 1234")
    await vault.put("recovery_key", "EsTM 5678")
    assert await Vault(database, "secret one").get("recovery_key") == "EsTM 5678"
    assert "5678" not in await database.fetchval("SELECT sealed FROM matrix_secret")


async def test_another_secret_is_refused_with_what_to_do(database: Database) -> None:
    await Vault(database, "secret one").put("recovery_key", "x")
    with pytest.raises(WrongSecretError, match="set the old one again"):
        await Vault(database, "secret two").get("recovery_key")


def test_each_purpose_has_a_key_of_its_own() -> None:
    assert derive_key("secret", "olm") != derive_key("secret", "vault")


async def test_a_second_process_on_the_same_database_is_refused(database: Database) -> None:
    first, second = ProcessLock(database), ProcessLock(database)
    await first.acquire()
    with pytest.raises(AlreadyRunningError):
        await second.acquire()
    await first.release()
    await second.acquire()
    await second.release()
