"""Recordings asked for with an API key, as stored: which capture each one is, and what was last told of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from media.relay.seams import EgressFile, EgressState, EgressWish
from palabre.base.database import Database
from palabre.base.ids import CallId

LISTED = 1000  # the newest; a list of more is nobody's wish, and one answer must bear it


@dataclass(frozen=True)
class Egress:
    """Times in seconds since the epoch. What came of it is the capture's: `bridge.egress` puts both together."""

    id: str
    call: CallId
    capture: str
    room_sid: str
    wish: EgressWish
    state: EgressState
    asked_at: float
    updated_at: float
    started_at: float | None = None
    ended_at: float | None = None
    error: str = ""


_SELECT = "SELECT bridge_egress.*, bridge_call.room FROM bridge_egress JOIN bridge_call ON bridge_call.id = call"


class EgressStore:
    """The table `bridge_egress`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, egress: Egress) -> None:
        await self._database.execute(
            """INSERT INTO bridge_egress (id, call, capture, room_sid, track, request, state, asked_at, updated_at,
                                          error)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)""",
            egress.id,
            egress.call,
            egress.capture,
            egress.room_sid,
            egress.wish.track_sid,
            base64.b64encode(egress.wish.request).decode(),
            egress.state.value,
            egress.asked_at,
            egress.updated_at,
            egress.error,
        )

    async def put(self, egress: Egress) -> None:
        """It has changed."""
        await self._database.execute(
            """UPDATE bridge_egress SET state = $2, started_at = $3, updated_at = $4, ended_at = $5, error = $6
               WHERE id = $1""",
            egress.id,
            egress.state.value,
            egress.started_at,
            egress.updated_at,
            egress.ended_at,
            egress.error,
        )

    async def delete(self, egress: str) -> None:
        await self._database.execute("DELETE FROM bridge_egress WHERE id = $1", egress)

    async def get(self, egress: str) -> Egress | None:
        row = await self._database.fetchrow(f"{_SELECT} WHERE bridge_egress.id = $1", egress)
        return None if row is None else _egress(row)

    async def running(self) -> list[Egress]:
        """Those of which something is still to be told, oldest first."""
        return _all(await self._database.fetch(f"{_SELECT} WHERE bridge_egress.ended_at IS NULL ORDER BY asked_at"))

    async def find(self, room: str, egress: str) -> list[Egress]:
        """Newest first; an empty `room` or `egress` is any."""
        rows = await self._database.fetch(
            f"""{_SELECT} WHERE ($1 = '' OR bridge_call.room = $1) AND ($2 = '' OR bridge_egress.id = $2)
                ORDER BY asked_at DESC LIMIT {LISTED}""",
            room,
            egress,
        )
        return _all(rows)

    async def files(self, capture: str, link: str) -> tuple[EgressFile, ...]:
        """What the capture has brought into its room so far, in the order of the posts. `link` and the event's id are
        where somebody finds it."""
        rows = await self._database.fetch(
            """SELECT name, size, details, event_id FROM bridge_artefact
               JOIN bridge_post ON bridge_post.key = bridge_artefact.id
               WHERE bridge_artefact.capture = $1 AND event_id IS NOT NULL AND NOT withdrawn ORDER BY seq""",
            capture,
        )
        return tuple(
            EgressFile(row["name"], f"{link}/{row['event_id']}", row["size"], duration_in(row["details"]))
            for row in rows
        )


def _all(rows: Iterable[Any]) -> list[Egress]:
    return [_egress(row) for row in rows]


def _egress(row: Any) -> Egress:
    return Egress(
        row["id"],
        row["call"],
        row["capture"],
        row["room_sid"],
        EgressWish(row["room"], base64.b64decode(row["request"]), row["track"]),
        EgressState(row["state"]),
        row["asked_at"],
        row["updated_at"],
        row["started_at"],
        row["ended_at"],
        row["error"],
    )


def duration_in(details: str) -> float:
    """Of an artefact's details (`bridge.artefact_store`); 0 for what is no film."""
    return float(json.loads(details).get("duration", 0.0))
