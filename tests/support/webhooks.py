"""A receiver of webhooks on a real HTTP server: keeps what it is sent, and answers as a test says."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from livekit import api
from livekit.protocol.webhook import WebhookEvent

from tests.support.relay import API_KEY, API_SECRET


@dataclass
class Receiver:
    url: str = ""
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # content type, authorization, body
    statuses: deque[int] = field(default_factory=deque)  # of the next answers; then 200
    events: list[WebhookEvent] = field(default_factory=list)  # accepted, as LiveKit's own receiver reads them

    def __post_init__(self) -> None:
        self._sdk = api.WebhookReceiver(api.TokenVerifier(API_KEY, API_SECRET))

    @property
    def names(self) -> list[str]:
        return [event.event for event in self.events]

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.text()
        authorization = request.headers.get("Authorization", "")
        self.requests.append((request.headers["Content-Type"], authorization, body))
        event = self._sdk.receive(body, authorization)  # raises for what is not signed well: the answer is 500
        status = self.statuses.popleft() if self.statuses else 200
        if status == 200:
            self.events.append(event)
        return web.Response(status=status)


@asynccontextmanager
async def webhook_receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()
