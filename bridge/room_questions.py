"""What a room says of somebody, asked wherever it can be: of the bot's own state, else of the homeserver."""

from __future__ import annotations

import dataclasses

from appservice.seams import MatrixPort, RoomView
from bridge import access
from bridge.settings import BridgeSettings
from palabre.base.ids import RoomId, UserId


class RoomQuestions:
    def __init__(self, matrix: MatrixPort, settings: BridgeSettings) -> None:
        self._matrix = matrix
        self._settings = settings

    async def view(self, room_id: RoomId, user_id: UserId) -> RoomView:
        """As `MatrixPort.view`; of a room without the bot, what the homeserver knows of the membership, or
        `access.UNKNOWN` where nobody can know it. Raises `CallerError("homeserver_away")`.
        """
        view = await self._matrix.view(room_id, user_id)
        if view.bot_joined:
            return view
        joined = await self._matrix.is_joined(room_id, user_id)
        if joined is None:
            allowed = self._settings.focus.uncheckable_rooms == "allow"
            return dataclasses.replace(view, membership=access.JOINED if allowed else access.UNKNOWN)
        return dataclasses.replace(view, membership=access.JOINED if joined else "leave")
