"""Four ways to stop a call that aiortc 1.16 and aioice 0.13 leave open (D1 to D4): here they stop nobody else's.

Each attack goes against a live connection while a second one carries messages. The companions at the end show the same
bytes at work on the unguarded libraries.
"""

import asyncio
import signal
import struct
import subprocess
import sys

import pytest
from aioice import stun
from google_crc32c import value as crc32c

from tests.support.plain_aiortc import reach_each_other
from tests.support.transport import running


def heartbeat(tag: int, length: int) -> bytes:
    """20 bytes: a HEARTBEAT whose parameter says how long it is; 4 is the truth."""
    chunk = struct.pack("!BBHHH", 4, 0, 8, 1, length)
    header = struct.pack("!HHL", 5000, 5000, tag)
    return header + struct.pack("<L", crc32c(header + bytes(4) + chunk)) + chunk


def short_priority() -> bytes:
    body = struct.pack("!HH", 6, 3) + b"a:b\0" + struct.pack("!HH", 0x24, 1) + bytes(4)
    return struct.pack("!HHI", 1, len(body), stun.COOKIE) + bytes(12) + body


def record(kind: int, body: bytes) -> bytes:
    """A DTLS record of the first, unprotected epoch."""
    return struct.pack("!BH", kind, 0xFEFD) + bytes(8) + struct.pack("!H", len(body)) + body


ALIEN_RECORDS = {
    "handshake": record(22, bytes(40)),
    "fatal alert": record(21, b"\x02\x28"),
    "ServerHello": record(22, b"\x02\0\0\x10\0\0\0\0\0\0\0\x10" + bytes(16)),
}


async def test_d1_a_parameter_of_length_zero_ends_its_sender_and_nobody_else() -> None:
    async with running() as relay:
        attacker, other = await relay.connect(), await relay.connect()
        await attacker.client.dtls._send_data(heartbeat(attacker.client.sctp._remote_verification_tag, 0))
        await attacker.client.wait(lambda: attacker.observer.closed == ["sctp_abuse"])
        await other.works(b"still talking")
        assert other.observer.closed == []
        assert relay.ports.drops()["sctp_abuse"] == 1


async def test_d2_empty_datagrams_are_counted_and_end_nothing() -> None:
    async with running() as relay:
        line = await relay.connect()
        relay.throw(*[b""] * 20)
        line.client.ice.connection._nominated[1].protocol.transport.sendto(
            b"", ("127.0.0.1", relay.ports.udp_port)
        )  # and from the peer's own, proved address
        await relay.until_dropped("empty", 20)
        await line.works(b"still talking")
        assert line.observer.closed == []


async def test_d3_alien_dtls_records_do_not_disturb_a_join_nor_a_call() -> None:
    async with running() as relay:
        stop = asyncio.Event()

        async def bombard() -> None:
            while not stop.is_set():
                relay.throw(*ALIEN_RECORDS.values())
                await asyncio.sleep(0.005)

        task = asyncio.create_task(bombard())
        lines = [await relay.connect() for _ in range(5)]
        stop.set()
        await task
        for line in lines:
            await line.works(b"joined all the same")
            assert line.observer.closed == []
        assert relay.ports.drops()["unknown_address"] > 0


async def test_d4_malformed_stun_is_counted_and_reaches_no_exception_handler() -> None:
    async with running() as relay:
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context))
        line = await relay.connect()
        named = short_priority().replace(b"a:b\0", b"a:b\0")
        body = struct.pack("!HH", 6, len(line.peer.ufrag) + 2) + f"{line.peer.ufrag}:x".encode()
        body += bytes(-len(body) % 4) + struct.pack("!HH", 0x802A, 2) + bytes(4)
        mine = struct.pack("!HHI", 1, len(body), stun.COOKIE) + bytes(12) + body
        relay.throw(named, mine, b"\x00\x01", bytes(20))
        await relay.until_dropped("stun", 3)
        await line.works(b"still talking")
        assert errors == []


async def test_datagrams_of_every_shape_and_length_leave_the_call_alone() -> None:
    async with running() as relay:
        line = await relay.connect()
        shapes = [bytes([first]) + bytes(length) for first in (0, 1, 22, 63, 64, 128, 200, 255) for length in range(64)]
        relay.throw(*shapes)
        transport = line.client.ice.connection._nominated[1].protocol.transport
        for shape in shapes:
            if shape[0] >= 20:
                transport.sendto(shape, ("127.0.0.1", relay.ports.udp_port))
        await line.works(b"still talking")
        assert line.observer.closed == []


async def test_a_client_over_tcp_alone_gets_the_same_service() -> None:
    async with running() as relay:
        peer, _ = relay.peer()
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.ports.tcp_port)
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{peer.ufrag}:them"
        message.add_message_integrity(peer.password.encode())
        request = bytes(message)
        writer.write(len(request).to_bytes(2, "big") + request)
        length = int.from_bytes(await asyncio.wait_for(reader.readexactly(2), 10), "big")
        answer = stun.parse_message(await reader.readexactly(length))
        assert answer.attributes["XOR-MAPPED-ADDRESS"] == writer.get_extra_info("sockname")
        writer.write(b"\xff\xff")
        assert await asyncio.wait_for(reader.read(), 10) == b""
        assert relay.ports.drops()["tcp_frame"] == 1
        writer.close()
        await peer.close()


UNGUARDED = """
import resource, sys, time
from aiortc.rtcsctptransport import parse_packet
seconds = int(time.process_time()) + 2
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
print("parsing", flush=True)
parse_packet(bytes.fromhex(sys.argv[1]))
print("parsed", flush=True)
"""


@pytest.mark.parametrize(("length", "parsed"), [(4, True), (0, False)])
def test_unguarded_aiortc_never_finishes_parsing_a_parameter_of_length_zero(length: int, parsed: bool) -> None:
    """In a process that may use two more seconds and 2 GiB, so that the endless loop ends."""
    packet = heartbeat(1, length).hex()
    result = subprocess.run([sys.executable, "-c", UNGUARDED, packet], capture_output=True, text=True, check=False)
    assert result.stdout.split() == (["parsing", "parsed"] if parsed else ["parsing"])
    killed = result.returncode in (-signal.SIGXCPU, -signal.SIGKILL) or "MemoryError" in result.stderr
    assert killed is not parsed


@pytest.mark.parametrize("alien", [None, *ALIEN_RECORDS])
async def test_unguarded_aiortc_fails_to_join_on_one_alien_record(alien: str | None) -> None:
    ends = await reach_each_other()
    if alien is not None:
        for end in ends:
            end.from_stranger(ALIEN_RECORDS[alien])
    await asyncio.gather(ends[0].handshake(ends[1]), ends[1].handshake(ends[0]))
    assert {end.dtls.state for end in ends} == {"connected" if alien is None else "failed"}
    for end in ends:
        await end.close()


async def test_unguarded_aiortc_closes_a_call_on_one_empty_datagram() -> None:
    async with running() as relay:
        line = await relay.connect()
        dtls = line.client.dtls  # the client *is* plain aiortc over aioice
        protocol = line.client.ice.connection._nominated[1].protocol
        protocol.datagram_received(b"", ("198.51.100.1", 9))  # from anybody at all
        await line.client.wait(lambda: dtls.state == "closed")


async def test_unguarded_aioice_lets_a_struct_error_escape_into_the_event_loop() -> None:
    with pytest.raises(struct.error):
        stun.parse_message(short_priority())
