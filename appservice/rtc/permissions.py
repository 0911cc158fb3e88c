"""Gives a room the power levels that its calls need, where the bot may: when somebody asks, or by setting."""

from __future__ import annotations

import structlog
from mautrix.api import Method, Path
from mautrix.errors import MatrixRequestError, MNotFound

from appservice.api import HomeserverApi, as_caller_error
from appservice.events import as_object
from appservice.roomstore import RoomStore
from appservice.rtc.levels import POWER_LEVELS, call_levels, mended
from appservice.seams import CallLevels
from palabre.base.ids import loggable

log = structlog.get_logger("matrix")


class CallPermissions:
    """Of the rooms that the bot is in."""

    def __init__(self, api: HomeserverApi, store: RoomStore, bot: str) -> None:
        self._api = api
        self._store = store
        self._bot = bot

    async def look(self, room_id: str) -> CallLevels:
        return call_levels(await self._store.state(room_id), self._bot)

    async def mend(self, room_id: str) -> CallLevels:
        """Write what is missing, if the bot may. Returns what is missing now. Raises `CallerError`."""
        found = await self.look(room_id)
        if not found.missing or not found.may_mend:
            return found
        path = Path.v3.rooms[room_id].state[POWER_LEVELS]
        try:
            try:
                levels = as_object(await self._api.request(Method.GET, path))
            except MNotFound:
                levels = {}
            await self._api.request(Method.PUT, path, mended(levels, found.missing))
        except MatrixRequestError as problem:
            raise as_caller_error(problem) from problem
        log.info("power levels for calls written", room=loggable(room_id), types=len(found.missing))
        return CallLevels({}, found.needed, found.may_mend)
