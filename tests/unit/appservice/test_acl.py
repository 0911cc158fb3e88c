from __future__ import annotations

import fnmatch
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appservice.acl import glob_matches, is_ip_literal, server_allowed, without_port
from tests.unit.appservice.test_transaction import json_values

small = st.text("ab*?.", max_size=12)
names = st.text("ab.", max_size=12)


@pytest.mark.parametrize(
    ("server", "acl", "allowed"),
    [
        ("evil.com", None, True),
        ("evil.com", {}, False),  # absent `allow` is empty
        ("evil.com", {"allow": ["*"]}, True),
        ("evil.com", {"allow": ["*"], "deny": ["evil.com"]}, False),
        ("EVIL.com", {"allow": ["*"], "deny": ["evil.COM"]}, False),
        ("evil.com:8448", {"allow": ["*"], "deny": ["evil.com"]}, False),
        ("sub.evil.com", {"allow": ["*"], "deny": ["*.evil.com"]}, False),
        ("evil.com", {"allow": ["*"], "deny": ["*.evil.com"]}, True),
        ("good.org", {"allow": ["good.org"]}, True),
        ("good.org:8448", {"allow": ["good.org"]}, True),
        ("good.org:8448", {"allow": ["good.org:8448"]}, True),
        ("agood.org", {"allow": ["good.org"]}, False),
        ("good.org", {"allow": ["g??d.org"]}, True),
        ("god.org", {"allow": ["g??d.org"]}, False),
        ("good.org", {"allow": ["*"], "deny": ["good.org"], "allow_ip_literals": True}, False),
        ("1.2.3.4", {"allow": ["*"]}, True),
        ("1.2.3.4", {"allow": ["*"], "allow_ip_literals": False}, False),
        ("1.2.3.4:8448", {"allow": ["*"], "allow_ip_literals": False}, False),
        ("[2001:db8::1]", {"allow": ["*"], "allow_ip_literals": False}, False),
        ("[2001:db8::1]:8448", {"allow": ["*"], "allow_ip_literals": False}, False),
        ("1.2.3.4.org", {"allow": ["*"], "allow_ip_literals": False}, True),
        ("1.2.3.4", {"allow": ["*"], "allow_ip_literals": "no"}, True),  # only `false` says so
        ("good.org", {"allow": "*"}, False),
        ("good.org", {"allow": ["*"], "deny": "good.org"}, True),
        ("good.org", {"allow": [7, None, "*"], "deny": [7]}, True),
    ],
)
def test_the_list_decides_as_the_specification_says(server: str, acl: dict[str, Any] | None, allowed: bool) -> None:
    assert server_allowed(server, acl) is allowed


@given(small, names)
@example("a**b", "ab")
@example("*", "")
@example("", "")
def test_globs_match_as_those_of_the_shell(pattern: str, name: str) -> None:
    assert glob_matches(pattern, name) is (re.match(fnmatch.translate(pattern), name) is not None)


def test_no_pattern_makes_matching_slow() -> None:
    """A regular expression would take longer than the universe has."""
    assert not glob_matches("*a" * 30_000 + "b", "a" * 255)
    assert not glob_matches("*?a" * 20_000 + "b", "a" * 255)
    assert glob_matches("*" * 60_000 + "a", "a" * 255)


@given(st.text(max_size=300), json_values, json_values, json_values)
def test_any_json_is_a_list(server: str, allow: object, deny: object, literals: object) -> None:
    content = {"allow": allow, "deny": deny, "allow_ip_literals": literals}
    assert not server_allowed(server, content) or allow, "who is on no list is not allowed"


@given(st.text("abAB.-:[]0123456789", min_size=1, max_size=40))
def test_a_denied_name_is_denied_whatever_else_the_list_says(server: str) -> None:
    assert not server_allowed(server, {"allow": ["*", server], "deny": [server]})


@pytest.mark.parametrize(
    ("server", "host"),
    [
        ("a.org", "a.org"),
        ("a.org:1", "a.org"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
        ("::1", "::1"),
        ("a.org:", "a.org:"),
        ("", ""),
    ],
)
def test_the_port_is_what_follows_the_last_colon_outside_brackets(server: str, host: str) -> None:
    assert without_port(server) == host


def test_addresses_are_told_from_names() -> None:
    assert is_ip_literal("127.0.0.1")
    assert is_ip_literal("[::1]")
    assert not is_ip_literal("127.0.0.1.example.org")
    assert not is_ip_literal("256.0.0.1")
