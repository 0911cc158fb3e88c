"""Asked by the relay at every join and resume: may the holder of this token come in, now?

A token says what was true when it was given; this asks again what can have changed since.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

from bridge import access
from bridge.agents import AGENT
from bridge.call_store import Call, CallStore
from bridge.meetings import MeetingStore
from bridge.modes import MODE_SERVER, end_to_end_only
from bridge.rights import Right, needed, of_guest, publishing
from bridge.room_questions import RoomQuestions
from bridge.settings import BridgeSettings
from bridge.tokens import identity_attributes
from media.relay.permissions import reserved
from media.relay.seams import Grants
from palabre.base.errors import CallerError
from palabre.base.ids import UserId

# Word for word: livekit-client and Element Call look for it where a call was to be joined and there is none.
NO_ROOM = "requested room does not exist"


class CallAdmission:
    """Implements `media.relay.seams.Admission` for the embedded relay; everything else is refused."""

    def __init__(
        self,
        settings: BridgeSettings,
        bot: UserId,
        questions: RoomQuestions,
        meetings: MeetingStore,
        calls: CallStore,
        ready: Callable[[], Awaitable[object]],
    ) -> None:
        self._settings = settings
        self._bot = bot
        self._questions = questions
        self._meetings = meetings
        self._calls = calls
        self._ready = ready

    async def admit(self, grants: Grants) -> Grants:
        """Replace what the token allows by what the room does now. Raises `CallerError` with a reason for the page."""
        machine = grants.kind not in ("standard", AGENT) or (grants.agent and grants.kind != AGENT)
        if grants.hidden or grants.recorder or machine:
            raise CallerError(
                "hidden_refused", "Nobody listens here unseen: hidden participants are refused.", status=403
            )
        await self._ready()
        call = await self._running(grants)
        if grants.kind == AGENT:
            return await self._admit_agent(grants, call)
        person = await self._calls.expected(call.id, grants.identity)
        if person is None:
            raise CallerError("unknown_identity", "This token was not given out for this call.", status=403)
        await self._calls.require_not_removed(call.id, person)
        meeting = await self._meetings.get(call.meeting)
        can_publish, sources = publishing(await self._questions.permissions(person, meeting.room, call.mode))
        return dataclasses.replace(
            _taking_part(grants),
            name=person.name,
            metadata="",
            attributes=identity_attributes(person),  # a refreshed token may hold consents that have ended since
            can_update_own_metadata=False,
            can_publish=can_publish,
            can_publish_sources=sources,
        )

    async def _running(self, grants: Grants) -> Call:
        """Raises `CallerError`."""
        call = await self._calls.by_room(grants.room)
        if call is None:
            raise CallerError(
                "call_not_found", f"There is no such call ({NO_ROOM}). Open the meeting again.", status=404
            )
        if call.ended_at is not None:
            raise CallerError("call_over", "This call is over. Open the meeting again.", status=403)
        return call

    async def _admit_agent(self, grants: Grants, call: Call) -> Grants:
        """A program may what the room's members may. It is seen as what it is, and hears by consent (bridge.agents)."""
        if call.mode != MODE_SERVER:  # it can't hold the call's keys
            raise end_to_end_only()
        if await self._calls.expected(call.id, grants.identity) is not None:
            raise CallerError("identity_taken", "Somebody else is in the call under that identity.", status=403)
        meeting = await self._meetings.get(call.meeting)
        view = await self._questions.view(meeting.room, self._bot)
        access.require_bot(view)  # the room could not be told
        if needed(Right.CAPTURE, view, self._settings.policy) > 0:
            raise CallerError(
                "capture_forbidden",
                "In this room only some members may record, so that no program may listen.",
                status=403,
            )
        can_publish, sources = publishing(of_guest(view, self._settings.policy))  # what needs no power
        wanted = grants.can_publish_sources
        return dataclasses.replace(
            _taking_part(grants),
            attributes={name: value for name, value in grants.attributes.items() if not reserved([name])},
            can_publish=grants.can_publish and can_publish,
            can_publish_sources=tuple(one for one in wanted if one in sources)
            if wanted and sources
            else sources or wanted,
            by_consent=True,
        )


def _taking_part(grants: Grants) -> Grants:
    """Whoever is in a call administers nothing of the relay."""
    return dataclasses.replace(grants, room_admin=False, room_create=False, room_list=False, room_record=False)
