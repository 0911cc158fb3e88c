"""What people have asked to be taken out: of one kind in one call, all of theirs up to a moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.consent_store import Evidence, Kind
from palabre.base.database import Database
from palabre.base.ids import CallId


@dataclass(frozen=True)
class Removal:
    """Nothing of `person` from before `until` (seconds since the epoch) may be in what is made of the call."""

    call: CallId
    person: str
    kind: Kind
    until: float
    how: str  # page, command, event
    evidence: Evidence


class RemovalStore:
    """The table `bridge_removal`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, removal: Removal) -> None:
        evidence = removal.evidence
        await self._database.execute(
            """INSERT INTO bridge_removal (call, person, kind, until, how, said_at, event_id, device_id)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING""",
            removal.call,
            removal.person,
            removal.kind.value,
            removal.until,
            removal.how,
            evidence.said_at,
            evidence.event_id,
            evidence.device_id,
        )

    async def of_call(self, call: CallId) -> list[Removal]:
        """Oldest first."""
        rows = await self._database.fetch("SELECT * FROM bridge_removal WHERE call = $1 ORDER BY until", call)
        return [
            Removal(
                row["call"],
                row["person"],
                Kind(row["kind"]),
                row["until"],
                row["how"],
                Evidence(row["said_at"], row["event_id"], row["device_id"]),
            )
            for row in rows
        ]


def removed_until(removals: Iterable[Removal], kind: Kind) -> dict[str, float]:
    """By person, up to when they are taken out."""
    found: dict[str, float] = {}
    for removal in removals:
        if removal.kind is kind:
            found[removal.person] = max(removal.until, found.get(removal.person, removal.until))
    return found
