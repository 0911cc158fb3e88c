"""CPU time of both packet paths per packet sent, beside bare SRTP and sendto: `make bench-plane`.

One publisher sends 1,100 byte VP8 packets with the usual header extensions; 1, 8 and 20 subscribers get all of them,
rewritten, cached for retransmission, protected (AES-128-GCM) and sent over loopback. Receiving is not counted: the
datagrams are there already. Only ratios travel between machines; the last line is JSON.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from pylibsrtp import Policy, Session

from media.relay.plane.api import Output, RtpPlane
from tests.support.plane import PLANES, PROFILES, Peer, Vp8Source, down_of, video_up

FAN_OUTS = (1, 8, 20)
PACKETS_OUT = 40_000  # per measurement: about 0.2 s of CPU
ROUNDS = 5
PAYLOAD = 1_100  # bytes
PROFILE = "AEAD_AES_128_GCM"


def cpu_per_packet(run: Callable[[], None], packets: int) -> float:
    """Microseconds of this thread's CPU time."""
    before = time.thread_time()
    run()
    return (time.thread_time() - before) / packets * 1e6


class Sink:
    """A socket that sends to one that nobody reads: the kernel's share is sending alone."""

    def __init__(self) -> None:
        self._away = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._away.bind(("127.0.0.1", 0))
        self.address = self._away.getsockname()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sent = 0

    def send(self, _session: int, datagram: bytes) -> None:
        self.socket.sendto(datagram, self.address)
        self.sent += 1


def bare(sink: Sink) -> float:
    """What pylibsrtp and the kernel take for a packet, with nothing around them."""
    profile, size = PROFILES[PROFILE]
    policy = Policy(key=os.urandom(size), ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
    session = Session(policy)
    source = Vp8Source(1)
    packets = [packet for _ in range(PACKETS_OUT // 10) for packet in source.frame(packets=10, size=PAYLOAD)]

    def run() -> None:
        protect, send, address = session.protect, sink.socket.sendto, sink.address
        for packet in packets:
            send(protect(packet), address)

    return cpu_per_packet(run, len(packets))


def plane(sink: Sink, make: Callable[[Output], RtpPlane], subscribers: int) -> float:
    """The whole packet path, from a protected datagram to `subscribers` sent ones."""
    path = make(sink.send)
    publisher = Peer(path, 0, PROFILE)
    publisher.connect()
    path.add_up_track(0, video_up())
    for number in range(1, subscribers + 1):
        Peer(path, number, PROFILE).connect()
        path.add_down_track(number, down_of(1, number))
    source = Vp8Source(1)
    # Everybody pauses for a frame: from then on each packet has to be rewritten, as after any change of layer.
    for layer in (0, -1, 0):
        for number in range(1, subscribers + 1):
            path.set_layer(number, layer)
        for packet in source.frame(key=True):
            publisher.send(packet)
    count = PACKETS_OUT // subscribers
    datagrams = [
        publisher.protect(packet) for _ in range(count // 10) for packet in source.frame(packets=10, size=PAYLOAD)
    ]
    sink.sent = 0

    def run() -> None:
        now = 100.0
        for index, datagram in enumerate(datagrams):
            if index % 50 == 0:
                now += 0.05
                path.tick(now)
            path.receive(0, datagram, now)

    elapsed = cpu_per_packet(run, 1)
    if sink.sent < len(datagrams) * subscribers or path.drops():
        raise SystemExit(f"not everything was forwarded: {sink.sent} sent, drops {path.drops()}")
    return elapsed / sink.sent


def main() -> None:
    sink = Sink()
    bare_cost: list[float] = []
    costs: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):
        bare_cost.append(bare(sink))
        for make in PLANES:
            for subscribers in FAN_OUTS:
                costs.setdefault((make.__name__, subscribers), []).append(plane(sink, make, subscribers))
    reference = statistics.median(bare_cost)
    print(f"bare protect + sendto in Python: {reference:.2f} µs a packet (CPU time, median of {ROUNDS} rounds)")
    result: dict[str, dict[int, dict[str, float]]] = {}
    for (name, subscribers), measured in costs.items():
        cost = statistics.median(measured)
        result.setdefault(name, {})[subscribers] = {
            "us_per_packet": round(cost, 2),
            "packets_per_second": round(1e6 / cost),
            "ratio_to_bare": round(cost / reference, 2),
        }
        print(
            f"{name}, {subscribers:>2} subscribers: {cost:.2f} µs, {1e6 / cost:,.0f} packets/s of one core, "
            f"{cost / reference:.2f} x bare"
        )
    print(json.dumps({"bare_us": round(reference, 2), "planes": result}))


if __name__ == "__main__":
    main()
