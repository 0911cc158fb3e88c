"""What a room says of somebody, asked wherever it can be: of the bot's own state, else of the homeserver.

While the homeserver is away, what it said last still holds, for a while that the settings limit: calls go on, and
whoever was let in can come back after their network broke.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import OrderedDict

import structlog

from appservice.seams import MatrixPort, RoomView
from bridge import access
from bridge.homeserver_policy import HomeserverPolicy
from bridge.people import Person
from bridge.rights import Permissions
from bridge.settings import BridgeSettings
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import RoomId, UserId

log = structlog.get_logger("rooms")

ANSWER_SECONDS = 5.0  # a homeserver that takes longer to say who is in a room counts as away: somebody waits at a door
PAUSE_SECONDS = 2.0  # after that nobody asks for so long; what it said last is used at once
QUESTIONS_AT_ONCE = 8  # of one homeserver, which has other things to do
REMEMBERED = 10_000  # answers; the people of a thousand calls
AWAY = "homeserver_away"  # the code with which `MatrixPort` says that it could not ask


class RoomQuestions:
    """Concurrency: used from the event loop by whoever asks; `_asking` bounds what the homeserver is asked at a time.

    `_answers` are its last ones about rooms without the bot, the newest last. Of rooms with the bot there is the bot's
    own state, which is as old as its connection.
    """

    def __init__(
        self, matrix: MatrixPort, homeservers: HomeserverPolicy, settings: BridgeSettings, clock: Clock
    ) -> None:
        self._homeservers = homeservers
        self._matrix = matrix
        self._settings = settings
        self._clock = clock
        self._asking = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self._answers: OrderedDict[tuple[RoomId, UserId], tuple[RoomView, float]] = OrderedDict()  # with when
        self._pause_until = 0.0  # monotonic, like all times here
        self._connected_at = clock.monotonic()  # when the bot was last known to hear its homeserver
        self._away = False

    async def permissions(self, person: Person, room_id: RoomId, mode: str) -> Permissions:
        """What somebody may do in a call of that mode now. Raises `CallerError` for who must stay outside."""
        if person.user_id is not None:
            await self._homeservers.require_join(access.server_of(person.user_id))
        view = await self.view(room_id, person.user_id or self._matrix.user_id)
        return access.person_in(person, view, mode, self._settings.policy)

    async def view(self, room_id: RoomId, user_id: UserId) -> RoomView:
        """As `MatrixPort.view`; of a room without the bot, what the homeserver knows of the membership, or "" where
        nobody can know it. Raises `CallerError("homeserver_away")` when nobody could be asked, for too long."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):  # the bot asks too, about those who are not there
                view = await self._matrix.view(room_id, user_id)
        except TimeoutError:
            raise _away() from None
        if not view.bot_joined and user_id != self._matrix.user_id:
            return await self._from_afar(view, user_id)
        now = self._clock.monotonic()
        if self._matrix.connected:
            self._connected_at = now
        elif now - self._connected_at > self._settings.policy.unchecked_seconds:
            raise _away()
        return view

    async def _from_afar(self, view: RoomView, user_id: UserId) -> RoomView:
        """Of a room that the bot is not in: the homeserver's word, or its last one."""
        key = view.room_id, user_id
        try:
            joined = await self._is_joined(*key)
        except CallerError as problem:
            if problem.code != AWAY:
                raise
            return self._last_answer(key)
        if joined is None:
            known = access.JOINED if self._settings.focus.uncheckable_rooms == "allow" else access.UNKNOWN
        else:
            known = access.JOINED if joined else "leave"
        view = dataclasses.replace(view, membership=known)
        self._answers[key] = view, self._clock.monotonic()
        self._answers.move_to_end(key)
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        return view

    def _last_answer(self, key: tuple[RoomId, UserId]) -> RoomView:
        """Raises `CallerError`: there is none, or none that is young enough."""
        last, when = self._answers.get(key, (None, 0.0))
        if last is None or self._clock.monotonic() - when > self._settings.policy.unchecked_seconds:
            raise _away()
        return last

    async def _is_joined(self, room_id: RoomId, user_id: UserId) -> bool | None:
        """Raises `CallerError`: at once where somebody has just found the homeserver away."""
        async with self._asking:
            if self._clock.monotonic() < self._pause_until:
                raise _away()
            try:
                joined = await self._matrix.is_joined(room_id, user_id)
            except CallerError as problem:
                if problem.code == AWAY:
                    self._pause_until = self._clock.monotonic() + PAUSE_SECONDS
                    self._note(away=True)
                raise
        self._note(away=False)
        return joined

    def _note(self, *, away: bool) -> None:
        """Once each time that it changes."""
        if away and not self._away:
            log.warning("the homeserver does not say who is in rooms: what it said last holds")
        elif self._away and not away:
            log.info("the homeserver says again who is in rooms")
        self._away = away


def _away() -> CallerError:
    return CallerError(AWAY, "The homeserver does not answer. Try again in a moment.", status=503)
