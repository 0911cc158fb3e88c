"""The process that carries IP packets between TUN devices as the links' models say: the driver of `model`.

A process of its own, so that nothing else in a test delays packets. It is given its devices as open descriptors and
takes orders, one JSON object a line, from its standard input; each is answered with a line. It ends with its input.
"""

from __future__ import annotations

import heapq
import json
import os
import select
import sys
import time
from dataclasses import asdict
from typing import Any

from tests.support.links import packets
from tests.support.links.model import Burst, Link, Profile, Step

BATCH = 32  # packets per wake-up and device
MTU = 1500
UP, DOWN = "up", "down"


def pack_steps(steps: list[Step]) -> list[dict[str, Any]]:
    return [{"at": step.at, "profile": asdict(step.profile)} for step in steps]


def parse_steps(given: list[dict[str, Any]]) -> list[Step]:
    steps = []
    for one in given:
        profile = dict(one["profile"])
        burst = profile.pop("burst")
        steps.append(Step(one["at"], Profile(**profile, burst=Burst(**burst) if burst else None)))
    return steps


class Way:
    """One direction of a leg: what is read from `source` leaves at `target`."""

    def __init__(self, leg: Leg, name: str, source: int, target: int, seed: str) -> None:
        self.leg, self.name, self.source, self.target = leg, name, source, target
        self.link = Link(f"{seed}:{name}")
        self.sent: dict[int, packets.Stream] = {}  # RTP by SSRC, as offered
        self.arrived: dict[int, packets.Stream] = {}

    @staticmethod
    def count(streams: dict[int, packets.Stream], packet: bytes) -> None:
        header = packets.rtp(packet)
        if header is not None:
            streams.setdefault(header.ssrc, packets.Stream()).add(header.timestamp)

    def report(self) -> dict[str, Any]:
        return {
            "counts": dict(self.link.counts),
            "offered": dict(self.link.offered),
            "delivered": dict(self.link.delivered),
            "sent": {ssrc: stream.count for ssrc, stream in self.sent.items()},
            "arrived": {ssrc: stream.count for ssrc, stream in self.arrived.items()},
        }


class Leg:
    """A client's two directions, and the addresses under which the relay sees it."""

    def __init__(self, name: str, client: int, relay: int, seed: str) -> None:
        self.ways = {
            UP: Way(self, UP, client, relay, f"{seed}:{name}"),
            DOWN: Way(self, DOWN, relay, client, f"{seed}:{name}"),
        }
        self.udp = True  # whether it passes: some offices let nothing but TCP out
        self._outer: dict[bytes, bytes] = {}  # as the client knows itself -> as the relay sees it
        self._inner: dict[bytes, bytes] = {}

    def rename(self, addresses: dict[str, str]) -> None:
        """From now on the relay sees the client at these; what it sends to the former ones is lost."""
        self._outer = {packets.packed(inner): packets.packed(outer) for inner, outer in addresses.items()}
        self._inner = {outer: inner for inner, outer in self._outer.items()}

    def translate(self, packet: bytes, way: str) -> bytes | None:
        if not self._outer:
            return packet
        if way == UP:
            outer = self._outer.get(packets.source(packet))
            return packet if outer is None else packets.with_source(packet, outer)
        inner = self._inner.get(packets.destination(packet))
        return None if inner is None else packets.with_destination(packet, inner)


class Carrier:
    """The loop. Packets that wait are in `_waiting`, ordered by their departure."""

    def __init__(self, legs: dict[str, Leg]) -> None:
        self._legs = legs
        self._by_source = {way.source: way for leg in legs.values() for way in leg.ways.values()}
        self._waiting: list[tuple[float, int, Way, bytes]] = []
        self._count = 0
        self._orders = b""

    def run(self) -> None:
        poll = select.epoll()
        for descriptor in (*self._by_source, sys.stdin.fileno()):
            os.set_blocking(descriptor, False)
            poll.register(descriptor, select.EPOLLIN)
        while True:
            wait = -1.0 if not self._waiting else max(0.0, self._waiting[0][0] - time.monotonic())
            for descriptor, _ in poll.poll(wait):
                if descriptor == sys.stdin.fileno():
                    if not self._take_orders():
                        return
                else:
                    self._read(self._by_source[descriptor])
            self._write(time.monotonic())

    def _read(self, way: Way) -> None:
        for _ in range(BATCH):
            try:
                packet = os.read(way.source, MTU + 64)
            except BlockingIOError:
                return
            if not way.leg.udp and packets.is_udp(packet):
                way.link.counts["forbidden"] += 1
                continue
            way.count(way.sent, packet)
            now = time.monotonic()
            for departure in way.link.offer(len(packet), now):
                self._count += 1
                heapq.heappush(self._waiting, (departure, self._count, way, packet))

    def _write(self, now: float) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            _, _, way, packet = heapq.heappop(self._waiting)
            translated = way.leg.translate(packet, way.name)
            if translated is None:
                way.link.counts["unknown_address"] += 1
                continue
            way.count(way.arrived, packet)
            try:
                os.write(way.target, translated)
            except OSError:  # the device is down, or its queue is full
                way.link.counts["device"] += 1

    def _take_orders(self) -> bool:
        data = os.read(sys.stdin.fileno(), 65536)
        if not data:
            return False
        *lines, self._orders = (self._orders + data).split(b"\n")
        for line in lines:
            print(json.dumps(self._obey(json.loads(line))), flush=True)
        return True

    def _obey(self, order: dict[str, Any]) -> dict[str, Any]:
        leg, now = self._legs[order["leg"]], time.monotonic()
        match order["do"]:
            case "follow":
                for name, steps in order["ways"].items():
                    leg.ways[name].link.follow(parse_steps(steps), now)
            case "rename":
                leg.rename(order["addresses"])
            case "udp":
                leg.udp = order["passes"]
            case "count":
                for way in leg.ways.values():
                    for stream in (*way.sent.values(), *way.arrived.values()):
                        stream.begin()
            case "report":
                return {"now": now, **{name: way.report() for name, way in leg.ways.items()}}
        return {"now": now}


if __name__ == "__main__":
    legs_of = json.loads(sys.argv[1])
    Carrier({name: Leg(name, client, relay, sys.argv[2]) for name, (client, relay) in legs_of.items()}).run()
