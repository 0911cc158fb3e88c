"""A relay in a process of its own, which says over a pipe what it holds and what it has cost."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from media.relay import tokens
from media.relay.seams import Grants
from tests.support.memory import resident
from tests.support.relay import API_KEY, API_SECRET, RunningRelay, running_relay


@dataclass(frozen=True)
class Census:
    """What the process holds, and the seconds of CPU since its start."""

    cpu: float
    memory: int  # bytes
    descriptors: int
    tasks: int
    threads: int
    members: int
    rooms: int


class MeasuredRelay:
    """The side of whoever measures."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.url: str = pipe.recv()

    @property
    def http(self) -> str:
        return self.url.replace("ws:", "http:")

    def census(self, *, collect: bool = False) -> Census:
        """`collect`: without what is garbage already. Waits for the relay's loop, so not while it has to do."""
        self._pipe.send("collect" if collect else "count")
        census: Census = self._pipe.recv()
        return census

    def token(self, identity: str, room: str) -> str:
        grants = Grants(API_KEY, identity, room=room, room_join=True, name=identity.title())
        return tokens.mint(grants, API_SECRET, now=time.time(), lifetime=3600.0)


@contextmanager
def measured_relay(**settings: Any) -> Iterator[MeasuredRelay]:
    """`settings` are those of `RelaySettings`."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(theirs, settings))
    process.start()
    try:
        yield MeasuredRelay(ours)
    finally:
        ours.send("stop")
        process.join(20)
        process.kill()


def _run(pipe: Connection, settings: dict[str, Any]) -> None:
    asyncio.run(_serve(pipe, settings))


async def _serve(pipe: Connection, settings: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[str] = asyncio.Queue()
    async with running_relay(**settings) as relay:
        loop.add_reader(pipe.fileno(), lambda: orders.put_nowait(pipe.recv()))
        pipe.send(relay.url)
        while (order := await orders.get()) != "stop":
            if order == "collect":
                gc.collect()
                ctypes.CDLL(None).malloc_trim(0)  # what is free already, but not given back, is not held
                relay.events.clear()  # the listener's of tests, which writes everything down
                relay.door.asked.clear()
            pipe.send(_census(relay))
        loop.remove_reader(pipe.fileno())


def _census(relay: RunningRelay) -> Census:
    rooms = list(relay.control.registry)
    native = len(list(Path("/proc/self/task").iterdir()))  # also those that Python does not know
    return Census(
        cpu=time.process_time(),
        memory=resident(os.getpid()),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        tasks=len(asyncio.all_tasks()),
        threads=max(native, threading.active_count()),
        members=sum(len(room.members) for room in rooms),
        rooms=len(rooms),
    )
