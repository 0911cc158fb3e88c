"""Sessions of the call page: an opaque random token stands for a person who proved who they are, for a while.

The token is shown once, to whoever proved it; the table holds its hash, so that a stolen database opens nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from enum import Enum

from bridge.people import Person
from palabre.base.clock import Clock
from palabre.base.database import Database, transaction
from palabre.base.errors import CallerError
from palabre.base.ids import MeetingId

TOKEN_BYTES = 32
TOKEN_LIMIT = 128  # characters: longer ones are not hashed
SESSIONS_PER_PERSON = 20  # tabs and devices; the oldest goes when there are more


class Proof(Enum):
    """How the holder of a session proved who they are."""

    OPENID = "openid"  # a Matrix client vouched for them: it can exchange media keys, too
    LINK = "link"  # a sign-in of the page


@dataclass(frozen=True)
class Session:
    """`meeting` None: every meeting that the person may join."""

    person: Person
    meeting: MeetingId | None
    expires_at: float  # seconds since the epoch
    proof: Proof = Proof.LINK

    def require(self, meeting: MeetingId) -> None:
        """Raises `CallerError("wrong_meeting")` for a session that was opened for another one."""
        if self.meeting is not None and self.meeting != meeting:
            raise CallerError("wrong_meeting", "You signed in for another meeting. Open this one again.", status=403)


class SessionStore:
    """The table `bridge_session`."""

    def __init__(self, database: Database, clock: Clock, ttl: float) -> None:
        self._database = database
        self._clock = clock
        self._ttl = ttl

    async def open(self, person: Person, meeting: MeetingId | None, proof: Proof = Proof.LINK) -> tuple[str, Session]:
        """A new session and its token. Throws out what has expired and the person's oldest above the limit."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now = self._clock.wall()
        session = Session(person, meeting, now + self._ttl, proof)
        async with transaction(self._database) as connection:
            await connection.execute("DELETE FROM bridge_session WHERE expires_at <= $1", now)
            await connection.execute(
                """DELETE FROM bridge_session WHERE token_hash IN (
                     SELECT token_hash FROM bridge_session WHERE person = $1
                     ORDER BY expires_at DESC LIMIT 1000 OFFSET $2)""",
                person.key,
                SESSIONS_PER_PERSON - 1,
            )
            await connection.execute(
                """INSERT INTO bridge_session (token_hash, person, name, meeting, expires_at, proof)
                   VALUES ($1, $2, $3, $4, $5, $6)""",
                _hash(token),
                person.key,
                person.name,
                meeting,
                session.expires_at,
                proof.value,
            )
        return token, session

    async def find(self, token: str) -> Session:
        """Raises `CallerError("session_expired")` for a token that is unknown, expired or no token at all."""
        row = None
        if 0 < len(token) <= TOKEN_LIMIT:
            row = await self._database.fetchrow("SELECT * FROM bridge_session WHERE token_hash = $1", _hash(token))
        if row is None or row["expires_at"] <= self._clock.wall():
            raise CallerError("session_expired", "You are not signed in any more. Open the page again.", status=401)
        person = Person(row["person"], row["name"])
        return Session(person, row["meeting"], row["expires_at"], Proof(row["proof"]))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
