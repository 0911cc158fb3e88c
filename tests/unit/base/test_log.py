"""What logs never say."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from palabre.base.log import configure_logs, hide


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer syt_abc.def-123",
        "GET /rtc?access_token=eyJhbGciOi.abc.def&x=1",
        "from 192.168.17.4 port 5000",
        "peer 2001:db8:0:1:2:3:4:5 gone",
        "peer 2001:db8::5 gone",
        "from ::ffff:192.168.17.4 or [2001:db8:17::]:443",
        "no session for @alice.b:matrix.example.org, nor @bob:[2001:db8::1]:8448",
        "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
    ],
)
def test_tokens_and_addresses_are_hidden_wherever_they_stand(text: str) -> None:
    hidden = hide(text)
    for secret in ("syt_abc", "eyJhbGciOi", "192.168", "2001:db8", "alice", "bob", "matrix.example"):
        assert secret not in hidden


def test_times_and_versions_stay_readable() -> None:
    for text in (
        "at 10:21:34, version 0.1.0, 12:30",
        "Rooms::join in std::x, error 12:30: gone",
        "Supervisor at 0x7f00, @property: done",
    ):
        assert hide(text) == text


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    handlers = logging.getLogger().handlers[:]
    configure_logs("info", json=True)
    yield out
    logging.getLogger().handlers[:] = handlers
    structlog.reset_defaults()


def test_a_secret_given_by_name_is_not_written_and_libraries_go_through_the_same_door(written: io.StringIO) -> None:
    structlog.get_logger("bridge").info("joined", token="abc", room="r1")
    logging.getLogger("somelib").warning("calling %s", "https://x/?access_token=abc")
    first, second = (json.loads(line) for line in written.getvalue().splitlines())
    assert first["token"] == "[hidden]"
    assert first["room"] == "r1"
    assert "abc" not in second["event"]


def test_other_libraries_keep_their_own_kind_of_logger(written: io.StringIO) -> None:
    kind = logging.getLoggerClass()
    structlog.get_logger("bridge").info("hello")
    assert logging.getLoggerClass() is kind
