"""Background tasks end loudly when they crash and quietly at shutdown."""

import asyncio

import pytest
from structlog.testing import capture_logs

from palabre.base.tasks import Supervisor


async def test_a_crash_is_logged_with_its_name_and_stops_nobody_else() -> None:
    tasks = Supervisor()
    other = asyncio.Event()

    async def crash() -> None:
        raise ZeroDivisionError

    async def go_on() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        other.set()

    with capture_logs() as logs:
        tasks.spawn("crashing", crash())
        tasks.spawn("other", go_on())
        await asyncio.wait_for(other.wait(), 5)
    assert [(entry["event"], entry["task"]) for entry in logs] == [("task crashed", "crashing")]
    await tasks.close()


async def test_closing_cancels_what_runs_and_takes_no_more() -> None:
    tasks = Supervisor()
    cancelled = asyncio.Event()

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    tasks.spawn("waiting", wait_for_ever())
    await asyncio.sleep(0)
    await tasks.close()
    assert cancelled.is_set()
    with pytest.raises(RuntimeError, match="closed"):
        tasks.spawn("late", wait_for_ever())
