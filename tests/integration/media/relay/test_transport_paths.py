"""How a peer reaches the relay: UDP, TCP, IPv6, a new network, an ICE restart, a lossy line; and who may not."""

import asyncio
import socket
import struct
from typing import Any

import pytest

from media.relay.transport import backlog, tcp
from media.relay.transport.ice import CONSENT_SECONDS
from media.relay.transport.limiter import MAX_FAILURES
from palabre.base.clock import ManualClock
from tests.support.direct_ice import DirectIce, check
from tests.support.transport import Line, running
from tests.support.webrtc_peer import WebRtcPeer

LARGE = bytes(range(256)) * 240  # 61 kB: fifty packets


async def exchange(line: Line) -> None:
    """Messages both ways on the client's channel, small and large, in order."""
    up = [b"%d" % number for number in range(50)] + [LARGE]
    channel = next(iter(line.client.sctp._data_channels.values()))
    for message in up:
        channel.send(message)
    await line.client.wait(lambda: line.observer.messages[-len(up) :] == up)
    for message in up:
        assert line.peer.send(channel.label, message)
    await line.client.wait(lambda: [data for _, data in line.client.received[-len(up) :]] == up)


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_messages_cross_in_both_directions(protocol: str) -> None:
    async with running() as relay:
        line = await relay.connect(DirectIce(protocol))
        assert line.observer.connected
        assert line.observer.opened == ["_reliable"]
        await exchange(line)


async def test_a_client_over_ipv6_gets_the_same_service() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    async with running("::1") as relay:
        line = await relay.connect(DirectIce())
        assert line.client.ice.answers[0].attributes["XOR-MAPPED-ADDRESS"][0] == "::1"
        await exchange(line)


async def test_a_channel_that_the_relay_opens_reaches_the_client() -> None:
    async with running() as relay:
        peer, observer = relay.peer()
        peer.open_channel("_lossy", ordered=False, max_retransmits=0)
        client = WebRtcPeer(DirectIce())
        await client.connect(peer, relay.ports)
        await client.wait(lambda: observer.opened == ["_lossy"])
        assert peer.send("_lossy", b"hello")
        await client.wait(lambda: client.received == [("_lossy", b"hello")])
        channel = next(iter(client.sctp._data_channels.values()))
        assert (channel.ordered, channel.maxRetransmits) == (False, 0)
        assert not peer.send("_reliable", b"nobody opened that")
        assert not peer.send("_lossy", bytes(70_000)), "larger than the client takes"
        assert peer.buffered("_reliable") == 0
        await peer.close()
        await client.close()


async def test_a_call_moves_with_the_client_to_another_network() -> None:
    async with running() as relay:
        ice = DirectIce()
        line = await relay.connect(ice)
        await ice.open()
        await ice.nominate(line.peer.ufrag, line.peer.password, nominate=False)
        await line.works(b"proved is enough to be heard")
        await ice.nominate(line.peer.ufrag, line.peer.password)
        ice.sockets[0].close()
        await exchange(line)


async def test_datagrams_from_an_address_without_a_check_are_not_taken() -> None:
    async with running() as relay:
        ice = DirectIce()
        line = await relay.connect(ice)
        before = relay.ports.drops().get("unknown_address", 0)
        await ice.open()
        channel = next(iter(line.client.sctp._data_channels.values()))
        channel.send(b"from elsewhere")
        await relay.until_dropped("unknown_address", before + 1)
        assert b"from elsewhere" not in line.observer.messages
        await ice.nominate(line.peer.ufrag, line.peer.password)
        await line.client.wait(lambda: b"from elsewhere" in line.observer.messages)  # SCTP sends it again


async def test_an_ice_restart_keeps_the_call_and_retires_the_old_credentials() -> None:
    async with running() as relay:
        ice = DirectIce()
        line = await relay.connect(ice)
        old = line.peer.ufrag, line.peer.password
        line.peer.restart_ice()
        line.peer.restart_ice()
        await ice.nominate(*old)
        await ice.open()
        await ice.nominate(line.peer.ufrag, line.peer.password)
        await exchange(line)
        ice.socket.send(bytes(check(*old)))
        await relay.until_dropped("unknown_ufrag")


