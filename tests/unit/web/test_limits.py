from __future__ import annotations

import pytest

from palabre.base.errors import CallerError
from web.limits import REMEMBERED, Rate, RateLimit, caller_address


def allowed(limit: RateLimit, key: str, now: float) -> bool:
    try:
        limit.take(key, now)
    except CallerError as refusal:
        return refusal.code != "too_many_requests"
    return True


def test_a_burst_is_allowed_and_then_as_many_as_time_brings_back() -> None:
    limit = RateLimit(Rate(burst=3, per_second=1.0))
    assert [allowed(limit, "a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert allowed(limit, "b", 0.0)
    assert [allowed(limit, "a", 2.0) for _ in range(3)] == [True, True, False]


def test_a_refusal_says_when_to_come_back() -> None:
    limit = RateLimit(Rate(burst=1, per_second=0.1))
    limit.take("a", 0.0)
    with pytest.raises(CallerError) as caught:
        limit.take("a", 0.0)
    assert (caught.value.status, caught.value.params["retry_after"]) == (429, 11)


def test_the_number_of_buckets_is_bounded() -> None:
    limit = RateLimit(Rate(burst=1, per_second=0.001))
    for number in range(REMEMBERED + 10):
        limit.take(str(number), 0.0)
    assert len(limit._buckets) == REMEMBERED


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        ("198.51.100.7", "", (), "198.51.100.7"),
        ("198.51.100.7", "10.0.0.1", (), "198.51.100.7"),  # nobody is believed unless named
        ("127.0.0.1", "198.51.100.7", ("127.0.0.1",), "198.51.100.7"),
        ("127.0.0.1", "1.2.3.4, 198.51.100.7", ("127.0.0.0/8",), "198.51.100.7"),  # the client wrote the first
        ("127.0.0.1", "198.51.100.7, 127.0.0.2", ("127.0.0.0/8",), "198.51.100.7"),
        ("127.0.0.1", "garbage", ("127.0.0.1",), "unknown"),
        ("2001:db8:1:2:3:4:5:6", "", (), "2001:db8:1:2::/64"),
        ("", "", (), "unknown"),
    ],
)
def test_whose_request_it_is(peer: str, forwarded: str, trusted: tuple[str, ...], address: str) -> None:
    assert caller_address(peer, forwarded, trusted) == address
