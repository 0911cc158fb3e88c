"""Which machines may be called when a stranger chose the name."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from palabre.base.addresses import AddressRules, unmapped

PUBLIC = AddressRules()
OWN_NETWORK = AddressRules(allow_private=True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "10.1.2.3",
        "172.31.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "fd12::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:0:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
    ],
)
def test_a_private_address_is_refused_in_every_notation_unless_allowed(address):
    assert PUBLIC.refuse_address(address) is not None
    assert OWN_NETWORK.refuse_address(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "2002:a9fe:a9fe::",
        "fe80::1",
        "fe80::1%eth0",
        "224.0.0.1",
        "255.255.255.255",
        "ff02::1",
        "198.18.0.1",
        "240.0.0.1",
        "64:ff9b:1::7f00:1",
        "not an address",
        "",
    ],
)
def test_what_no_server_has_is_refused_whatever_the_setting(address):
    assert PUBLIC.refuse_address(address) is not None
    assert OWN_NETWORK.refuse_address(address) is not None


@pytest.mark.parametrize("address", ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_a_public_address_is_called(address):
    assert PUBLIC.refuse_address(address) is None


@given(st.ip_addresses())
def test_nothing_that_python_knows_to_be_local_is_called(address):
    inner = unmapped(address)
    local = inner.is_private or inner.is_loopback or inner.is_link_local or inner.is_multicast or inner.is_unspecified
    if local:
        assert PUBLIC.refuse_address(str(address)) is not None


def test_the_address_inside_another_is_found():
    assert unmapped(ip_address("::ffff:10.0.0.1")) == ip_address("10.0.0.1")
    assert unmapped(ip_address("2002:0a00:0001::")) == ip_address("10.0.0.1")
    assert unmapped(ip_address("2606:4700::1111")) == ip_address("2606:4700::1111")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "http:///nobody",
        "https://example.org:22/",
        "https://example.org:6379/",
        "https://user:secret@example.org/",
        "/relative",
        "",
    ],
)
def test_only_the_web_on_its_own_ports_is_called(url):
    assert PUBLIC.refuse_url(URL(url)) is not None


def test_ports_are_a_setting_and_open_where_private_addresses_are():
    assert PUBLIC.refuse_url(URL("https://example.org:8448/")) is None
    assert OWN_NETWORK.refuse_url(URL("http://127.0.0.1:20123/")) is None
    narrow = AddressRules(allow_private=True, ports=frozenset({8008}))
    assert narrow.refuse_url(URL("http://synapse:8008/")) is None
    assert narrow.refuse_url(URL("http://synapse:443/")) is not None