async def test_the_handshake_survives_lost_datagrams() -> None:
    seen: dict[bool, int] = {True: 0, False: 0}

    def lose(datagram: bytes, outgoing: bool) -> bool:
        """The first of each direction, and the relay's last flight."""
        if not 20 <= datagram[0] < 64:
            return False
        seen[outgoing] += 1
        return seen[outgoing] == 1 or (not outgoing and seen[outgoing] == 3)

    async with running() as relay:
        line = await relay.connect(DirectIce(lose=lose))
        await exchange(line)


async def test_a_quarter_of_the_packets_lost_leaves_every_message_in_order() -> None:
    count = 0

    def lose(datagram: bytes, _outgoing: bool) -> bool:
        nonlocal count
        if datagram[0] >= 4:
            count += 1
        return count > 20 and count % 4 == 0

    async with running() as relay:
        line = await relay.connect(DirectIce(lose=lose))
        channel = next(iter(line.client.sctp._data_channels.values()))
        sent = [b"%d" % number for number in range(20)]
        for message in sent:
            channel.send(message)
        await line.client.wait(lambda: line.observer.messages == sent)


async def test_who_no_longer_checks_has_withdrawn_consent() -> None:
    clock = ManualClock()
    async with running(clock=clock) as relay:
        line = await relay.connect(DirectIce())
        waiting, idle = relay.peer()
        clock.advance(CONSENT_SECONDS + 1)
        await line.client.wait(lambda: line.observer.closed == ["consent_lost"])
        assert idle.closed == [], "who has never been there has withdrawn nothing"
        assert not line.peer.send("_reliable", b"gone")
        await waiting.close()


async def test_who_says_goodbye_is_gone_at_once() -> None:
    async with running() as relay:
        line = await relay.connect(DirectIce())
        await line.client.dtls.stop()
        await line.client.wait(lambda: line.observer.closed == ["dtls_closed"])


async def test_a_certificate_other_than_the_announced_one_ends_the_handshake() -> None:
    async with running() as relay:
        peer, observer = relay.peer()
        peer.start(remote_fingerprint=("sha-256", ":".join(["AB"] * 32)), remote_setup="active", sctp=None)
        client = WebRtcPeer(DirectIce())
        await client.ice_connect(peer, relay.ports)
        start = asyncio.create_task(client.connect(peer, relay.ports, sctp=False))
        await client.wait(lambda: observer.closed == ["dtls_failed"])
        start.cancel()
        await asyncio.wait([start])
        await client.close()


async def test_guessing_is_never_answered_and_soon_not_even_read() -> None:
    async with running() as relay:
        line = await relay.connect(DirectIce())
        guesser = DirectIce()
        await guesser.open(relay.ports)
        for _ in range(MAX_FAILURES + 50):
            guesser.socket.send(bytes(check(line.peer.ufrag, "guessed")))
        await relay.until_dropped("stun_limited")
        assert guesser.answers == []
        assert relay.ports.drops()["stun"] == MAX_FAILURES
        await line.client.ice.nominate(line.peer.ufrag, line.peer.password)  # the call on the same host goes on
        await line.works(b"still talking")
        await guesser.close()


async def test_an_address_in_use_can_not_be_claimed_for_another_session() -> None:
    async with running() as relay:
        line = await relay.connect(DirectIce())
        other, observer = relay.peer()
        line.client.ice.socket.send(bytes(check(other.ufrag, other.password)))  # as if the source were forged
        await relay.until_dropped("address_in_use")
        await line.works(b"still talking")
        assert observer.closed == []
        await other.close()


async def ended(connection: Any) -> None:
    async with asyncio.timeout(10):
        await connection.lost.wait()


async def test_a_tcp_connection_that_proves_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "UNPROVED_SECONDS", 0.1)
    async with running() as relay:
        silent = DirectIce("tcp")
        await silent.open(relay.ports)
        await ended(silent.socket)
        assert relay.ports.drops()["tcp_unproved"] == 1


