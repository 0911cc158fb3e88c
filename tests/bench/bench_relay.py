"""CPU of a relay's process per packet that its subscribers got, ours beside Janus and the least it can cost.

`make bench-relay`. One publisher sends 1,100 byte VP8 packets in real time, evenly or in bursts of ten, to 1, 5, 20 and
100 subscribers. The relays are ours with its packet path in C (`thread`) and in Python, Janus as Debian ships it, and
Janus with one event loop; each is a process of its own, and all of its CPU time counts: receiving, waking up, sending,
ticking, answering reports. Ours rewrites numbers and times after a layer change, keeps packets for retransmission,
numbers them for transport-cc, gives and takes its feedback, and could switch layers; Janus forwards, keeps, and answers
the publisher's transport-cc. All see the same packets from the same sender and the same readers (`ends.c`).

The floor (`floor.c`) is protect and sendto in a loop of C, without messages that the kernel cuts. The relays of a row
are up at the same time and take turns. Only ratios travel between machines; the last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.ends import End, Ends, address_of, bound, built, paced
from tests.bench.janus import why_not
from tests.bench.janus_relay import JanusRelay
from tests.bench.machine import cpu_time, machine
from tests.bench.own_relay import OwnRelay
from tests.support.plane import Peer, Vp8Source

SUBSCRIBERS = (1, 5, 20, 100)
PROFILES = {"gcm": "AEAD_AES_128_GCM", "cm": "AES128_CM_SHA1_80"}
PACES = {"900": (900, 1), "2000": (2000, 1), "900_bursts": (900, 10), "2000_bursts": (2000, 10)}  # per second, at once
RELAYS = ("thread", "python", "janus_el1", "janus_default")
MAIN_PACE = "900"  # the one that keys do not name
SECONDS = 1.0
WARM_UP = 0.15
DRAINING = 0.1
ROUNDS = 3
PAYLOAD = 1_100  # bytes
KEEPS_UP = 0.97  # of what is to be sent
FLOOR_PACKETS = 40_000


def made(name: str, subscribers: int, profile: str) -> OwnRelay | JanusRelay:
    if name.startswith("janus"):
        return JanusRelay(name, 1 if name == "janus_el1" else 0, subscribers, PROFILES[profile])
    return OwnRelay(name, subscribers, PROFILES[profile])


@contextlib.asynccontextmanager
async def started(names: list[str], subscribers: int, profile: str) -> AsyncIterator[list[OwnRelay | JanusRelay]]:
    """Relays that all are up."""
    async with contextlib.AsyncExitStack() as stack:
        relays = []
        for name in names:
            relay = made(name, subscribers, profile)
            stack.push_async_callback(relay.close)
            await relay.start()
            relays.append(relay)
        yield relays


async def cost(relay: OwnRelay | JanusRelay, subscribers: int, rate: int, burst: int) -> tuple[float, float]:
    """Microseconds of CPU per packet that a subscriber got, and the fraction of those due that came."""
    ends = relay.ends
    datagrams = relay.datagrams(int(rate * (SECONDS + WARM_UP)), PAYLOAD)
    ends.load(paced(datagrams, subscribers, rate, burst))  # who publishes comes after those who subscribe
    await ends.run(WARM_UP)
    sent, received, cpu = ends.sent, ends.received, cpu_time(relay.pid)
    while not ends.done:
        await ends.run(WARM_UP)
    await ends.run(DRAINING)
    cpu = cpu_time(relay.pid) - cpu
    received = ends.received - received
    ends.samples()  # what came has to authenticate
    return cpu / max(received, 1) * 1e6, received / ((ends.sent - sent) * subscribers)


class Floor:
    """`floor.c` to as many subscribers who read."""

    def __init__(self) -> None:
        self._run = built("floor").run
        self._protect = address_of("srtp_protect")

    async def cost(self, subscribers: int, profile: str) -> float:
        nobody: Any = None
        peers = [Peer(nobody, number, PROFILES[profile]) for number in range(subscribers)]
        sockets, udp = [bound() for _ in peers], bound()
        udp.setblocking(True)
        for one in sockets:
            one.connect(udp.getsockname())
        readers = [End(one, peer._receive.unprotect, peer.context) for one, peer in zip(sockets, peers, strict=True)]
        contexts = (ctypes.c_void_p * subscribers)(*(peer.context for peer in peers))
        addresses = b"".join(packed(one.getsockname()) for one in sockets)
        (packet,) = Vp8Source(1).frame(packets=1, size=PAYLOAD)
        each = FLOOR_PACKETS // subscribers

        def run() -> float:
            before = time.thread_time()
            self._run(self._protect, contexts, subscribers, udp.fileno(), addresses, packet, len(packet), each)
            return (time.thread_time() - before) / (each * subscribers) * 1e6

        ends, running = Ends(readers), asyncio.create_task(asyncio.to_thread(run))
        while not running.done():
            await ends.run(0.01)
        for one in (*sockets, udp):
            one.close()
        return await running


def packed(address: tuple[str, int]) -> bytes:
    """As `struct sockaddr_in`."""
    family, port = 2, address[1]
    host = bytes(map(int, address[0].split(".")))
    return family.to_bytes(2, sys.byteorder) + port.to_bytes(2, "big") + host + bytes(8)


class Results:
    """What was measured, by (relay, subscribers, profile, pace), and the floor by (subscribers, profile)."""

    def __init__(self) -> None:
        self.costs: dict[tuple[str, int, str, str], list[float]] = {}
        self.delivered: dict[tuple[str, int, str, str], list[float]] = {}
        self.floors: dict[tuple[int, str], list[float]] = {}

    def print_row(self, subscribers: int, profile: str, pace: str) -> None:
        """One line: microseconds, and how many times the floor."""
        floor = statistics.median(self.floors[subscribers, profile])
        cells = []
        for name in RELAYS:
            key = (name, subscribers, profile, pace)
            if key in self.costs:
                us = statistics.median(self.costs[key])
                late = "" if statistics.median(self.delivered[key]) >= KEEPS_UP else "*"
                cells.append(f"{name} {us:6.2f}{late or ' '} ({us / floor:5.2f} x)")
        print(f"{subscribers:>3} {profile:>3} {pace:>11}: floor {floor:4.2f}, " + ", ".join(cells), flush=True)

    def ratios(self) -> dict[str, Any]:
        """Keys as `relay_to_janus_el1_n20_gcm`; the pace is named where it is not 900 per second, evenly."""
        found: dict[str, Any] = {}
        for name, subscribers, profile, pace in self.costs:
            key = (name, subscribers, profile, pace)
            row = f"n{subscribers}_{profile}" + ("" if pace == MAIN_PACE else f"_{pace}")
            us = statistics.median(self.costs[key])
            ours = {"thread": "relay"}.get(name, name)
            found[f"{ours}_to_floor_{row}"] = round(us / statistics.median(self.floors[subscribers, profile]), 2)
            if name not in ("thread", "python"):
                continue
            for janus in ("janus_el1", "janus_default"):
                if (theirs := self.costs.get((janus, subscribers, profile, pace))) is not None:
                    found[f"{ours}_to_{janus}_{row}"] = round(us / statistics.median(theirs), 2)
        return found

    def as_json(self) -> dict[str, Any]:
        measured = [
            {
                "relay": name,
                "subscribers": subscribers,
                "profile": profile,
                "pace": pace,
                "us": round(statistics.median(costs), 3),
                "least": round(min(costs), 3),
                "most": round(max(costs), 3),
                "delivered": round(statistics.median(self.delivered[name, subscribers, profile, pace]), 3),
            }
            for (name, subscribers, profile, pace), costs in self.costs.items()
        ]
        floors = {
            f"n{subscribers}_{profile}": round(statistics.median(costs), 3)
            for (subscribers, profile), costs in self.floors.items()
        }
        return {**self.ratios(), "floor_us": floors, "measured": measured, "machine": machine()}


async def measure(wanted: argparse.Namespace, results: Results, profile: str, subscribers: int) -> None:
    """All paces of one profile and number of subscribers, the relays in turn."""
    # In Python it would be more than a core.
    names = [name for name in wanted.relays if subscribers < 100 or name != "python"]
    floor = Floor()
    async with started(names, subscribers, profile) as relays:
        for number in range(wanted.rounds):
            results.floors.setdefault((subscribers, profile), []).append(await floor.cost(subscribers, profile))
            for pace in wanted.paces:
                for relay in relays if number % 2 == 0 else reversed(relays):
                    us, delivered = await cost(relay, subscribers, *PACES[pace])
                    key = (relay.name, subscribers, profile, pace)
                    results.costs.setdefault(key, []).append(us)
                    results.delivered.setdefault(key, []).append(delivered)
    for pace in wanted.paces:
        results.print_row(subscribers, profile, pace)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="CPU of relays per packet sent to a subscriber")
    parser.add_argument("--subscribers", type=int, nargs="+", default=SUBSCRIBERS)
    parser.add_argument("--profiles", nargs="+", choices=PROFILES, default=list(PROFILES))
    parser.add_argument("--paces", nargs="+", choices=PACES, default=list(PACES))
    parser.add_argument("--relays", nargs="+", choices=(*RELAYS, "loop"), default=list(RELAYS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    return parser.parse_args()


async def main() -> None:
    wanted, results = arguments(), Results()
    if reason := why_not():
        print(f"Janus is left out: {reason}.")
        wanted.relays = [name for name in wanted.relays if not name.startswith("janus")]
    print(f"{machine()['processor']}; load {os.getloadavg()[0]:.1f}")
    print(f"µs of CPU per packet that a subscriber got (times the floor); median of {wanted.rounds} rounds;")
    print(f"*: less than {KEEPS_UP:.0%} came, and what is late is cheaper than it should be")
    for profile in wanted.profiles:
        for subscribers in wanted.subscribers:
            await measure(wanted, results, profile, subscribers)
    print(json.dumps(results.as_json()))


if __name__ == "__main__":
    asyncio.run(main())
