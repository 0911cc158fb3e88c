"""A web server for tests: the host page, and each Element Call as its package has it, with the configuration beside it.

`config.json` is Element Call's own place for what a site chooses; everything else is served as npm delivered it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from palabre.demo.homeserver import free_port

HOST = Path(__file__).resolve().parents[2] / "e2e" / "element_call" / "host"
PACKAGES = {"0.26.1": "@element-hq/element-call-embedded", "0.19.1": "element-call-0-19"}
WIDGET = "palabre-test-call"


@dataclass(frozen=True)
class ElementCall:
    """A release and how a site configured it."""

    name: str
    version: str
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return HOST / "node_modules" / PACKAGES[self.version] / "dist"

    def configuration(self) -> dict[str, Any]:
        shipped: dict[str, Any] = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        return shipped | dict(self.config)


LEGACY_19 = ElementCall("0.19.1-legacy", "0.19.1")  # what Tchap has
COMPATIBLE_26 = ElementCall("0.26.1-compatibility", "0.26.1")
STICKY_26 = ElementCall("0.26.1-matrix-2-0", "0.26.1", {"matrix_rtc_mode": "matrix_2_0"})
# Tchap's release, told to ask a homeserver that is away ten times in a hundred seconds instead of ten, and not to
# believe itself gone from the call, which hides everybody's picture, before ninety have passed.
_PATIENCE = {
    "wait_for_key_rotation_ms": 5000,
    "delayed_leave_event_restart_ms": 4000,
    "delayed_leave_event_delay_ms": 90000,
    "network_error_retry_ms": 10000,
}
PATIENT_19 = ElementCall("0.19.1-patient", "0.19.1", {"matrix_rtc_session": _PATIENCE})
OUR_PAGE = ElementCall("page", "")  # not Element Call at all, but Palabre's own page in its place
RELEASES = {call.name: call for call in (LEGACY_19, COMPATIBLE_26, STICKY_26, PATIENT_19)}


@dataclass(frozen=True)
class Pages:
    origin: str

    @property
    def host(self) -> str:
        return f"{self.origin}/host/index.html"

    def call(self, call: ElementCall, *, room: str, user: str, device: str, homeserver: str, encrypted: bool) -> str:
        """The whole address of Element Call as Element frames it, straight into the call."""
        choices = {
            "widgetId": WIDGET,
            "parentUrl": self.host,
            "roomId": room,
            "userId": user,
            "deviceId": device,
            "baseUrl": homeserver,
            "perParticipantE2EE": str(encrypted).lower(),
            "intent": "start_call",
            "skipLobby": "true",
            "sendNotificationType": "notification",
            "confineToRoom": "true",
            "preload": "false",
            "header": "none",
            "lang": "fr",
            "theme": "light",
        }
        return f"{self.origin}/call/{call.name}/index.html#?{urlencode(choices)}"


async def _file(request: web.Request) -> web.StreamResponse:
    """One of Element Call's files."""
    call = RELEASES.get(request.match_info["call"])
    if call is None:
        raise web.HTTPNotFound
    path = request.match_info["path"]
    if path == "config.json":
        return web.json_response(call.configuration())
    file = (call.folder / path).resolve()
    if not file.is_file() or not file.is_relative_to(call.folder.resolve()):
        raise web.HTTPNotFound
    return web.FileResponse(file)


@asynccontextmanager
async def serving() -> AsyncIterator[Pages]:
    assert (HOST / "dist" / "host.js").exists(), f"no host page in {HOST / 'dist'}: run `make e2e-element-call`"
    app = web.Application()
    app.router.add_static("/host", HOST / "dist")
    app.router.add_get("/call/{call}/{path:.+}", _file)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield Pages(f"http://127.0.0.1:{port}")
    finally:
        await runner.cleanup()
