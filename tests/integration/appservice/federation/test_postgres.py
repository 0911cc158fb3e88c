"""Homeserver records on PostgreSQL: the same statements, by the service and by the command line at once."""

from __future__ import annotations

from appservice.federation.homeservers import Homeservers
from appservice.federation.records import Level, Pin
from appservice.federation.settings import HomeserverSettings
from appservice.federation.store import UNDECIDED
from appservice.schema import upgrade_table
from palabre.base.clock import ManualClock
from palabre.base.database import open_database


async def test_records_are_kept_decided_and_pinned_on_postgresql(postgres_url: str) -> None:
    clock, settings = ManualClock(), HomeserverSettings(own="example.org")
    pools = []
    try:
        both = []
        for _ in range(2):
            pool, (database,) = await open_database(postgres_url, [upgrade_table])
            pools.append(pool)
            both.append(Homeservers(settings, database, clock))
        service, command_line = both
        assert await service.store.seen("ministry.example")
        assert not await service.store.seen("ministry.example")
        before = await service.store.get("ministry.example")
        assert before is not None
        await command_line.store.decide("ministry.example", Level.OPEN, listed=True, note="by contract 12")
        await command_line.store.pin("ministry.example", Pin(address="https://gateway.example:8448"))
        await command_line.store.decide("evil.example", Level.REFUSE, listed=False)
        await service.store.observed("ministry.example", {"version": "Synapse 1"}, reached=False)
        record = await service.store.get("ministry.example")
        assert record is not None
        assert (record.level, record.listed, record.note) == (Level.OPEN, True, "by contract 12")
        assert record.pin.address == "https://gateway.example:8448"
        assert record.failing_since == clock.wall()
        await service.store.observed("ministry.example", {"version": "Synapse 2"}, reached=True)
        record = await service.store.get("ministry.example")
        assert record is not None
        assert record.failing_since is None
        for number in range(UNDECIDED + 5):  # strangers' names push one another out, and no decision
            clock.advance(1)
            await service.store.seen(f"stranger{number}.example")
        names = {record.name for record in await command_line.store.all()}
        assert {"ministry.example", "evil.example", f"stranger{UNDECIDED + 4}.example"} <= names
        assert "stranger0.example" not in names
    finally:
        for pool in pools:
            await pool.stop()
