from __future__ import annotations

import pytest

from bridge.people import guest_person, matrix_person
from bridge.sessions import SESSIONS_PER_PERSON, SessionStore
from palabre.base.errors import CallerError
from palabre.base.ids import MeetingId
from tests.support.bridge_fakes import ALICE
from tests.support.bridge_world import World

PERSON = matrix_person(ALICE, "Alice")


def store(world: World) -> SessionStore:
    return SessionStore(world.database, world.clock, 3600.0)


async def expired(sessions: SessionStore, token: str) -> bool:
    try:
        await sessions.find(token)
    except CallerError as refusal:
        return (refusal.code, refusal.status) == ("session_expired", 401)
    return False


async def test_a_session_leads_back_to_its_person_until_it_expires(bridge_world: World) -> None:
    sessions = store(bridge_world)
    token, _ = await sessions.open(PERSON, None)
    assert (await sessions.find(token)).person == PERSON
    bridge_world.clock.advance(3601)
    assert await expired(sessions, token)


@pytest.mark.parametrize("token", ["", "forged", "x" * 10_000, "\x00", "' OR 1=1 --"])
async def test_a_forged_session_is_refused(bridge_world: World, token: str) -> None:
    assert await expired(store(bridge_world), token)


async def test_the_token_itself_is_not_in_the_database(bridge_world: World) -> None:
    token, _ = await store(bridge_world).open(guest_person("camille", "Camille"), None)
    rows = await bridge_world.database.fetch("SELECT * FROM bridge_session")
    assert token not in str([tuple(row) for row in rows])


async def test_a_session_for_one_meeting_opens_no_other(bridge_world: World) -> None:
    meeting = await bridge_world.meeting()
    _, session = await store(bridge_world).open(PERSON, meeting)
    session.require(meeting)
    with pytest.raises(CallerError, match="another meeting"):
        session.require(MeetingId("other"))


async def test_somebody_with_too_many_sessions_loses_the_oldest(bridge_world: World) -> None:
    sessions = store(bridge_world)
    tokens = []
    for _ in range(SESSIONS_PER_PERSON + 2):
        tokens.append((await sessions.open(PERSON, None))[0])
        bridge_world.clock.advance(1)
    assert [await expired(sessions, token) for token in tokens[:3]] == [True, True, False]


async def test_sessions_outlive_a_crash(bridge_world: World) -> None:
    token, _ = await store(bridge_world).open(PERSON, None)
    await bridge_world.restart()
    assert not await expired(store(bridge_world), token)
