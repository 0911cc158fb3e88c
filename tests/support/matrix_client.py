"""Matrix clients for tests: people on matrix-nio, and later a strict verifier on matrix-js-sdk.

* `matrix_user("alice")` makes a user on the shared homeserver, named like no other (`@alice7:…`), closed at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from palabre.demo.homeserver import Homeserver
from palabre.demo.matrix_user import MatrixUser
from tests.support.synapse import unique_name

MakeUser = Callable[[str], Awaitable[MatrixUser]]


async def new_user(homeserver: Homeserver, stem: str, folder: Path) -> MatrixUser:
    """A user on `homeserver`, syncing; close it."""
    name = unique_name(stem)
    user = MatrixUser(homeserver, await asyncio.to_thread(homeserver.register, name), folder / name)
    await user.start()
    return user


@pytest.fixture
async def matrix_user(homeserver: Homeserver, tmp_path: Path) -> AsyncIterator[MakeUser]:
    """Makes users on the shared homeserver."""
    made: list[MatrixUser] = []

    async def make(stem: str) -> MatrixUser:
        made.append(await new_user(homeserver, stem, tmp_path))
        return made[-1]

    yield make
    for user in made:
        await user.close()
