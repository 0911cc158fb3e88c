"""What people say about their own consent in a room: `!palabre agree`, `decline`, `forget`, `consents`, and the event.

Each is done once, however often the bot hands it over. A yes must be fresh and from a device of that very person; a no
is never too late, and never refused for the device it came from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from appservice.seams import Command, ConsentEvent, MatrixPort, SendingDevice
from bridge import access
from bridge.call_store import CallStore
from bridge.capture import Captures
from bridge.command_log import CommandLog
from bridge.command_rules import require_device, require_fresh
from bridge.consent_event import read_answers
from bridge.consent_store import CAPTURED, Evidence, Kind
from bridge.consent_words import consent_lines
from bridge.forgetting import Forgetting
from bridge.meetings import Meeting, MeetingStore
from bridge.people import Person, matrix_person
from bridge.receipts import Receipts
from bridge.settings import BridgeSettings
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import EventId, RoomId, UserId, stable_id
from palabre.base.words import say


@dataclass(frozen=True)
class Written:
    """Who said it, where, when and on which device: the same for a command and an event."""

    room_id: RoomId
    sender: UserId
    event_id: EventId
    sent_at: float
    device: SendingDevice | None
    how: str  # command, event

    @classmethod
    def of(cls, source: Command | ConsentEvent) -> Written:
        how = "command" if isinstance(source, Command) else "event"
        return cls(source.room_id, source.sender, source.event_id, source.sent_at, source.device, how)

    @property
    def proof(self) -> Evidence:
        device = self.device
        if device is None:
            return Evidence(self.sent_at, self.event_id)
        return Evidence(self.sent_at, self.event_id, device.device_id, device.fingerprint, device.trust.value)


@dataclass(frozen=True)
class Said:
    """What was written, by a member of the room of a meeting."""

    meeting: Meeting
    person: Person
    written: Written


class ConsentCommands:
    """Raises `CallerError` for what is refused."""

    def __init__(
        self,
        settings: BridgeSettings,
        matrix: MatrixPort,
        meetings: MeetingStore,
        calls: CallStore,
        captures: Captures,
        forgetting: Forgetting,
        receipts: Receipts,
        done: CommandLog,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._matrix = matrix
        self._meetings = meetings
        self._calls = calls
        self._captures = captures
        self._forgetting = forgetting
        self._receipts = receipts
        self._log = done
        self._clock = clock

    async def agree(self, command: Command) -> None:
        agreed = await self._kinds(command)
        await self._once(Written.of(command), lambda said: self._answer(said, agreed=agreed))

    async def decline(self, command: Command) -> None:
        """What runs goes on without them at once; whether what was captured of them goes too is their choice."""
        declined = await self._kinds(command)
        meeting = await self._meeting(command.room_id)
        if not command.arguments and await self._captures.is_asked(meeting, command.sender, Kind.AGENT):
            declined += (Kind.AGENT,)  # a no is never too wide
        before = frozenset(await self._forgetting.agreed(meeting, command.sender, declined))
        await self._once(Written.of(command), lambda said: self._answer(said, declined=declined))
        if before & self._captures.running(await self._calls.open_call(meeting.id)):
            prefix = self._settings.command_prefix
            await self._reply(command, say(command.language, "room.consent.earlier", prefix=prefix))

    async def forget(self, command: Command) -> None:
        """What was captured of them in the room's last call is taken out. Whoever still agrees declines thereby."""
        kinds = tuple(Kind(name) for name in command.arguments) or CAPTURED
        await self._once(Written.of(command), lambda said: self._forget(said, kinds))

    async def event(self, event: ConsentEvent) -> None:
        """`org.palabre.consent`. It counts for the call that it names, while that runs."""
        answers = read_answers(event.content)
        meeting = await self._meeting(event.room_id)
        call = await self._calls.open_call(meeting.id)
        if call is None or call.id != answers.call:
            raise CallerError("consent_other_call", "That answer was for a call that is over.", status=409)

        async def answer(said: Said) -> None:
            await self._answer(said, agreed=answers.agreed, declined=answers.declined)
            if answers.remove_earlier:
                evidence = said.written.proof
                await self._forgetting.forget_if_any(
                    said.meeting, said.person, answers.declined, how="event", evidence=evidence
                )

        await self._once(Written.of(event), answer)

    async def show(self, command: Command) -> None:
        """What is stored of the room's last call: one's own answers, everybody's for those who may capture."""
        meeting = await self._meeting(command.room_id)
        view = await self._matrix.view(command.room_id, command.sender)
        access.require_member(view)
        everybody = access.member_permissions(view, self._settings.policy).capture
        record = await self._receipts.latest(meeting.id)
        lines = [] if record is None else consent_lines(command.language, record, "" if everybody else command.sender)
        await self._reply(command, "\n".join(lines) or say(command.language, "room.consents.none"))

    async def _kinds(self, command: Command) -> tuple[Kind, ...]:
        """Those named; else what runs; with nothing running, whatever will be started in this call."""
        if command.arguments:
            return tuple(Kind(name) for name in command.arguments)
        meeting = await self._meeting(command.room_id)
        running = self._captures.running(await self._calls.open_call(meeting.id))
        return tuple(kind for kind in Kind if kind in running) or CAPTURED

    async def _once(self, written: Written, act: Callable[[Said], Awaitable[None]]) -> None:
        meeting = await self._meeting(written.room_id)
        view = await self._matrix.view(written.room_id, written.sender)
        access.require_member(view)
        if not await self._log.done(written.event_id):
            await act(Said(meeting, matrix_person(written.sender, view.display_name), written))
            await self._log.note(written.event_id)

    async def _answer(self, said: Said, *, agreed: Iterable[Kind] = (), declined: Iterable[Kind] = ()) -> None:
        written = said.written
        for kinds, agree in ((tuple(declined), False), (tuple(agreed), True)):
            if not kinds:
                continue
            if agree:
                require_device(written.device)
                require_fresh(written.sent_at, self._clock.wall())
            await self._captures.answer(
                said.meeting, said.person, kinds, agree=agree, how=written.how, proof=written.proof
            )

    async def _forget(self, said: Said, kinds: Iterable[Kind]) -> None:
        kinds = tuple(kinds)
        await self._answer(said, declined=await self._forgetting.agreed(said.meeting, said.person.key, kinds))
        written = said.written
        await self._forgetting.forget(said.meeting, said.person, kinds, how=written.how, evidence=written.proof)

    async def _reply(self, command: Command, body: str) -> None:
        thread = EventId(command.thread or command.event_id)
        await self._matrix.send_text(command.room_id, body, key=stable_id("answer", command.event_id), thread=thread)

    async def _meeting(self, room_id: RoomId) -> Meeting:
        meeting = await self._meetings.of_room(room_id)
        if meeting is None:
            raise CallerError("no_call", "No call is running in this room. Start one first.", status=409)
        return meeting
