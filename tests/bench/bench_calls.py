"""How many people in calls a core carries, `make bench-calls`: whole calls of 10 and 100 people.

Each call runs in real time over SRTP (AES-128-GCM) through the packet path in a process of its own, all of whose CPU
time counts. One person
speaks and is shown large to all (720p, 1.7 Mbit/s), eight others are shown small (180p, 150 kbit/s) to each, everybody
hears everybody: who is silent sends an Opus packet every 400 ms (DTX). Layers that nobody is shown are not sent
(dynacast); cameras that are not shown are subscribed to and paused. Everybody sends reports of both kinds and
transport-cc feedback, and gets them. Signalling, ICE, DTLS and data channels are not in it. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from media.relay.plane import rtcp
from tests.bench.bench_relay import Floor
from tests.bench.call_process import PROFILE, call, large_for, small_for
from tests.bench.ends import End, Ends, bound
from tests.bench.machine import cpu_time, machine, memory
from tests.bench.relay_process import NUMBERS
from tests.support.plane import Peer, Vp8Source, opus_packet

SIZES = (10, 100)
ROUNDS = 3
SECONDS, WARM_UP, SETTLING = 4.0, 1.5, 0.5
GRID = 0.001  # seconds: what is due within one goes out together
PACING, AT_ONCE = 0.005, 3  # Chromium's pacer: a frame's packets, so many every 5 ms
SPEAKERS = 2  # the second says yes and no now and then, and is heard all the time here
SPOKEN, SILENT = 0.02, 0.4  # seconds between Opus packets; with DTX
SPEECH = 80  # bytes of an Opus packet, 32 kbit/s


class Layer(NamedTuple):
    rid: str
    frames: int  # per second
    packets: int  # per frame
    size: int  # bytes of payload


SMALL, LARGE = Layer("q", 20, 1, 900), Layer("f", 30, 7, 1000)


def camera_packets(layer: Layer, ssrc: int, start: float, seconds: float) -> Iterator[tuple[float, bytes]]:
    source = Vp8Source(ssrc, mid="0", rid=layer.rid)
    for frame in range(int(seconds * layer.frames)):
        due = start + frame / layer.frames
        packets = source.frame(key=frame == 0, packets=layer.packets, size=layer.size)
        for number, packet in enumerate(packets):
            yield due + number // AT_ONCE * PACING, packet


def microphone_packets(person: int, ssrc: int, start: float, seconds: float) -> Iterator[tuple[float, bytes]]:
    interval, payload = (SPOKEN, bytes(SPEECH)) if person < SPEAKERS else (SILENT, b"\xfc\xff\xfe")
    for number in range(int(seconds / interval)):
        yield start + number * interval, opus_packet(1000 + number, ssrc=ssrc, mid="1", payload=payload)


def reports(ssrc: int, clock_rate: int, start: float, seconds: float) -> Iterator[tuple[float, bytes]]:
    """Sender reports, which the relay passes on in the numbers of each subscriber."""
    for second in range(int(seconds)):
        yield start + second, rtcp.pack_sender_report(ssrc, second << 32, second * clock_rate, second, second)


def published(person: int, size: int, seconds: float) -> Iterator[tuple[float, bytes, int]]:
    """Packets with when they are due and how many get them. Nobody's clocks agree."""
    start, ssrc, others = person * 0.0037 % 0.05, 100 * (person + 1), set(range(size)) - {person}
    small = sum(person in small_for(other, size) for other in others)
    large = sum(person == large_for(other) for other in others)
    streams = [(microphone_packets(person, ssrc, start, seconds), len(others), ssrc, 48_000)]
    for layer, getters, stream in ((SMALL, small, ssrc + 1), (LARGE, large, ssrc + 2)):
        if getters:
            streams.append((camera_packets(layer, stream, start, seconds), getters, stream, 90_000))
    for packets, getters, stream, clock_rate in streams:
        yield from ((due, packet, getters) for due, packet in packets)
        yield from ((due, packet, 0) for due, packet in reports(stream, clock_rate, start, seconds))