@pytest.mark.parametrize("frame", [b"", b"\x16\xfe\xfd" + bytes(20), b"\x80" + bytes(20)])
async def test_a_tcp_connection_that_does_not_begin_with_a_check_is_closed(
    frame: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "UNPROVED_SECONDS", 3600.0)
    async with running() as relay:
        stranger = DirectIce("tcp")
        await stranger.open(relay.ports)
        stranger.socket.send(frame)
        await ended(stranger.socket)


async def test_a_tcp_connection_that_guesses_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "UNPROVED_SECONDS", 3600.0)
    async with running() as relay:
        guesser = DirectIce("tcp")
        await guesser.open(relay.ports)
        for _ in range(tcp.MAX_FAILED_CHECKS):
            guesser.socket.send(bytes(check("nobody", "guessed")))
        await ended(guesser.socket)
        assert guesser.answers == []


async def test_one_host_does_not_take_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "MAX_PER_HOST", 2)
    async with running() as relay:
        connections = [DirectIce("tcp") for _ in range(3)]
        for connection in connections:
            await connection.open(relay.ports)
        await ended(connections[2].socket)
        assert relay.ports.drops()["tcp_full"] == 1
        connections[0].socket.close()
        connections[1].socket.close()


async def test_a_tcp_connection_that_ends_leaves_the_call_for_the_next() -> None:
    async with running() as relay:
        ice = DirectIce("tcp")
        line = await relay.connect(ice)
        ice.socket.close()
        await ended(ice.socket)
        await ice.open()
        await ice.nominate(line.peer.ufrag, line.peer.password)
        await exchange(line)


async def test_who_does_not_read_loses_packets_and_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "LIMIT", 100_000)
    async with running() as relay:
        ice = DirectIce("tcp")
        line = await relay.connect(ice)
        ice.socket.transport.pause_reading()
        packet = bytes([0x80]) + bytes(1199)
        for _ in range(20_000):
            relay.ports.send(line.peer.session, packet)
        assert relay.ports.drops()["tcp_slow"] > 0
        ice.socket.transport.resume_reading()
        await line.works(b"reading again")


async def test_ports_that_are_taken_are_an_error_at_start() -> None:
    async with running() as relay:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            relay.ports._settings = type(relay.ports._settings)("127.0.0.1", probe.getsockname()[1], 0)
            with pytest.raises(OSError, match="in use"):
                await type(relay.ports)(relay.ports._settings, relay.clock).start()


async def test_strangers_fill_no_queue() -> None:
    async with running() as relay:
        line = await relay.connect(DirectIce())
        junk = b"\x16\xfe\xfd" + bytes(8) + struct.pack("!H", 1100) + bytes(1100)
        before = relay.ports.drops().get("unknown_address", 0)
        for _ in range(20):
            relay.throw(*[junk] * 100)
            await asyncio.sleep(0)
        await relay.until_dropped("unknown_address", before + 100)
        await line.works(b"still talking")


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_peers_that_are_gone_leave_nothing_behind(protocol: str) -> None:
    async with running() as relay:
        closing = await relay.connect(DirectIce(protocol))
        leaving = await relay.connect(DirectIce(protocol))
        never, _ = relay.peer()
        for line in (closing, leaving):
            line.peer.restart_ice()
            await line.client.ice.open()
            await line.client.ice.nominate(line.peer.ufrag, line.peer.password, nominate=False)
        await closing.peer.close()
        await closing.peer.close()
        await leaving.client.dtls.stop()
        await leaving.client.wait(lambda: leaving.observer.closed == ["dtls_closed"])
        await never.close()
        assert closing.observer.closed == [], "whoever closes need not be told"
        ports = relay.ports
        await leaving.client.wait(lambda: not ports._tcp._connections and not relay.tasks._tasks)
        for left in (ports._by_ufrag, ports._by_address, ports._by_session, ports._selected, ports._tcp._hosts):
            assert not left
        assert not relay.plane._sessions
