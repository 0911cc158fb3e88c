"""Asked by the relay at every join and resume: may the holder of this token come in, now?

A token says what was true when it was given; this asks again what can have changed since.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

from appservice.federation.names import server_of
from bridge import access
from bridge.call_store import CallStore
from bridge.homeserver_policy import HomeserverPolicy
from bridge.meetings import MeetingStore
from bridge.room_questions import RoomQuestions
from bridge.settings import RoomPolicy
from bridge.tokens import identity_attributes
from media.relay.seams import Grants
from palabre.base.errors import CallerError

# Word for word: livekit-client and Element Call look for it where a call was to be joined and there is none.
NO_ROOM = "requested room does not exist"


class CallAdmission:
    """Implements `media.relay.seams.Admission` for the embedded relay; everything else is refused."""

    def __init__(
        self,
        rooms: RoomQuestions,
        meetings: MeetingStore,
        calls: CallStore,
        policy: RoomPolicy,
        homeservers: HomeserverPolicy,
        ready: Callable[[], Awaitable[object]],
    ) -> None:
        self._rooms = rooms
        self._meetings = meetings
        self._calls = calls
        self._policy = policy
        self._homeservers = homeservers
        self._ready = ready

    async def admit(self, grants: Grants) -> Grants:
        """Narrow the grants to what the person may do now. Raises `CallerError` with a reason for the page."""
        if grants.hidden or grants.recorder or grants.agent or grants.kind != "standard":
            raise CallerError(
                "hidden_refused", "Nobody listens here unseen: hidden participants are refused.", status=403
            )
        await self._ready()
        call = await self._calls.by_room(grants.room)
        if call is None:
            raise CallerError(
                "call_not_found", f"There is no such call ({NO_ROOM}). Open the meeting again.", status=404
            )
        if call.ended_at is not None:
            raise CallerError("call_over", "This call is over. Open the meeting again.", status=403)
        person = await self._calls.expected(call.id, grants.identity)
        if person is None:
            raise CallerError("unknown_identity", "This token was not given out for this call.", status=403)
        meeting = await self._meetings.get(call.meeting)
        view = None
        if person.user_id is not None:
            await self._homeservers.require_join(server_of(person.user_id))
            view = await self._rooms.view(meeting.room, person.user_id)
        may = access.person_in(person, view, call.mode, self._policy)
        return dataclasses.replace(
            grants,
            name=person.name,
            metadata="",
            attributes=identity_attributes(person),  # a refreshed token may hold consents that have ended since
            can_update_own_metadata=False,
            can_publish=grants.can_publish and may.publish,
            room_admin=False,
            room_create=False,
            room_list=False,
            room_record=False,
        )
