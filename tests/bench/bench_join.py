"""What a join costs the relay, and how long it takes when many come at once: `make bench-join`.

A relay in a process of its own; here a client for each participant, without media but with everything else that a join
is: token, WebSocket, offers and answers as Chromium writes them, ICE checks, DTLS, SCTP, data channels, the relay's
word that the participant is active. Every second client has one peer connection (`/rtc/v1`), the others two (`/rtc`).
They come twenty a second: 200 into 20 rooms, then 200 into one, and all leave. A join is over when all of it is there.
Then what tracks and subscriptions hold in memory, before any packet has flowed.
Times are of the clock and of this machine; the relay's processor time is also put beside the server's half of a bare
DTLS handshake, a ratio that travels. The last line is JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import aiohttp

from media.relay.transport.dtls import DtlsSession
from tests.support.light.client import LightClient
from tests.support.light.transport import CERTIFICATE
from tests.support.measured_relay import MeasuredRelay, measured_relay

JOINS = 200
PER_SECOND = 20
ROOMS = {"many_rooms": 20, "one_room": 1}
KEEP_ALIVE = 5.0  # seconds between two of a client's pings, as the relay tells clients
HANDSHAKES = 100
HOLDERS = 100  # who publish, or take what one publishes
QUIET = 3.0  # seconds after the last has left, for what idling costs


@dataclass
class Storm:
    """What one of them was like."""

    seconds: list[float]  # of each join
    failures: list[str]
    relay_cpu: float  # seconds, from the first join to the last
    client_cpu: float
    leaving_cpu: float
    idle_cpu: float  # seconds per second, when everybody has left
    memory: float  # bytes that each participant added
    messages: float  # signalling messages that each join led to, everybody's together

    def quantile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def handshake_cost() -> float:
    """Seconds of CPU for the server's side of a bare DTLS handshake, both certificates included."""
    spent = 0.0
    for _ in range(HANDSHAKES):
        to_server: list[bytes] = []
        to_client: list[bytes] = []
        client = DtlsSession(CERTIFICATE, server=False, remote=CERTIFICATE.fingerprint, send=to_server.append)
        begun = time.process_time()
        server = DtlsSession(CERTIFICATE, server=True, remote=CERTIFICATE.fingerprint, send=to_client.append)
        spent += time.process_time() - begun
        client.start()
        while client.keys is None or server.keys is None:
            begun = time.process_time()
            for datagram in [to_server.pop(0) for _ in range(len(to_server))]:
                server.receive(datagram)
            spent += time.process_time() - begun
            for datagram in [to_client.pop(0) for _ in range(len(to_client))]:
                client.receive(datagram)
    return spent / HANDSHAKES


class Crowd:
    """The clients of one storm."""

    def __init__(self, relay: MeasuredRelay, http: aiohttp.ClientSession, name: str, rooms: int) -> None:
        self._relay = relay
        self._places = [(f"{name}-{number % rooms}", f"{name}-p{number}") for number in range(JOINS)]
        self.clients = [
            LightClient(http, relay.http, identity, single=bool(number % 2))
            for number, (_, identity) in enumerate(self._places)
        ]
        self.seconds: list[float] = []
        self.failures: list[str] = []

    async def _one(self, client: LightClient, token: str) -> None:
        try:
            self.seconds.append(await client.join(token))
        except (TimeoutError, ConnectionError, aiohttp.ClientError) as error:
            self.failures.append(f"{client.identity}: {error!r}")

    async def come(self) -> None:
        begun = time.monotonic()
        tasks = []
        for number, client in enumerate(self.clients):
            room, identity = self._places[number]
            token = self._relay.token(identity, room)
            await asyncio.sleep(max(0.0, begun + number / PER_SECOND - time.monotonic()))
            tasks.append(asyncio.create_task(self._one(client, token)))
        await asyncio.gather(*tasks)

    async def keep_alive(self) -> None:
        while True:
            for client in self.clients:
                if client.active.is_set():
                    await client.keep_alive()
                await asyncio.sleep(KEEP_ALIVE / JOINS)

    async def go(self) -> None:
        await asyncio.gather(*(client.leave() for client in self.clients))


