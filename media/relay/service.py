"""The HTTP face of the relay: the signalling WebSockets `/rtc` and `/rtc/v1`, their validate pages, and Twirp.

A request is refused before it is upgraded, with the reason as text; browsers can't read that, so that clients ask the
validate page for it, which refuses by the same code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import WSMsgType, web
from livekit.protocol import models, rtc

from media.relay import permissions, signal, tokens
from media.relay.connection import Connection
from media.relay.environment import Environment
from media.relay.join import JoinRequest, from_query, from_wrapped
from media.relay.metrics import PEER_ERRORS, REFUSALS
from media.relay.outbox import Outbox
from media.relay.requests import Requests
from media.relay.room import Room
from media.relay.rooms import Rooms
from media.relay.sdp import SdpError
from media.relay.seams import Admission, Grants
from media.relay.signal import CloseCode, SignalError
from palabre.base.errors import CallerError

log = structlog.get_logger("relay")

# Pages of any origin may connect: tokens decide, no cookie is looked at.
CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*"}
# The server's limit on request lines has to be at least this: the join request of a browser that can't
# compress holds an offer of 20 kB in base64. aiohttp's own default is 8 kB.
REQUEST_LINE = 64 * 1024  # bytes, for `AppRunner(…, max_line_size=)`
HEARTBEAT = 20.0  # seconds between WebSocket pings; a peer that is gone is noticed in 30
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SignalService:
    """Serves WebSockets. Concurrency: per WebSocket one handler that reads, and one supervised task that writes."""

    def __init__(self, rooms: Rooms, admission: Admission, environment: Environment) -> None:
        self._rooms = rooms
        self._admission = admission
        self._env = environment

    def add_routes(self, router: web.UrlDispatcher) -> None:
        for path, single in (("/rtc", False), ("/rtc/v1", True)):
            router.add_get(path, self._handler(single), allow_head=False)
            router.add_get(path + "/validate", self._validator(single))

    # -- before the upgrade

    async def _authorize(self, request: web.Request, single: bool) -> tuple[Grants, JoinRequest]:
        """Raises `CallerError` with what is wrong."""
        token = request.query.get("access_token") or bearer(request)
        grants = tokens.verify(token, self._env.settings.secrets, self._env.clock.wall())
        permissions.check_join(grants)
        join = from_wrapped(request.query.get("join_request", "")) if single else from_query(request.query)
        grants = await self._admission.admit(grants)
        permissions.check_visible(grants)
        self._rooms.check_enter(grants)
        return grants, join

    def _validator(self, single: bool) -> Handler:
        async def validate(request: web.Request) -> web.StreamResponse:
            try:
                await self._authorize(request, single)
            except CallerError as error:
                return refusal(error)
            return web.Response(text="success", headers=CORS)

        return validate

    # -- the WebSocket

    def _handler(self, single: bool) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            socket = web.WebSocketResponse(
                max_msg_size=self._env.settings.limits.signal_message,
                heartbeat=HEARTBEAT,
                compress=False,  # descriptions are small, and inflating what strangers send is a risk for nothing
                timeout=2.0,
            )
            if not socket.can_prepare(
                request
            ):  # first, so that a proxy that loses the upgrade can be told from a refusal
                return web.Response(status=426, text="this is a WebSocket", headers=CORS)
            try:
                grants, join = await self._authorize(request, single)
            except CallerError as error:
                REFUSALS.labels(str(error.status)).inc()
                return refusal(error)
            try:
                await socket.prepare(request)
            except ConnectionError:  # the client has thought better of it
                return socket
            await self._talk(request, socket, grants, join)
            return socket

        return serve

    async def _talk(
        self, request: web.Request, socket: web.WebSocketResponse, grants: Grants, join: JoinRequest
    ) -> None:
        limits = self._env.settings.limits

        def abort() -> None:
            if request.transport is not None:
                request.transport.abort()

        outbox = Outbox(limits.signal_queue, limits.signal_queue_bytes, abort)
        writer = self._env.tasks.spawn("signal writer", outbox.pump(socket))
        try:
            # The awaits since check_enter may have changed the room; nothing awaits from here to the join.
            self._rooms.check_enter(grants)
            entered = self._rooms.enter(grants, join, outbox)
        except CallerError as error:
            outbox.finish(CloseCode.REFUSED, error.sentence)
            entered = None
        if entered is None:
            await writer
            return
        room, requests, connection = entered
        try:
            if not join.reconnect:
                self._first_requests(requests, connection, join)
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    outbox.as_text = True
                elif message.type is not WSMsgType.BINARY:
                    break
                requests.handle(connection, signal.decode(message.data))
        except SignalError as error:
            PEER_ERRORS.labels("signal_frame").inc()
            outbox.finish(CloseCode.BAD_FRAME, str(error))
        except SdpError as error:
            self._refuse_description(room, connection, error)
        finally:
            room.signalling_lost(connection, outbox)
            outbox.finish(CloseCode.GOING_AWAY, "")
            await writer

    def _first_requests(self, requests: Requests, connection: Connection, join: JoinRequest) -> None:
        """What a client of `/rtc/v1` sends along with its join. Raises `SdpError`."""
        for track in join.add_tracks:
            requests.add_track(connection, track)
        if join.publisher_offer is not None:
            connection.offer_received(join.publisher_offer)

    def _refuse_description(self, room: Room, connection: Connection, error: SdpError) -> None:
        """The two sides don't agree about the media any more: only a new join helps."""
        PEER_ERRORS.labels("description").inc()
        log.info("description refused", why=str(error))
        room.remove(connection, models.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)


def bearer(request: web.Request) -> str:
    """The token of an Authorization header, or nothing."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def refusal(error: CallerError) -> web.Response:
    return web.Response(status=error.status, text=error.sentence, headers=CORS)
