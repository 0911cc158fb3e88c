"""What is a server name."""

from __future__ import annotations

import pytest

from appservice.federation.names import parse_server_name, server_of


@pytest.mark.parametrize(
    ("text", "host", "port", "is_address"),
    [
        ("example.org", "example.org", None, False),
        ("Example.ORG:8448", "Example.ORG", 8448, False),
        ("localhost", "localhost", None, False),
        ("192.0.2.1", "192.0.2.1", None, True),
        ("192.0.2.1:443", "192.0.2.1", 443, True),
        ("[2001:db8::1]", "[2001:db8::1]", None, True),
        ("[::ffff:10.0.0.1]:8448", "[::ffff:10.0.0.1]", 8448, True),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", None, False),
        ("1.example", "1.example", None, False),
    ],
)
def test_a_name_has_a_host_and_perhaps_a_port(text: str, host: str, port: int | None, is_address: bool) -> None:
    name = parse_server_name(text)
    assert name is not None
    assert (name.host, name.port, name.is_address, name.key) == (host, port, is_address, text.lower())


@pytest.mark.parametrize(
    "text",
    [
        *("", "a b", "a/b", "user@host", "host?x", "host#x", "host:", "host:0", "host:65536", "host:123456", "host:8x"),
        *("[::1", "::1", "[]", "[::1]x", "[1.2.3.4]", "[fe80::1%eth0]", "a\n", "a" * 300, "a..b", ".a", "localhost."),
        *("-a.example", "a-.example", "a_b.example", "x" * 64 + ".example", "host:٣"),
        # What resolvers take for an address that is not written as one, and letters that look like others.
        *("2130706433", "0x7f.1", "0x7f.0.0.1", "127.1", "0177.0.0.1", "1.2.3.256", "1.2.3.4.5", "0", "0x"),
        *("bücher.example", "gоv.example", "ex\u0000ample.org", "example。org"),
    ],
)
def test_what_is_no_server_name_is_none(text: str) -> None:
    assert parse_server_name(text) is None


def test_a_user_id_ends_with_the_whole_name_of_its_server() -> None:
    assert server_of("@a:localhost:8448") == "localhost:8448"
