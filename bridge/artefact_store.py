"""Artefacts as stored: sealed files that were made of a capture, and what a post needs to know about each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.capture_store import Capture
from palabre.base.database import Database
from palabre.base.ids import stable_id


@dataclass(frozen=True)
class Artefact:
    """One file. `path` is below the capture's folder of artefacts, `size` in bytes as people get it, unsealed."""

    id: str
    capture: str
    name: str
    mime_type: str
    size: int
    path: str
    details: dict[str, Any]  # of a film: width, height, duration in seconds, poster: {path, width, height}

    @property
    def is_film(self) -> bool:
        return self.mime_type.startswith("video/")


def artefact_id(capture: Capture, name: str) -> str:
    """The same file made again after a crash is the same artefact, and is posted under the same key."""
    return stable_id("artefact", *revised(capture), name)


def revised(capture: Capture) -> tuple[str, ...]:
    """What names a capture and how often its artefacts had to be made anew, for keys of what is posted of it."""
    return (capture.id,) if capture.revision == 1 else (capture.id, str(capture.revision))


class ArtefactStore:
    """The table `bridge_artefact`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def replace(self, capture: str, artefacts: Sequence[Artefact]) -> None:
        """These are the capture's artefacts, in this order."""
        await self._database.execute("DELETE FROM bridge_artefact WHERE capture = $1", capture)
        for artefact in artefacts:
            await self._database.execute(
                """INSERT INTO bridge_artefact (id, capture, name, mime_type, size, path, details)
                   VALUES ($1, $2, $3, $4, $5, $6, $7)""",
                artefact.id,
                artefact.capture,
                artefact.name,
                artefact.mime_type,
                artefact.size,
                artefact.path,
                json.dumps(artefact.details),
            )

    async def get(self, artefact: str) -> Artefact:
        row = await self._database.fetchrow("SELECT * FROM bridge_artefact WHERE id = $1", artefact)
        assert row is not None, "a post names an artefact that was stored with it"
        return _artefact(row)


def _artefact(row: Any) -> Artefact:
    return Artefact(
        row["id"],
        row["capture"],
        row["name"],
        row["mime_type"],
        row["size"],
        row["path"],
        json.loads(row["details"]),
    )
