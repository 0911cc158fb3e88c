"""`/health`, `/ready` and `/metrics` on a port of their own, away from the public one.

`/health` says that the event loop turns; `/ready` also asks everything the service needs, so that a load balancer or
systemd can tell "up" from "useful". Neither is logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from palabre.base import metrics
from palabre.base.clock import Clock

LAG_INTERVAL = 0.5  # seconds between two looks at the loop: short enough to see a stall that makes audio stutter
LAG_LIMIT = 1.0  # seconds late: above this people hear it, so the service is not ready
CHECK_TIMEOUT = 5.0  # seconds: what has not answered by then is not there

_lag = metrics.gauge("event_loop_lag_seconds", "How late the event loop ran at the last look")
_stalls = metrics.counter("event_loop_stalls", f"Times the event loop was more than {LAG_LIMIT} s late")


@dataclass(frozen=True)
class Finding:
    """The answer of one check: `sentence` says what is wrong and what to do, or what is fine."""

    ok: bool
    sentence: str


Check = Callable[[], Awaitable[Finding]]


class LoopWatch:
    """Measures how late the event loop runs: a blocked loop delays everybody's sound."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lag = 0.0
        self._last = clock.monotonic()

    async def run(self) -> None:
        while True:
            self._last = self._clock.monotonic()
            await asyncio.sleep(LAG_INTERVAL)
            self.lag = max(0.0, self._clock.monotonic() - self._last - LAG_INTERVAL)
            _lag.set(self.lag)
            if self.lag > LAG_LIMIT:
                _stalls.inc()


class HealthServer:
    """Serves the three pages. `checks` are named; each is asked at every `/ready`."""

    def __init__(self, watch: LoopWatch, checks: Mapping[str, Check]) -> None:
        self._watch = watch
        self._checks = dict(checks)
        self._runner: web.AppRunner | None = None
        self.draining = False
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, _request: web.Request) -> web.Response:
        late = self._watch.lag > LAG_LIMIT
        return web.json_response(
            {"ok": not late, "event_loop_lag": round(self._watch.lag, 3)}, status=503 if late else 200
        )

    async def _ready(self, _request: web.Request) -> web.Response:
        findings = await self.ask()
        ready = all(finding.ok for finding in findings.values()) and not self.draining
        body = {name: {"ok": finding.ok, "message": finding.sentence} for name, finding in findings.items()}
        return web.json_response(
            {"ready": ready, "draining": self.draining, "checks": body}, status=200 if ready else 503
        )

    async def ask(self) -> dict[str, Finding]:
        """Every check, side by side; one that fails or hangs is a finding, not an error."""
        names = list(self._checks)
        answers = await asyncio.gather(*(self._one(self._checks[name]) for name in names))
        findings = dict(zip(names, answers, strict=True))
        late = self._watch.lag > LAG_LIMIT
        findings["event_loop"] = Finding(not late, f"The event loop is {self._watch.lag:.2f} s late.")
        return findings

    async def _one(self, check: Check) -> Finding:
        try:
            return await asyncio.wait_for(check(), CHECK_TIMEOUT)
        except TimeoutError:
            return Finding(False, f"No answer within {CHECK_TIMEOUT:.0f} s.")
        except Exception as error:  # noqa: BLE001 - whatever breaks a check is what the check has to report
            return Finding(False, f"The check itself failed: {type(error).__name__}.")

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4"})
