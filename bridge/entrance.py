"""How people come in: proof → session → access token. The one way to a token, for pages, demo and tests alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from appservice.federation.names import server_of
from appservice.seams import MatrixPort, RoomView
from bridge import access
from bridge.call_store import Call, CallStore
from bridge.calls import Calls
from bridge.homeserver_policy import HomeserverPolicy
from bridge.meetings import Meeting, MeetingStore
from bridge.modes import (
    MODE_AUTO,
    MODE_END_TO_END,
    MODE_SERVER,
    Way,
    end_to_end_only,
    opened_mode,
    require_way,
    shown_mode,
)
from bridge.openid import OpenIdVerifier
from bridge.people import Person, guest_person, identity_of, matrix_person, rtc_identity
from bridge.rights import Permissions
from bridge.sessions import Proof, Session, SessionStore
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
    mode: str  # of the call
    may: Permissions
    service_url: str = ""  # of a seat for a MatrixRTC client: the focus that its member event names


@dataclass(frozen=True)
class Standing:
    """A meeting and what somebody may do there now."""

    meeting: Meeting
    view: RoomView | None  # the room's view of the person; None for guests
    call: Call | None  # the one that is running
    mode: str  # of that call, or what this person's would get
    encrypted: bool  # the room
    may: Permissions


class Entrance:
    """Asks the room about the person at every step: what was allowed a minute ago may not be any more."""

    def __init__(
        self,
        settings: BridgeSettings,
        matrix: MatrixPort,
        openid: OpenIdVerifier,
        homeservers: HomeserverPolicy,
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
        self._homeservers = homeservers
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
        access.require_rule(user_id, view, self._settings.policy)
        access.require_member(view)
        meeting = await self._meeting_of(view, user_id)
        person = matrix_person(user_id, view.display_name)
        token, session = await self._sessions.open(person, meeting.id, Proof.OPENID)
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

    async def enter(self, session: Session, meeting_id: MeetingId) -> Standing:
        """The meeting and what this person may do there now. Raises `CallerError` for who must stay outside."""
        await self._ready()
        session.require(meeting_id)
        meeting = await self._meetings.get(meeting_id)
        user_id = session.person.user_id
        if user_id is not None:
            await self._homeservers.require_join(server_of(user_id))
        room = await self._matrix.view(meeting.room, user_id or self._matrix.user_id)
        access.require_bot(room)
        view = None if user_id is None else room
        call = await self._store.open_call(meeting.id)
        if call is not None:
            mode = call.mode
        elif session.proof is Proof.OPENID:
            mode = shown_mode(meeting.mode, encrypted=room.encrypted)
        else:
            mode = MODE_END_TO_END if meeting.mode == MODE_END_TO_END else MODE_SERVER
        may = access.person_in(session.person, room, mode, self._settings.policy)
        return Standing(meeting, view, call, mode, room.encrypted, may)

    async def join(self, session: Session, meeting_id: MeetingId, device: str, mode: str = MODE_SERVER) -> Seat:
        """A seat in the meeting's call, which is opened if none is running and the person may open one.

        `mode` is what the page can do: `MODE_END_TO_END` for one that takes part in MatrixRTC inside a client that
        vouched for its user; `device` is then that client's Matrix device.
        """
        standing = await self.enter(session, meeting_id)
        if mode == MODE_END_TO_END and session.proof is not Proof.OPENID:
            raise end_to_end_only()
        way = Way.MATRIX_RTC if mode == MODE_END_TO_END else Way.LINK
        identity = _identity(session, device, way)
        meeting, encrypted = standing.meeting, standing.encrypted
        call = standing.call
        if call is None:
            if standing.view is not None:
                await self._require_call(standing.view, session.person)
            call = await self._calls.open(meeting, opened_mode(meeting.mode, way, encrypted=encrypted))
        elif await self._may_call(standing.view, session.person):  # for others one that is just ending stays ended
            call = await self._calls.open(meeting, call.mode)
        require_way(call.mode, way, encrypted=encrypted)  # somebody else may have opened it meanwhile
        await self._store.expect(call.id, identity, session.person)
        token = mint_join_token(
            self._settings.livekit, call.room, identity, session.person, standing.may, now=self._clock.wall()
        )
        log.info("seat given", call=loggable(call.id), person=loggable(session.person.key), mode=call.mode)
        service_url = self._settings.focus_url if way is Way.MATRIX_RTC else ""
        return Seat(
            self._settings.livekit.url, token, identity, session.person.name, call.mode, standing.may, service_url
        )

    async def _require_call(self, view: RoomView, person: Person) -> None:
        """May this member open a call that is not running yet: by their homeserver, and by the room?"""
        if person.user_id is not None:
            await self._homeservers.require_open(server_of(person.user_id))
        access.require_call(view, self._settings.policy)

    async def _may_call(self, view: RoomView | None, person: Person) -> bool:
        """The same as a question. Guests, of whom no room says anything, come by a meeting's link and may."""
        if view is None or person.user_id is None:
            return True
        standing = await self._homeservers.standing(server_of(person.user_id))
        return standing.may_open and access.may_call(view, self._settings.policy)

    async def _meeting_of(self, view: RoomView, user_id: UserId) -> Meeting:
        found = await self._meetings.of_room(view.room_id)
        if found is not None:
            return found
        await self._require_call(view, matrix_person(user_id))
        return await self._meetings.for_room(
            view.room_id,
            title=view.name,
            mode=MODE_AUTO,
            language=self._settings.language,
            created_by=user_id,
        )


def _identity(session: Session, device: str, way: Way) -> str:
    user_id = session.person.user_id
    if way is Way.MATRIX_RTC and user_id is not None:
        return rtc_identity(user_id, device)
    return identity_of(session.person, device)
