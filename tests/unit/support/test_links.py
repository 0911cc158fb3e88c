"""The emulated links that tests of bad networks stand on: what their model does to packets, and to addresses."""

from __future__ import annotations

import itertools
import random
import socket
import struct

import pytest

from tests.support.links import packets
from tests.support.links.carrier import pack_steps, parse_steps
from tests.support.links.model import BIN, Burst, Link, Profile, Step

PACKET = 1000


def link(*steps: Step, seed: str = "s") -> Link:
    made = Link(seed)
    made.follow(steps, 0.0)
    return made


def send(over: Link, count: int, *, every: float = 0.01, size: int = PACKET, start: float = 0.0) -> list[float]:
    """Departures of `count` packets, lost ones left out."""
    departures: list[float] = []
    for number in range(count):
        departures += over.offer(size, start + number * every)
    return departures


def test_a_perfect_link_changes_nothing() -> None:
    assert send(Link("any"), 3) == [0.0, 0.01, 0.02]


def test_losses_are_as_many_as_asked_for_and_the_same_for_the_same_seed() -> None:
    lossy = Step(0, Profile(loss=0.25))
    arrived = send(link(lossy), 20_000)
    assert 0.74 < len(arrived) / 20_000 < 0.76
    assert send(link(lossy), 1000) == send(link(lossy), 1000)
    assert send(link(lossy), 1000) != send(link(lossy, seed="other"), 1000)


def test_a_burst_loses_packets_in_a_row() -> None:
    burst = Burst(enter=0.01, leave=0.1)
    over = link(Step(0, Profile(burst=burst)))
    fates = [bool(over.offer(PACKET, number * 0.01)) for number in range(50_000)]
    lost = fates.count(False)
    runs = sum(1 for before, here in itertools.pairwise(fates) if before and not here)
    assert burst.average == pytest.approx(0.0909, abs=0.001)
    assert 0.07 < lost / len(fates) < 0.11
    assert 8 < lost / runs < 12  # 1 / leave
    assert over.counts["lost_in_burst"] == lost


def test_packets_keep_their_order_under_jitter_unless_they_may_overtake() -> None:
    for reorder in (False, True):
        over = link(Step(0, Profile(delay=0.3, jitter=0.05, reorder=reorder)))
        departures = send(over, 2000)
        delays = [departure - number * 0.01 for number, departure in enumerate(departures)]
        assert min(delays) >= 0.25
        assert max(delays) <= 0.35 + 1e-9
        assert (departures == sorted(departures)) is not reorder


def test_a_rate_is_kept_and_what_finds_the_queue_full_is_dropped() -> None:
    over = link(Step(0, Profile(rate=500_000, queue=0.2)))
    arrivals = [number * 0.01 for number in range(1000)]  # 800 kbit/s for 10 s
    waits = [departure - at for at in arrivals for departure in over.offer(PACKET, at)]
    assert sum(over.delivered.values()) * 8 / (10 + max(waits)) == pytest.approx(500_000, rel=0.02)
    assert 0.19 < max(waits) <= 0.2 + 0.016  # the queue, and the packet itself
    assert over.counts["queue_full"] == 1000 - len(waits)


def test_plans_change_a_link_over_time() -> None:
    over = link(Step(1, Profile(blocked=True)), Step(3, Profile(delay=0.1)))
    departures = send(over, 50, every=0.1)
    assert [round(at, 6) for at in departures] == [
        round(number * 0.1 + (0.1 if number >= 30 else 0), 6) for number in range(50) if not 10 <= number < 30
    ]
    over.follow([Step(0, Profile())], 5.0)
    assert over.offer(PACKET, 5.0) == (5.0,)


def test_some_packets_come_twice() -> None:
    over = link(Step(0, Profile(duplicate=0.05)))
    assert 1040 < len(send(over, 1000)) < 1060
    assert over.counts["delivered"] == 1000 + over.counts["duplicated"]


def test_traces_hold_the_bytes_per_tenth_of_a_second() -> None:
    over = link(Step(0, Profile(delay=BIN)))
    send(over, 20)
    assert over.offered == {0: 10 * PACKET, 1: 10 * PACKET}
    assert sum(over.delivered.values()) == 20 * PACKET
    assert min(over.delivered) == 1


def test_plans_reach_the_carrier_as_they_are() -> None:
    steps = [Step(0, Profile(loss=0.1, burst=Burst(0.01, 0.1))), Step(2.5, Profile(rate=300_000, reorder=True))]
    assert parse_steps(pack_steps(steps)) == steps


# -- packets


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF ^ total


def udp(source: str, destination: str, payload: bytes) -> bytes:
    """A whole IP packet, as a kernel sends it."""
    ends = packets.packed(source) + packets.packed(destination)
    length = 8 + len(payload)
    six = ":" in source
    pseudo = ends + (struct.pack("!IHBB", length, 0, 0, 17) if six else struct.pack("!BBH", 0, 17, length))
    header = struct.pack("!HHHH", 40000, 7882, length, 0)
    header = header[:6] + struct.pack("!H", checksum(pseudo + header + payload + b"\0" * (length % 2)))
    if six:
        return struct.pack("!IHBB", 6 << 28, length, 17, 64) + ends + header + payload
    start = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 1, 0, 64, 17, 0) + ends
    return start[:10] + struct.pack("!H", checksum(start)) + start[12:] + header + payload


@pytest.mark.parametrize(
    ("inner", "outer", "relay"), [("10.77.1.2", "10.77.1.12", "10.77.0.1"), ("fd77:1::2", "fd77:1::c", "fd77::1")]
)
def test_a_replaced_address_leaves_packets_with_right_checksums(inner: str, outer: str, relay: str) -> None:
    chance = random.Random(1)
    for _ in range(50):
        payload = chance.randbytes(chance.randrange(1, 200))
        sent = udp(inner, relay, payload)
        assert packets.with_source(sent, packets.packed(outer)) == udp(outer, relay, payload)
        back = udp(relay, outer, payload)
        assert packets.with_destination(back, packets.packed(inner)) == udp(relay, inner, payload)
        assert (packets.source(sent), packets.destination(back)) == (packets.packed(inner), packets.packed(outer))


def test_rtp_is_told_from_what_else_goes_over_the_port() -> None:
    header = struct.pack("!BBHII", 0x90, 0x80 | 111, 65535, 960, 0xABCD) + b"opus"
    for source, relay in (("10.77.1.2", "10.77.0.1"), ("fd77:1::2", "fd77::1")):
        assert packets.rtp(udp(source, relay, header)) == packets.Rtp(0xABCD, 65535, 960, 111)
        for other in (b"\x00\x01" + bytes(18), b"\x16\xfe\xfd" + bytes(20), struct.pack("!BBHI", 0x80, 201, 1, 1) * 2):
            assert packets.rtp(udp(source, relay, other)) is None
    assert packets.rtp(struct.pack("!BBHHHBBH", 0x45, 0, 60, 1, 0, 64, socket.IPPROTO_TCP, 0) + bytes(48)) is None


def test_a_stream_counts_the_sound_that_came_through_also_around_the_end_of_the_timestamps() -> None:
    stream = packets.Stream()

    def take(*numbers: int) -> None:
        for number in numbers:
            stream.add((number - 2) * 960 & 0xFFFFFFFF)

    take(0, 1, 3, 2, 2, 5)
    assert stream.count == 5
    stream.begin()
    take(4, 6, 8, 7)  # the first belongs to what was counted before
    assert stream.count == 3
