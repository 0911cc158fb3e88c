"""What waits to be sent on one signalling WebSocket, within bounds: a reader that is too slow is cut off, not kept.

Concurrency: `put` and `finish` are called from the event loop by anyone; one task at a time runs `pump`. Frames put
while no `pump` runs stay here; each WebSocket has its own outbox, so that a resumed client starts with a fresh one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from livekit.protocol import rtc

from media.relay import signal
from media.relay.signal import CloseCode, Shared

CLOSE_PATIENCE = 5.0  # seconds for a close handshake, then the connection is cut


class Socket(Protocol):
    """The part of aiohttp's WebSocketResponse that is used."""

    async def send_bytes(self, data: bytes, compress: int | None = None) -> None: ...

    async def send_str(self, data: str, compress: int | None = None) -> None: ...

    async def close(self, *, code: int = 1000, message: bytes = b"", drain: bool = True) -> bool: ...


class Outbox:
    """Frames in order, and how it ends."""

    def __init__(self, max_messages: int, max_bytes: int, abort: Callable[[], None]) -> None:
        """`abort` cuts the TCP connection: a peer that reads nothing can't be said goodbye to."""
        self._abort = abort
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._frames: deque[bytes | str] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._end: tuple[CloseCode, str] | None = None
        self._last_resort: asyncio.TimerHandle | None = None
        self._over = False  # `pump` has ended
        self.as_text = False  # the client talks JSON

    @property
    def overflowed(self) -> bool:
        return self._end is not None and self._end[0] is CloseCode.SLOW_READER

    def put(self, response: rtc.SignalResponse | Shared) -> None:
        """Queue a message. Over the limit, everything queued is thrown away and the socket will be closed."""
        if self._end is not None:
            return
        if isinstance(response, Shared):
            frame = response.frame(as_text=self.as_text)
        else:
            frame = signal.encode(response, as_text=self.as_text)
        self._frames.append(frame)
        self._size += len(frame)
        if len(self._frames) > self._max_messages or self._size > self._max_bytes:
            self._frames.clear()
            self._end = CloseCode.SLOW_READER, "messages are not read"
            self._abort()
        self._changed.set()

    def finish(self, code: CloseCode, reason: str) -> None:
        """Send what waits, then close the socket."""
        if self._end is None:
            self._end = code, reason
            self._changed.set()
            if self._over:
                return
            self._last_resort = asyncio.get_running_loop().call_later(CLOSE_PATIENCE, self._abort)

    async def pump(self, socket: Socket) -> CloseCode | None:
        """Send until finished or until the socket is gone; returns the code that it was closed with, if by us."""
        try:
            return await self._pump(socket)
        except (ConnectionError, RuntimeError):  # aiohttp says RuntimeError for a socket that is closing
            return None
        finally:
            self._over = True
            if self._last_resort is not None:
                self._last_resort.cancel()

    async def _pump(self, socket: Socket) -> CloseCode:
        while True:
            while self._frames:
                frame = self._frames.popleft()
                self._size -= len(frame)
                if isinstance(frame, str):
                    await socket.send_str(frame)
                else:
                    await socket.send_bytes(frame)
            if self._end is not None:
                code, reason = self._end
                await socket.close(code=code, message=reason.encode()[:120])
                return code
            self._changed.clear()
            await self._changed.wait()
