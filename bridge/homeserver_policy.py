"""Which homeservers' people may come into calls here, and which may open them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bridge.settings import OpenIdSettings
from palabre.base.errors import CallerError


@dataclass(frozen=True)
class Standing:
    """What the people of a homeserver may do on our relay."""

    may_join: bool
    may_open: bool


class HomeserverPolicy(Protocol):
    async def standing(self, server_name: str) -> Standing:
        """As an admin or the settings decided, now."""
        ...

    async def require_join(self, server_name: str) -> None:
        """Raises `CallerError("server_not_allowed")`."""
        ...


class SettingsPolicy:
    """Implements `HomeserverPolicy` from the settings alone: whoever may come in may also open."""

    def __init__(self, settings: OpenIdSettings) -> None:
        self._allowed = frozenset(settings.allowed)

    async def standing(self, server_name: str) -> Standing:
        allowed = not self._allowed or server_name in self._allowed
        return Standing(may_join=allowed, may_open=allowed)

    async def require_join(self, server_name: str) -> None:
        if not (await self.standing(server_name)).may_join:
            raise CallerError(
                "server_not_allowed", f"People of {server_name} may not come in here.", status=403, server=server_name
            )
