"""Which homeservers' people may come into calls here, and which may open them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import structlog

from appservice.federation.homeservers import Homeservers
from appservice.federation.names import parse_server_name, server_of
from appservice.federation.records import Level
from bridge.call_store import CallStore
from media.relay.seams import RelayControl
from palabre.base.errors import CallerError
from palabre.base.ids import UserId, loggable

log = structlog.get_logger("federation")


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
        """Raises `CallerError("server_not_allowed")` with whom to ask."""
        ...

    async def require_open(self, server_name: str) -> None:
        """Raises `CallerError`, `server_not_allowed` or `server_may_only_join`."""
        ...

    async def seen(self, server_name: str) -> None:
        """Somebody proved to be of that server, or tried to get in with its name."""
        ...


class StoredPolicy:
    """Implements `HomeserverPolicy` with the records that admins manage."""

    def __init__(self, homeservers: Homeservers) -> None:
        self._homeservers = homeservers

    async def standing(self, server_name: str) -> Standing:
        level = await self._homeservers.level(server_name)
        return Standing(may_join=level is not Level.REFUSE, may_open=level is Level.OPEN)

    async def require_join(self, server_name: str) -> None:
        await self._homeservers.require(server_name)

    async def require_open(self, server_name: str) -> None:
        if await self._homeservers.require(server_name) is not Level.OPEN:
            contact = self._homeservers.contact
            raise CallerError(
                "server_may_only_join",
                f"People of {server_name} may join calls here but not open them. Whom to ask: {contact}.",
                status=403,
                server=server_name,
                contact=contact,
            )

    async def seen(self, server_name: str) -> None:
        await self._homeservers.seen(server_name)


class EverybodyMayCome:
    """Implements `HomeserverPolicy` where nothing is decided."""

    async def standing(self, server_name: str) -> Standing:
        return Standing(may_join=True, may_open=True)

    async def require_join(self, server_name: str) -> None:
        """They may."""

    async def require_open(self, server_name: str) -> None:
        """They may."""

    async def seen(self, server_name: str) -> None:
        """Nobody keeps a list."""


class RefusedLeave:
    """Implements `appservice.federation.homeservers.HomeserverListener`: a refused server's people leave every call."""

    def __init__(self, policy: HomeserverPolicy, calls: CallStore, relay: RelayControl) -> None:
        self._policy = policy
        self._calls = calls
        self._relay = relay

    async def standing_changed(self, server_name: str) -> None:
        """Also those of the same host on other ports, whose standing follows from it."""
        for call in await self._calls.all_open():
            for attendance in await self._calls.attendances(call.id):
                user_id = attendance.person.user_id
                if user_id is None or not _of_host(user_id, server_name):
                    continue
                if not (await self._policy.standing(server_of(user_id))).may_join:
                    await self._remove(call.room, attendance.identity, user_id)

    async def _remove(self, room: str, identity: str, user_id: UserId) -> None:
        try:
            await self._relay.remove_participant(room, identity)
        except CallerError:  # they are not there
            return
        log.info("removed from the call: their homeserver is refused", person=loggable(user_id))


def _of_host(user_id: UserId, server_name: str) -> bool:
    theirs, changed = parse_server_name(server_of(user_id)), parse_server_name(server_name)
    return theirs is not None and changed is not None and theirs.host.lower() == changed.host.lower()
