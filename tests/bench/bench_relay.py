"""CPU of a relay process per packet sent to a subscriber, beside the least it can cost: `make bench-relay`.

A process of its own runs a packet path on a UDP socket; one publisher sends it 1,100 byte VP8 packets in real time, one
by one or in bursts of ten, and it sends them to 1, 5, 20 and 100 subscribers, rewritten after a layer change, with
header extensions, transport-cc feedback and the retransmission cache on. All of its CPU time counts: receiving, waking
up, ticking. SRTP is real; ICE and DTLS are left out, as they cost nothing while packets flow. Subscribers don't read,
so that the kernel's share is sending alone, here as in the floor (`floor.c`: protect and sendto in a loop of C).
Only ratios travel between machines; the last line is JSON.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from pylibsrtp._binding import ffi, lib

from media.relay.plane import PythonPlane
from media.relay.plane.srtp import SrtpSender
from tests.bench.relay_process import PROFILE, bound, relay
from tests.support.plane import PROFILES, Peer, Vp8Source

SUBSCRIBERS = (1, 5, 20, 100)
RATES = {"even": (900, 1), "bursts": (1800, 10)}  # packets per second, at once
PATHS = ("thread", "loop", "python")
SECONDS = 2.0
ROUNDS = 3
PAYLOAD = 1_100  # bytes
WARM_UP = 300  # packets


def paced(count: int, rate: int, burst: int) -> Iterator[int]:
    """The next numbers of packets, when they are due."""
    begun = time.monotonic()
    for number in range(0, count, burst):
        ahead = begun + number / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        yield from range(number, number + burst)


class Publisher:
    """Starts the relay's process and sends to it."""

    def __init__(self, path: str, subscribers: int) -> None:
        self.control, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=relay, args=(path, subscribers, theirs))
        self.process.start()
        self.relay = self.control.recv()
        self.socket = bound()
        self.control.send(self.socket.getsockname())
        self.peer, self.source = Peer(PythonPlane(lambda *_: None), 0, PROFILE), Vp8Source(1)
        for layer in (0, -1, 0):  # from then on each packet has to be rewritten
            self.control.send(layer)
            time.sleep(0.2)
            for packet in self.source.frame(key=True):
                self.socket.sendto(self.peer.protect(packet), self.relay)

    def count(self) -> tuple[float, int]:
        """Seconds of CPU and packets sent, since the start."""
        self.control.send("count")
        answer: tuple[float, int] = self.control.recv()
        return answer

    def measure(self, rate: int, burst: int) -> tuple[float, int]:
        """Microseconds of CPU per packet sent, and how many were."""
        total = int(SECONDS * rate) + WARM_UP
        packets = [packet for _ in range(total // 10 + 1) for packet in self.source.frame(packets=10, size=PAYLOAD)]
        datagrams = [self.peer.protect(packet) for packet in packets]
        before = (0.0, 0)
        for number in paced(total // 10 * 10, rate, burst):
            if number == WARM_UP:
                before = self.count()
            self.socket.sendto(datagrams[number], self.relay)
        time.sleep(0.1)
        after = self.count()
        sent = after[1] - before[1]
        return (after[0] - before[0]) / sent * 1e6, sent

    def close(self) -> None:
        self.control.send("stop")
        self.process.join()
        self.socket.close()


def path_cost(path: str, subscribers: int, pace: str) -> float:
    rate, burst = RATES[pace]
    publisher = Publisher(path, subscribers)
    try:
        cost, sent = publisher.measure(rate, burst)
        wanted = int(SECONDS * rate) // 10 * 10 * subscribers
        if sent < 0.97 * wanted:
            print(f"  {path}, {subscribers} subscribers, {pace}: only {sent / wanted:.1%} forwarded", file=sys.stderr)
        return cost
    finally:
        publisher.close()


class Floor:
    """`floor.c`, built anew each time: it takes a moment."""

    def __init__(self) -> None:
        build = Path(__file__).parents[2] / ".cache" / "floor.so"
        build.parent.mkdir(exist_ok=True)
        source = Path(__file__).with_name("floor.c")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", str(source), "-o", str(build)], check=True)
        self._run = ctypes.CDLL(str(build)).run
        self._protect = ctypes.c_void_p(int(ffi.cast("uintptr_t", ffi.addressof(lib, "srtp_protect"))))

    def cost(self, subscribers: int, packets: int = 20_000) -> float:
        senders = [SrtpSender(PROFILE, os.urandom(PROFILES[PROFILE][1])) for _ in range(subscribers)]
        pointers = [int(ffi.cast("uintptr_t", sender.context)) for sender in senders]
        contexts = (ctypes.c_void_p * subscribers)(*pointers)
        sinks, udp = [bound() for _ in range(subscribers)], bound()
        addresses = b"".join(
            socket.AF_INET.to_bytes(2, sys.byteorder)
            + sink.getsockname()[1].to_bytes(2, "big")
            + socket.inet_aton("127.0.0.1")
            + bytes(8)
            for sink in sinks
        )
        (packet,) = Vp8Source(1).frame(packets=1, size=PAYLOAD)
        each = packets // subscribers
        before = time.thread_time()
        self._run(self._protect, contexts, subscribers, udp.fileno(), addresses, packet, len(packet), each)
        elapsed = time.thread_time() - before
        for one in (*sinks, udp):
            one.close()
        return elapsed / (each * subscribers) * 1e6


def main() -> None:
    floor = Floor()
    floors: list[float] = []
    costs: dict[tuple[str, int, str], list[float]] = {}
    for _ in range(ROUNDS):
        for subscribers in SUBSCRIBERS:
            for pace in RATES:
                floors.append(floor.cost(subscribers))
                for path in PATHS:
                    if path == "python" and subscribers == 100:
                        continue  # more than a core
                    costs.setdefault((path, subscribers, pace), []).append(path_cost(path, subscribers, pace))
    reference = statistics.median(floors)
    print(f"floor, protect and sendto in C: {reference:.2f} µs a packet (CPU time, median of {len(floors)} runs)")
    result: dict[str, Any] = {"floor_us": round(reference, 2)}
    for (path, subscribers, pace), measured in costs.items():
        cost = statistics.median(measured)
        result[f"{path}_to_floor_n{subscribers}_{pace}"] = round(cost / reference, 2)
        print(f"{path:>6}, {subscribers:>3} subscribers, {pace:>6}: {cost:6.2f} µs, {cost / reference:5.2f} x floor")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
