"""The health page says what is wrong instead of failing itself."""

import asyncio

import aiohttp

from palabre.base.clock import ManualClock
from palabre.health import Finding, HealthServer, LoopWatch


async def fine() -> Finding:
    return Finding(True, "The database answers.")


async def broken() -> Finding:
    raise OSError


async def get(server: HealthServer, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{server.port}{path}") as answer:
        return answer.status, await answer.text()


async def test_ready_names_the_check_that_broke_and_health_stays_green() -> None:
    server = HealthServer(LoopWatch(ManualClock()), {"database": fine, "homeserver": broken})
    await server.start("127.0.0.1", 0)
    try:
        status, text = await get(server, "/ready")
        assert status == 503
        assert "The check itself failed: OSError" in text
        assert "The database answers" in text
        assert (await get(server, "/health"))[0] == 200
        status, text = await get(server, "/metrics")
        assert "palabre_event_loop_lag_seconds" in text
    finally:
        await server.stop()


async def test_a_draining_service_is_not_ready() -> None:
    server = HealthServer(LoopWatch(ManualClock()), {"database": fine})
    await server.start("127.0.0.1", 0)
    try:
        assert (await get(server, "/ready"))[0] == 200
        server.draining = True
        assert (await get(server, "/ready"))[0] == 503
    finally:
        await server.stop()


async def test_a_late_event_loop_turns_health_red() -> None:
    clock = ManualClock()
    watch = LoopWatch(clock)
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(0.01)
    clock.advance(3.0)
    await asyncio.sleep(0.6)
    task.cancel()
    server = HealthServer(watch, {})
    await server.start("127.0.0.1", 0)
    try:
        assert (await get(server, "/health"))[0] == 503
    finally:
        await server.stop()
