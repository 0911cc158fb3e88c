"""Supervised background tasks: a crash is logged with its name, and everything ends at shutdown.

Concurrency: one `Supervisor` per service, used from the event loop only. `spawn` owns the task until it is
done; `close` cancels what is left and waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger("tasks")


class Supervisor:
    """Keeps a reference to every task, so that none is collected while running or dies unheard."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def spawn(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` until it ends. An exception is ours: logged as `task crashed`, nobody else stops."""
        if self._closed:
            work.close()
            raise RuntimeError(f"{name}: the supervisor is closed")
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task crashed", task=task.get_name(), exc_info=error)

    async def close(self) -> None:
        """Cancel what runs and wait for it."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
