"""A relay's network and its clients', with an emulated link between it and each of them.

    async with network("ann", "ben") as net:
        with net.relay.entered(): ...start the relay on net.addresses...
        await net.legs["ann"].follow(up=[Step(0, Profile(loss=0.1))])

The relay is at `RELAY` in its network; client number n is at 10.77.n.2 and fd77:n::2 on a device called eth0, so that
WebRTC takes it for a plain card. Everything ends with the process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.links import namespaces
from tests.support.links.carrier import DOWN, MTU, UP, pack_steps
from tests.support.links.model import Profile, Step
from tests.support.links.namespaces import Namespace

RELAY = ("10.77.0.1", "fd77::1")
SEED = "palabre"
ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Leg:
    """A client's network and the link to the relay."""

    name: str
    number: int
    namespace: Namespace
    orders: Orders
    host: int = 2  # of the present address
    seen: int = 2  # of the address as the relay sees it

    def addresses(self, host: int) -> tuple[str, str]:
        return f"10.77.{self.number}.{host}", f"fd77:{self.number}::{host}"

    async def follow(self, *, up: Sequence[Step] = (), down: Sequence[Step] = ()) -> float:
        """New plans for the directions that have any. Returns the monotonic time at which they began."""
        ways = {name: pack_steps(list(steps)) for name, steps in ((UP, up), (DOWN, down)) if steps}
        answer = await self.orders.send(do="follow", leg=self.name, ways=ways)
        return float(answer["now"])

    async def be(self, profile: Profile) -> float:
        """Both directions are like this from now on."""
        return await self.follow(up=[Step(0, profile)], down=[Step(0, profile)])

    async def count(self) -> None:
        """Count the packets of each stream anew."""
        await self.orders.send(do="count", leg=self.name)

    async def report(self) -> dict[str, Any]:
        return await self.orders.send(do="report", leg=self.name)

    async def let_udp_pass(self, passes: bool) -> None:
        await self.orders.send(do="udp", leg=self.name, passes=passes)

    async def rebind(self) -> None:
        """The relay sees the client somewhere else from now on; the client isn't told."""
        self.seen += 10
        inner, outer = self.addresses(self.host), self.addresses(self.seen)
        await self.orders.send(do="rename", leg=self.name, addresses=dict(zip(inner, outer, strict=True)))

    def move(self) -> None:
        """The client gets new addresses and loses the former ones, as on the way from Wi-Fi to a mobile network."""
        before, self.host = self.addresses(self.host), self.host + 1
        after = self.addresses(self.host)
        self.namespace.configure(
            f"addr del {before[0]}/24 dev eth0",
            f"addr del {before[1]}/64 dev eth0",
            f"addr add {after[0]}/24 dev eth0",
            f"addr add {after[1]}/64 dev eth0 nodad",
            "route replace default dev eth0",
            "route replace ::/0 dev eth0",
        )


class Orders:
    """The carrier's process, asked one thing at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lock = asyncio.Lock()

    async def send(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._lock:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            line = await self._process.stdout.readline()
        assert line, "the carrier of packets has ended"
        return json.loads(line)


@dataclass
class Network:
    relay: Namespace
    legs: dict[str, Leg]


def _connect(relay: Namespace, number: int, client: Namespace) -> tuple[int, int]:
    """Devices at both ends of a leg: the client's, the relay's."""
    ends = client.device("eth0"), relay.device(f"leg{number}")
    client.configure(
        f"link set eth0 mtu {MTU} txqueuelen 1000 up",
        f"addr add 10.77.{number}.2/24 dev eth0",
        f"addr add fd77:{number}::2/64 dev eth0 nodad",
        "route add default dev eth0",
        "route add ::/0 dev eth0",
    )
    relay.configure(
        f"link set leg{number} mtu {MTU} txqueuelen 1000 up",
        f"route add 10.77.{number}.0/24 dev leg{number} src {RELAY[0]}",
        f"route add fd77:{number}::/64 dev leg{number} src {RELAY[1]}",
    )
    return ends


@asynccontextmanager
async def network(*clients: str, seed: str = SEED) -> AsyncIterator[Network]:
    """Perfect links to each of `clients`. Skips the test where there can't be any."""
    if reason := namespaces.why_not():
        pytest.skip(reason)
    relay = Namespace()
    relay.configure(f"addr add {RELAY[0]}/32 dev lo", f"addr add {RELAY[1]}/128 dev lo nodad")
    spaces = {name: Namespace() for name in clients}
    ends = {name: _connect(relay, number, spaces[name]) for number, name in enumerate(clients, 1)}
    descriptors = [descriptor for pair in ends.values() for descriptor in pair]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.links.carrier", json.dumps(ends), seed,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24,
        pass_fds=descriptors, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    orders = Orders(process)
    try:
        legs = {name: Leg(name, number, spaces[name], orders) for number, name in enumerate(clients, 1)}
        yield Network(relay, legs)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        for descriptor in descriptors:
            os.close(descriptor)
        for namespace in (relay, *spaces.values()):
            namespace.close()
