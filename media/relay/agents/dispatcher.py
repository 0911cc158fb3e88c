"""Sends agents into rooms: offers a job to one worker after the other until one takes it, and follows it to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog
from livekit.protocol import agent, agent_dispatch

from media.relay import permissions, tokens
from media.relay.agents import jobs
from media.relay.agents.jobs import RoomDispatches
from media.relay.agents.workers import Worker, Workers
from media.relay.environment import Environment
from media.relay.observers import RoomObserver, RoomView
from media.relay.participant import Participant
from media.relay.seams import Grants
from media.relay.tracks import PublishedTrack
from palabre.base.ids import loggable

log = structlog.get_logger("agents")

OFFER_SECONDS = 10.0  # a worker that has not answered by then is passed over; LiveKit's value
LEAVE_SECONDS = 3.0  # for an agent to leave by itself once its job was ended; LiveKit's value
TOKEN_LIFETIME = 3600.0  # seconds to join, LiveKit's value; the relay refreshes it
AGENT_NAME_ATTRIBUTE = "lk.agent_name"  # by which LiveKit's clients know what an agent is

Tell = Callable[[str, agent.Job], None]  # webhooks: event and job


class Dispatcher(RoomObserver):
    """Concurrency: used from the event loop. It owns the dispatches and jobs of every room; one supervised task per
    offer that is under way, and `_offering` names what they are for, so that nothing is offered twice."""

    def __init__(self, environment: Environment, tell: Tell, remove: Callable[[str, str], None]) -> None:
        """`remove` puts a participant (room, identity) out, if it is there."""
        self._env = environment
        self._tell = tell
        self._remove = remove
        self.workers = Workers()
        self._rooms: dict[str, tuple[RoomView, RoomDispatches]] = {}
        self._offering: set[tuple[str, int, str]] = set()  # dispatch, kind of job, participant
        self._answers: dict[str, asyncio.Future[agent.AvailabilityResponse]] = {}  # by job

    # -- workers

    def worker_came(self, worker: Worker) -> None:
        """Raises `CallerError`: there are too many."""
        self.workers.add(worker)
        log.info("agent worker registered", worker=worker.id, kind=worker.kind)
        self.worker_free(worker)

    def worker_free(self, worker: Worker) -> None:
        """Whatever waited for such a worker is offered to it."""
        for room, dispatches in list(self._rooms.values()):
            for dispatch in dispatches:
                self._launch(room, dispatch, kind=worker.kind)

    def worker_gone(self, worker: Worker) -> None:
        """Its agents in rooms go on, and it may come back for them; those that have not arrived never will."""
        self.workers.remove(worker)
        log.info("agent worker gone", worker=worker.id, jobs=len(worker.jobs))
        for job in list(worker.jobs.values()):
            room = self._rooms[job.room.name][0] if job.room.name in self._rooms else None
            if room is None or not room.has(job.state.participant_identity):
                self._end(job, agent.JS_FAILED, "the worker is gone")

    def answered(self, response: agent.AvailabilityResponse) -> None:
        answer = self._answers.get(response.job_id)
        if answer is not None and not answer.done():
            answer.set_result(response)

    def job_updated(self, worker: Worker, update: agent.UpdateJobStatus) -> None:
        job = worker.jobs.get(update.job_id)
        if job is None:
            return
        if update.status in jobs.ENDED:
            self._end(job, update.status, update.error)
        else:
            job.state.updated_at = self._now()

    def jobs_kept(self, worker: Worker, job_ids: list[str]) -> None:
        """A worker is back after it lost its connection, with jobs that it had."""
        known = {job.id: job for _, dispatches in self._rooms.values() for job in dispatches.jobs()}
        for job in [known[job_id] for job_id in job_ids if job_id in known and not jobs.is_over(known[job_id])]:
            job.state.worker_id = worker.id
            worker.jobs[job.id] = job

    # -- dispatches

    def create(self, room: RoomView, wish: agent_dispatch.RoomAgentDispatch) -> agent_dispatch.AgentDispatch:
        """Raises `CallerError`."""
        dispatch = self._rooms[room.name][1].add(room.name, wish, self._env.clock.wall())
        for kind in (agent.JT_ROOM, agent.JT_PARTICIPANT, agent.JT_PUBLISHER):
            self._launch(room, dispatch, kind=kind)
        return dispatch

    def delete(self, room: str, dispatch_id: str) -> agent_dispatch.AgentDispatch:
        """Its agents are told to leave, and put out if they don't. Raises `CallerError`."""
        found = self._rooms.get(room)
        dispatch = (found[1] if found else RoomDispatches()).remove(dispatch_id, self._env.clock.wall())
        for job in [job for job in dispatch.state.jobs if not jobs.is_over(job)]:
            self._terminate(job)
            self._put_out(room, job.state.participant_identity)
        return dispatch

    def of_room(self, room: str, dispatch_id: str = "") -> list[agent_dispatch.AgentDispatch]:
        found = self._rooms.get(room)
        return [one for one in (found[1] if found else ()) if dispatch_id in ("", one.id)]

    # -- RoomObserver

    def room_started(self, room: RoomView) -> None:
        self._rooms[room.name] = room, RoomDispatches()
        wishes = list(room.wanted_agents())
        if not wishes and self._env.settings.agents.automatic:
            wishes = [agent_dispatch.RoomAgentDispatch()]  # agents without a name go everywhere
        for wish in wishes[: jobs.MAX_DISPATCHES]:
            self.create(room, wish)

    def participant_joined(self, room: RoomView, participant: Participant) -> None:
        if not participant.dependent:
            for dispatch in self._rooms[room.name][1]:
                self._offer(room, dispatch, agent.JT_PARTICIPANT, participant)

    def track_published(self, room: RoomView, participant: Participant, track: PublishedTrack) -> None:
        if not participant.dependent:
            for dispatch in self._rooms[room.name][1]:
                self._offer(room, dispatch, agent.JT_PUBLISHER, participant)

    def participant_left(self, room: RoomView, participant: Participant, reason: str) -> None:
        job = self._rooms[room.name][1].running_as(participant.identity)
        if job is not None:
            self._end(job, agent.JS_SUCCESS, "")

    def room_finished(self, room: RoomView) -> None:
        _, dispatches = self._rooms.pop(room.name)
        for job in dispatches.jobs():
            self._terminate(job)

    # -- jobs

    def _launch(self, room: RoomView, dispatch: agent_dispatch.AgentDispatch, *, kind: int) -> None:
        """Offer what of this kind there is to do now."""
        if kind == agent.JT_ROOM:
            self._offer(room, dispatch, kind, None)
            return
        for participant in room.people():
            if kind == agent.JT_PARTICIPANT or any(track.announced for track in participant.tracks.values()):
                self._offer(room, dispatch, kind, participant)

    def _offer(
        self, room: RoomView, dispatch: agent_dispatch.AgentDispatch, kind: int, participant: Participant | None
    ) -> None:
        identity = participant.identity if participant is not None else ""
        key = dispatch.id, kind, identity
        if key in self._offering or jobs.serves(dispatch, kind, identity):
            return
        if self.workers.choose(dispatch.agent_name, kind, dispatch.deployment, ()) is None:
            return  # the next one that registers or is free again is asked
        self._offering.add(key)
        self._env.tasks.spawn("agent dispatch", self._find_worker(room, dispatch, key, participant))

    async def _find_worker(
        self,
        room: RoomView,
        dispatch: agent_dispatch.AgentDispatch,
        key: tuple[str, int, str],
        participant: Participant | None,
    ) -> None:
        kind, tried = key[1], set[str]()
        try:
            while (worker := self.workers.choose(dispatch.agent_name, kind, dispatch.deployment, tried)) is not None:
                tried.add(worker.id)
                job = jobs.make_job(dispatch, kind)
                job.room.CopyFrom(room.info())
                if participant is not None:
                    job.participant.CopyFrom(participant.info())
                response = await self._ask(worker, job)
                if response is None:
                    continue
                if self._is_wanted(room, dispatch):
                    self._assign(worker, dispatch, job, response)
                return
            log.warning("no agent worker took the job", kind=kind, room=loggable(room.name))
        finally:
            self._offering.discard(key)

    async def _ask(self, worker: Worker, job: agent.Job) -> agent.AvailabilityResponse | None:
        """None: it does not take the job."""
        answer: asyncio.Future[agent.AvailabilityResponse] = asyncio.get_running_loop().create_future()
        self._answers[job.id] = answer
        worker.send(agent.ServerMessage(availability=agent.AvailabilityRequest(job=job)))
        try:
            async with asyncio.timeout(OFFER_SECONDS):
                response = await answer
        except TimeoutError:
            return None
        finally:
            del self._answers[job.id]
        return response if response.available or response.terminate else None

    def _is_wanted(self, room: RoomView, dispatch: agent_dispatch.AgentDispatch) -> bool:
        """While a worker thought about it, the room may have ended or the dispatch been deleted."""
        found = self._rooms.get(room.name)
        return found is not None and found[0] is room and found[1].holds(dispatch)

    def _assign(
        self,
        worker: Worker,
        dispatch: agent_dispatch.AgentDispatch,
        job: agent.Job,
        response: agent.AvailabilityResponse,
    ) -> None:
        job.state.worker_id = worker.id
        job.state.started_at = job.state.updated_at = self._now()
        job.state.status = agent.JS_RUNNING
        job.state.participant_identity = response.participant_identity
        kept = jobs.add_job(dispatch, job)
        if response.terminate:  # nothing is to be done, says the worker, and nobody else need be asked
            jobs.end(kept, agent.JS_SUCCESS, "", self._env.clock.wall())
            return
        worker.jobs[kept.id] = kept
        token = self._token(worker, kept, response)
        worker.send(agent.ServerMessage(assignment=agent.JobAssignment(job=kept, token=token)))
        log.info("agent job started", room=loggable(job.room.name), worker=worker.id)
        self._tell("agent_job_started", kept)

    def _token(self, worker: Worker, job: agent.Job, response: agent.AvailabilityResponse) -> str:
        attributes = {
            name: value for name, value in response.participant_attributes.items() if not permissions.reserved([name])
        }
        grants = Grants(
            issuer=worker.api_key,
            identity=response.participant_identity,
            name=response.participant_name,
            metadata=response.participant_metadata,
            attributes=attributes | {AGENT_NAME_ATTRIBUTE: worker.agent_name},
            kind="agent",
            room=job.room.name,
            room_join=True,
            agent=True,
        )
        grants = permissions.with_message(grants, worker.permission)
        secret = self._env.settings.secrets[worker.api_key]
        return tokens.mint(
            replace(grants, hidden=worker.permission.hidden),
            secret,
            now=self._env.clock.wall(),
            lifetime=TOKEN_LIFETIME,
        )

    def _terminate(self, job: agent.Job) -> None:
        worker = self.workers.get(job.state.worker_id)
        if worker is not None and not jobs.is_over(job):
            worker.send(agent.ServerMessage(termination=agent.JobTermination(job_id=job.id)))
        self._end(job, agent.JS_SUCCESS, "")

    def _put_out(self, room: str, identity: str) -> None:
        if identity:
            self._env.later(LEAVE_SECONDS, lambda: self._remove(room, identity))

    def _end(self, job: agent.Job, status: agent.JobStatus, error: str) -> None:
        worker = self.workers.get(job.state.worker_id)
        if worker is not None:
            worker.jobs.pop(job.id, None)
        if jobs.end(job, status, error, self._env.clock.wall()):
            log.info("agent job ended", room=loggable(job.room.name), status=agent.JobStatus.Name(status))
            self._tell("agent_job_ended", job)

    def _now(self) -> int:
        return int(self._env.clock.wall() * jobs.NANOSECONDS)
