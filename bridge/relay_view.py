"""What the bot may know of the relay: who is connected to a room's call. Implements `appservice.seams.RelayView`."""

from __future__ import annotations

from bridge.call_store import CallStore
from bridge.meetings import MeetingStore
from media.relay.seams import RelayControl
from palabre.base.ids import RoomId


class RelayPresence:
    """`recovered` tells whether the service knows its calls: before that nobody is missing."""

    def __init__(self, foci: frozenset[str], meetings: MeetingStore, calls: CallStore, relay: RelayControl) -> None:
        self.focus_urls = foci
        self._meetings = meetings
        self._calls = calls
        self._relay = relay
        self.recovered = False

    async def present(self, room_id: RoomId) -> frozenset[str] | None:
        if not self.recovered:
            return None
        meeting = await self._meetings.of_room(room_id)
        call = None if meeting is None else await self._calls.open_call(meeting.id)
        if call is None or call.room not in {facts.name for facts in self._relay.rooms()}:
            return frozenset()
        return frozenset(participant.identity for participant in self._relay.participants(call.room))
