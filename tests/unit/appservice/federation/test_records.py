"""What the people of a homeserver may do, by what admins and settings say."""

from __future__ import annotations

from appservice.federation.names import ServerName, parse_server_name
from appservice.federation.records import Level, Record, Rules, State, level_of, state_of, without_port

RULES = Rules("example.org")


def level(text: str, record: Record | None = None, rules: Rules = RULES, host: Record | None = None) -> Level:
    name = parse_server_name(text)
    assert name is not None
    return level_of(name, record, host, rules)


def test_where_nobody_decided_the_settings_do() -> None:
    for default in Level:
        assert level("other.example", rules=Rules("example.org", default)) is default
        assert level("other.example", Record("other.example"), Rules("example.org", default)) is default


def test_a_decision_stands_above_the_settings() -> None:
    closed = Rules("example.org", Level.REFUSE, closed=True, allowed=("ministry.example",))
    assert level("other.example", Record("other.example", level=Level.JOIN, listed=True), closed) is Level.JOIN
    assert level("other.example", Record("other.example", level=Level.REFUSE)) is Level.REFUSE


def test_the_own_server_may_always_open_calls() -> None:
    closed = Rules("example.org", Level.REFUSE, closed=True, allowed=("ministry.example",))
    assert level("Example.ORG", Record("example.org", level=Level.REFUSE), closed) is Level.OPEN
    assert level("second.example", Record("second.example", own=True), closed) is Level.OPEN


def test_a_closed_federation_lets_in_whom_it_lists() -> None:
    closed = Rules("example.org", Level.JOIN, closed=True)
    assert level("other.example", rules=closed) is Level.REFUSE
    assert level("other.example", Record("other.example", last_seen=1.0), closed) is Level.REFUSE
    assert level("other.example", Record("other.example", listed=True), closed) is Level.JOIN


def test_the_settings_may_name_the_servers_that_come_in() -> None:
    rules = Rules("example.org", allowed=("Ministry.example",))
    assert level("ministry.example", rules=rules) is Level.OPEN
    assert level("other.example", rules=rules) is Level.REFUSE


def test_a_refused_host_is_refused_on_every_port_unless_somebody_allowed_that_port() -> None:
    refused = Record("evil.example", level=Level.REFUSE)
    assert level("evil.example:8448", host=refused) is Level.REFUSE
    allowed = Record("evil.example:8448", level=Level.JOIN)
    assert level("evil.example:8448", allowed, host=refused) is Level.JOIN
    assert level("other.example:8448", host=Record("other.example", level=Level.JOIN)) is Level.OPEN


def test_a_name_without_its_port_is_the_bare_host() -> None:
    def bare(text: str) -> ServerName | None:
        name = parse_server_name(text)
        assert name is not None
        return without_port(name)

    assert bare("example.org") is None
    assert (found := bare("example.org:1")) is not None
    assert found.key == "example.org"


def test_a_server_is_own_federated_or_refused() -> None:
    assert state_of(Record("example.org"), Level.OPEN, RULES) is State.OWN
    assert state_of(Record("other.example"), Level.JOIN, RULES) is State.FEDERATED
    assert state_of(Record("other.example"), Level.REFUSE, RULES) is State.REFUSED
