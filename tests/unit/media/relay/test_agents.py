"""Agent workers and dispatches as the relay keeps them: who is offered a job, how jobs end, and the limits."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import agent, agent_dispatch, models

from media.relay.agents import jobs
from media.relay.agents.dispatcher import Dispatcher
from media.relay.agents.workers import MAX_NAME, MAX_WORKERS, Worker, Workers, registered
from media.relay.observers import ForListener, Observers
from media.relay.rooms import Rooms
from media.relay.seams import Grants
from palabre.base.errors import CallerError, PeerError
from tests.support.relay_fakes import World

WISH = agent_dispatch.RoomAgentDispatch(agent_name="scribe", metadata="minutes")


def worker(number: int = 1, *, load: float = 0.0, kind: Any = agent.JT_ROOM, name: str = "scribe") -> Worker:
    made = registered(
        Grants("key", ""),
        agent.RegisterWorkerRequest(type=kind, agent_name=name),
        f"AW_{number}",
        lambda _message: None,
    )
    made.load = load
    return made


# Which worker


def test_a_job_is_offered_to_the_least_busy_worker_of_its_name_and_kind() -> None:
    workers = Workers()
    for one in (worker(1, load=0.5), worker(2, load=0.1), worker(3, name="other"), worker(4, kind=agent.JT_PUBLISHER)):
        workers.add(one)
    chosen = workers.choose("scribe", agent.JT_ROOM, "", ())
    assert chosen is not None
    assert chosen.id == "AW_2"
    chosen = workers.choose("scribe", agent.JT_ROOM, "", {"AW_2"})
    assert chosen is not None
    assert chosen.id == "AW_1"
    assert workers.choose("scribe", agent.JT_ROOM, "", {"AW_1", "AW_2"}) is None


def test_a_worker_that_is_full_gets_nothing_until_it_says_that_it_is_free() -> None:
    workers, one = Workers(), worker()
    workers.add(one)
    assert not one.update(agent.UpdateWorkerStatus(status=agent.WS_FULL, load=0.9))
    assert workers.choose("scribe", agent.JT_ROOM, "", ()) is None
    assert one.update(agent.UpdateWorkerStatus(status=agent.WS_AVAILABLE, load=0.2))
    assert workers.choose("scribe", agent.JT_ROOM, "", ()) is one


def test_the_number_of_workers_is_bounded() -> None:
    workers = Workers()
    for number in range(MAX_WORKERS):
        workers.add(worker(number))
    with pytest.raises(CallerError):
        workers.add(worker(MAX_WORKERS))


@pytest.mark.parametrize(
    "request_",
    [
        agent.RegisterWorkerRequest(agent_name="x" * (MAX_NAME + 1)),
        agent.RegisterWorkerRequest(
            allowed_permissions=models.ParticipantPermission(hidden=True, can_subscribe=True),
        ),
    ],
    ids=["long name", "hidden listener"],
)
def test_a_registration_that_can_not_be_is_refused(request_: agent.RegisterWorkerRequest) -> None:
    with pytest.raises(PeerError):
        registered(Grants("key", ""), request_, "AW_1", lambda _message: None)


# Dispatches and their jobs


def test_a_job_ends_once() -> None:
    dispatch = jobs.RoomDispatches().add("room", WISH, 1000.0)
    job = jobs.add_job(dispatch, jobs.make_job(dispatch, agent.JT_ROOM))
    assert jobs.serves(dispatch, agent.JT_ROOM, "")
    assert jobs.end(job, agent.JS_FAILED, "it broke", 1001.0)
    assert not jobs.end(job, agent.JS_SUCCESS, "", 1002.0)
    assert (job.state.status, job.state.error, job.state.ended_at) == (agent.JS_FAILED, "it broke", 1001 * 10**9)
    assert not jobs.serves(dispatch, agent.JT_ROOM, "")


def test_of_jobs_that_have_ended_the_last_are_kept() -> None:
    dispatch = jobs.RoomDispatches().add("room", WISH, 1000.0)
    running = jobs.add_job(dispatch, jobs.make_job(dispatch, agent.JT_ROOM)).id
    for _ in range(2 * jobs.KEPT_JOBS):
        jobs.end(jobs.add_job(dispatch, jobs.make_job(dispatch, agent.JT_ROOM)), agent.JS_SUCCESS, "", 1001.0)
    assert len(dispatch.state.jobs) == jobs.KEPT_JOBS + 1
    assert dispatch.state.jobs[0].id == running


def test_the_dispatches_of_a_room_are_bounded() -> None:
    dispatches = jobs.RoomDispatches()
    for _ in range(jobs.MAX_DISPATCHES):
        dispatches.add("room", WISH, 1000.0)
    with pytest.raises(CallerError):
        dispatches.add("room", WISH, 1000.0)


# The dispatcher, in rooms with fakes below them


class Agents:
    """A dispatcher over the rooms of a `World`, with what its workers and webhooks are told."""

    def __init__(self) -> None:
        self.world = World()
        self.told: list[tuple[str, str]] = []
        self.removed: list[tuple[str, str]] = []
        self.dispatcher = Dispatcher(
            self.world.environment,
            lambda event, job: self.told.append((event, agent.JobStatus.Name(job.state.status))),
            lambda room, identity: self.removed.append((room, identity)),
        )
        observers = Observers(ForListener(self.world.listener), self.dispatcher)
        self.world.rooms = Rooms(self.world.environment, observers)


def test_a_dispatch_without_a_worker_waits_and_is_listed() -> None:
    agents = Agents()
    room = agents.world.rooms.create("room", agents.world.rooms.default_options())
    made = agents.dispatcher.create(room, WISH)
    assert agents.dispatcher.of_room("room") == [made]
    assert not made.state.jobs
    assert agents.dispatcher.of_room("elsewhere") == []


def test_a_dispatch_that_is_not_there_is_not_found() -> None:
    agents = Agents()
    with pytest.raises(CallerError) as refused:
        agents.dispatcher.delete("room", "AD_none")
    assert refused.value.sentence == "dispatch ID not found"


def test_the_rooms_end_ends_its_jobs() -> None:
    agents = Agents()
    room = agents.world.rooms.create("room", agents.world.rooms.default_options())
    dispatch, one = agents.dispatcher.create(room, WISH), worker()
    job = jobs.add_job(dispatch, jobs.make_job(dispatch, agent.JT_ROOM))
    job.state.status, job.state.worker_id, job.room.name = agent.JS_RUNNING, one.id, "room"
    said: list[agent.ServerMessage] = []
    one.send = said.append
    agents.dispatcher.workers.add(one)
    agents.world.rooms.close(room, models.ROOM_DELETED)
    assert [message.WhichOneof("message") for message in said] == ["termination"]
    assert agents.told == [("agent_job_ended", "JS_SUCCESS")]


def test_an_agent_that_leaves_has_done_its_job_and_no_room_stays_open_for_it() -> None:
    agents = Agents()
    agents.world.join("alice")
    agents.world.join("agent-1", kind="agent", agent=True)
    room = agents.world.rooms.get("room")
    assert [one.identity for one in room.people()] == ["alice"]
    dispatch = agents.dispatcher.create(room, WISH)
    job = jobs.add_job(dispatch, jobs.make_job(dispatch, agent.JT_ROOM))
    job.state.status, job.state.participant_identity = agent.JS_RUNNING, "agent-1"
    room.remove(room.member("alice"), models.CLIENT_INITIATED)
    agents.world.clock.advance(21)
    assert room.expired(agents.world.clock.monotonic())
    room.remove(room.member("agent-1"), models.CLIENT_INITIATED)
    assert jobs.is_over(job)
