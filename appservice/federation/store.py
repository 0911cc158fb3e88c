"""The table `matrix_homeserver`. The service and the command line work on it side by side.

Every change of what a server's people may do gets the next `revision`, so that the running service finds what the
command line changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from appservice.events import as_object, decode_json
from appservice.federation.records import Level, Pin, Record
from palabre.base.clock import Clock
from palabre.base.database import Database, transaction

UNDECIDED = 1000  # servers that nobody decided about: strangers' names must not fill the database
SEEN_SECONDS = 60.0  # `last_seen` is not written more often


class HomeserverStore:
    """Names are in small letters, see `ServerName.key`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, name: str) -> Record | None:
        row = await self._database.fetchrow("SELECT * FROM matrix_homeserver WHERE name = $1", name)
        return None if row is None else _record(row)

    async def all(self) -> list[Record]:
        rows = await self._database.fetch("SELECT * FROM matrix_homeserver ORDER BY own DESC, name")
        return [_record(row) for row in rows]

    async def seen(self, name: str) -> bool:
        """Somebody of that server came or wrote. True the first time."""
        now = self._clock.wall()
        record = await self.get(name)
        if record is not None and record.last_seen is not None and abs(now - record.last_seen) < SEEN_SECONDS:
            return False
        await self._database.execute(
            """INSERT INTO matrix_homeserver (name, first_seen, last_seen) VALUES ($1, $2, $2)
               ON CONFLICT (name) DO UPDATE SET last_seen = excluded.last_seen""",
            name,
            now,
        )
        if record is None:
            await self._forget_undecided()
        return record is None

    async def decide(
        self, name: str, level: Level | None, *, listed: bool, own: bool | None = None, note: str | None = None
    ) -> None:
        """What an admin says about a server, new or known. `own` and `note` None: as they are."""
        now = self._clock.wall()
        async with transaction(self._database) as connection:
            await connection.execute(
                "INSERT INTO matrix_homeserver (name, first_seen) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                name,
                now,
            )
            await connection.execute(
                """UPDATE matrix_homeserver SET level = $2, listed = $3, own = COALESCE($4, own),
                     note = COALESCE($5, note), decided_at = $6,
                     revision = (SELECT MAX(revision) + 1 FROM matrix_homeserver) WHERE name = $1""",
                name,
                None if level is None else level.value,
                listed,
                own,
                note,
                now,
            )

    async def pin(self, name: str, pin: Pin) -> None:
        await self._database.execute(
            """UPDATE matrix_homeserver SET address = $2, fingerprint = $3, authority = $4, signing_key = $5,
                 revision = (SELECT MAX(revision) + 1 FROM matrix_homeserver) WHERE name = $1""",
            name,
            pin.address,
            pin.fingerprint,
            pin.authority,
            pin.signing_key,
        )

    async def observed(self, name: str, seen: Mapping[str, Any], *, reached: bool) -> None:
        """The outcome of a check. What was seen last of a server that does not answer now is kept."""
        now = self._clock.wall()
        if reached:
            await self._database.execute(
                """UPDATE matrix_homeserver SET checked_at = $2, failing_since = NULL, observed = $3
                   WHERE name = $1""",
                name,
                now,
                json.dumps(dict(seen)),
            )
            return
        record = await self.get(name)
        kept = {} if record is None else record.observed
        await self._database.execute(
            """UPDATE matrix_homeserver SET checked_at = $2, failing_since = COALESCE(failing_since, $2), observed = $3
               WHERE name = $1""",
            name,
            now,
            json.dumps({**kept, **seen}),
        )

    async def revision(self) -> int:
        return int(await self._database.fetchval("SELECT COALESCE(MAX(revision), 0) FROM matrix_homeserver"))

    async def changed_since(self, revision: int) -> list[Record]:
        rows = await self._database.fetch(
            "SELECT * FROM matrix_homeserver WHERE revision > $1 ORDER BY revision", revision
        )
        return [_record(row) for row in rows]

    async def _forget_undecided(self) -> None:
        await self._database.execute(
            """DELETE FROM matrix_homeserver WHERE name IN (
                 SELECT name FROM matrix_homeserver WHERE decided_at IS NULL AND NOT own
                 ORDER BY last_seen DESC LIMIT 1000 OFFSET $1)""",
            UNDECIDED,
        )


def _record(row: Any) -> Record:
    return Record(
        name=row["name"],
        own=bool(row["own"]),
        level=None if row["level"] is None else Level(row["level"]),
        listed=bool(row["listed"]),
        note=row["note"],
        pin=Pin(row["address"], row["fingerprint"], row["authority"], row["signing_key"]),
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        checked_at=row["checked_at"],
        failing_since=row["failing_since"],
        observed=as_object(decode_json(row["observed"])),
        revision=row["revision"],
    )
