"""Connections that say nothing wait at the door for a while, and make room for those who come after them."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator

import pytest

from palabre import door
from palabre.door import Door, Queue, allow_descriptors


class Served(asyncio.Protocol):
    """A web server's protocol that answers with what it got."""

    made = 0

    def __init__(self) -> None:
        Served.made += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        self.transport.write(data)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    one = Door(Served)
    Served.made = 0
    await one.open([listening], 100)
    yield listening.getsockname()[1]
    one.close()


def test_when_too_many_of_one_host_wait_its_longest_waiting_goes() -> None:
    queue = Queue(per_host=2, together=100)
    assert [queue.add(name, host) for name, host in (("a", "x"), ("b", "y"), ("c", "x"))] == [None, None, None]
    assert queue.add("d", "x") == "a"
    queue.remove("a")
    assert (len(queue), list(queue)) == (3, ["b", "c", "d"])
    queue.remove("c")
    assert queue.add("e", "x") is None


def test_when_too_many_wait_together_the_longest_waiting_goes() -> None:
    queue = Queue(per_host=2, together=3)
    for number in range(3):
        assert queue.add(number, str(number)) is None
    assert queue.add(3, "3") == 0


async def test_a_head_in_pieces_is_handed_on_whole_and_what_follows_goes_straight_through(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in (b"GET / HT", b"TP/1.1\r\nHost: a\r", b"\n\r"):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)
    assert Served.made == 0
    writer.write(b"\nbody")
    assert await reader.readexactly(31) == b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody"
    writer.write(b"more")
    assert await reader.readexactly(4) == b"more"
    writer.close()


async def test_a_head_without_end_is_left_to_the_web_server(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"x" * (door.HEAD + 1))
    assert len(await reader.readexactly(door.HEAD + 1)) == door.HEAD + 1
    writer.close()


async def test_whoever_says_nothing_is_turned_away_and_costs_the_web_server_nothing(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "PATIENCE", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n")
    assert await reader.read() == b""
    assert Served.made == 0
    writer.close()


def test_the_limit_of_open_files_is_raised_and_never_lowered() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        assert allow_descriptors(512) == 512
        assert allow_descriptors(300) == 512
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 512
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
