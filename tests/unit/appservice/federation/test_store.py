"""Homeservers as they are stored, by the service and by the command line at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from appservice.federation.client import NotListedError, Pinned
from appservice.federation.homeservers import Homeservers
from appservice.federation.names import parse_server_name
from appservice.federation.records import Level, Pin
from appservice.federation.settings import HomeserverSettings
from appservice.federation.store import SEEN_SECONDS, UNDECIDED
from appservice.schema import upgrade_table
from palabre.base.clock import ManualClock
from palabre.base.database import open_database
from palabre.base.errors import CallerError

Known = Callable[..., Awaitable[Homeservers]]


@pytest.fixture
async def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def known(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Known]:
    """Makes what a process has, on the same database each time."""
    pools = []

    async def make(**settings: Any) -> Homeservers:
        pool, (database,) = await open_database(f"sqlite:///{tmp_path}/palabre.db", [upgrade_table])
        pools.append(pool)
        return Homeservers(HomeserverSettings(own="example.org", **settings), database, clock)

    yield make
    for pool in pools:
        await pool.stop()


async def test_a_server_that_is_seen_becomes_a_record_once(known: Known, clock: ManualClock) -> None:
    homeservers = await known()
    for _ in range(3):
        await homeservers.seen("Other.Example")
    (record,) = await homeservers.store.all()
    first = clock.wall()
    assert (record.name, record.level, record.first_seen, record.last_seen) == ("other.example", None, first, first)
    clock.advance(SEEN_SECONDS + 1)
    await homeservers.seen("other.example")
    (record,) = await homeservers.store.all()
    assert (record.first_seen, record.last_seen) == (first, clock.wall())
    await homeservers.seen("no server name")
    assert len(await homeservers.store.all()) == 1


async def test_strangers_names_do_not_fill_the_database_and_push_out_no_decision(
    known: Known, clock: ManualClock, monkeypatch
) -> None:
    monkeypatch.setattr("appservice.federation.store.UNDECIDED", 3)
    homeservers = await known()
    await homeservers.store.decide("ministry.example", Level.JOIN, listed=True)
    for number in range(10):
        clock.advance(1)
        await homeservers.seen(f"hs{number}.example")
    names = [record.name for record in await homeservers.store.all()]
    assert names == ["hs7.example", "hs8.example", "hs9.example", "ministry.example"]
    assert UNDECIDED > 100


async def test_what_the_command_line_decides_counts_in_the_service_at_once(known: Known) -> None:
    service, command_line = await known(contact="support@example.org"), await known()
    assert await service.require("other.example") is Level.OPEN
    before = await service.store.revision()
    await command_line.store.decide("other.example", Level.REFUSE, listed=False)
    with pytest.raises(CallerError) as refused:
        await service.require("Other.example:8448")
    assert refused.value.code == "server_not_allowed"
    assert "support@example.org" in refused.value.sentence
    assert [record.name for record in await service.store.changed_since(before)] == ["other.example"]
    await command_line.store.decide("other.example", None, listed=True)
    assert await service.level("other.example") is Level.OPEN
    assert len(await service.store.changed_since(before)) == 1  # the last decision is what counts


async def test_a_closed_federation_takes_addresses_from_the_list_alone(known: Known) -> None:
    homeservers = await known(closed=True, servers=[{"name": "example.org", "url": "http://synapse:8008"}])
    listed, unlisted = parse_server_name("ministry.example"), parse_server_name("other.example")
    own = parse_server_name("example.org")
    assert listed is not None and unlisted is not None and own is not None  # noqa: PT018
    assert await homeservers.level("ministry.example") is Level.REFUSE
    with pytest.raises(NotListedError):
        await homeservers.pinned(listed)
    await homeservers.store.decide("ministry.example", None, listed=True)
    await homeservers.store.pin("ministry.example", Pin(address="https://gateway.example:8448"))
    assert await homeservers.pinned(listed) == Pinned("https://gateway.example:8448")
    assert await homeservers.pinned(own) == Pinned("http://synapse:8008")
    assert await homeservers.level("ministry.example") is Level.OPEN
    with pytest.raises(NotListedError):
        await homeservers.pinned(unlisted)


async def test_since_when_a_server_fails_and_what_was_seen_of_it_before_are_kept(
    known: Known, clock: ManualClock
) -> None:
    store = (await known()).store
    await store.seen("other.example")
    await store.observed("other.example", {"version": "Synapse 1.163"}, reached=True)
    clock.advance(60)
    failing = clock.wall()
    for _ in range(2):
        await store.observed("other.example", {"problem": "no answer"}, reached=False)
        clock.advance(60)
    record = await store.get("other.example")
    assert record is not None
    assert (record.failing_since, record.checked_at) == (failing, clock.wall() - 60)
    assert record.observed == {"version": "Synapse 1.163", "problem": "no answer"}
    await store.observed("other.example", {"version": "Synapse 1.164"}, reached=True)
    record = await store.get("other.example")
    assert record is not None
    assert (record.failing_since, record.observed) == (None, {"version": "Synapse 1.164"})


async def test_the_own_server_is_always_among_the_known(known: Known) -> None:
    homeservers = await known()
    ((record, level),) = await homeservers.known()
    assert (record.name, record.own, level) == ("example.org", True, Level.OPEN)
