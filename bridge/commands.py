"""What people write in rooms after `!palabre`: each command is checked, done and answered once.

Implements `appservice.seams.CommandHandler`. The bot calls again for the same event after a crash, so everything made
here is named after the event that asked for it: the meeting, its room, its captures, its answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog

from appservice.seams import (
    Change,
    Command,
    ConsentEvent,
    MatrixPort,
    MeetingRoomSpec,
    MembershipChange,
    RingSignal,
    RoomChange,
    RoomView,
    Widget,
)
from bridge import access, wording
from bridge.call_store import CallStore, present
from bridge.calls import Calls
from bridge.capture import Captures
from bridge.command_log import CommandLog
from bridge.command_rules import require_device, require_fresh
from bridge.consent_commands import ConsentCommands, Written
from bridge.consent_store import CAPTURED, Kind
from bridge.homeserver_commands import HomeserverCommands
from bridge.homeserver_policy import HomeserverPolicy
from bridge.meetings import Meeting, MeetingStore, clean_title
from bridge.moderation import Moderation
from bridge.modes import MODE_AUTO, MODE_END_TO_END, MODE_SERVER, ROOM_MODES
from bridge.people import Person, matrix_person
from bridge.ringing import Ringing
from bridge.room_watch import RoomWatch
from bridge.settings import BridgeSettings
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import EventId, UserId, loggable, stable_id
from palabre.base.words import say

log = structlog.get_logger("commands")

# Filled in by the Matrix client; Element adds widgetId and parentUrl. web/client/src/app/entrance.ts reads them.
WIDGET_QUERY = (
    "roomId=$matrix_room_id&userId=$matrix_user_id&deviceId=$org.matrix.msc3819.matrix_device_id"
    "&clientLanguage=$org.matrix.msc2873.client_language&clientTheme=$org.matrix.msc2873.client_theme"
)


class Commands:
    """`ready` returns once the service has recovered: a command that waited in the inbox must not run before."""

    def __init__(
        self,
        settings: BridgeSettings,
        matrix: MatrixPort,
        homeservers: HomeserverPolicy,
        meetings: MeetingStore,
        calls: CallStore,
        watch: RoomWatch,
        listener: Calls,
        captures: Captures,
        consents: ConsentCommands,
        moderation: Moderation,
        ringing: Ringing,
        done: CommandLog,
        homeserver_commands: HomeserverCommands,
        ready: Callable[[], Awaitable[object]],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._matrix = matrix
        self._homeservers = homeservers
        self._meetings = meetings
        self._calls = calls
        self._watch = watch
        self._listener = listener
        self._captures = captures
        self._moderation = moderation
        self._ringing = ringing
        self._log = done
        self._ready = ready
        self._clock = clock
        self._consents = consents
        self._handlers: Mapping[str, Callable[[Command], Awaitable[None]]] = {
            "call": self._call,
            "meeting": self._meeting,
            "encryption": self._encryption,
            "ring": ringing.command,
            "record": self._record,
            "transcribe": self._transcribe,
            "stop": self._stop,
            "agree": self._consents.agree,
            "decline": self._consents.decline,
            "forget": self._consents.forget,
            "consents": self._consents.show,
            "mute": self._mute,
            "remove": self._remove,
            "readmit": self._readmit,
            "status": self._status,
            "homeservers": homeserver_commands.handle,
        }

    async def handle(self, command: Command) -> None:
        """Do it and answer. Raises `CallerError` for what is refused; `ValueError` for a command that is not ours."""
        handler = self._handlers.get(command.name)
        if handler is None:
            raise ValueError(f"no such command: {command.name}")
        await self._ready()
        await handler(command)
        log.info("command done", name=command.name, room=loggable(command.room_id))

    async def consent(self, event: ConsentEvent) -> None:
        await self._ready()
        await self._consents.event(event)
        log.info("consent event taken", room=loggable(event.room_id))

    async def membership_changed(self, change: MembershipChange) -> None:
        await self._watch.membership_changed(change)

    async def room_changed(self, change: RoomChange) -> None:
        if change.what is Change.RTC:
            self._listener.announced(change.room_id)
        await self._watch.room_changed(change)

    async def ring_signal(self, signal: RingSignal) -> None:
        await self._ready()
        await self._ringing.signal(signal)

    # The commands.

    async def _call(self, command: Command) -> None:
        view = await self._matrix.view(command.room_id, command.sender)
        await self._homeservers.require_open(access.server_of(command.sender))
        access.require_call(view, self._settings.policy)
        meeting = await self._meetings.for_room(
            command.room_id,
            title=clean_title(" ".join(command.arguments)) or view.name,
            mode=MODE_AUTO,
            language=command.language,
            created_by=command.sender,
        )
        mode = meeting.mode if view.encrypted else MODE_SERVER
        answer = say(command.language, f"room.call.ready.{mode}", link=self._link(meeting))
        try:
            await self._matrix.put_widget(command.room_id, self._widget(meeting))
        except CallerError as refusal:
            if refusal.code != "missing_power":
                raise
            needed = refusal.params.get("needed", "?")
            answer = say(command.language, "room.call.no_widget", link=self._link(meeting), needed=needed)
        await self._answer(command, "\n".join([answer, *await self._let_members_call(command, view)]))

    async def _let_members_call(self, command: Command, view: RoomView) -> list[str]:
        """Members must be able to join from their client's own button, too; a sentence about what was or is missing.

        The bot lends its power only to those who could do it themselves.
        """
        levels = await self._matrix.call_levels(command.room_id)
        if not levels.missing:
            return []
        params: dict[str, str | int] = {"needed": levels.needed, "prefix": self._settings.command_prefix}
        if not levels.may_mend:
            event, level = next(iter(levels.missing.items()))
            return [say(command.language, "room.call.members_kept_out", event=event, level=level, **params)]
        if view.power < levels.needed:
            return [say(command.language, "room.call.members_kept_out.ask", **params)]
        await self._matrix.mend_call_levels(command.room_id)
        return [say(command.language, "room.call.members_let_in")]

    async def _meeting(self, command: Command) -> None:
        access.require_meeting(command.sender, self._matrix.server_name, self._settings.policy)
        title = clean_title(command.arguments[0]) if command.arguments else ""
        if not title:
            raise CallerError("title_missing", "A meeting needs a title between quotation marks.")
        meeting = await self._meetings.asked_by(
            command.event_id,
            title=title,
            mode=MODE_AUTO,
            language=command.language,
            created_by=command.sender,
        )
        room_id = await self._matrix.create_meeting_room(
            MeetingRoomSpec(
                alias_localpart=self._settings.alias_prefix + meeting.id,
                title=meeting.title,
                asker=command.sender,
                invite=tuple(UserId(name) for name in command.arguments[1:]),
                room_version=self._settings.room_version,
            )
        )
        meeting = await self._meetings.set_room(meeting.id, room_id)
        await self._matrix.put_widget(room_id, self._widget(meeting))
        link = self._link(meeting)
        await self._matrix.send_text(
            room_id,
            say(command.language, "room.meeting.welcome", title=meeting.title, link=link),
            key=stable_id("meeting", meeting.id, "welcome"),
        )
        room_link = wording.matrix_link(room_id)
        await self._answer(
            command, say(command.language, "room.meeting.ready", title=meeting.title, room=room_link, link=link)
        )

    async def _encryption(self, command: Command) -> None:
        """Say which encryption the room wants of its calls, or choose it, from the next call on."""
        view = await self._matrix.view(command.room_id, command.sender)
        access.require_call(view, self._settings.policy)
        meeting = await self._meetings.for_room(
            command.room_id, title=view.name, mode=MODE_AUTO, language=command.language, created_by=command.sender
        )
        wanted = command.arguments[0] if command.arguments else meeting.mode
        if wanted not in ROOM_MODES:
            raise ValueError(f"no such encryption: {wanted}")
        if wanted == MODE_END_TO_END and not view.encrypted:
            raise CallerError(
                "room_not_encrypted", "This room is not encrypted, so its calls cannot be end-to-end.", status=409
            )
        await self._meetings.set_mode(meeting.id, wanted)
        lines = [say(command.language, f"room.encryption.{wanted}" if view.encrypted else "room.encryption.clear")]
        call = await self._calls.open_call(meeting.id)
        if call is not None and command.arguments:
            lines.append(say(command.language, f"room.encryption.running.{call.mode}"))
        await self._answer(command, "\n".join(lines))

    # These have nothing to say: the bot ticks them off, the call's thread or the page says the rest.

    async def _record(self, command: Command) -> None:
        await self._start(command, Kind.RECORDING)

    async def _transcribe(self, command: Command) -> None:
        await self._start(command, Kind.TRANSCRIPTION)

    async def _start(self, command: Command, kind: Kind) -> None:
        meeting, view, person = await self._room_of(command)
        access.require_capture(view, self._settings.policy)
        if not await self._log.done(command.event_id):
            require_device(command.device)  # whoever starts one has thereby agreed to it
            require_fresh(command.sent_at, self._clock.wall())
            ids = {kind: stable_id("capture", command.event_id, kind.value)}
            proof = Written.of(command).proof
            await self._captures.start(meeting, person, [kind], how="command", ids=ids, proof=proof)
        await self._log.note(command.event_id)

    async def _stop(self, command: Command) -> None:
        meeting, view, _ = await self._room_of(command)
        access.require_capture(view, self._settings.policy)
        if not await self._log.done(command.event_id) and not await self._captures.stop(meeting, CAPTURED):
            raise CallerError("nothing_to_stop", "Nothing is being recorded or transcribed here.", status=409)
        await self._log.note(command.event_id)

    async def _mute(self, command: Command) -> None:
        meeting, _, person = await self._room_of(command)
        if not await self._log.done(command.event_id):
            require_fresh(command.sent_at, self._clock.wall())
            await self._moderation.mute_person(meeting, person, UserId(command.arguments[0]))
        await self._log.note(command.event_id)

    async def _remove(self, command: Command) -> None:
        meeting, _, person = await self._room_of(command)
        if not await self._log.done(command.event_id):
            require_fresh(command.sent_at, self._clock.wall())
            whom = UserId(command.arguments[0])
            await self._moderation.remove_person(meeting, person, whom, key=command.event_id)
        await self._log.note(command.event_id)

    async def _readmit(self, command: Command) -> None:
        meeting, _, person = await self._room_of(command)
        if not await self._log.done(command.event_id):
            await self._moderation.readmit(meeting, person, UserId(command.arguments[0]))
        await self._log.note(command.event_id)

    async def _status(self, command: Command) -> None:
        meeting = await self._meetings.of_room(command.room_id)
        call = None if meeting is None else await self._calls.open_call(meeting.id)
        people = [] if call is None else present(await self._calls.attendances(call.id))
        if meeting is None or not people:
            await self._answer(command, say(command.language, "room.status.no_call"))
            return
        names = wording.names_words(command.language, [person.name for person in people])
        running = self._captures.running(call)
        lines = [say(command.language, "room.status.present", names=names)]
        lines += [say(command.language, f"room.status.{kind.value}") for kind in Kind if kind in running]
        if not running:
            lines.append(say(command.language, "room.status.nothing"))
        lines.append(self._link(meeting))
        await self._answer(command, "\n".join(lines))

    # Their common parts.

    async def _room_of(self, command: Command) -> tuple[Meeting, RoomView, Person]:
        """The room's meeting, what the room says of the sender, and who that is. Raises `CallerError("no_call")`."""
        meeting = await self._meetings.of_room(command.room_id)
        if meeting is None:
            raise CallerError("no_call", "No call is running in this room. Start one first.", status=409)
        view = await self._matrix.view(command.room_id, command.sender)
        return meeting, view, matrix_person(command.sender, view.display_name)

    async def _answer(self, command: Command, body: str) -> None:
        thread = command.thread or command.event_id
        await self._matrix.send_text(
            command.room_id, body, key=stable_id("answer", command.event_id), thread=EventId(thread)
        )

    def _link(self, meeting: Meeting) -> str:
        return wording.meeting_link(self._settings.base_url, meeting.id)

    def _widget(self, meeting: Meeting) -> Widget:
        return Widget(
            widget_id=f"palabre-{meeting.id}",
            name=meeting.title,
            url=f"{self._settings.base_url}/widget?{WIDGET_QUERY}",
            data={"title": meeting.title},
        )
