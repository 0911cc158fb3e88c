"""One-time codes that confirm dangerous commands: six digits, for one sender and one command, good once, for minutes.

The code stands in the room alone. What is stored is a keyed hash over all of it, since six digits are quickly tried.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets

from palabre.base.clock import Clock
from palabre.base.database import Database, transaction
from palabre.base.errors import CallerError
from palabre.base.ids import RoomId, UserId

DIGITS = 6
LIFETIME = 300.0  # seconds: long enough to read twice, too short to be found in the scrollback
ATTEMPTS = 5  # wrong codes: with a million codes nobody guesses one in so many


class Confirmations:
    """The table `matrix_confirmation`. `key` is secret and stays the same over restarts."""

    def __init__(self, database: Database, key: bytes, clock: Clock) -> None:
        self._database = database
        self._key = key
        self._clock = clock

    async def ask(self, sender: UserId, room_id: RoomId, command: tuple[str, ...]) -> str:
        """A code for this command, in place of any that the sender was given before."""
        code = "".join(secrets.choice("0123456789") for _ in range(DIGITS))
        await self._database.execute(
            """INSERT INTO matrix_confirmation (sender, room_id, command, code_hash, expires_at)
               VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (sender) DO UPDATE SET room_id = excluded.room_id, command = excluded.command,
                 code_hash = excluded.code_hash, expires_at = excluded.expires_at, attempts = 0""",
            sender,
            room_id,
            json.dumps(command),
            self._hash(sender, room_id, command, code),
            self._clock.wall() + LIFETIME,
        )
        return code

    async def redeem(self, sender: UserId, room_id: RoomId, code: str) -> tuple[str, ...]:
        """The command that the code confirms; it is used up. Raises `CallerError("code_wrong")`."""
        row = await self._database.fetchrow("SELECT * FROM matrix_confirmation WHERE sender = $1", sender)
        if row is None or row["room_id"] != room_id or row["expires_at"] <= self._clock.wall():
            raise _wrong()
        command = tuple(str(word) for word in json.loads(row["command"]))
        if not hmac.compare_digest(row["code_hash"], self._hash(sender, room_id, command, code)):
            await self._note_failure(sender)
            raise _wrong()
        await self._database.execute("DELETE FROM matrix_confirmation WHERE sender = $1", sender)
        return command

    async def _note_failure(self, sender: UserId) -> None:
        async with transaction(self._database) as connection:
            await connection.execute("UPDATE matrix_confirmation SET attempts = attempts + 1 WHERE sender = $1", sender)
            await connection.execute(
                "DELETE FROM matrix_confirmation WHERE sender = $1 AND attempts >= $2", sender, ATTEMPTS
            )

    def _hash(self, sender: UserId, room_id: RoomId, command: tuple[str, ...], code: str) -> str:
        message = json.dumps([sender, room_id, list(command), code]).encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


def _wrong() -> CallerError:
    return CallerError("code_wrong", "That code is wrong, used up or too old. Write the command again.", status=403)
