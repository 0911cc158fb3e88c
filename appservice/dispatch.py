"""What happens to each event: room state is kept, invitations are answered, commands are obeyed.

Called by the worker, which sees to the order and to crashes. Everything sent here has a key made from the event, so
that doing it again sends nothing twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog
from mautrix.errors import MatrixRequestError

from appservice import commands
from appservice.acl import SERVER_ACL
from appservice.crypto import Encryption
from appservice.events import RoomEvent, TextMessage, as_id, as_object, read_text
from appservice.federation.homeservers import Homeservers
from appservice.federation.names import server_of
from appservice.rooms import Rooms
from appservice.roomstore import MEMBER, RoomStore
from appservice.rtc.levels import DECLINE_TYPES, NOTIFICATION_TYPES, POWER_LEVELS
from appservice.rtc.members import STICKY_TYPES
from appservice.rtc.permissions import CallPermissions
from appservice.rtc.roster import Roster
from appservice.seams import (
    CONSENT,
    Change,
    Command,
    CommandHandler,
    ConsentEvent,
    MembershipChange,
    RingSignal,
    RoomChange,
    SendingDevice,
)
from appservice.sender import Sender
from appservice.settings import AppserviceSettings
from appservice.state import ACCESS_RULES, read_member
from palabre.base.errors import CallerError
from palabre.base.ids import EventId, RoomId, UserId, loggable, random_id
from palabre.base.metrics import counter
from palabre.base.words import say, say_error

DONE, REFUSED, WORKING = "✅", "❌", "👀"
CHANGES = {POWER_LEVELS: Change.POWER, SERVER_ACL: Change.ACL, ACCESS_RULES: Change.ACCESS_RULE}
MESSAGES = frozenset({"m.room.message", "m.room.encrypted", CONSENT, *NOTIFICATION_TYPES, *DECLINE_TYPES})
QUIET_SECONDS = 1.0  # a command that takes longer is acknowledged meanwhile

log = structlog.get_logger("matrix")
obeyed = counter("matrix_commands", "Commands by name and how they ended", ["name", "result"])
consents = counter("matrix_consents", "Consent events by what became of them", ["result"])


@dataclass(frozen=True)
class Said:
    """An event as its sender meant it: decrypted where it was encrypted."""

    event: RoomEvent  # as it came
    type: str
    content: dict[str, Any]
    device_id: str | None  # that encrypted it


class Dispatch:
    """`handler` is set before the worker starts."""

    handler: CommandHandler

    def __init__(
        self,
        settings: AppserviceSettings,
        store: RoomStore,
        rooms: Rooms,
        roster: Roster,
        permissions: CallPermissions,
        encryption: Encryption,
        sender: Sender,
        homeservers: Homeservers,
    ) -> None:
        self._settings = settings
        self._store = store
        self._rooms = rooms
        self._roster = roster
        self._permissions = permissions
        self._encryption = encryption
        self._sender = sender
        self._homeservers = homeservers

    async def take_event(self, event: RoomEvent) -> bool:
        """In the homeserver's order. True when `take_message` is to have it, in its room's order."""
        if event.type == MEMBER and event.state_key == self._settings.bot_user_id:
            return await self._take_own_membership(event)
        if not await self._store.knows(event.room_id) and not await self._rooms.refresh(event.room_id):
            return False
        if event.state_key is not None:
            await self._take_state(event)
            return False
        if event.type in STICKY_TYPES:
            return True
        return event.type in MESSAGES and not self._settings.owns_user(event.sender)

    async def take_message(self, event: RoomEvent) -> None:
        """Raises `MissingKeyError`, `UndecryptableError`, `CallerError`."""
        if event.type == MEMBER:
            await self._answer_membership(event)
            return
        said = Said(event, event.type, event.content, None)
        if event.type == "m.room.encrypted":
            inside = await self._encryption.decrypt(event)
            said = Said(event, inside.type, inside.content, inside.device_id)
        if said.type in STICKY_TYPES:
            await self._roster.take_sticky(event, said.type, said.content)
        elif said.type == "m.room.message":
            await self._take_text(said)
        elif said.type in (*NOTIFICATION_TYPES, *DECLINE_TYPES) and await self._is_joined(event):
            await self.handler.ring_signal(_ring_signal(said))
        elif said.type == CONSENT and await self._is_joined(event):
            await self._take_consent(said)

    async def _take_text(self, said: Said) -> None:
        event, text = said.event, read_text(said.content)
        if text is None or not commands.is_command(text.body, self._settings.command_prefix):
            return
        if not await self._is_joined(event):
            return
        if await self._is_exposed(said):
            await self._refuse(event, text, say(self._language, "bot.unencrypted_command"))
            obeyed.labels("", "unencrypted").inc()
            return
        await self._take_command(said, text)

    async def _is_joined(self, event: RoomEvent) -> bool:
        return (await self._store.member(event.room_id, event.sender)).membership == "join"

    async def _is_exposed(self, said: Said) -> bool:
        """Whether it came in the clear into an encrypted room: the homeserver could have written it."""
        return said.device_id is None and await self._sender.is_encrypted(said.event.room_id)

    async def _take_consent(self, said: Said) -> None:
        """Nobody sees such an event in the room, so that only what is refused is answered."""
        event = said.event
        try:
            if await self._is_exposed(said):
                raise CallerError("unencrypted_consent", "That answer was not encrypted, so it does not count.")
            await self.handler.consent(
                ConsentEvent(
                    sender=UserId(event.sender),
                    room_id=RoomId(event.room_id),
                    event_id=EventId(event.event_id),
                    content=said.content,
                    sent_at=event.timestamp / 1000,
                    device=await self._device(said),
                )
            )
        except CallerError as refusal:
            consents.labels(refusal.code).inc()
            await self._tell(said, say_error(self._language, refusal))
        else:
            consents.labels("taken").inc()

    async def _tell(self, said: Said, sentence: str) -> None:
        """In the thread that the event names, with a mention: there is no message of theirs to answer to."""
        event = said.event
        relation = as_object(said.content.get("m.relates_to"))
        thread = as_id(relation.get("event_id"), "$") if relation.get("rel_type") == "m.thread" else ""
        await self._sender.send_text(
            event.room_id,
            f"{event.sender}: {sentence}",
            key=f"{event.event_id}:answer",
            thread=thread or None,
            extra={"m.mentions": {"user_ids": [event.sender]}},
        )

    async def _device(self, said: Said) -> SendingDevice | None:
        if said.device_id is None:
            return None
        sender, device_id = said.event.sender, said.device_id
        trust = await self._encryption.trust(sender, device_id)
        fingerprint = await self._encryption.fingerprint(sender, device_id)
        return SendingDevice(device_id, fingerprint, trust, self._settings.is_enough(trust))

    @property
    def _language(self) -> str:
        return self._settings.language

    async def _take_state(self, event: RoomEvent) -> None:
        if event.type != MEMBER:
            could = await self._could_mend(event)
            await self._store.apply(event)
            if could is False:
                await self._mend_levels(event.room_id)
            await self._roster.take_state(event)
            if event.type in CHANGES and event.state_key == "":
                await self.handler.room_changed(RoomChange(RoomId(event.room_id), CHANGES[event.type]))
            return
        user = event.state_key or ""
        if "prev_content" in event.unsigned:
            previous = event.previous_membership
        else:
            previous = (await self._store.member(event.room_id, user)).membership
        await self._store.apply(event)
        await self._membership_changed(event, user, previous)

    async def _could_mend(self, event: RoomEvent) -> bool | None:
        """Before a change of power levels: only getting the power is a reason to use it, not that somebody else did."""
        if event.type != POWER_LEVELS or not self._settings.manage_power_levels:
            return None
        return (await self._permissions.look(event.room_id)).may_mend

    async def _mend_levels(self, room_id: str) -> None:
        if not self._settings.manage_power_levels:
            return
        try:
            await self._permissions.mend(room_id)
        except CallerError as problem:
            log.info("power levels for calls could not be written", room=loggable(room_id), code=problem.code)

    async def _membership_changed(self, event: RoomEvent, user: str, previous: str) -> None:
        membership = read_member(event.content).membership
        if membership == previous:
            return
        if (previous, membership) != ("invite", "join"):  # who is invited has the room key already
            await self._encryption.forget_session(event.room_id)
        await self.handler.membership_changed(
            MembershipChange(RoomId(event.room_id), UserId(user), membership, previous)
        )
        await self._roster.gone(event.room_id, user)

    async def _take_own_membership(self, event: RoomEvent) -> bool:
        membership = read_member(event.content).membership
        if membership == "join":
            if await self._rooms.refresh(event.room_id):
                await self._mend_levels(event.room_id)
                await self._roster.room_read(event.room_id)
            return event.previous_membership != "join"
        if membership == "invite":
            return True
        await self._store.forget(event.room_id)
        await self._membership_changed(event, self._settings.bot_user_id, event.previous_membership)
        return False

    async def _answer_membership(self, event: RoomEvent) -> None:
        try:
            if read_member(event.content).membership == "invite":
                await self._answer_invitation(event)
            else:
                await self._introduce(event)
        except MatrixRequestError as problem:  # withdrawn, or the room is gone
            log.info("an invitation could not be answered", room=loggable(event.room_id), errcode=problem.errcode)

    async def _answer_invitation(self, event: RoomEvent) -> None:
        server = server_of(event.sender)
        await self._homeservers.seen(server)
        try:
            await self._homeservers.require(server)
        except CallerError as refusal:
            await self._rooms.leave(event.room_id, say_error(self._language, refusal))
            return
        if self._settings.may_invite(event.sender):
            await self._rooms.join(event.room_id, event.sender)
            return
        servers = ", ".join(dict.fromkeys([self._settings.server_name, *self._settings.invited_by]))
        await self._rooms.leave(event.room_id, say(self._language, "bot.invite_refused", servers=servers))

    async def _introduce(self, event: RoomEvent) -> None:
        """Two lines, once, in rooms that others made."""
        state = await self._store.state(event.room_id)
        if state.creator == self._settings.bot_user_id:
            return
        params = {"name": self._settings.bot_name, "prefix": self._settings.command_prefix}
        body = say(self._language, "bot.welcome", **params)
        await self._sender.send_text(event.room_id, body, key=f"{event.event_id}:welcome")

    async def _take_command(self, said: Said, text: TextMessage) -> None:
        event, prefix = said.event, self._settings.command_prefix
        try:
            parsed = commands.parse(text.body, text.formatted, prefix)
        except commands.CommandError as problem:
            await self._refuse(event, text, commands.explain(problem, prefix, self._language))
            obeyed.labels("", "misspelt").inc()
            return
        if parsed.name == commands.HELP:
            await self._help(event, text)
            result = "done"
        else:
            result = await self._obey(said, text, parsed)
        obeyed.labels(parsed.name, result).inc()

    async def _help(self, event: RoomEvent, text: TextMessage) -> None:
        encrypted = await self._sender.is_encrypted(event.room_id)
        admin = event.room_id in self._settings.admin_rooms
        prefix = self._settings.command_prefix
        body, html = commands.help_text(prefix, self._language, encrypted=encrypted, admin=admin)
        await self._answer(event, text, body, html)
        await self._react(event, DONE)

    async def _obey(self, said: Said, text: TextMessage, parsed: commands.Parsed) -> str:
        event = said.event
        command = Command(
            name=parsed.name,
            arguments=parsed.arguments,
            sender=UserId(event.sender),
            room_id=RoomId(event.room_id),
            event_id=EventId(event.event_id),
            thread=EventId(text.thread) if text.thread else None,
            language=self._language,
            sent_at=event.timestamp / 1000,
            device=await self._device(said),
        )
        try:
            await self._patiently(event, command)
        except CallerError as refusal:
            await self._refuse(event, text, say_error(self._language, refusal))
            result = "refused"
        except Exception:
            reference = random_id(length=6)
            log.exception("a command failed", name=parsed.name, reference=reference)
            await self._refuse(event, text, say(self._language, "bot.failed", reference=reference))
            result = "failed"
        else:
            await self._react(event, DONE)
            result = "done"
        await self._stop_watching(event)
        return result

    async def _patiently(self, event: RoomEvent, command: Command) -> None:
        """Hand it to bridge; show that it is being worked on when that takes long."""
        working = asyncio.ensure_future(self.handler.handle(command))
        try:
            done, _ = await asyncio.wait({working}, timeout=QUIET_SECONDS)
            if not done:
                await self._react(event, WORKING)
            await working
        finally:
            working.cancel()

    async def _stop_watching(self, event: RoomEvent) -> None:
        watching = await self._sender.sent(_key(event, WORKING))
        if watching:
            await self._sender.take_back(event.room_id, watching, key=f"{event.event_id}:stop watching")

    async def _refuse(self, event: RoomEvent, text: TextMessage, sentence: str) -> None:
        await self._answer(event, text, sentence)
        await self._react(event, REFUSED)

    async def _answer(self, event: RoomEvent, text: TextMessage, body: str, html: str = "") -> None:
        """In the thread of the command, or in one below it."""
        await self._sender.send_text(
            event.room_id,
            body,
            html=html,
            key=f"{event.event_id}:answer",
            thread=text.thread or event.event_id,
            reply_to=event.event_id if text.thread else None,
        )

    async def _react(self, event: RoomEvent, emoji: str) -> None:
        await self._sender.react(event.room_id, event.event_id, emoji, key=_key(event, emoji))


def _ring_signal(said: Said) -> RingSignal:
    event = said.event
    about = as_id(as_object(said.content.get("m.relates_to")).get("event_id"), "$")
    return RingSignal(
        sender=UserId(event.sender),
        room_id=RoomId(event.room_id),
        event_id=EventId(event.event_id),
        rings=said.content.get("notification_type") == "ring",
        declined=EventId(about) if said.type in DECLINE_TYPES else None,
        sent_at=event.timestamp / 1000,
    )


def _key(event: RoomEvent, emoji: str) -> str:
    return f"{event.event_id}:{emoji}"
