"""The steps of https://spec.matrix.org/v1.16/server-server-api/#resolving-server-names, one after the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from appservice.federation.names import ServerName, parse_server_name
from appservice.federation.resolving import (
    LIFETIME_DEFAULT,
    LIFETIME_MAX,
    LIFETIME_MIN,
    TARGETS,
    Srv,
    SrvRecord,
    Target,
    WellKnown,
    after_srv,
    after_well_known,
    delegation,
    first,
    lifetime,
    ordered,
)


def name(text: str) -> ServerName:
    parsed = parse_server_name(text)
    assert parsed is not None
    return parsed


def never() -> float:
    raise AssertionError("nothing is left to chance here")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("192.0.2.1", Target("192.0.2.1", 8448, "192.0.2.1")),
        ("192.0.2.1:443", Target("192.0.2.1", 443, "192.0.2.1:443")),
        ("[2001:db8::1]", Target("[2001:db8::1]", 8448, "[2001:db8::1]")),
        ("example.org:9000", Target("example.org", 9000, "example.org:9000")),
    ],
)
def test_an_address_or_a_port_says_it_all_whether_in_the_name_or_delegated_to(text: str, target: Target) -> None:
    assert first(name(text)) == (target,)
    assert after_well_known(WellKnown("other.example"), name(text)) == (target,)


def test_a_bare_name_asks_for_its_well_known_file_and_then_for_srv_records_of_what_it_names() -> None:
    assert first(name("example.org")) == WellKnown("example.org")
    asked = WellKnown("example.org")
    assert after_well_known(asked, None) == Srv("_matrix-fed", "example.org")
    assert after_well_known(asked, name("matrix.example.net")) == Srv("_matrix-fed", "matrix.example.net")


def test_without_new_records_the_old_ones_are_asked_for_and_then_port_8448_is_taken() -> None:
    assert after_srv(Srv("_matrix-fed", "example.org"), (), never) == Srv("_matrix", "example.org")
    assert after_srv(Srv("_matrix", "example.org"), (), never) == (Target("example.org", 8448, "example.org"),)


def test_a_record_says_where_and_the_name_says_who() -> None:
    found = after_srv(Srv("_matrix-fed", "example.org"), [SrvRecord(10, 0, 443, "hs1.example.net.")], lambda: 0.0)
    assert found == (Target("hs1.example.net", 443, "example.org"),)


def test_a_lone_dot_means_that_there_is_no_such_server() -> None:
    assert after_srv(Srv("_matrix-fed", "example.org"), [SrvRecord(0, 0, 0, ".")], never) == ()


def test_targets_that_are_addresses_or_no_hosts_are_left_out_and_only_the_first_few_are_kept() -> None:
    bad = [SrvRecord(0, 0, 8448, target) for target in ("10.0.0.1", "2130706433", "a/b", "a@b")]
    zero = [SrvRecord(0, 0, 0, "port.example")]
    assert after_srv(Srv("_matrix", "example.org"), bad + zero, lambda: 0.0) == ()
    many = [SrvRecord(number, 0, 8448, f"hs{number}.example") for number in range(20)]
    found = after_srv(Srv("_matrix", "example.org"), many, lambda: 0.0)
    assert [target.host for target in found] == [f"hs{number}.example" for number in range(TARGETS)]  # type: ignore[union-attr]


def test_priority_comes_first_and_weight_is_a_chance_among_equals() -> None:
    heavy, light = SrvRecord(1, 90, 8448, "heavy"), SrvRecord(1, 10, 8448, "light")
    spare, none = SrvRecord(2, 100, 8448, "spare"), SrvRecord(1, 0, 8448, "none")
    records = [spare, heavy, light, none]
    assert [one.target for one in ordered(records, lambda: 0.99)] == ["heavy", "light", "none", "spare"]
    assert ordered(records, lambda: 0.05)[0] == light
    assert [one.target for one in ordered([none, SrvRecord(1, 0, 1, "b")], lambda: 0.0)] == ["none", "b"]
    assert [one.target for one in ordered([none, SrvRecord(1, 0, 1, "b")], lambda: 0.5)] == ["b", "none"]


@pytest.mark.parametrize(
    "document", [None, [], {}, {"m.server": 5}, {"m.server": "a b"}, {"m.server": "x/y"}, {"m.server": "2130706433"}]
)
def test_a_delegation_that_makes_no_sense_is_none(document: Any) -> None:
    assert delegation(document) is None


def test_a_well_known_file_holds_as_long_as_it_says_within_bounds() -> None:
    now = datetime(2026, 11, 28, tzinfo=UTC)
    dates = {"Date": format_datetime(now), "Expires": format_datetime(now + timedelta(hours=2))}
    assert lifetime({"Cache-Control": "public, max-age=7200"}) == 7200
    assert lifetime({"Cache-Control": 'max-age="7200"'}) == 7200
    assert lifetime({"Cache-Control": "max-age=0"}) == LIFETIME_MIN
    assert lifetime({"Cache-Control": "no-store"}) == LIFETIME_MIN
    assert lifetime({"Cache-Control": f"max-age={'9' * 11}"}) == LIFETIME_MAX
    assert lifetime({"Cache-Control": f"max-age={'9' * 5000}"}) == LIFETIME_DEFAULT
    assert lifetime({"Cache-Control": "max-age=٣"}) == LIFETIME_DEFAULT
    assert lifetime(dates) == 7200
    assert lifetime({"Expires": "0", "Date": "x"}) == LIFETIME_DEFAULT
    assert lifetime({}) == LIFETIME_DEFAULT
