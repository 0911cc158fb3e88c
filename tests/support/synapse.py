"""Real homeservers for tests, as pytest fixtures around `palabre.demo.homeserver`.

* `homeserver`: one Synapse for the whole run, with `SLOTS` application services registered on it. Fast and shared:
  use names of your own (`unique_name("alice")`).
* `appservice_slot`: one of those registrations, not used by any other test, with its port on 127.0.0.1.
* `new_homeserver`: makes a Synapse of one's own, for tests that restart it, federate or configure it.

When a test that uses one of them fails, the end of the server's log stands in the report.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from palabre.demo.homeserver import Homeserver, free_port

SLOTS = 150  # more than there are tests that run a bot on the shared homeserver; an idle registration costs little

_numbers = itertools.count(1)
_running: list[Homeserver] = []


@dataclass(frozen=True)
class AppserviceSlot:
    """An application service that the shared homeserver knows. Users and aliases begin with `prefix`."""

    id: str
    port: int
    as_token: str
    hs_token: str
    prefix: str  # "palabre7-": the namespace is @palabre7-.*:server and #palabre7-.*:server
    bot_localpart: str  # "palabre7-bot"
    server_name: str
    homeserver_url: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def registration(self) -> dict[str, Any]:
        server = self.server_name.replace(".", r"\.")
        return {
            "id": self.id,
            "url": self.url,
            "as_token": self.as_token,
            "hs_token": self.hs_token,
            "sender_localpart": f"_{self.id}",
            "rate_limited": False,
            "namespaces": {
                "users": [{"exclusive": True, "regex": f"^@{self.prefix}.*:{server}$"}],
                "aliases": [{"exclusive": True, "regex": f"^#{self.prefix}.*:{server}$"}],
                "rooms": [],
            },
            "io.element.msc4190": True,
        }


def unique_name(stem: str) -> str:
    """A localpart that no other test of this run uses."""
    return f"{stem}{next(_numbers)}"


def make_slot(server: Homeserver, name: str) -> AppserviceSlot:
    """A registration for `server`; append its `.registration()` to `server.registrations` before it starts."""
    return AppserviceSlot(
        id=name,
        port=free_port(),
        as_token=f"as-token-of-{name}-for-tests-only-0123456789",
        hs_token=f"hs-token-of-{name}-for-tests-only-0123456789",
        prefix=f"{name}-",
        bot_localpart=f"{name}-bot",
        server_name=server.server_name,
        homeserver_url=server.url,
    )


@pytest.fixture(scope="session")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Homeserver, Iterator[AppserviceSlot]]]:
    server = Homeserver(tmp_path_factory.mktemp("synapse"))
    slots = [make_slot(server, f"palabre{number}") for number in range(SLOTS)]
    server.registrations.extend(slot.registration() for slot in slots)
    with server.running():
        _running.append(server)
        yield server, iter(slots)
        _running.remove(server)


@pytest.fixture(scope="session")
def homeserver(_shared: tuple[Homeserver, Iterator[AppserviceSlot]]) -> Homeserver:
    """The shared Synapse."""
    return _shared[0]


@pytest.fixture
def appservice_slot(_shared: tuple[Homeserver, Iterator[AppserviceSlot]]) -> AppserviceSlot:
    """A registration on the shared Synapse for this test alone."""
    slot = next(_shared[1], None)
    assert slot is not None, f"more than {SLOTS} tests run a bot on the shared homeserver: raise SLOTS"
    return slot


@pytest.fixture
def new_homeserver(tmp_path: Path) -> Iterator[Callable[..., Homeserver]]:
    """`new_homeserver(federation=True, …)`: takes what `Homeserver` takes, not yet started; stopped after the test."""
    made: list[Homeserver] = []

    def make(**options: Any) -> Homeserver:
        server = Homeserver(tmp_path / f"synapse{len(made)}", **options)
        made.append(server)
        _running.append(server)
        return server

    yield make
    for server in made:
        server.stop()
        _running.remove(server)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    used = {"homeserver", "appservice_slot", "new_homeserver"} & set(getattr(item, "fixturenames", ()))
    if report.failed and used:
        for server in _running:
            report.sections.append((f"Synapse {server.server_name}", server.log_tail()))
    return report
