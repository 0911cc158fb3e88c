"""Captures as stored: a recording or transcription of one call, from its start to the posting of what it made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from bridge.consent_store import Kind
from bridge.people import Person
from palabre.base.database import Database
from palabre.base.ids import CallId


class State(Enum):
    """How far a capture is. What was interrupted by a crash goes on from here."""

    RUNNING = "running"
    ENDED = "ended"  # raw tracks are on disk, artefacts are to be made
    RENDERED = "rendered"  # artefacts are in the store and their posts written down
    POSTED = "posted"  # acknowledged; the raw tracks are deleted
    FAILED = "failed"  # said in the room; raw tracks and artefacts are kept for a while


@dataclass(frozen=True)
class OneTrack:
    """What a capture is of that is not of everybody."""

    sid: str
    of: Person


@dataclass(frozen=True)
class Capture:
    """Times in seconds since the epoch. `interrupted`: the service died while it ran."""

    id: str
    call: CallId
    kind: Kind
    started_by: Person
    started_at: float
    ended_at: float | None
    interrupted: bool
    state: State
    attempts: int = 0  # to make the artefacts
    tracks_deleted: bool = False
    revision: int = 1  # counts how often the artefacts had to be made anew because somebody was taken out
    track: str = ""  # its sid: nothing but this track is captured; empty: everybody's
    track_of: str = ""  # the person whose track it is

    def concerns(self, person: str) -> bool:
        """Whether anything of theirs would be captured if they agreed."""
        return self.track_of in ("", person)


class CaptureStore:
    """The tables `bridge_capture` and `bridge_unreached`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def exists(self, capture: str) -> bool:
        return bool(await self._database.fetchval("SELECT 1 FROM bridge_capture WHERE id = $1", capture))

    async def begin(self, capture: Capture) -> None:
        """Store a new one. Its call must have none of this kind running."""
        await self._database.execute(
            """INSERT INTO bridge_capture (id, call, kind, started_by, started_name, started_at, state, track, track_of)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
            capture.id,
            capture.call,
            capture.kind.value,
            capture.started_by.key,
            capture.started_by.name,
            capture.started_at,
            capture.state.value,
            capture.track,
            capture.track_of,
        )

    async def end(self, capture: str, at: float, *, interrupted: bool) -> None:
        await self._database.execute(
            "UPDATE bridge_capture SET ended_at = $2, interrupted = $3, state = $4 WHERE id = $1 AND state = $5",
            capture,
            at,
            interrupted,
            State.ENDED.value,
            State.RUNNING.value,
        )

    async def revise(self, capture: str) -> None:
        """Make the artefacts anew, as if they had never been made. One that runs goes on.

        Its row is changed in any case, so that no end of it and no making passes this by.
        """
        await self._database.execute(
            """UPDATE bridge_capture SET attempts = 0, revision = revision + 1,
                                         state = CASE WHEN state = $2 THEN state ELSE $3 END WHERE id = $1""",
            capture,
            State.RUNNING.value,
            State.ENDED.value,
        )

    async def of_call(self, call: CallId) -> list[Capture]:
        """Oldest first."""
        rows = await self._database.fetch("SELECT * FROM bridge_capture WHERE call = $1 ORDER BY started_at", call)
        return [_capture(row) for row in rows]

    async def advance(self, capture: str, state: State) -> None:
        await self._database.execute("UPDATE bridge_capture SET state = $2 WHERE id = $1", capture, state.value)

    async def retry(self, capture: str, *, attempts: int) -> None:
        """A failed one is to be made again, as if it had been tried that often."""
        await self._database.execute(
            "UPDATE bridge_capture SET state = $2, attempts = $3 WHERE id = $1", capture, State.ENDED.value, attempts
        )

    async def count_attempt(self, capture: str) -> int:
        """One more try to make the artefacts; returns which one it is."""
        await self._database.execute("UPDATE bridge_capture SET attempts = attempts + 1 WHERE id = $1", capture)
        return int(await self._database.fetchval("SELECT attempts FROM bridge_capture WHERE id = $1", capture))

    async def tracks_deleted(self, capture: str, at: float) -> None:
        await self._database.execute("UPDATE bridge_capture SET tracks_deleted_at = $2 WHERE id = $1", capture, at)

    async def note_unreached(self, capture: str, person: str, name: str) -> None:
        """Somebody in the call whose media go to another relay, so that nothing of theirs can be captured here."""
        await self._database.execute(
            "INSERT INTO bridge_unreached (capture, person, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            capture,
            person,
            name,
        )

    async def unreached(self, capture: str) -> list[str]:
        """Their names."""
        rows = await self._database.fetch(
            "SELECT name FROM bridge_unreached WHERE capture = $1 ORDER BY person", capture
        )
        return [row["name"] for row in rows]

    async def find(self, capture: str) -> Capture | None:
        row = await self._database.fetchrow("SELECT * FROM bridge_capture WHERE id = $1", capture)
        return None if row is None else _capture(row)

    async def get(self, capture: str) -> Capture:
        found = await self.find(capture)
        assert found is not None, "a capture is never deleted while something names it"
        return found

    async def in_state(self, state: State) -> list[Capture]:
        """Oldest first."""
        rows = await self._database.fetch(
            "SELECT * FROM bridge_capture WHERE state = $1 ORDER BY started_at", state.value
        )
        return [_capture(row) for row in rows]

    async def past_forgetting(self, call_ended_before: float) -> list[Capture]:
        """Those posted whose raw tracks are still there, and whose call ended before."""
        rows = await self._database.fetch(
            """SELECT bridge_capture.* FROM bridge_capture JOIN bridge_call ON bridge_call.id = bridge_capture.call
               WHERE state = $1 AND tracks_deleted_at IS NULL AND bridge_call.ended_at <= $2
               ORDER BY bridge_capture.started_at""",
            State.POSTED.value,
            call_ended_before,
        )
        return [_capture(row) for row in rows]

    async def with_tracks(self, state: State, ended_before: float) -> list[Capture]:
        """Captures in this state, ended before, whose raw tracks are still there."""
        rows = await self._database.fetch(
            """SELECT * FROM bridge_capture
               WHERE state = $1 AND ended_at < $2 AND tracks_deleted_at IS NULL ORDER BY started_at""",
            state.value,
            ended_before,
        )
        return [_capture(row) for row in rows]


def _capture(row: Any) -> Capture:
    return Capture(
        row["id"],
        row["call"],
        Kind(row["kind"]),
        Person(row["started_by"], row["started_name"]),
        row["started_at"],
        row["ended_at"],
        bool(row["interrupted"]),
        State(row["state"]),
        row["attempts"],
        row["tracks_deleted_at"] is not None,
        row["revision"],
        row["track"],
        row["track_of"],
    )
