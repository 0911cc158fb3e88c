"""What people say about their own consent in a room: `!palabre agree`, `!palabre decline`, and the consent event.

Each is done once, however often the bot hands it over. A yes must be fresh and from a device of that very person; a no
is never too late, and never refused for the device it came from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appservice.seams import Command, ConsentEvent, MatrixPort, SendingDevice
from bridge import access
from bridge.call_store import CallStore
from bridge.capture import Captures
from bridge.command_log import CommandLog
from bridge.command_rules import require_device, require_fresh
from bridge.consent_event import read_answers
from bridge.consent_store import Evidence, Kind
from bridge.meetings import Meeting, MeetingStore
from bridge.people import matrix_person
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import EventId, RoomId, UserId

BOTH = (Kind.RECORDING, Kind.TRANSCRIPTION)


@dataclass(frozen=True)
class Written:
    """Who said it, where, when and on which device: the same for a command and an event."""

    room_id: RoomId
    sender: UserId
    event_id: EventId
    sent_at: float
    device: SendingDevice | None

    @classmethod
    def of(cls, source: Command | ConsentEvent) -> Written:
        return cls(source.room_id, source.sender, source.event_id, source.sent_at, source.device)

    @property
    def proof(self) -> Evidence:
        device = self.device
        if device is None:
            return Evidence(self.sent_at, self.event_id)
        return Evidence(self.sent_at, self.event_id, device.device_id, device.fingerprint, device.trust.value)


class ConsentCommands:
    """Raises `CallerError` for what is refused."""

    def __init__(
        self,
        matrix: MatrixPort,
        meetings: MeetingStore,
        calls: CallStore,
        captures: Captures,
        done: CommandLog,
        clock: Clock,
    ) -> None:
        self._matrix = matrix
        self._meetings = meetings
        self._calls = calls
        self._captures = captures
        self._log = done
        self._clock = clock

    async def agree(self, command: Command) -> None:
        await self._answer(Written.of(command), agreed=await self._kinds(command), how="command")

    async def decline(self, command: Command) -> None:
        await self._answer(Written.of(command), declined=await self._kinds(command), how="command")

    async def event(self, event: ConsentEvent) -> None:
        """`org.palabre.consent`. It counts for the call that it names, while that runs."""
        answers = read_answers(event.content)
        meeting = await self._meeting(event.room_id)
        call = await self._calls.open_call(meeting.id)
        if call is None or call.id != answers.call:
            raise CallerError("consent_other_call", "That answer was for a call that is over.", status=409)
        await self._answer(Written.of(event), agreed=answers.agreed, declined=answers.declined, how="event")

    async def _kinds(self, command: Command) -> tuple[Kind, ...]:
        """Those named; else what runs; with nothing running, whatever will be started in this call."""
        if command.arguments:
            return tuple(Kind(name) for name in command.arguments)
        meeting = await self._meeting(command.room_id)
        running = self._captures.running(await self._calls.open_call(meeting.id))
        return tuple(kind for kind in Kind if kind in running) or BOTH

    async def _answer(
        self, written: Written, *, agreed: Iterable[Kind] = (), declined: Iterable[Kind] = (), how: str
    ) -> None:
        meeting = await self._meeting(written.room_id)
        view = await self._matrix.view(written.room_id, written.sender)
        access.require_member(view)
        if await self._log.done(written.event_id):
            return
        person = matrix_person(written.sender, view.display_name)
        for kinds, agree in ((tuple(declined), False), (tuple(agreed), True)):
            if not kinds:
                continue
            if agree:
                require_device(written.device)
                require_fresh(written.sent_at, self._clock.wall())
            await self._captures.answer(meeting, person, kinds, agree=agree, how=how, proof=written.proof)
        await self._log.note(written.event_id)

    async def _meeting(self, room_id: RoomId) -> Meeting:
        meeting = await self._meetings.of_room(room_id)
        if meeting is None:
            raise CallerError("no_call", "No call is running in this room. Start one first.", status=409)
        return meeting
