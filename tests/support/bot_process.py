"""A bot in a process of its own that kills itself, as `kill -9` does, at a point that the test has armed.

`python -m tests.support.bot_process SETTINGS FOLDER PORT`: prints `ready` when started. A file `FOLDER/die-POINT` arms
a point; passing there deletes the file and ends the process at once.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from appservice.api import HomeserverApi
from appservice.crypto import Encryption
from appservice.dispatch import Dispatch
from appservice.inbox import Inbox
from appservice.settings import AppserviceSettings
from palabre.base.log import configure_logs
from tests.support.bot import NotingHandler, RunningBot

# (name, where, before or after): in the order in which a command passes them.
POINTS: tuple[tuple[str, type, str, bool], ...] = (
    ("stored", Inbox, "store", False),
    ("taken", Dispatch, "take_event", False),
    ("decrypted", Encryption, "decrypt", False),
    ("handling", NotingHandler, "handle", True),
    ("encrypted", Encryption, "encrypt", False),
    ("requested", HomeserverApi, "request", False),
    ("handled", NotingHandler, "handle", False),
    ("settling", Inbox, "settle", True),
)


def deadly(folder: Path, point: str, call: Callable[..., Awaitable[Any]], *, before: bool) -> Callable[..., Any]:
    """`call`, with the point before or after it."""

    def pass_by() -> None:
        arm = folder / f"die-{point}"
        if arm.exists():
            arm.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(call)
    async def wrapped(*arguments: Any, **options: Any) -> Any:
        if before:
            pass_by()
        result = await call(*arguments, **options)
        if not before:
            pass_by()
        return result

    return wrapped


async def main(settings: str, folder: str, port: str) -> None:
    configure_logs("info")
    for point, owner, name, before in POINTS:
        setattr(owner, name, deadly(Path(folder), point, getattr(owner, name), before=before))
    bot = RunningBot(AppserviceSettings.model_validate_json(settings), Path(folder), int(port))
    await bot.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