class Call:
    """One call in its process, and its people."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent_rate = self.got_rate = 0.0  # packets per second of all, as they should be
        self._control, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=call, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        assert self._process.pid is not None
        self.pid = self._process.pid
        address = self._control.recv()
        self.empty = memory(self.pid)
        self._sockets = [bound() for _ in range(size)]
        nobody: Any = None
        self._peers = [Peer(nobody, person, PROFILE) for person in range(size)]
        for one in self._sockets:
            one.connect(address)
        self._control.send([one.getsockname() for one in self._sockets])
        self.ends = Ends(
            [
                End(udp, peer._receive.unprotect, peer.context, numbers_id=NUMBERS.id)
                for udp, peer in zip(self._sockets, self._peers, strict=True)
            ]
        )

    def load(self, seconds: float) -> None:
        """Let everybody publish."""
        schedule = [
            (round(due / GRID) * GRID, person, packet, getters)
            for person in range(self.size)
            for due, packet, getters in published(person, self.size, seconds)
        ]
        schedule.sort(key=lambda item: item[0])
        self.sent_rate = len(schedule) / seconds
        self.got_rate = sum(getters for *_, getters in schedule) / seconds
        self.ends.load([(due, person, self._protected(person, packet)) for due, person, packet, _ in schedule])

    def _protected(self, person: int, packet: bytes) -> bytes:
        peer = self._peers[person]
        return peer.protect_rtcp(packet) if packet[1] == rtcp.SR else peer.protect(packet)

    async def close(self) -> None:
        self._control.send(None)
        await asyncio.to_thread(self._process.join)
        for one in self._sockets:
            one.close()


async def measure(size: int) -> dict[str, float]:
    """One run of one call."""
    one = Call(size)
    try:
        await asyncio.sleep(SETTLING + size * size / 5000)  # everybody is connected to everybody
        one.load(WARM_UP + SECONDS)
        await one.ends.run(WARM_UP)
        sent, received, cpu = one.ends.sent, one.ends.received, cpu_time(one.pid)
        begun = asyncio.get_running_loop().time()
        await one.ends.run(SECONDS - 0.2)
        elapsed = asyncio.get_running_loop().time() - begun
        slowed = (one.ends.sent - sent) / elapsed / one.sent_rate  # on a busy machine people are kept from sending
        cores = (cpu_time(one.pid) - cpu) / elapsed / slowed
        rate = (one.ends.received - received) / elapsed / slowed
        one.ends.samples()
        return {
            "cores": cores,
            "us": cores / one.got_rate * 1e6,
            "packets_per_second_each": one.got_rate / size,
            "delivered": rate / one.got_rate,
            "kilobytes_each": (memory(one.pid) - one.empty) / size / 1000,
        }
    finally:
        await one.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description="people in calls per core")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    wanted = parser.parse_args()
    found: dict[int, list[dict[str, float]]] = {}
    floors, floor = [], Floor()
    for _ in range(wanted.rounds):
        floors.append(await floor.cost(20, "gcm"))
        for size in wanted.sizes:
            found.setdefault(size, []).append(await measure(size))
    result: dict[str, Any] = {"floor_us": round(statistics.median(floors), 3), "machine": machine(), "calls": {}}
    print(f"{result['machine']['processor']}; floor {result['floor_us']} µs; median of {wanted.rounds} rounds")
    for size, runs in found.items():
        middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        middle["people_per_core"] = size / middle["cores"]
        middle["cores_per_1000"] = 1000 * middle["cores"] / size
        middle["times_floor"] = middle["us"] / result["floor_us"]
        result["calls"][size] = {name: round(value, 3) for name, value in middle.items()}
        print(
            f"{size:>4} people: {middle['cores']:.3f} cores, {middle['packets_per_second_each']:.0f} packets/s to each "
            f"at {middle['us']:.2f} µs ({middle['times_floor']:.2f} x floor), {middle['delivered']:.1%} came"
        )
        print(
            f" {middle['people_per_core']:.0f} people per core, {middle['cores_per_1000']:.1f} cores per 1,000 people, "
            f"{middle['kilobytes_each']:.0f} kB each"
        )
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main())
