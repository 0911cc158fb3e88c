"""Asked by the relay at every join and resume: may the holder of this token come in, now?

A token says what was true when it was given; this asks again what can have changed since.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

from bridge.call_store import CallStore
from bridge.meetings import MeetingStore
from bridge.rights import publishing
from bridge.room_questions import RoomQuestions
from bridge.tokens import identity_attributes
from media.relay.seams import Grants
from palabre.base.errors import CallerError

# Word for word: livekit-client and Element Call look for it where a call was to be joined and there is none.
NO_ROOM = "requested room does not exist"


class CallAdmission:
    """Implements `media.relay.seams.Admission` for the embedded relay; everything else is refused."""

    def __init__(
        self,
        questions: RoomQuestions,
        meetings: MeetingStore,
        calls: CallStore,
        ready: Callable[[], Awaitable[object]],
    ) -> None:
        self._questions = questions
        self._meetings = meetings
        self._calls = calls
        self._ready = ready

    async def admit(self, grants: Grants) -> Grants:
        """Replace what the token allows by what the room does now. Raises `CallerError` with a reason for the page."""
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
        await self._calls.require_not_removed(call.id, person)
        meeting = await self._meetings.get(call.meeting)
        can_publish, sources = publishing(await self._questions.permissions(person, meeting.room, call.mode))
        return dataclasses.replace(
            grants,
            name=person.name,
            metadata="",
            attributes=identity_attributes(person),  # a refreshed token may hold consents that have ended since
            can_update_own_metadata=False,
            can_publish=can_publish,
            can_publish_sources=sources,
            room_admin=False,
            room_create=False,
            room_list=False,
            room_record=False,
        )
