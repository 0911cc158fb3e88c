"""How people come in: proof → session → access token. The one way to a token, for pages, demo and tests alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from appservice.seams import MatrixPort, RoomView
from bridge import access
from bridge.access import Permissions
from bridge.call_store import CallStore
from bridge.calls import Calls
from bridge.meetings import Meeting, MeetingStore
from bridge.openid import OpenIdVerifier
from bridge.people import guest_person, identity_of, matrix_person
from bridge.sessions import Session, SessionStore
from bridge.settings import BridgeSettings
from bridge.tokens import mint_join_token
from palabre.base.clock import Clock
from palabre.base.ids import MeetingId, RoomId, UserId, loggable

log = structlog.get_logger("entrance")


@dataclass(frozen=True)
class Opened:
    """A session that was just opened. `token` is shown once."""

    token: str
    session: Session
    meeting: Meeting | None


@dataclass(frozen=True)
class Seat:
    """What a LiveKit client needs to join."""

    url: str
    token: str
    identity: str
    name: str
    mode: str
    may: Permissions


class Entrance:
    """Asks the room about the person at every step: what was allowed a minute ago may not be any more."""

    def __init__(
        self,
        settings: BridgeSettings,
        matrix: MatrixPort,
        openid: OpenIdVerifier,
        sessions: SessionStore,
        meetings: MeetingStore,
        store: CallStore,
        calls: Calls,
        clock: Clock,
        ready: Callable[[], Awaitable[object]],
    ) -> None:
        self._settings = settings
        self._matrix = matrix
        self._openid = openid
        self._sessions = sessions
        self._meetings = meetings
        self._store = store
        self._calls = calls
        self._clock = clock
        self._ready = ready

    async def open_with_openid(self, server_name: str, access_token: str, room_id: RoomId) -> Opened:
        """A session for a member of the room, bound to the room's meeting, which is made if there is none."""
        user_id = await self._openid.verify(server_name, access_token)
        view = await self._matrix.view(room_id, user_id)
        access.require_member(view)
        meeting = await self._meeting_of(view, user_id)
        person = matrix_person(user_id, view.display_name)
        token, session = await self._sessions.open(person, meeting.id)
        log.info("session opened", proof="openid", person=loggable(user_id), meeting=loggable(meeting.id))
        return Opened(token, session, meeting)

    async def open_for_dev_user(self, account: str, name: str, user_id: str | None) -> Opened:
        """A session for somebody of the settings' `dev_users`, whose password the caller has checked."""
        person = matrix_person(UserId(user_id), name) if user_id else guest_person(account, name)
        token, session = await self._sessions.open(person, None)
        log.info("session opened", proof="dev", person=loggable(person.key))
        return Opened(token, session, None)

    async def session(self, token: str) -> Session:
        return await self._sessions.find(token)

    async def enter(self, session: Session, meeting_id: MeetingId) -> tuple[Meeting, Permissions]:
        """The meeting and what this person may do there now. Raises `CallerError` for who must stay outside."""
        meeting, _, may = await self._standing(session, meeting_id)
        return meeting, may

    async def join(self, session: Session, meeting_id: MeetingId, device: str) -> Seat:
        """A seat in the meeting's call, which is opened if none is running and the person may open one."""
        meeting, view, may = await self._standing(session, meeting_id)
        identity = identity_of(session.person, device)
        if view is not None and await self._store.open_call(meeting.id) is None:
            access.require_call(view, self._settings.policy)
        call = await self._calls.open(meeting)
        await self._store.expect(call.id, identity, session.person)
        token = mint_join_token(
            self._settings.livekit, call.room, identity, session.person, may, now=self._clock.wall()
        )
        log.info("seat given", call=loggable(call.id), person=loggable(session.person.key))
        return Seat(self._settings.livekit.url, token, identity, session.person.name, meeting.mode, may)

    async def _standing(self, session: Session, meeting_id: MeetingId) -> tuple[Meeting, RoomView | None, Permissions]:
        """The meeting, the room's view of the person (None for guests) and their permissions."""
        await self._ready()
        session.require(meeting_id)
        meeting = await self._meetings.get(meeting_id)
        user_id = session.person.user_id
        view = None if user_id is None else await self._matrix.view(meeting.room, user_id)
        return meeting, view, access.person_in(session.person, view, meeting.mode, self._settings.policy)

    async def _meeting_of(self, view: RoomView, user_id: UserId) -> Meeting:
        found = await self._meetings.of_room(view.room_id)
        if found is not None:
            return found
        access.require_call(view, self._settings.policy)
        return await self._meetings.for_room(
            view.room_id,
            title=view.name,
            mode=access.MODE_SERVER,
            language=self._settings.language,
            created_by=user_id,
        )
