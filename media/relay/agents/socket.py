"""The WebSocket `/agent`, on which workers register and are offered jobs: protobuf, one `WorkerMessage` per frame."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import WSMsgType, web
from google.protobuf.message import DecodeError
from livekit.protocol import agent

from media.relay import greeting, tokens
from media.relay.agents.dispatcher import Dispatcher
from media.relay.agents.workers import Worker, registered
from media.relay.environment import Environment
from media.relay.metrics import PEER_ERRORS, REFUSALS
from media.relay.seams import Grants
from media.relay.service import HEARTBEAT, bearer, refusal
from media.relay.sids import WORKER, new_sid
from media.relay.signal import CloseCode
from palabre.base.errors import CallerError, PeerError

log = structlog.get_logger("agents")

AGENT_PROTOCOL = 1
REGISTER_SECONDS = 10.0  # from the upgrade to the registration; LiveKit's value
QUEUE = 256  # messages that wait for a worker, then it is cut: a job is two of them


class AgentSockets:
    """Concurrency: per WebSocket one handler that reads, and one supervised task that writes."""

    def __init__(self, dispatcher: Dispatcher, environment: Environment) -> None:
        self._dispatcher = dispatcher
        self._env = environment

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/agent", self._serve, allow_head=False)

    def _authorize(self, request: web.Request) -> Grants:
        """Raises `CallerError`."""
        token = request.query.get("access_token") or bearer(request)
        grants = tokens.verify(token, self._env.settings.secrets, self._env.clock.wall())
        if not grants.agent:
            raise CallerError("not_granted", "the access token is not for agent workers (agent)", status=401)
        return grants

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        limit = self._env.settings.limits.signal_message
        socket = web.WebSocketResponse(max_msg_size=limit, heartbeat=HEARTBEAT, compress=False, timeout=2.0)
        if not socket.can_prepare(request):
            return web.Response(status=426, text="this is a WebSocket")
        try:
            grants = self._authorize(request)
        except CallerError as error:
            REFUSALS.labels(str(error.status)).inc()
            return refusal(error)
        try:
            await socket.prepare(request)
            await self._talk(request, socket, grants)
        except ConnectionError:  # it is gone
            return socket
        return socket

    async def _talk(self, request: web.Request, socket: web.WebSocketResponse, grants: Grants) -> None:
        waiting: asyncio.Queue[agent.ServerMessage] = asyncio.Queue(QUEUE)

        def send(message: agent.ServerMessage) -> None:
            try:
                waiting.put_nowait(message)
            except asyncio.QueueFull:
                if request.transport is not None:
                    request.transport.abort()

        worker: Worker | None = None
        writer = self._env.tasks.spawn("agent worker writer", _pump(socket, waiting))
        try:
            async with asyncio.timeout(REGISTER_SECONDS):
                first = await _receive(socket)
            if first is None:
                return
            worker = registered(grants, first.register, new_sid(WORKER), send)
            self._welcome(worker)
            self._dispatcher.worker_came(worker)
            while (message := await _receive(socket)) is not None:
                self._handle(worker, message)
        except TimeoutError:
            await socket.close(code=CloseCode.REFUSED, message=b"no registration")
        except CallerError as error:
            await socket.close(code=CloseCode.REFUSED, message=error.sentence.encode()[:120])
        except PeerError as error:
            PEER_ERRORS.labels("agent_worker").inc()
            log.warning("agent worker refused", why=str(error))
            await socket.close(code=CloseCode.REFUSED, message=str(error).encode()[:120])
        finally:
            if worker is not None:
                self._dispatcher.worker_gone(worker)
            writer.cancel()

    def _welcome(self, worker: Worker) -> None:
        info = greeting.server_info()
        info.agent_protocol = AGENT_PROTOCOL
        answer = agent.RegisterWorkerResponse(worker_id=worker.id, server_info=info)
        worker.send(agent.ServerMessage(register=answer))

    def _handle(self, worker: Worker, message: agent.WorkerMessage) -> None:
        match message.WhichOneof("message"):
            case "availability":
                self._dispatcher.answered(message.availability)
            case "update_worker":
                if worker.update(message.update_worker):
                    self._dispatcher.worker_free(worker)
            case "update_job":
                self._dispatcher.job_updated(worker, message.update_job)
            case "migrate_job":
                self._dispatcher.jobs_kept(worker, list(message.migrate_job.job_ids))
            case "ping":
                now = int(self._env.clock.wall() * 1000)
                pong = agent.WorkerPong(last_timestamp=message.ping.timestamp, timestamp=now)
                worker.send(agent.ServerMessage(pong=pong))
            case _:  # a second registration, a simulated job: nothing here has a use for it
                PEER_ERRORS.labels("agent_message").inc()


async def _receive(socket: web.WebSocketResponse) -> agent.WorkerMessage | None:
    """None: the worker is gone. Raises `PeerError`."""
    frame = await socket.receive()
    if frame.type is not WSMsgType.BINARY:
        return None
    message = agent.WorkerMessage()
    try:
        message.ParseFromString(frame.data)
    except DecodeError as error:
        raise PeerError("a frame that is no WorkerMessage") from error
    return message


async def _pump(socket: web.WebSocketResponse, waiting: asyncio.Queue[agent.ServerMessage]) -> None:
    while True:
        message = await waiting.get()
        try:
            await socket.send_bytes(message.SerializeToString())
        except (ConnectionError, RuntimeError):  # aiohttp says RuntimeError for a socket that is closing
            return
