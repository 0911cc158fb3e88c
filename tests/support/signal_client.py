"""A signalling client without media, for what a well-behaved SDK never sends."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from livekit.protocol import models, rtc

from tests.support.relay import RunningRelay

_PLAIN_JOIN = rtc.JoinRequest(client_info=models.ClientInfo(protocol=16))


class SignalClient:
    """One WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.seen: list[rtc.SignalResponse] = []

    async def send(self, **request: Any) -> None:
        await self.socket.send_bytes(rtc.SignalRequest(**request).SerializeToString())

    async def next(self, kind: str, *, seconds: float = 5.0) -> Any:
        """The next message of that kind; others are kept in `seen`."""
        async with asyncio.timeout(seconds):
            while True:
                message = await self.socket.receive()
                assert message.type is aiohttp.WSMsgType.BINARY, f"waited for {kind}, the socket ended: {message}"
                response = rtc.SignalResponse.FromString(message.data)
                self.seen.append(response)
                if response.WhichOneof("message") == kind:
                    return getattr(response, kind)

    async def end(self, *, seconds: float = 5.0) -> int | None:
        """Read until the relay closes the socket; the close code."""
        async with asyncio.timeout(seconds):
            async for message in self.socket:
                self.seen.append(rtc.SignalResponse.FromString(message.data))
        return self.socket.close_code


@asynccontextmanager
async def signalling(
    relay: RunningRelay, token: str, *, single: bool = False, join: rtc.JoinRequest | None = None, **query: str
) -> AsyncIterator[SignalClient]:
    """Connect; raises `aiohttp.WSServerHandshakeError` when refused."""
    if single:
        wrapped = rtc.WrappedJoinRequest(join_request=(join or _PLAIN_JOIN).SerializeToString())
        query["join_request"] = base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            relay.http + ("/rtc/v1" if single else "/rtc"),
            params=query,
            headers={"Authorization": f"Bearer {token}"},
            max_msg_size=0,
            autoclose=False,
        ) as socket,
    ):
        yield SignalClient(socket)
