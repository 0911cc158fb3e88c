"""`!palabre homeservers …`: what admins write in their room about other homeservers.

Obeyed in the encrypted rooms that the settings name, from members with the power of a moderator there. What lets a
server's people open calls here, or throws them out, wants a code of one's own first: see `appservice.confirmations`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping

import structlog

from appservice.confirmations import Confirmations
from appservice.federation.records import Level
from appservice.seams import Command, MatrixPort
from bridge import homeserver_words as words
from bridge.command_log import CommandLog
from bridge.homeserver_admin import Entry, HomeserverAdmin, read_pin
from bridge.settings import BridgeSettings
from palabre.base.errors import CallerError
from palabre.base.ids import EventId, RoomId, loggable, stable_id
from palabre.base.words import say

ADMIN_POWER = 50  # of a moderator in the admin room
SHOWN = 60  # servers in one answer: a message of more is cut off by clients

log = structlog.get_logger("commands")


class HomeserverCommands:
    """`handle` raises `CallerError` for what is refused."""

    def __init__(
        self,
        settings: BridgeSettings,
        matrix: MatrixPort,
        admin: HomeserverAdmin,
        confirmations: Confirmations,
        done: CommandLog,
    ) -> None:
        self._settings = settings
        self._matrix = matrix
        self._admin = admin
        self._confirmations = confirmations
        self._log = done
        self._handlers: Mapping[str, Callable[[Command, tuple[str, ...]], Awaitable[None]]] = {
            "list": self._list,
            "check": self._check,
            "add": self._decide,
            "allow": self._decide,
            "deny": self._decide,
            "confirm": self._confirm,
        }

    async def handle(self, command: Command) -> None:
        await self._require_admin(command)
        action, *rest = command.arguments or ("list",)
        handler = self._handlers.get(action.lower())
        if handler is None:
            raise _usage(self._settings.command_prefix)
        await handler(command, (action.lower(), *rest))

    async def _require_admin(self, command: Command) -> None:
        if command.room_id not in self._settings.admin_rooms:
            raise CallerError("admin_room_only", "That is for the room of those who run this service.", status=403)
        view = await self._matrix.view(command.room_id, command.sender)
        if not view.encrypted:
            raise CallerError("admin_room_unencrypted", "This room must be encrypted for that.", status=403)
        if view.membership != "join" or view.power < ADMIN_POWER:
            raise CallerError(
                "admin_power", f"That needs power level {ADMIN_POWER} in this room.", status=403, needed=ADMIN_POWER
            )

    async def _list(self, command: Command, _words: tuple[str, ...]) -> None:
        rows = await self._admin.rows()
        body = words.lines(rows[:SHOWN], command.language)
        if len(rows) > SHOWN:
            body += "\n" + say(command.language, "homeservers.more", count=len(rows) - SHOWN)
        await self._answer(command, body)

    async def _check(self, command: Command, given: tuple[str, ...]) -> None:
        if len(given) != 2:
            raise _usage(self._settings.command_prefix)
        seen = await self._admin.check(given[1])
        await self._answer(command, words.survey(given[1], seen, command.language))

    async def _decide(self, command: Command, given: tuple[str, ...]) -> None:
        decision = _read(given, self._settings.command_prefix)
        if await self._log.done(command.event_id):
            return
        if not decision.dangerous:
            await self._do(command, decision)
            return
        code = await self._confirmations.ask(command.sender, command.room_id, given)
        prefix = self._settings.command_prefix
        body = say(
            command.language,
            f"homeservers.confirm.{decision.level.value}",
            server=decision.server,
            command=f"{prefix} homeservers confirm {code}",
        )
        await self._answer(command, body, again=code)

    async def _confirm(self, command: Command, given: tuple[str, ...]) -> None:
        if len(given) != 2:
            raise _usage(self._settings.command_prefix)
        if await self._log.done(command.event_id):
            return
        confirmed = await self._confirmations.redeem(command.sender, RoomId(command.room_id), given[1])
        await self._do(command, _read(confirmed, self._settings.command_prefix))

    async def _do(self, command: Command, decision: _Decision) -> None:
        if decision.action == "deny":
            row = await self._admin.deny(decision.server)
        elif decision.action == "allow":
            row = await self._admin.allow(decision.server, decision.level)
        else:
            row = await self._admin.add(Entry(decision.server, decision.level, pin=read_pin(decision.address)))
        await self._log.note(command.event_id)
        log.info(
            "homeserver decided", server=loggable(row.record.name), level=row.level.value, by=loggable(command.sender)
        )
        await self._answer(
            command, say(command.language, f"homeservers.done.{row.level.value}", server=row.record.name)
        )

    async def _answer(self, command: Command, body: str, *, again: str = "") -> None:
        """`again` keeps the answers of a repeated command apart, where only the last one counts."""
        thread = EventId(command.thread or command.event_id)
        key = stable_id("answer", command.event_id, again)
        await self._matrix.send_text(command.room_id, body, key=key, thread=thread)


class _Decision:
    """`add NAME [LEVEL] [ADDRESS]`, `allow NAME [LEVEL]` or `deny NAME`, read."""

    def __init__(self, action: str, server: str, level: Level, address: str) -> None:
        self.action = action
        self.server = server
        self.level = level
        self.address = address

    @property
    def dangerous(self) -> bool:
        """Lets strangers use the relay, or throws people out."""
        return self.level in (Level.OPEN, Level.REFUSE)


def _read(given: tuple[str, ...], prefix: str) -> _Decision:
    """Raises `CallerError("homeservers_usage")`."""
    action, *rest = given
    if not rest or len(rest) > 3 or (action == "deny" and len(rest) > 1):
        raise _usage(prefix)
    server, *rest = rest
    if action == "deny":
        return _Decision(action, server, Level.REFUSE, "")
    level = Level.JOIN
    if rest and rest[0].lower() in {one.value for one in Level}:
        level = Level(rest.pop(0).lower())
    address = rest.pop(0) if rest and action == "add" else ""
    if rest or (action == "allow" and level is Level.REFUSE):
        raise _usage(prefix)
    return _Decision(action, server, level, address)


def _usage(prefix: str) -> CallerError:
    return CallerError(
        "homeservers_usage",
        f"Write {prefix} homeservers, with list, check NAME, add NAME, allow NAME, deny NAME or confirm CODE.",
        prefix=prefix,
    )


def confirmation_key(master_key: str) -> bytes:
    """A key of its own, so that the codes' hashes say nothing of what else the master key seals."""
    return hmac.new(master_key.encode(), b"palabre confirmations", hashlib.sha256).digest()
