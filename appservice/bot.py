"""The bot: one encrypted Matrix user that obeys commands, and that bridge sends with (`MatrixPort`).

It puts the package's parts together and says what happens to an event; each part does its own thing elsewhere.

    homeserver → endpoint → inbox → worker → here → commands → bridge
                 keysync → crypto ↗            ↘ sender, files, rooms, widgets → homeserver
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any

import structlog
from aiohttp import web
from mautrix.api import Method, Path
from mautrix.errors import MatrixConnectionError, MatrixRequestError, MExclusive, MUnknownToken, MUserInUse
from mautrix.types import UserID

from appservice.api import HomeserverApi, as_caller_error, open_session
from appservice.catchup import LOOK_SECONDS, CatchUp
from appservice.crypto import Encryption
from appservice.dispatch import Dispatch
from appservice.endpoint import Endpoint
from appservice.errors import StartError
from appservice.events import as_int, as_object, as_text
from appservice.federation.homeservers import Homeservers
from appservice.files import Files
from appservice.identity import Identity
from appservice.inbox import Inbox
from appservice.keysync import WAIT_MILLISECONDS, sync_keys
from appservice.lock import ProcessLock
from appservice.membership import MembershipCheck
from appservice.recorder_member import RecorderMember
from appservice.rooms import Rooms
from appservice.roomstore import RoomStore
from appservice.rtc.leftovers import Leftovers
from appservice.rtc.permissions import CallPermissions
from appservice.rtc.roster import Roster
from appservice.rtc.store import RtcStore
from appservice.seams import (
    CallLevels,
    CommandHandler,
    FilePost,
    MeetingRoomSpec,
    RelayView,
    RoomView,
    RtcMember,
    Widget,
)
from appservice.sender import KEEP_SENT, Sender
from appservice.settings import AppserviceSettings
from appservice.state import unseen_room
from appservice.vault import Vault, derive_key
from appservice.widgets import Widgets
from appservice.worker import Worker
from palabre.base.clock import Clock
from palabre.base.database import Database
from palabre.base.ids import EventId, RoomId, UserId, loggable
from palabre.base.tasks import Supervisor
from palabre.base.words import say

PING_PATIENCE = 10.0  # seconds that the start waits for the homeserver to call us back
SILENCE_LIMIT = WAIT_MILLISECONDS / 1000 + 15.0  # seconds without an answer that the homeserver should have given

log = structlog.get_logger("matrix")


class Bot:
    """Implements `appservice.seams.MatrixPort`. Build it inside the event loop, on a database with the package's
    `upgrade_table` applied.

    Order: `plug(handler)`, mount `app()` below `/_matrix/app` and listen, then `start()`: the homeserver is asked to
    deliver what waited as soon as all is ready. `stop()` before the tasks and the database end.
    """

    def __init__(
        self,
        settings: AppserviceSettings,
        database: Database,
        homeservers: Homeservers,
        *,
        clock: Clock,
        tasks: Supervisor,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._tasks = tasks
        secret = settings.secret.get_secret_value()
        token = settings.as_token.get_secret_value()
        user = settings.bot_user_id
        self._session = open_session()
        self._service_api = HomeserverApi(settings.base_url, token, self._session)
        self._api = HomeserverApi(settings.base_url, token, self._session)
        self._api.as_user_id = UserID(user)
        self._inbox = Inbox(database)
        self._store = RoomStore(database)
        self._encryption = Encryption(user, derive_key(secret, "olm"), self._api, database, self._store)
        vault = Vault(database, secret)
        self._identity = Identity(settings, self._encryption.machine, vault)
        self._recorder = RecorderMember(settings, self._api, self._store, self._identity, vault, clock)
        self._sender = Sender(self._api, database, self._store, self._encryption, clock)
        self._files = Files(self._api, self._sender, clock)
        self._rooms = Rooms(settings, self._api, self._store)
        self._widgets = Widgets(self._api, self._store, user)
        self._membership = MembershipCheck(settings, self._session)
        self._roster = Roster(RtcStore(database), clock, lambda change: self._dispatch.handler.room_changed(change))
        self._permissions = CallPermissions(self._api, self._store, user)
        self._dispatch = Dispatch(
            settings,
            self._store,
            self._rooms,
            self._roster,
            self._permissions,
            self._encryption,
            self._sender,
            homeservers,
        )
        self._worker = Worker(
            self._inbox,
            self._dispatch.take_event,
            self._dispatch.take_message,
            self._encryption.has_session,
            wait_for_keys=settings.wait_for_keys,
            clock=clock,
            tasks=tasks,
        )
        self._catch_up = CatchUp(self._inbox, user, clock, self._worker.arrived, self._rooms.refresh)
        self._endpoint = Endpoint(settings, self._inbox, clock, self._worker.arrived)
        self._lock = ProcessLock(database)
        self._running: list[asyncio.Task[None]] = []
        self._leftovers: Leftovers | None = None
        self._last_answer = -math.inf  # monotonic

    def plug(self, handler: CommandHandler, relay: RelayView | None = None) -> None:
        """Who obeys commands, and what to know of the relay; before `start`."""
        self._dispatch.handler = handler
        if relay is not None:
            self._leftovers = Leftovers(self._settings, self._api, self._store, self._roster, relay, self._clock)

    def app(self) -> web.Application:
        """What the homeserver calls. Transactions are stored from the first moment on, handled after `start`."""
        return self._endpoint.app()

    async def start(self) -> None:
        """Appear on the homeserver, then work. Waits for a homeserver that is away.

        Raises `StartError` when only the operator can help; then `stop()`, as after a start that went well.
        """
        await self._lock.acquire()
        await self._register()
        await self._prepare_device()
        await self._show_name()
        await self._find_rooms()
        self._running = await self._worker.start()
        syncing = sync_keys(
            self._api, self._encryption, self._worker.keys_arrived, self._prepare_device, self._homeserver_answered
        )
        self._running.append(self._tasks.spawn("matrix keys", syncing))
        self._running.append(self._tasks.spawn("matrix catch-up", self._catch_up_for_ever()))
        self._running.append(self._tasks.spawn("matrix sent", self._forget_sent()))
        self._running.append(self._tasks.spawn("matrix calls", self._roster.run()))
        if self._leftovers is not None:
            self._running.append(self._tasks.spawn("matrix leftovers", self._leftovers.run()))
        await self._ping()

    async def stop(self) -> None:
        """End what `start` began. What was not settled is taken up at the next start."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._worker.stop()
        self._running = []
        await self._session.close()
        await self._lock.release()

    @property
    def user_id(self) -> UserId:
        return UserId(self._settings.bot_user_id)

    @property
    def recorder(self) -> RecorderMember:
        return self._recorder

    @property
    def server_name(self) -> str:
        return self._settings.server_name

    @property
    def device_id(self) -> str:
        """After `start`."""
        return self._encryption.device_id

    @property
    def connected(self) -> bool:
        """Whether the homeserver answers the bot's `/sync`."""
        return self._clock.monotonic() - self._last_answer < SILENCE_LIMIT

    async def recovery_key(self) -> str | None:
        """Of the bot's cross-signing identity, for the operator to keep elsewhere."""
        return await self._identity.recovery_key()

    async def waiting(self) -> int:
        """Events received and not yet settled."""
        return await self._inbox.unsettled()

    async def view(self, room_id: RoomId, user_id: UserId) -> RoomView:
        if not await self._store.knows(room_id):
            return unseen_room(room_id, user_id)
        member = await self._store.member(room_id, user_id)
        if member.membership != "join":  # their event may be on its way to us
            member = await self._rooms.ask_member(room_id, user_id)
        return (await self._store.state(room_id)).view(user_id, member, self.user_id)

    async def is_joined(self, room_id: RoomId, user_id: UserId) -> bool | None:
        if await self._store.knows(room_id):
            return (await self.view(room_id, user_id)).membership == "join"
        return await self._membership.is_joined(room_id, user_id)

    async def federation_post(self, server_name: str, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """https://github.com/matrix-org/matrix-spec-proposals/pull/4512, as Synapse 1.163 has it."""
        asked = {"destination": server_name, "method": "POST", "path": path, "body": dict(body)}
        proxy = Path.unstable["io.element.msc4512"].appservice.fed_proxy
        try:
            answer = as_object(await self._api.request(Method.POST, proxy, asked, retry_count=0))
        except MatrixRequestError as problem:
            raise as_caller_error(problem) from problem
        return as_int(answer.get("status"), 502), answer.get("content")

    async def members(self, room_id: RoomId) -> dict[UserId, str]:
        members = await self._store.members(room_id)
        return {UserId(user): member.display_name or user for user, member in members.items()}

    async def rtc_members(self, room_id: RoomId) -> tuple[RtcMember, ...]:
        return await self._roster.members(room_id)

    async def call_levels(self, room_id: RoomId) -> CallLevels:
        return await self._permissions.look(room_id)

    async def mend_call_levels(self, room_id: RoomId) -> CallLevels:
        return await self._permissions.mend(room_id)

    async def create_meeting_room(self, spec: MeetingRoomSpec) -> RoomId:
        room_id, refused = await self._rooms.create_meeting_room(spec)
        if refused:
            names = ", ".join(refused)
            body = say(self._settings.language, "bot.invite_failed", count=len(refused), names=names)
            await self._sender.send_text(room_id, body, key=f"{spec.alias_localpart}:refused")
        return room_id

    async def put_widget(self, room_id: RoomId, widget: Widget) -> bool:
        return await self._widgets.put(room_id, widget)

    async def send_text(
        self,
        room_id: RoomId,
        body: str,
        *,
        key: str,
        html: str = "",
        thread: EventId | None = None,
        reply_to: EventId | None = None,
        extra: dict[str, Any] | None = None,
    ) -> EventId:
        return await self._sender.send_text(
            room_id, body, key=key, html=html, thread=thread, reply_to=reply_to, extra=extra
        )

    async def send_event(self, room_id: RoomId, event_type: str, content: dict[str, Any], *, key: str) -> EventId:
        return await self._sender.send(room_id, event_type, content, key=key)

    async def react(self, room_id: RoomId, event_id: EventId, emoji: str, *, key: str) -> None:
        await self._sender.react(room_id, event_id, emoji, key=key)

    async def send_file(self, room_id: RoomId, post: FilePost, *, key: str, thread: EventId | None = None) -> EventId:
        return await self._files.send(room_id, post, key=key, thread=thread)

    async def take_back(self, room_id: RoomId, *, key: str) -> None:
        event_id = await self._sender.sent(key)
        if event_id is not None:
            await self._sender.take_back(room_id, event_id, key=f"{key}:taken back")

    async def upload_limit(self) -> int:
        return await self._files.limit()

    def _homeserver_answered(self, sync: object, history: bool) -> None:
        self._last_answer = self._clock.monotonic()
        self._catch_up.seen(sync, history=history)

    async def _catch_up_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._catch_up.look()
            except Exception:
                log.exception("could not look for events that came by no transaction")

    async def _register(self) -> None:
        """https://spec.matrix.org/v1.16/application-service-api/#server-admin-style-permissions"""
        try:
            for localpart in self._settings.localparts:
                await self._register_user(localpart)
        except MUnknownToken:
            raise StartError(
                "The homeserver does not know the as_token: write the registration anew with `palabre registration`, "
                "list it under app_service_config_files and restart the homeserver."
            ) from None
        except MExclusive:
            raise StartError(
                f"The homeserver's registration has no room for {self.user_id}: write it anew with "
                "`palabre registration` and restart the homeserver."
            ) from None

    async def _register_user(self, localpart: str) -> None:
        body = {
            "type": "m.login.application_service",
            "username": localpart,
            "inhibit_login": True,  # with MSC4190 there is no login
        }
        try:
            await self._service_api.request(Method.POST, Path.v3.register, body)
        except MUserInUse:
            log.debug("registered already", user=loggable(localpart))

    async def _prepare_device(self) -> None:
        await self._encryption.start(self._settings.bot_name, spare=await self._recorder.ask_device())
        await self._identity.ensure()

    async def _show_name(self) -> None:
        path = Path.v3.profile[self.user_id].displayname
        try:
            shown = as_text(as_object(await self._api.request(Method.GET, path)).get("displayname"))
        except MatrixRequestError:
            shown = ""
        if shown != self._settings.bot_name:
            await self._api.request(Method.PUT, path, {"displayname": self._settings.bot_name})

    async def _find_rooms(self) -> None:
        """Make good what a lost database or a lost transaction left: rooms we don't know, or are not in any more."""
        joined = set(await self._rooms.joined())
        known = set(await self._store.rooms())
        for room_id in known - joined:
            await self._store.forget(room_id)
        for room_id in joined - known:
            await self._rooms.refresh(room_id)
        for room_id in await self._store.stale():
            try:
                await self._rooms.refresh(room_id)
            except MatrixRequestError as problem:  # one room in trouble; the next start tries again
                log.warning("a room could not be read anew", room=loggable(room_id), errcode=problem.errcode)

    async def _ping(self) -> None:
        """Have the homeserver call us: after a time without us it would wait up to minutes by itself.

        https://spec.matrix.org/v1.16/application-service-api/#pinging
        """
        token = self._settings.as_token.get_secret_value()
        api = HomeserverApi(self._settings.base_url, token, self._session, patience=PING_PATIENCE)
        try:
            await api.request(Method.POST, Path.v1.appservice[self._settings.id].ping, {})
        except (MatrixRequestError, MatrixConnectionError, TimeoutError) as problem:
            log.warning(
                "the homeserver cannot call this service", url=str(self._settings.listen_url), reason=str(problem)
            )

    async def _forget_sent(self) -> None:
        while True:
            await self._sender.forget(self._clock.wall() - KEEP_SENT)
            await asyncio.sleep(86400)
