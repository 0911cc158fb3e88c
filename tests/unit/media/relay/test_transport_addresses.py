"""Which addresses clients are told: those of this machine's networks, or those that a setting or a STUN server says."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from media.relay.settings import RelaySettings
from media.relay.transport.external import parse_server
from media.relay.transport.interfaces import MAX_ADDRESSES, addresses_for, choose
from media.relay.transport.ports import MediaPorts, PortSettings
from palabre.base.clock import ManualClock

INTERFACES = [
    ("lo", "127.0.0.1"), ("lo", "::1"), ("eth0", "198.51.100.7"), ("eth0", "2001:db8::7"), ("eth0", "fe80::7"),
    ("eth1", "10.1.0.7"), ("docker0", "172.17.0.1"), ("br-4f2a", "172.18.0.1"),
]  # fmt: skip


def test_every_network_of_the_machine_is_told_and_the_way_to_everybody_first() -> None:
    assert choose(INTERFACES, ["10.1.0.7"], six=False) == ("10.1.0.7", "198.51.100.7")
    assert choose(INTERFACES, ["198.51.100.7", ""], six=True) == ("198.51.100.7", "2001:db8::7", "10.1.0.7")
    assert choose(INTERFACES[:2], [""], six=True) == ("127.0.0.1",)
    many = [("eth0", f"10.2.0.{number}") for number in range(1, 30)]
    assert len(choose(many, [], six=False)) == MAX_ADDRESSES


def test_an_address_that_is_listened_on_is_the_one_that_is_told() -> None:
    assert addresses_for("2001:db8::9") == ("2001:db8::9",)


def told(ports: MediaPorts) -> list[str]:
    return [line.split()[4] for line in ports.candidates() if " udp " in line]


def test_what_the_world_sees_comes_before_our_own_addresses_and_a_setting_replaces_both() -> None:
    ports = MediaPorts(PortSettings("10.1.0.7", 7882, 7881), ManualClock())
    assert told(ports) == ["10.1.0.7"]
    ports.seen_at("203.0.113.5")
    assert told(ports) == ["203.0.113.5", "10.1.0.7"]
    priorities = [int(line.split()[3]) for line in ports.candidates() if " udp " in line]
    assert priorities == sorted(priorities, reverse=True)
    fixed = MediaPorts(PortSettings("0.0.0.0", 7882, 7881, ("203.0.113.9", "2001:db8::9")), ManualClock())
    fixed.seen_at("203.0.113.5")
    assert told(fixed) == ["203.0.113.9", "2001:db8::9"]


def test_a_stun_server_is_a_host_with_or_without_a_port() -> None:
    assert parse_server("stun.example.org") == ("stun.example.org", 3478)
    assert parse_server("stun:stun.example.org:19302") == ("stun.example.org", 19302)
    assert parse_server("[2001:db8::1]:3479") == ("2001:db8::1", 3479)
    with pytest.raises(ValidationError, match="is not a STUN server"):
        RelaySettings(api_keys={"key": SecretStr("a secret that is long enough")}, stun="stun.example.org:high")
