"""Puts what people see over HTTP onto the service's root: call page, widget page, `/api`, static files."""

from __future__ import annotations

from aiohttp import web

from bridge.service import BridgeService
from palabre.base.clock import Clock
from web.api import Api
from web.focus import FocusRoutes
from web.focus_proxy import FocusProxyRoutes
from web.pages import Pages
from web.settings import WebSettings


def mount(
    root: web.Application, settings: WebSettings, bridge: BridgeService, clock: Clock, *, dev: bool, version: str
) -> None:
    """Add the page, `/assets/…`, `/api/…` and `/livekit/jwt/…` to `root`, beside the relay's and the bot's routes.

    Raises `ValueError` for dev users without `dev`: their passwords stand in a file.
    """
    if settings.dev_users and not dev:
        raise ValueError("web.dev_users: passwords in the settings are for --dev only; remove them")
    api = Api(settings, bridge, clock, dev=dev, version=version)
    api.add_routes(root.router)
    FocusRoutes(settings, bridge.focus, clock).add_routes(root.router)
    FocusProxyRoutes(bridge.focus_proxy, clock).add_routes(root.router)
    Pages(settings, bridge.settings.livekit.url, api.config).add_routes(root.router)
