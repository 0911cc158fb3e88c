"""Workers of LiveKit's agents framework, unmodified, are sent into rooms of the relay, and hear whom they may hear."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from livekit import api

from tests.support.agents import agent_worker
from tests.support.js_server_sdk import js_server_sdk
from tests.support.livekit_people import Person, people
from tests.support.relay import API_KEY, API_SECRET, RunningRelay, running_relay, until
from tests.support.webhooks import webhook_receiver

ROOM = "council"
PATIENCE = 45.0  # seconds: the framework takes long to start on a busy machine


def agents(person: Person) -> list[str]:
    """Identities of the agents that somebody sees."""
    kind: Any = api.ParticipantInfo.AGENT
    return [one.identity for one in person.room.remote_participants.values() if one.kind == kind]


def agent_attributes(person: Person) -> dict[str, str]:
    found = agents(person)
    return dict(person.room.remote_participants[found[0]].attributes) if found else {}


async def registered(relay: RunningRelay) -> None:
    await until(lambda: list(relay.control._dispatcher.workers), "the worker registers", seconds=PATIENCE)


async def test_an_agent_is_dispatched_listed_and_called_back() -> None:
    async with (
        webhook_receiver() as receiver,
        running_relay(webhooks={"urls": [receiver.url]}) as relay,
        agent_worker(relay.url, "scribe"),
        api.LiveKitAPI(relay.http, API_KEY, API_SECRET) as admin,
        people("alice") as (alice,),
    ):
        await registered(relay)
        await alice.join(relay, ROOM)
        await alice.hum(440)
        made = await admin.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(agent_name="scribe", room=ROOM, metadata="minutes, please")
        )
        await until(lambda: agent_attributes(alice).get("told") == "minutes, please", "it comes", seconds=PATIENCE)
        await until(lambda: agent_attributes(alice).get("heard") == "alice", "it hears Alice")
        assert agent_attributes(alice)["lk.agent_name"] == "scribe"
        (listed,) = await admin.agent_dispatch.list_dispatch(ROOM)
        assert listed.id == made.id
        (job,) = listed.state.jobs
        assert job.state.participant_identity == agents(alice)[0]
        await admin.agent_dispatch.delete_dispatch(made.id, ROOM)
        await until(lambda: agents(alice) == [], "it leaves")
        await until(lambda: "agent_job_ended" in receiver.names, "its end is told")
        assert "agent_job_started" in receiver.names


async def test_an_agent_that_may_hear_by_consent_alone_hears_nobody_before_and_then_only_them() -> None:
    async with (
        running_relay() as relay,
        agent_worker(relay.url, "scribe"),
        js_server_sdk(relay.http, API_KEY, API_SECRET) as sdk,
        people("alice", "bob") as (alice, bob),
    ):
        relay.door.agents = {"by_consent": True}
        await registered(relay)
        await alice.join(relay, ROOM)
        await bob.join(relay, ROOM)
        await alice.hum(440)
        await bob.hum(880)
        await sdk.call("dispatch", "createDispatch", ROOM, "scribe", {"metadata": "go"})
        await until(
            lambda: agent_attributes(alice).get("told") == "go", "it comes, and everybody sees it", seconds=PATIENCE
        )
        (agent,) = agents(alice)
        assert agents(bob) == [agent]
        assert relay.control.registry.get(ROOM).member(agent).subscriptions == {}
        relay.control.set_hearing(ROOM, agent, frozenset({"bob"}))
        await until(lambda: agent_attributes(alice).get("heard") == "bob", "it hears Bob")
        relay.control.set_hearing(ROOM, agent, frozenset())
        assert relay.control.registry.get(ROOM).member(agent).subscriptions == {}


async def test_agents_that_a_token_names_come_with_the_room_and_leave_with_its_people() -> None:
    async with (
        running_relay(rooms={"departure_timeout": 0.5}) as relay,
        agent_worker(relay.url, "scribe"),
        people("alice") as (alice,),
    ):
        await registered(relay)
        token = api.AccessToken(API_KEY, API_SECRET).with_identity("alice")
        token = token.with_grants(api.VideoGrants(room_join=True, room=ROOM))
        dispatch = api.RoomAgentDispatch(agent_name="scribe", metadata="by token")
        token = token.with_room_config(api.RoomConfiguration(agents=[dispatch]))
        await alice.room.connect(relay.url, token.to_jwt())
        await until(lambda: agent_attributes(alice).get("told") == "by token", "it comes", seconds=PATIENCE)
        await alice.leave()
        await until(lambda: relay.events[-1] == ("room_finished", ROOM), "an agent keeps no room open")


async def test_a_worker_whose_agents_would_be_hidden_is_refused() -> None:
    async with running_relay() as relay, agent_worker(relay.url, "spy", "hidden") as process:
        await until(lambda: process.returncode is not None, "it gives up", seconds=PATIENCE)
        assert list(relay.control._dispatcher.workers) == []


@pytest.mark.parametrize("grants", [{}, {"room_admin": True}])
async def test_only_tokens_for_agents_open_the_workers_door(grants: dict[str, bool]) -> None:
    async with running_relay() as relay, aiohttp.ClientSession() as http:
        headers = {"Authorization": f"Bearer {relay.token('', ROOM, **grants)}"}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{relay.url}/agent", headers=headers)
        assert refused.value.status == 401
