"""Who is in a call just now, and what they see of its captures: metadata of the room, attributes of participants."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from bridge import room_state
from bridge.call_store import Call, CallStore
from bridge.capture_store import Capture
from bridge.consent_store import Answer, Kind
from bridge.meetings import Meeting
from bridge.people import Person
from media.relay.seams import RelayControl, TrackFacts
from palabre.base.errors import CallerError


class Audience:
    """The relay's people, by the tokens that they were given."""

    def __init__(self, relay: RelayControl, calls: CallStore) -> None:
        self._relay = relay
        self._calls = calls

    def identities(self, call: Call) -> list[str]:
        """Of everybody who is in the call."""
        if call.room not in {room.name for room in self._relay.rooms()}:
            return []
        return [participant.identity for participant in self._relay.participants(call.room)]

    async def people(self, call: Call) -> list[Person]:
        """Each once, whatever devices they are on."""
        found = {
            person.key: person
            for identity in self.identities(call)
            if (person := await self._calls.expected(call.id, identity))
        }
        return list(found.values())

    async def identities_of(self, call: Call, person: Person) -> list[str]:
        return [
            identity
            for identity in self.identities(call)
            if (found := await self._calls.expected(call.id, identity)) and found.key == person.key
        ]

    def tracks(self, call: Call, identity: str) -> tuple[TrackFacts, ...]:
        """What they publish; nothing once they have left."""
        with suppress(CallerError):
            return self._relay.tracks(call.room, identity)
        return ()

    def show_captures(self, meeting: Meeting, call: Call, running: Mapping[Kind, Capture]) -> None:
        with suppress(CallerError):  # the call is over
            self._relay.set_room_metadata(call.room, room_state.room_metadata(meeting, call, running))
            self._relay.set_room_recording(call.room, bool(running))

    def show_answers(
        self, call: Call, identity: str, answers: Mapping[Kind, Answer], running: Mapping[Kind, Capture]
    ) -> None:
        with suppress(CallerError):  # they have just left
            self._relay.set_attributes(call.room, identity, room_state.consent_attributes(answers, running))
