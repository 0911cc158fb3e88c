"""The bot's own secrets, sealed in the database: its recovery key and the seeds of its cross-signing identity.

Not for what others entrust to us: this seals with one key, derived from `AppserviceSettings.secret`.
"""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appservice.errors import StartError
from palabre.base.database import Database


class WrongSecretError(StartError):
    """What is stored was sealed with another `secret`."""


def derive_key(secret: str, purpose: str) -> str:
    """A key of 256 bits for one purpose, as URL-safe base64. The secret is random, so no stretching is needed."""
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"palabre {purpose}".encode()).derive(secret.encode())
    return base64.urlsafe_b64encode(derived).decode()


class Vault:
    """Named secrets in `matrix_secret`."""

    def __init__(self, database: Database, secret: str) -> None:
        self._database = database
        self._cipher = Fernet(derive_key(secret, "vault"))

    async def get(self, name: str) -> str | None:
        """Raises `WrongSecretError`."""
        sealed = await self._database.fetchval("SELECT sealed FROM matrix_secret WHERE name=$1", name)
        if sealed is None:
            return None
        try:
            return self._cipher.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise WrongSecretError(
                "The bot's keys in the database were sealed with another secret: set the old one again."
            ) from None

    async def put(self, name: str, value: str) -> None:
        sealed = self._cipher.encrypt(value.encode()).decode()
        query = "INSERT INTO matrix_secret (name, sealed) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET sealed=$2"
        await self._database.execute(query, name, sealed)
