"""Small parts that bound what strangers and peers cost: failed checks per host, time per peer; and addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.relay.transport import limiter
from media.relay.transport.address import plain_address
from media.relay.transport.budget import Budget
from media.relay.transport.limiter import MAX_FAILURES, WINDOW, FailureLimiter


def test_a_host_that_fails_too_often_is_not_read_until_the_window_ends() -> None:
    failures = FailureLimiter()
    for _ in range(MAX_FAILURES):
        assert not failures.blocked("192.0.2.1", 10.0)
        failures.failed("192.0.2.1")
    assert failures.blocked("192.0.2.1", 10.5)
    assert not failures.blocked("192.0.2.2", 10.5)
    assert not failures.blocked("192.0.2.1", 10.0 + WINDOW)


def test_a_flood_from_more_hosts_than_are_remembered_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "MAX_ADDRESSES", 5)
    failures = FailureLimiter()
    for number in range(MAX_FAILURES + 5):
        failures.blocked(str(number), 0.0)
        failures.failed(str(number))
    assert len(failures._failures) <= 6
    assert failures.blocked("another", 0.1)
    assert not failures.blocked("3", 0.1)


def test_work_within_its_share_never_waits() -> None:
    budget = Budget(share=0.25, burst=0.1, now=0.0)
    assert all(budget.spend(0.02, tenth / 10) == 0 for tenth in range(1, 100))


def test_a_burst_is_free_and_what_exceeds_it_is_waited_off() -> None:
    budget = Budget(share=0.25, burst=0.1, now=0.0)
    assert budget.spend(0.1, 0.0) == 0
    assert budget.spend(0.1, 0.0) == pytest.approx(0.4)


@given(st.lists(st.floats(0.0001, 0.05), min_size=1, max_size=200))
def test_whoever_waits_as_told_gets_the_share_and_a_burst_at_most(costs: list[float]) -> None:
    budget, now, spent = Budget(share=0.25, burst=0.1, now=0.0), 0.0, 0.0
    for cost in costs:
        now += cost
        spent += cost
        now += budget.spend(cost, now)
        assert spent <= 0.25 * now + 0.1 + 1e-9


@pytest.mark.parametrize(
    ("given_by_socket", "known_to_peer"),
    [
        (("192.0.2.1", 5000), ("192.0.2.1", 5000)),
        (("::ffff:192.0.2.1", 5000, 0, 0), ("192.0.2.1", 5000)),
        (("2001:db8::1", 5000, 0, 0), ("2001:db8::1", 5000)),
        (("fe80::1%eth0", 5000, 0, 2), ("fe80::1", 5000)),
    ],
)
def test_a_peer_is_told_the_address_that_it_knows(
    given_by_socket: tuple[object, ...], known_to_peer: tuple[str, int]
) -> None:
    assert plain_address(given_by_socket) == known_to_peer
