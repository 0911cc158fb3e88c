"""Workers that have registered: what each can do, how busy it is, and which one a job is offered to. Pure.

https://docs.livekit.io/agents/server/lifecycle/ — a worker says itself whether it takes more jobs, and its load from 0
to 1. Sending is a callable, so that nothing here knows of sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from livekit.protocol import agent, models

from media.relay.seams import Grants
from palabre.base.errors import CallerError, PeerError

MAX_WORKERS = 256  # registered at once; each is a process that an operator runs
MAX_NAME = 256  # characters of a name that comes with a registration
# What LiveKit gives an agent whose worker says nothing of permissions.
DEFAULT_PERMISSION = models.ParticipantPermission(
    can_subscribe=True, can_publish=True, can_publish_data=True, can_update_metadata=True
)


@dataclass(eq=False)
class Worker:
    """One registered worker."""

    id: str
    api_key: str  # with which it registered; its agents' tokens are signed for it
    kind: int  # agent.JobType
    agent_name: str
    deployment: str
    permission: models.ParticipantPermission
    send: Callable[[agent.ServerMessage], None]
    available: bool = True
    load: float = 0.0
    jobs: dict[str, agent.Job] = field(default_factory=dict)  # that run, by id

    def update(self, status: agent.UpdateWorkerStatus) -> bool:
        """Whether it takes jobs again that it would not take before."""
        before, self.load = self.available, status.load
        if status.HasField("status"):
            self.available = status.status == agent.WS_AVAILABLE
        return self.available and not before


def registered(
    grants: Grants, request: agent.RegisterWorkerRequest, worker_id: str, send: Callable[[agent.ServerMessage], None]
) -> Worker:
    """The worker that registers so. Raises `PeerError` for a registration that can't be."""
    if request.type not in (agent.JT_ROOM, agent.JT_PUBLISHER, agent.JT_PARTICIPANT):
        raise PeerError("an unknown type of job")
    if max(len(request.agent_name), len(request.deployment)) > MAX_NAME:
        raise PeerError("a name that is too long")
    permission = request.allowed_permissions if request.HasField("allowed_permissions") else DEFAULT_PERMISSION
    if permission.hidden and permission.can_subscribe:
        raise PeerError("a hidden agent may not subscribe: nobody listens unseen here")
    return Worker(worker_id, grants.issuer, request.type, request.agent_name, request.deployment, permission, send)


class Workers:
    """All of them, in the order in which they came."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}

    def __iter__(self) -> Iterator[Worker]:
        return iter(list(self._workers.values()))

    def add(self, worker: Worker) -> None:
        """Raises `CallerError`: there are too many."""
        if len(self._workers) >= MAX_WORKERS:
            raise CallerError("too_many_workers", "as many agent workers as there may be have registered", status=503)
        self._workers[worker.id] = worker

    def remove(self, worker: Worker) -> None:
        self._workers.pop(worker.id, None)

    def get(self, worker_id: str) -> Worker | None:
        return self._workers.get(worker_id)

    def choose(self, name: str, kind: int, deployment: str, tried: Collection[str]) -> Worker | None:
        """The least busy of those that do such jobs, take more, and have not been `tried`."""
        fit = [
            worker
            for worker in self._workers.values()
            if (worker.agent_name, worker.kind, worker.deployment) == (name, kind, deployment)
            and worker.available
            and worker.id not in tried
        ]
        return min(fit, key=lambda worker: (worker.load, len(worker.jobs)), default=None)
