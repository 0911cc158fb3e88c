"""The focus: who gets a token for a room's call as a MatrixRTC client, whichever way they proved who they are.

Front ends read requests and prove users: `web.focus` by OpenID token, as lk-jwt-service's routes. Here it is decided:
the user's homeserver must be welcome, the user in the room, the room's call of a mode that such clients can join, and
opening a call allowed to them. The Matrix room and the user are asked again when the relay admits the token's holder.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from appservice.seams import RoomView
from bridge import access
from bridge.call_store import ROOM_NAME_LENGTH, Call, CallStore
from bridge.calls import Calls
from bridge.client_api import ClientApis
from bridge.focus_requests import CALL_SLOT, Asked, Delay, OpenIdToken
from bridge.homeserver_policy import HomeserverPolicy
from bridge.leaving import DelegatedLeaves
from bridge.meetings import Meeting, MeetingStore
from bridge.modes import MODE_AUTO, MODE_END_TO_END, Way, opened_mode, require_way
from bridge.openid import OpenIdVerifier
from bridge.people import Person, hashed_identity, matrix_person, proxied_identity, rtc_identity
from bridge.rights import Permissions
from bridge.room_questions import RoomQuestions
from bridge.settings import BridgeSettings
from bridge.tokens import mint_focus_token
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import RoomId, UserId, loggable, random_id

log = structlog.get_logger("focus")

FULL_ACCESS_ONLY = "Delegation of delayed events is only supported for full access users"  # the reference's words


@dataclass(frozen=True)
class FocusSeat:
    """What a MatrixRTC client needs to connect to the relay."""

    url: str
    jwt: str


@dataclass(frozen=True)
class _Place:
    """A room's meeting, and what its call is to somebody who may come in."""

    meeting: Meeting
    view: RoomView
    person: Person
    identity: str
    may: Permissions

    @property
    def encrypted(self) -> bool:
        """A room that the bot is not in counts as encrypted: only clients that know for themselves may come there."""
        return self.view.encrypted or not self.view.bot_joined


