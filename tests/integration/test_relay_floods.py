"""Connections that say nothing and frames that say too much: whoever sends them is cut, nobody else notices, and the
memory they take is bounded."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from livekit.protocol import rtc

from media.relay.settings import Limits
from palabre import door
from tests.support.measured_relay import measured_relay
from tests.support.relay import running_relay, until
from tests.support.signal_client import signalling

ROOM = "council"
LIMIT = Limits().signal_message
BINARY, CONTINUED, FINAL, COMPRESSED = 2, 0, 0x80, 0x40


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_five_hundred_connections_that_say_nothing_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PATIENCE", 2.0)
    async with running_relay() as relay, signalling(relay, relay.token("alice", ROOM)) as alice:
        await alice.next("join")
        before = open_files()
        address = relay.url.removeprefix("ws://").split(":")
        silent = [await asyncio.open_connection(*address) for _ in range(500)]
        for _, writer in silent[::2]:
            writer.write(b"GET /rtc HTTP/1.1\r\nHost: a\r\n")
        await until(lambda: sum(not reader.at_eof() for reader, _ in silent) <= door.PER_HOST, "most are cut at once")
        async with signalling(relay, relay.token("bob", ROOM)) as bob:
            await bob.next("join")
        await alice.send(ping_req=rtc.Ping(timestamp=7))
        assert (await alice.next("pong_resp")).last_ping_timestamp == 7
        await until(lambda: all(reader.at_eof() for reader, _ in silent), "the others are cut when their time is up")
        for _, writer in silent:
            writer.close()
        await until(lambda: open_files() <= before, "nothing stays open")


class RawSocket:
    """A WebSocket whose frames are the test's own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, first: int, payload: bytes, *, claimed: int | None = None) -> None:
        """`claimed`: the length that the header speaks of."""
        length = len(payload) if claimed is None else claimed
        self._writer.write(struct.pack("!BBQ", first, 0x80 | 127, length) + bytes(4) + payload)  # the mask is zero
        await self._writer.drain()

    async def close_code(self) -> int:
        """Of the relay's close frame; 0 without one."""
        async with asyncio.timeout(10):
            while True:
                first, length = await self._reader.readexactly(2)
                if length >= 126:
                    length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8), "big")
                payload = await self._reader.readexactly(length)
                if first & 0x0F == 8:
                    return int.from_bytes(payload[:2], "big")


@asynccontextmanager
async def raw_socket(relay: Any, token: str) -> AsyncIterator[RawSocket]:
    host, port = relay.url.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = [
        "GET /rtc HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Extensions: permessage-deflate",
        f"Authorization: Bearer {token}",
    ]
    writer.write("\r\n".join([*head, "", ""]).encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101")
    assert b"deflate" not in answer
    try:
        yield RawSocket(reader, writer)
    finally:
        writer.close()


async def test_frames_beyond_the_limit_are_refused_before_they_are_in_memory() -> None:
    with measured_relay() as relay:
        async with raw_socket(relay, relay.token("warm", ROOM)) as warm:
            await warm.send(BINARY | FINAL, bytes(LIMIT - 1))
            assert await warm.close_code() == 1007  # of the size that is allowed, but no request
        before = relay.census(collect=True).memory
        async with raw_socket(relay, relay.token("large", ROOM)) as large:
            await large.send(BINARY | FINAL, bytes(1000), claimed=100 << 20)
            assert await large.close_code() == 1009
        async with raw_socket(relay, relay.token("pieces", ROOM)) as pieces:
            for number in range(2 * LIMIT // 65536):
                with_start = BINARY if number == 0 else CONTINUED
                await pieces.send(with_start, bytes(65536))
            assert await pieces.close_code() == 1009
        async with raw_socket(relay, relay.token("bomb", ROOM)) as bomb:
            await bomb.send(BINARY | FINAL | COMPRESSED, b"\x00" * 1000)
            assert await bomb.close_code() == 1002
        assert relay.census().memory - before <= 2 * LIMIT


@pytest.mark.parametrize(
    "frame",
    [b"\x0b" * 10_000, '{"trickle":' * 10_000, '{"unknown":' + "[" * 10_000 + "]" * 10_000 + "}"],
    ids=["groups", "objects", "lists"],
)
async def test_nesting_without_end_is_a_frame_that_is_not_understood(frame: bytes | str) -> None:
    async with running_relay() as relay, signalling(relay, relay.token("alice", ROOM)) as alice:
        await alice.next("join")
        if isinstance(frame, str):
            await alice.socket.send_str(frame)
            await until_text_close(alice.socket)
        else:
            await alice.socket.send_bytes(frame)
            assert await alice.end() == 1007


async def until_text_close(socket: aiohttp.ClientWebSocketResponse) -> None:
    async with asyncio.timeout(5):
        async for _ in socket:
            pass
    assert socket.close_code == 1007


async def test_fields_that_are_not_known_are_skipped() -> None:
    async with running_relay() as relay, signalling(relay, relay.token("alice", ROOM)) as alice:
        await alice.next("join")
        known = rtc.SignalRequest(ping_req=rtc.Ping(timestamp=7)).SerializeToString()
        unknown = b"\xfa\x7f\x03abc"  # field 2047, three bytes
        await alice.socket.send_bytes(unknown + known)
        assert (await alice.next("pong_resp")).last_ping_timestamp == 7
