"""The compiled packet path with the UDP socket: media move on its thread, everything else comes to Python."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from media.relay.plane import rtcp
from tests.support.plane import Peer, Tap, Vp8Source, down_of, opus_packet, read, video_up

CompiledPlane: Any = pytest.importorskip("media.relay.plane.compiled").CompiledPlane
SECONDS = 10.0  # until a test gives up


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "never happened"
        time.sleep(0.01)


class Client(Peer):
    """A peer with a UDP socket of its own."""

    def on(self, host: str, relay: tuple[Any, ...]) -> Client:
        self.relay = relay
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((host, 0))
        self.socket.settimeout(SECONDS)
        return self

    def throw(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self.relay)

    def publish(self, *packets: bytes) -> None:
        for packet in packets:
            self.throw(self.protect(packet))

    def hear(self, enough: Callable[[], bool]) -> None:
        """Take what comes until it is enough. Nobody runs Python for the plane meanwhile."""
        while not enough():
            self.take(self.socket.recv(2048))

    def hear_packets(self, count: int) -> None:
        self.hear(lambda: len(self.received) == count)


@dataclass
class Line:
    """A plane that has a socket, and what it leaves to Python."""

    host: str
    strangers: list[tuple[bytes, tuple[Any, ...]]] = field(default_factory=list)
    left: list[tuple[int, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plane = CompiledPlane(lambda session, datagram: self.left.append((session, datagram)))
        self.socket = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((self.host, 0))
        self.clients: list[Client] = []
        self.open()

    def open(self) -> None:
        self.ready = self.plane.open(self.socket.fileno(), lambda *what: self.strangers.append(what))

    def client(self, session: int, *, proved: bool = True) -> Client:
        client = Client(self.plane, session).on(self.host, self.socket.getsockname())
        client.connect()
        if proved:
            address = client.socket.getsockname()
            self.plane.accept(address, session)
            self.plane.send_to(session, address)
        self.clients.append(client)
        return client

    def hand_over(self, until: Callable[[], bool]) -> None:
        """What the event loop does."""
        while not until():
            readable, _, _ = select.select([self.ready], [], [], SECONDS)
            assert readable, "Python was not told"
            self.plane.hand_over()


@contextmanager
def a_line(host: str = "127.0.0.1") -> Iterator[Line]:
    line = Line(host)
    try:
        yield line
    finally:
        line.plane.close()
        for client in line.clients:
            client.socket.close()
        line.socket.close()


def a_call(line: Line) -> tuple[Client, Client, Vp8Source]:
    publisher, subscriber = line.client(1), line.client(2)
    line.plane.add_up_track(1, video_up())
    line.plane.add_down_track(2, down_of(1, 5))
    line.plane.set_layer(5, 0)
    return publisher, subscriber, Vp8Source(20)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_media_go_from_publisher_to_subscriber_while_python_does_nothing(host):
    with a_line(host) as line:
        publisher, subscriber, source = a_call(line)
        sent = source.frame(key=True, packets=3)
        publisher.publish(*sent)
        subscriber.hear(lambda: len(subscriber.received) == 3)
        assert [packet.payload for packet in subscriber.received] == [read(packet).payload for packet in sent]
        assert line.plane.down_stats()[0].packets == 3
        assert line.strangers == []


def test_a_burst_to_many_arrives_whole_and_in_order():
    """Packets of all sizes: the kernel cuts messages only where they are equal. So many that the thread rests between
    two looks at the socket."""
    with a_line() as line:
        publisher, first, source = a_call(line)
        others = [line.client(session) for session in range(3, 13)]
        for number, client in enumerate(others):
            line.plane.add_down_track(client.session, down_of(1, 10 + number))
            line.plane.set_layer(10 + number, 0)
        sent = source.frame(key=True, packets=1, size=1000)
        for size in (1000, 1001, 1001, 400, 30, 1000, 1100, 1):
            sent += source.frame(packets=9, size=size)
        for start in range(0, len(sent), 12):
            publisher.publish(*sent[start : start + 12])
        for client in (first, *others):
            client.hear_packets(len(sent))
            assert [packet.payload for packet in client.received] == [read(packet).payload for packet in sent]
            assert [packet.sequence for packet in client.received] == list(range(1, len(sent) + 1))
        assert dict(line.plane.drops()) == {}


def test_what_is_not_media_of_a_session_comes_to_python_with_its_address():
    with a_line() as line:
        publisher, _, source = a_call(line)
        stranger = line.client(3, proved=False)
        check, handshake = b"\x00\x01" + bytes(18), b"\x16\xfe\xff" + bytes(10)
        media = stranger.protect(source.frame(key=True)[0])
        for client, datagram in ((publisher, check), (publisher, handshake), (stranger, media), (stranger, b"")):
            client.throw(datagram)
        line.hand_over(lambda: len(line.strangers) == 4)
        here, there = publisher.socket.getsockname(), stranger.socket.getsockname()
        assert line.strangers == [(check, here), (handshake, here), (media, there), (b"", there)]


def test_what_goes_wrong_with_one_stranger_does_not_touch_the_next():
    with a_line() as line:
        heard: list[bytes] = []

        def stranger(datagram: bytes, _address: tuple[Any, ...]) -> None:
            heard.append(datagram)
            if datagram == b"\x01":
                raise RuntimeError("our fault")

        line.plane.close()
        line.ready = line.plane.open(line.socket.fileno(), stranger)
        client = line.client(3, proved=False)
        for datagram in (b"\x01", b"\x02", b"\x01", b"\x03"):
            client.throw(datagram)
        faults = 0
        while len(heard) < 4:
            try:
                line.hand_over(lambda: len(heard) == 4)
            except RuntimeError:
                faults += 1
        assert heard == [b"\x01", b"\x02", b"\x01", b"\x03"]
        assert faults == 2


def test_an_address_belongs_to_a_session_until_it_is_refused():
    with a_line() as line:
        publisher, subscriber, source = a_call(line)
        publisher.publish(*source.frame(key=True, packets=1))
        subscriber.hear(lambda: len(subscriber.received) == 1)
        address = publisher.socket.getsockname()
        line.plane.refuse(address)
        publisher.publish(*source.frame(packets=1))
        line.hand_over(lambda: len(line.strangers) == 1)
        line.plane.receive(1, line.strangers[0][0], time.monotonic())  # as a peer does that knows better
        subscriber.hear(lambda: len(subscriber.received) == 2)
        line.plane.accept(address, 2)  # the next one behind this address
        publisher.publish(*source.frame(packets=1))
        subscriber.publish(opus_packet(1))
        until(lambda: len(line.plane.drops()) == 2)
        assert dict(line.plane.drops()) == {"srtp_authentication": 1, "unknown_ssrc": 1}
        assert len(line.strangers) == 1


def test_a_session_without_a_udp_address_is_served_through_python():
    with a_line() as line:
        publisher, subscriber, source = a_call(line)
        line.plane.send_to(2, None)
        publisher.publish(*source.frame(key=True, packets=2))
        line.hand_over(lambda: len(line.left) == 2)
        for session, datagram in line.left:
            assert session == 2
            subscriber.take(datagram)
        assert [packet.sequence for packet in subscriber.received] == [1, 2]
        line.plane.send_to(2, subscriber.socket.getsockname())
        publisher.publish(*source.frame(packets=1))
        subscriber.hear(lambda: len(subscriber.received) == 3)


def test_taps_read_along_and_their_key_frames_are_asked_for():
    with a_line() as line:
        publisher, _, source = a_call(line)
        tap = Tap()
        line.plane.add_tap(1, tap, 0)
        sent = source.frame(key=True)
        publisher.publish(*sent)
        line.hand_over(lambda: len(tap.packets) == 2)
        assert [packet for _, packet, _ in tap.packets] == sent
        assert tap.layers == [(20, "", 96, "video/VP8", 90000)]
        line.plane.remove_tap(1, tap)


def test_the_thread_ticks_by_itself():
    """Reports and repeated requests go out although nobody calls `tick`."""
    with a_line() as line:
        publisher, _, source = a_call(line)
        first, *_, last = source.frame(key=True, packets=5)
        publisher.publish(first, last)
        wanted: list[type] = []

        def all_came() -> bool:
            wanted.extend(type(message) for message in publisher.messages())
            return wanted.count(rtcp.Nack) > 1 and rtcp.ReceiverReport in wanted

        publisher.hear(all_came)
        assert line.plane.up_stats()[0].lost == 3


def test_the_socket_can_be_given_back_and_taken_again():
    with a_line() as line:
        publisher, subscriber, source = a_call(line)
        line.plane.close()
        publisher.publish(*source.frame(key=True, packets=1))
        readable, _, _ = select.select([line.socket], [], [], SECONDS)
        assert readable
        line.plane.receive(1, line.socket.recv(2048), 1.0)
        assert [session for session, _ in line.left if session == 2] == [2]
        line.open()
        for client in (publisher, subscriber):
            line.plane.accept(client.socket.getsockname(), client.session)
        publisher.publish(*source.frame(packets=1))
        subscriber.hear(lambda: len(subscriber.received) == 1)


def test_people_come_and_go_while_packets_flow():
    with a_line() as line:
        publisher, subscriber, source = a_call(line)
        publisher.publish(*source.frame(key=True))
        for round_ in range(200):
            publisher.publish(*source.frame(key=round_ % 10 == 0, packets=5))
            number = 100 + round_ % 7
            if number not in line.plane._keys:
                line.client(number)
                line.plane.add_down_track(number, down_of(1, number))
                line.plane.set_layer(number, 0)
            else:
                line.plane.remove_session(number)
            line.plane.set_layer(5, -1 if round_ % 3 == 0 else 0)
            line.plane.up_stats(), line.plane.down_stats(), line.plane.drops()
        line.plane.set_layer(5, 0)
        publisher.publish(*source.frame(key=True, packets=1, size=77))
        subscriber.hear(lambda: len(subscriber.received[-1].payload) == 77 + 5 if subscriber.received else False)
        numbers = [packet.sequence for packet in subscriber.received]
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_flood_of_strangers_is_bounded():
    with a_line() as line:
        stranger = line.client(3, proved=False)

        def flood() -> bool:
            for _ in range(200):
                stranger.throw(b"\x01" * 20)
            return "strangers" in dict(line.plane.drops())

        until(flood)
        line.hand_over(lambda: len(line.strangers) == 1024)
