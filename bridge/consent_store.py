"""Where consents are written down: every answer of everybody, in order; the last one counts, the rest is history."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from enum import Enum
from typing import Any

from palabre.base.database import Database
from palabre.base.ids import CallId


class Kind(Enum):
    """What somebody consents to, and what a capture makes."""

    RECORDING = "recording"
    TRANSCRIPTION = "transcription"
    AGENT = "agent"  # to be heard by programs in the call (bridge.agents): nothing is captured by us


CAPTURED = (Kind.RECORDING, Kind.TRANSCRIPTION)


class Answer(Enum):
    """Somebody's consent for one kind in one call."""

    UNASKED = "unasked"
    ASKED = "asked"  # and silent so far
    YES = "yes"
    NO = "no"


@dataclass(frozen=True)
class Evidence:
    """When an answer was given (seconds since the epoch), and, where it came through Matrix, by what it is proven."""

    said_at: float  # as the homeserver claims; it may have come much later
    event_id: str = ""
    device_id: str = ""  # whose keys encrypted the event; empty in rooms without encryption
    fingerprint: str = ""  # of that device: its Ed25519 key
    trust: str = ""  # what cross-signing said of it then: appservice.seams.DeviceTrust


@dataclass(frozen=True)
class Consent:
    """One answer as it was given. `at`, when it took effect, in seconds since the epoch."""

    call: CallId
    person: str
    kind: Kind
    answer: Answer
    how: str  # page, command, event, started, joined, capture_ended
    at: float
    evidence: Evidence | None = None  # None: nobody said anything, it followed from the call


class ConsentStore:
    """The table `bridge_consent`. Only `bridge.consent.ConsentGate` adds to it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, consent: Consent) -> None:
        evidence = consent.evidence
        await self._database.execute(
            """INSERT INTO bridge_consent (seq, call, person, kind, answer, how, at,
                                           said_at, event_id, device_id, fingerprint, device_trust)
               SELECT COALESCE(MAX(seq), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
               FROM bridge_consent WHERE call = $1""",
            consent.call,
            consent.person,
            consent.kind.value,
            consent.answer.value,
            consent.how,
            consent.at,
            *((None,) * 5 if evidence is None else astuple(evidence)),
        )

    async def taken_back_at(self, call: CallId, person: str, kind: Kind) -> float | None:
        """When they last said no, or what they had been asked for ended. A yes from before is overtaken by it."""
        value = await self._database.fetchval(
            """SELECT MAX(COALESCE(said_at, at)) FROM bridge_consent
               WHERE call = $1 AND person = $2 AND kind = $3 AND answer IN ($4, $5)""",
            call,
            person,
            kind.value,
            Answer.NO.value,
            Answer.UNASKED.value,
        )
        return None if value is None else float(value)

    async def answer(self, call: CallId, person: str, kind: Kind) -> Answer:
        value = await self._database.fetchval(
            "SELECT answer FROM bridge_consent WHERE call = $1 AND person = $2 AND kind = $3 ORDER BY seq DESC LIMIT 1",
            call,
            person,
            kind.value,
        )
        return Answer.UNASKED if value is None else Answer(value)

    async def agreed_at(self, call: CallId, person: str, kind: Kind) -> float:
        """Since when somebody whose answer is yes has agreed."""
        value = await self._database.fetchval(
            "SELECT MAX(at) FROM bridge_consent WHERE call = $1 AND person = $2 AND kind = $3 AND answer = $4",
            call,
            person,
            kind.value,
            Answer.YES.value,
        )
        return float(value)

    async def history(self, call: CallId) -> list[Consent]:
        """Every answer in the call, oldest first."""
        rows = await self._database.fetch("SELECT * FROM bridge_consent WHERE call = $1 ORDER BY seq", call)
        return [_consent(row) for row in rows]

    async def answers(self, call: CallId, kind: Kind) -> dict[str, Answer]:
        """The answer that counts of everybody who was ever asked or answered, by person."""
        return {consent.person: consent.answer for consent in await self.history(call) if consent.kind is kind}

    async def room(self, call: CallId) -> str:
        """The call's LiveKit room."""
        return str(await self._database.fetchval("SELECT room FROM bridge_call WHERE id = $1", call))


def _consent(row: Any) -> Consent:
    evidence = None
    if row["said_at"] is not None:
        evidence = Evidence(row["said_at"], row["event_id"], row["device_id"], row["fingerprint"], row["device_trust"])
    kind, answer = Kind(row["kind"]), Answer(row["answer"])
    return Consent(row["call"], row["person"], kind, answer, row["how"], row["at"], evidence)