async def storm(relay: MeasuredRelay, name: str, rooms: int) -> Storm:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        crowd = Crowd(relay, http, name, rooms)
        before, ours = relay.census(collect=True), time.process_time()
        staying = asyncio.create_task(crowd.keep_alive())
        await crowd.come()
        messages = sum(client.received for client in crowd.clients)
        after, spent = relay.census(), time.process_time() - ours
        full = relay.census(collect=True)
        staying.cancel()
        await crowd.go()
        while relay.census().members:  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.1)
    left = relay.census()
    await asyncio.sleep(QUIET)
    return Storm(
        seconds=crowd.seconds,
        failures=crowd.failures,
        relay_cpu=after.cpu - before.cpu,
        client_cpu=spent,
        leaving_cpu=left.cpu - full.cpu,
        idle_cpu=(relay.census().cpu - left.cpu) / QUIET,
        memory=(full.memory - before.memory) / JOINS,
        messages=messages / JOINS,
    )


async def held(relay: MeasuredRelay) -> dict[str, float]:
    """Bytes for each track that nobody takes, and for each subscription."""
    found: dict[str, float] = {}
    for name, rooms, publishers in (("track", HOLDERS, HOLDERS), ("subscription", 1, 1)):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            clients = [LightClient(http, relay.http, f"{name}-{n}", single=bool(n % 2)) for n in range(HOLDERS)]
            for number, client in enumerate(clients):
                await client.join(relay.token(client.identity, f"{name}-{number % rooms}"))
            before = relay.census(collect=True)
            for client in clients[:publishers]:
                await client.publish("audio")
                await client.publish("video")
            while rooms == 1 and any(len(client.tracks) < 2 for client in clients[publishers:]):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
            count = 2 * (publishers if rooms > 1 else HOLDERS - publishers)
            found[name] = (relay.census(collect=True).memory - before.memory) / count
            await asyncio.gather(*(client.leave() for client in clients))
    return found


def report(name: str, rooms: int, seen: Storm, handshake: float) -> dict[str, Any]:
    each = seen.relay_cpu / JOINS
    share = seen.client_cpu / (seen.client_cpu + seen.relay_cpu)
    p50, p95, longest = seen.quantile(0.5), seen.quantile(0.95), max(seen.seconds)
    print(f"{JOINS} joins at {PER_SECOND} per second into {rooms} room{'s' * (rooms > 1)}: {len(seen.failures)} failed")
    print(f"  a join took {p50 * 1e3:.0f} ms (p50), {p95 * 1e3:.0f} ms (p95), {longest * 1e3:.0f} ms (longest)")
    print(f"  the relay's CPU per join {each * 1e3:.1f} ms, {each / handshake:.1f} x the bare handshake; the clients")
    print(f"  used {share:.0%} of all CPU; {seen.messages:.0f} signalling messages per join")
    print(f"  {seen.memory / 1024:.0f} kB per participant, {seen.leaving_cpu / JOINS * 1e3:.1f} ms CPU per leave,")
    print(f"  {seen.idle_cpu:.1%} of a core when all had left")
    for failure in seen.failures[:5]:
        print(f"  failed: {failure}")
    return {
        f"{name}_failures": len(seen.failures),
        f"{name}_p50_ms": round(p50 * 1e3, 1),
        f"{name}_p95_ms": round(p95 * 1e3, 1),
        f"{name}_max_ms": round(longest * 1e3, 1),
        f"{name}_relay_cpu_ms": round(each * 1e3, 2),
        f"{name}_cpu_to_handshake": round(each / handshake, 2),
        f"{name}_client_share": round(share, 2),
        f"{name}_memory_kb": round(seen.memory / 1024),
        f"{name}_messages": round(seen.messages),
        f"{name}_idle_core": round(seen.idle_cpu, 4),
    }


async def main() -> None:
    handshake = statistics.median(handshake_cost() for _ in range(3))
    print(f"server's half of a bare DTLS handshake: {handshake * 1e3:.2f} ms CPU")
    result: dict[str, Any] = {"handshake_cpu_ms": round(handshake * 1e3, 3)}
    for name, rooms in ROOMS.items():
        with measured_relay() as relay:
            result |= report(name, rooms, await storm(relay, name, rooms), handshake)
    with measured_relay() as relay:
        for name, octets in (await held(relay)).items():
            print(f"{octets / 1024:.0f} kB per {name}")
            result[f"{name}_memory_kb"] = round(octets / 1024)
    once, many = result["one_room_relay_cpu_ms"], result["many_rooms_relay_cpu_ms"]
    result["one_room_to_many_rooms_cpu"] = round(once / many, 2)
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main())
