"""A Chromium of one's own: a process with its own profile, driven by Playwright, that a test may kill.

Two people in one browser would share its timers and its sound; and only a process can die as browsers do.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Playwright

from tests.support.page import CHROMIUM_FLAGS

START_SECONDS = 60.0
FLAGS = [
    *CHROMIUM_FLAGS,
    "--headless=new",
    "--remote-debugging-port=0",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-dev-shm-usage",
    "--no-default-browser-check",
]


class OwnBrowser:
    """Started and stopped once."""

    def __init__(self, profile: Path) -> None:
        self._profile = profile
        self._process: asyncio.subprocess.Process | None = None
        self._browser: Browser | None = None

    async def start(self, playwright: Playwright) -> BrowserContext:
        """The context of its own profile, that keeps its databases on disk."""
        self._profile.mkdir(parents=True)
        self._process = await asyncio.create_subprocess_exec(
            "/usr/bin/chromium",
            *FLAGS,
            f"--user-data-dir={self._profile}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # its helpers die with it
        )
        self._browser = await playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{await self._port()}")
        return self._browser.contexts[0]

    async def kill(self) -> None:
        """As a machine that loses its power: nothing is closed, nobody is told."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    async def close(self) -> None:
        if self._browser is not None and self._process is not None:
            await self._browser.close()
        await self.kill()

    async def _port(self) -> int:
        """The port of the browser's debugger, which it writes down once it listens."""
        written = self._profile / "DevToolsActivePort"
        async with asyncio.timeout(START_SECONDS):
            while True:
                assert self._process is not None
                assert self._process.returncode is None, "Chromium ended"
                if written.exists() and (lines := written.read_text().split()):
                    return int(lines[0])
                await asyncio.sleep(0.05)
