"""A call over emulated links: a relay in a network of its own, and people of LiveKit's Python SDK in theirs.

async with call("ann", "ben") as bad:
    await bad.join(single=True)
    await bad.people["ann"].ask("publish", tone=440)
    await bad.legs["ann"].be(Profile(loss=0.1))
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.links.namespaces import Namespace
from tests.support.links.network import RELAY, ROOT, Leg, Network, network
from tests.support.relay import RunningRelay, running_relay

ROOM = "council"
PATIENCE = 60.0  # seconds for one order: a join at a quarter of loss takes ten
KEPT = ROOT / ".cache" / "networks"  # what `tests/bench/networks.py` draws


class RemotePerson:
    """Somebody in another process and network."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process

    async def ask(self, what: str, **order: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **order}).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE)
        assert line, f"{self.name}'s process has ended"
        return json.loads(line)["answer"]

    async def until(
        self, what: str, condition: Callable[[Any], Any], why: str, *, seconds: float = 30, **o: Any
    ) -> Any:
        """Ask until the answer is right."""
        deadline = time.monotonic() + seconds
        while True:
            answer = await self.ask(what, **o)
            if condition(answer):
                return answer
            assert time.monotonic() < deadline, f"{self.name}: never {why}"
            await asyncio.sleep(0.2)

    async def hears(self, other: str) -> None:
        """A second of the other's tone, from now on."""
        since = time.monotonic()
        await self.until(
            "heard", lambda heard: heard["blocks"] > 100 > heard["gap"], f"hears {other}", of=other, since=since
        )

    async def sees(self, other: str) -> None:
        since = time.monotonic()
        await self.until("seen", lambda seen: len(seen["pictures"]) > 5, f"sees {other}", of=other, since=since)

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 8)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def person(name: str, where: Namespace) -> AsyncIterator[RemotePerson]:
    """Somebody in a network."""
    process = await asyncio.create_subprocess_exec(
        *where.python("tests.support.links.person_process", name),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "RUST_LOG": "off"},
    )  # fmt: skip
    somebody = RemotePerson(name, process)
    try:
        yield somebody
    finally:
        await somebody.end()


@dataclass
class Call:
    relay: RunningRelay
    net: Network
    people: dict[str, RemotePerson]

    @property
    def legs(self) -> dict[str, Leg]:
        return self.net.legs

    async def join(self, *, single: bool, **order: Any) -> dict[str, str]:
        """Everybody joins, one after the other. Their sids."""
        return {
            name: await one.ask("join", url=self.relay.url, token=self.relay.token(name, ROOM), single=single, **order)
            for name, one in self.people.items()
        }


@asynccontextmanager
async def relay_in(net: Network, *, at: str = RELAY[0], **settings: Any) -> AsyncIterator[RunningRelay]:
    """A relay whose sockets are in the relay's network; `at` is where its web server listens."""
    values: dict[str, Any] = {"host": "::", "advertised": RELAY, **settings}
    async with running_relay(at=at, network=net.relay.entered(), **values) as relay:
        yield relay


@asynccontextmanager
async def call(*names: str, **settings: Any) -> AsyncIterator[Call]:
    """A relay and people who have not joined yet; `settings` are those of `relay_in`."""
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network(*names))
        relay = await stack.enter_async_context(relay_in(net, **settings))
        people = {name: await stack.enter_async_context(person(name, leg.namespace)) for name, leg in net.legs.items()}
        yield Call(relay, net, people)


def keep(case: str, *, began: float, leg: dict[str, Any], figures: Mapping[str, object]) -> None:
    """Keep a case's figures and the trace of the leg that was bad, for the table and the graphs."""
    KEPT.mkdir(parents=True, exist_ok=True)
    facts = {"began": began, "leg": leg, "figures": {name: str(figure) for name, figure in figures.items()}}
    (KEPT / f"{case}.json").write_text(json.dumps(facts), encoding="utf-8")
    print(case, facts["figures"])
