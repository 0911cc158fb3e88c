"""ICE checks: who is answered, who is not, and which path is used."""

import contextlib
import struct

import pytest
from aioice import stun as aioice_stun
from hypothesis import given
from hypothesis import strategies as st

from media.relay.transport import stun
from media.relay.transport.ice import CONSENT_SECONDS, MAX_PATHS, IceAgent


class FakePath:
    def __init__(self, port: int) -> None:
        self.address = ("192.0.2.7", port)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FakePath) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)

    def send(self, datagram: bytes) -> None: ...

    def close(self) -> None: ...


def request(ufrag: str, password: str, *, nominate: bool = False) -> bytes:
    message = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{ufrag}:them"
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 7
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(password.encode())
    return bytes(message)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def raw_request(*attributes: bytes) -> bytes:
    body = b"".join(attributes)
    return struct.pack("!HH", 1, len(body)) + stun.COOKIE + bytes(12) + body


def test_a_check_is_answered_with_the_address_it_came_from() -> None:
    agent = IceAgent()
    answer = agent.check(request(agent.ufrag, agent.password), agent.ufrag, FakePath(1000), 1.0)
    parsed = aioice_stun.parse_message(answer)
    assert parsed.attributes["XOR-MAPPED-ADDRESS"] == ("192.0.2.7", 1000)
    assert parsed.check_message_integrity(agent.password.encode())


@pytest.mark.parametrize("kind", [0x0024, 0x802A, 0x8029, 0x8028])
@pytest.mark.parametrize("length", range(8))
def test_an_attribute_shorter_than_its_type_is_an_error_of_stun_and_nothing_else(kind: int, length: int) -> None:
    hostile = raw_request(attribute(6, b"abc:def"), attribute(kind, bytes(length)))
    assert stun.local_ufrag(hostile) == "abc"
    with pytest.raises(stun.StunError):
        stun.parse_check(hostile, "password")


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_the_declared_error_only(noise: bytes) -> None:
    for datagram in (noise, raw_request(noise)):
        for parse in (stun.local_ufrag, lambda data: stun.parse_check(data, "password")):
            with contextlib.suppress(stun.StunError):
                parse(datagram)


def test_a_check_with_another_password_or_without_integrity_is_not_answered() -> None:
    agent = IceAgent()
    for hostile in (request(agent.ufrag, "wrong"), raw_request(attribute(6, f"{agent.ufrag}:x".encode()))):
        with pytest.raises(stun.StunError):
            agent.check(hostile, agent.ufrag, FakePath(1), 1.0)
    assert agent.selected is None


def test_the_last_nomination_wins_and_ordinary_checks_do_not_move_the_path() -> None:
    agent = IceAgent()
    wifi, mobile = FakePath(1), FakePath(2)
    agent.check(request(agent.ufrag, agent.password, nominate=True), agent.ufrag, wifi, 1.0)
    agent.check(request(agent.ufrag, agent.password), agent.ufrag, mobile, 2.0)
    assert agent.selected == wifi
    agent.check(request(agent.ufrag, agent.password, nominate=True), agent.ufrag, mobile, 3.0)
    assert agent.selected == mobile


def test_after_a_restart_the_former_credentials_hold_until_the_new_ones_are_nominated() -> None:
    agent = IceAgent()
    old = (agent.ufrag, agent.password)
    agent.restart()
    assert agent.check(request(*old, nominate=True), old[0], FakePath(1), 1.0)
    agent.check(request(agent.ufrag, agent.password, nominate=True), agent.ufrag, FakePath(2), 2.0)
    with pytest.raises(stun.StunError):
        agent.check(request(*old), old[0], FakePath(1), 3.0)


def test_consent_runs_out_half_a_minute_after_the_last_check() -> None:
    agent = IceAgent()
    agent.check(request(agent.ufrag, agent.password), agent.ufrag, FakePath(1), 10.0)
    assert not agent.expired(10.0 + CONSENT_SECONDS)
    assert agent.expired(10.1 + CONSENT_SECONDS)


def test_proved_paths_are_bounded_and_the_selected_one_stays() -> None:
    agent = IceAgent()
    agent.check(request(agent.ufrag, agent.password, nominate=True), agent.ufrag, FakePath(0), 0.0)
    for port in range(1, 100):
        agent.check(request(agent.ufrag, agent.password), agent.ufrag, FakePath(port), 1.0)
        agent.surplus()
    assert len(agent.paths) == MAX_PATHS
    assert agent.selected == FakePath(0)
    assert FakePath(0) in agent.paths
