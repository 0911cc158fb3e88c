"""The doctor's sentences name what is wrong and what to change."""

from pathlib import Path

import pytest

from appservice.membership import How, Probe
from palabre.doctor import examine_clock, examine_disk, examine_membership, examine_ping, examine_port


def test_a_clock_within_the_leeway_is_fine_and_one_beyond_is_not() -> None:
    assert examine_clock(-29.0).ok
    finding = examine_clock(-61.0)
    assert not finding.ok
    assert "61 s" in finding.sentence
    assert "timedatectl" in finding.sentence


@pytest.mark.parametrize(
    ("status", "errcode", "names"),
    [
        (401, "M_UNKNOWN_TOKEN", "as_token"),
        (403, "M_FORBIDDEN", "another id"),
        (502, "M_BAD_STATUS", "hs_token"),
        (502, "M_CONNECTION_FAILED", "appservice_url"),
        (504, "M_CONNECTION_TIMEOUT", "appservice_url"),
        (400, "M_URL_NOT_SET", "no url"),
        (500, "M_UNKNOWN", "500"),
    ],
)
def test_each_way_a_ping_fails_names_its_cause(status: int, errcode: str, names: str) -> None:
    finding = examine_ping(status, errcode, "http://127.0.0.1:8470")
    assert not finding.ok
    assert names in finding.sentence


def test_a_ping_that_succeeds_says_that_both_tokens_are_right() -> None:
    assert examine_ping(200, "", "").ok


def test_little_disk_is_said_in_gigabytes(tmp_path: Path) -> None:
    assert examine_disk(tmp_path, 50 << 30).ok
    finding = examine_disk(tmp_path, 1 << 29)
    assert not finding.ok
    assert "0.5 GB" in finding.sentence


def test_a_port_in_use_says_which() -> None:
    finding = examine_port("UDP", 7882, OSError(98, "Address already in use"))
    assert not finding.ok
    assert "UDP port 7882" in finding.sentence


@pytest.mark.parametrize(
    ("found", "admin_user", "names"),
    [
        (Probe(How.MSC4502, 404, "M_UNRECOGNIZED"), "", "msc4502_enabled"),
        (Probe(How.MSC4502, 403, "M_FORBIDDEN"), "", "io.element.msc4502.scopes"),
        (Probe(How.ADMIN, 403, "M_FORBIDDEN"), "@palabre-admin:hs", "/users/@palabre-admin:hs/admin"),
        (Probe(How.ADMIN, 401, "M_UNKNOWN_TOKEN"), "", "appservice.admin_token"),
        (Probe(How.ADMIN, 404, "M_UNRECOGNIZED"), "", "/_synapse/admin"),
        (Probe(How.ADMIN, 404, ""), "", "/_synapse/admin"),
        (Probe(How.ADMIN, 0, ""), "", "does not answer"),
    ],
)
def test_each_way_in_which_members_are_not_told_names_its_cure(found: Probe, admin_user: str, names: str) -> None:
    finding = examine_membership(found, admin_user)
    assert not finding.ok
    assert names in finding.sentence


@pytest.mark.parametrize(
    "found", [Probe(How.NONE, 200, ""), Probe(How.MSC4502, 200, ""), Probe(How.ADMIN, 404, "M_NOT_FOUND")]
)
def test_a_homeserver_that_tells_who_is_in_rooms_is_fine_and_so_is_one_that_is_not_asked(found: Probe) -> None:
    assert examine_membership(found, "").ok
