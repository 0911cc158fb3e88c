"""Where consents are written down: every answer of everybody, in order; the last one counts, the rest is history."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from palabre.base.database import Database
from palabre.base.ids import CallId


class Kind(Enum):
    """What somebody consents to, and what a capture makes."""

    RECORDING = "recording"
    TRANSCRIPTION = "transcription"


class Answer(Enum):
    """Somebody's consent for one kind in one call."""

    UNASKED = "unasked"
    ASKED = "asked"  # and silent so far
    YES = "yes"
    NO = "no"


@dataclass(frozen=True)
class Consent:
    """One answer as it was given. `at` in seconds since the epoch."""

    call: CallId
    person: str
    kind: Kind
    answer: Answer
    how: str  # page, command, started, joined, capture_ended
    at: float


class ConsentStore:
    """The table `bridge_consent`. Only `bridge.consent.ConsentGate` adds to it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, consent: Consent) -> None:
        await self._database.execute(
            """INSERT INTO bridge_consent (seq, call, person, kind, answer, how, at)
               SELECT COALESCE(MAX(seq), 0) + 1, $1, $2, $3, $4, $5, $6 FROM bridge_consent WHERE call = $1""",
            consent.call,
            consent.person,
            consent.kind.value,
            consent.answer.value,
            consent.how,
            consent.at,
        )

    async def answer(self, call: CallId, person: str, kind: Kind) -> Answer:
        value = await self._database.fetchval(
            "SELECT answer FROM bridge_consent WHERE call = $1 AND person = $2 AND kind = $3 ORDER BY seq DESC LIMIT 1",
            call,
            person,
            kind.value,
        )
        return Answer.UNASKED if value is None else Answer(value)

    async def history(self, call: CallId) -> list[Consent]:
        """Every answer in the call, oldest first."""
        rows = await self._database.fetch(
            "SELECT person, kind, answer, how, at FROM bridge_consent WHERE call = $1 ORDER BY seq", call
        )
        return [
            Consent(call, row["person"], Kind(row["kind"]), Answer(row["answer"]), row["how"], row["at"])
            for row in rows
        ]

    async def answers(self, call: CallId, kind: Kind) -> dict[str, Answer]:
        """The answer that counts of everybody who was ever asked or answered, by person."""
        return {consent.person: consent.answer for consent in await self.history(call) if consent.kind is kind}

    async def room(self, call: CallId) -> str:
        """The call's LiveKit room."""
        return str(await self._database.fetchval("SELECT room FROM bridge_call WHERE id = $1", call))