class Focus:
    """Concurrency: keeps nothing; every answer is decided anew."""

    def __init__(
        self,
        settings: BridgeSettings,
        rooms: RoomQuestions,
        openid: OpenIdVerifier,
        policy: HomeserverPolicy,
        meetings: MeetingStore,
        store: CallStore,
        calls: Calls,
        leaves: DelegatedLeaves,
        apis: ClientApis,
        clock: Clock,
        ready: Callable[[], Awaitable[object]],
    ) -> None:
        self._settings = settings
        self._rooms = rooms
        self._openid = openid
        self._policy = policy
        self._meetings = meetings
        self._store = store
        self._calls = calls
        self._leaves = leaves
        self._apis = apis
        self._clock = clock
        self._ready = ready

    async def verify(self, token: OpenIdToken, asked: Asked) -> UserId:
        """Whose OpenID token it is. Raises `CallerError`; 401 says no more than the reference does."""
        try:
            user_id = await self._openid.verify(token.server_name, token.access_token)
        except CallerError as refusal:
            if refusal.code == "server_not_allowed":
                raise
            raise _unauthorized() from refusal
        if asked.claimed_user_id not in (None, user_id):
            raise _unauthorized()
        return user_id

    async def require_member(self, user_id: UserId, room_id: RoomId) -> None:
        """Raises `CallerError` for who is not in the room."""
        access.require_joined(await self._rooms.view(room_id, user_id))

    async def seat(self, user_id: UserId, asked: Asked) -> FocusSeat:
        """A token for `user_id`, whose proof the caller has checked. Raises `CallerError`."""
        await self._ready()
        place = await self._place(user_id, asked)
        standing = await self._policy.standing(access.server_of(user_id))
        if asked.delay is not None and not standing.may_open:
            raise CallerError("M_BAD_JSON", FULL_ACCESS_ONLY)
        base_url = "" if asked.delay is None else await self._apis.find(access.server_of(user_id))
        call = await self._call(place, may_open=standing.may_open)
        if call is None:
            log.info("no call to join", person=loggable(user_id))
            return self._nowhere(place)
        require_way(call.mode, Way.MATRIX_RTC, encrypted=place.encrypted)
        await self._store.expect(call.id, place.identity, place.person, counts=not asked.member_id)
        log.info("seat given", call=loggable(call.id), person=loggable(user_id), mode=call.mode, way="matrix_rtc")
        if asked.delay is not None:
            await self._delegate(place, base_url, asked.delay)
        return self._seat(call.room, place)

    async def delegate(self, user_id: UserId, asked: Asked) -> None:
        """Take over the leaving of somebody who has a seat, or is about to ask for one. Raises `CallerError`."""
        await self._ready()
        if asked.delay is None:
            raise ValueError("nothing to delegate")
        if not (await self._policy.standing(access.server_of(user_id))).may_open:
            raise CallerError("M_FORBIDDEN", FULL_ACCESS_ONLY, status=403)
        place = await self._place(user_id, asked)
        await self._delegate(place, await self._apis.find(access.server_of(user_id)), asked.delay)

    async def _call(self, place: _Place, *, may_open: bool) -> Call | None:
        """The call to join: opened where there is none, for whoever may. Raises `CallerError`.

        Others only find what runs. A call may end between the look and the token, and it must not come back for them.
        """
        running = await self._store.open_call(place.meeting.id)
        if running is None and may_open:
            access.require_call(place.view, self._settings.policy)
            mode = opened_mode(place.meeting.mode, Way.MATRIX_RTC, encrypted=place.encrypted)
            return await self._calls.open(place.meeting, mode)
        if running is not None and may_open and access.may_call(place.view, self._settings.policy):
            return await self._calls.open(place.meeting, running.mode)
        return running

    async def _delegate(self, place: _Place, base_url: str, delay: Delay) -> None:
        meeting = place.meeting.id
        await self._leaves.delegate(meeting, place.identity, place.person.key, base_url, delay)
        call = await self._store.open_call(meeting)
        if call is not None and self._calls.is_present(call, place.identity):
            await self._leaves.present(meeting, place.identity)

    def _seat(self, room: str, place: _Place) -> FocusSeat:
        livekit = self._settings.livekit
        token = mint_focus_token(livekit, room, place.identity, place.may, now=self._clock.wall())
        return FocusSeat(livekit.url, token)

    def _nowhere(self, place: _Place) -> FocusSeat:
        """For a homeserver whose people may only join: clients learn from the relay that there is nothing to join."""
        return self._seat(random_id("call-", ROOM_NAME_LENGTH), place)

    async def _place(self, user_id: UserId, asked: Asked) -> _Place:
        """Everything about who asks and where, checked. Raises `CallerError`."""
        if asked.slot_id != CALL_SLOT:
            raise CallerError("M_BAD_JSON", f"A room has one call here, in the slot {CALL_SLOT}")
        identity = identity_for(user_id, asked)
        await self._policy.require_join(access.server_of(user_id))
        view = await self._rooms.view(asked.room_id, user_id)
        access.require_joined(view)
        meeting = await self._meetings.for_room(
            asked.room_id, title=view.name, mode=MODE_AUTO, language=self._settings.language, created_by=user_id
        )
        person = matrix_person(user_id, view.display_name)
        may = access.person_in(person, view, MODE_END_TO_END, self._settings.policy)  # to members modes are the same
        return _Place(meeting, view, person, identity, may)


def identity_for(user_id: UserId, asked: Asked) -> str:
    """Raises `CallerError` for a device that no identity can be made of."""
    if asked.through_homeserver:
        return proxied_identity(user_id, asked.member_id)
    plain = rtc_identity(user_id, asked.device_id)  # also for hashes: such a device is refused whichever way it comes
    return hashed_identity(user_id, asked.device_id, asked.member_id) if asked.member_id else plain


def _unauthorized() -> CallerError:
    return CallerError("M_UNAUTHORIZED", "The request could not be authorised.", status=401)
