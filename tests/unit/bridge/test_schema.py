"""A database of an earlier version is brought up to date with what it holds."""

from __future__ import annotations

from pathlib import Path

import bridge.schema
from bridge.call_store import CallStore
from bridge.meetings import MeetingStore
from palabre.base.clock import ManualClock
from palabre.base.database import UpgradeTable, open_database
from palabre.base.ids import MeetingId


async def test_calls_sessions_and_meetings_from_before_there_were_modes_are_to_the_server(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bridge.db'}"
    first = UpgradeTable(version_table_name="bridge_version", database_name="bridge")
    first.register(bridge.schema._version_1, description="as it was")
    pool, (old,) = await open_database(url, [first])
    await old.execute(
        """INSERT INTO bridge_meeting (id, room_id, title, mode, language, created_by, created_at)
           VALUES ('m', '!r:example.org', 'Budget', 'server', 'fr', '@a:example.org', 0)"""
    )
    await old.execute("INSERT INTO bridge_call (id, meeting, room, created_at, alive_at) VALUES ('c', 'm', 'r', 0, 0)")
    for token, meeting in (("widget", "m"), ("link", None)):
        await old.execute("INSERT INTO bridge_session VALUES ($1, '@a:example.org', 'A', $2, 1e12)", token, meeting)
    await pool.stop()

    pool, (new,) = await open_database(url, [bridge.schema.upgrade_table])
    try:
        assert (await MeetingStore(new, ManualClock()).get(MeetingId("m"))).mode == "server"
        call = await CallStore(new, ManualClock()).by_room("r")
        assert call is not None
        assert call.mode == "server"
        rows = await new.fetch("SELECT token_hash, proof FROM bridge_session ORDER BY token_hash")
        assert [tuple(row) for row in rows] == [("link", "link"), ("widget", "openid")]
    finally:
        await pool.stop()
