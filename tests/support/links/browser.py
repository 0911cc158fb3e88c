"""Chromium in a client's network, with one tab that drives livekit-client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Playwright

from tests.support.links.network import Leg
from tests.support.livekit_tab import Tab
from tests.support.page import CHROMIUM_FLAGS
from tests.support.relay import RunningRelay


@asynccontextmanager
async def tab_at(leg: Leg, relay: RunningRelay, playwright: Playwright, folder: Path) -> AsyncIterator[Tab]:
    """A browser that starts where the client is, and its only tab."""
    starter = folder / f"chromium-{leg.name}"
    command = " ".join(leg.namespace.command("/usr/bin/chromium"))
    starter.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    starter.chmod(0o755)
    flags = [
        *CHROMIUM_FLAGS,
        "--autoplay-policy=no-user-gesture-required",
        "--ignore-certificate-errors",
        f"--unsafely-treat-insecure-origin-as-secure={relay.http}",
    ]
    browser = await playwright.chromium.launch(executable_path=starter, args=flags)
    try:
        page = await (await browser.new_context()).new_page()
        tab = Tab(relay, page, leg.name)
        page.on("pageerror", tab.complain)
        yield tab
    finally:
        await browser.close()
