"""Dispatches of one room and their jobs, as messages of LiveKit's protocol, and how they change. Pure.

A dispatch asks for agents of a name. A worker for rooms gets one job for it, workers for participants or publishers one
for each of those. A job ends once, with success or failure; what has ended is kept to be shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from livekit.protocol import agent, agent_dispatch

from media.relay.sids import DISPATCH, JOB, new_sid
from palabre.base.errors import CallerError

NANOSECONDS = 1_000_000_000
MAX_DISPATCHES = 32  # of one room; each holds up to one process of a worker per participant
KEPT_JOBS = 100  # of one dispatch that have ended
ENDED = (agent.JS_SUCCESS, agent.JS_FAILED)


def is_over(job: agent.Job) -> bool:
    return job.state.status in ENDED


def end(job: agent.Job, status: agent.JobStatus, error: str, now: float) -> bool:
    """False: it had ended before, and that stands. `now` in seconds since the epoch."""
    if is_over(job):
        return False
    job.state.status = status
    job.state.error = error
    job.state.ended_at = job.state.updated_at = int(now * NANOSECONDS)
    return True


class RoomDispatches:
    """Of one room."""

    def __init__(self) -> None:
        self._dispatches: dict[str, agent_dispatch.AgentDispatch] = {}

    def __iter__(self) -> Iterator[agent_dispatch.AgentDispatch]:
        return iter(list(self._dispatches.values()))

    def add(self, room: str, wish: agent_dispatch.RoomAgentDispatch, now: float) -> agent_dispatch.AgentDispatch:
        """Raises `CallerError`: there are too many."""
        if len(self._dispatches) >= MAX_DISPATCHES:
            raise CallerError("too_many_dispatches", f"a room may have {MAX_DISPATCHES} dispatches", status=429)
        made = agent_dispatch.AgentDispatch(
            id=new_sid(DISPATCH),
            agent_name=wish.agent_name,
            room=room,
            metadata=wish.metadata,
            deployment=wish.deployment,
            attributes=wish.attributes,
        )
        made.state.created_at = int(now * NANOSECONDS)
        self._dispatches[made.id] = made
        return made

    def remove(self, dispatch_id: str, now: float) -> agent_dispatch.AgentDispatch:
        """Raises `CallerError("not_found")`, in LiveKit's words."""
        gone = self._dispatches.pop(dispatch_id, None)
        if gone is None:
            raise CallerError("not_found", "dispatch ID not found", status=404)
        gone.state.deleted_at = int(now * NANOSECONDS)
        return gone

    def holds(self, dispatch: agent_dispatch.AgentDispatch) -> bool:
        return self._dispatches.get(dispatch.id) is dispatch

    def jobs(self) -> list[agent.Job]:
        return [job for dispatch in self._dispatches.values() for job in dispatch.state.jobs]

    def running_as(self, identity: str) -> agent.Job | None:
        """The job whose agent is that participant."""
        running = (job for job in self.jobs() if not is_over(job))
        return next((job for job in running if job.state.participant_identity == identity), None)


def serves(dispatch: agent_dispatch.AgentDispatch, kind: int, identity: str) -> bool:
    """Whether a job of it runs for the room, or for that participant."""
    return any(
        not is_over(job) and job.type == kind and job.participant.identity == identity for job in dispatch.state.jobs
    )


def add_job(dispatch: agent_dispatch.AgentDispatch, job: agent.Job) -> agent.Job:
    """Keep it with its dispatch; returns the kept message, which is the one that changes."""
    over = [index for index, kept in enumerate(dispatch.state.jobs) if is_over(kept)]
    for index in reversed(over[: max(0, len(over) - KEPT_JOBS + 1)]):
        del dispatch.state.jobs[index]
    dispatch.state.jobs.append(job)
    return dispatch.state.jobs[-1]


def make_job(dispatch: agent_dispatch.AgentDispatch, kind: Any) -> agent.Job:
    """A new one; room and participant are the caller's to fill in."""
    return agent.Job(
        id=new_sid(JOB),
        dispatch_id=dispatch.id,
        type=kind,
        agent_name=dispatch.agent_name,
        metadata=dispatch.metadata,
        deployment=dispatch.deployment,
        attributes=dispatch.attributes,
    )
