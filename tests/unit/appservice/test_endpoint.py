"""What the homeserver is answered, over real HTTP, on a real database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from appservice.endpoint import MAX_BODY, Endpoint
from appservice.inbox import Inbox, Row
from appservice.schema import upgrade_table
from palabre.base.clock import ManualClock
from palabre.base.database import open_database
from tests.unit.appservice.test_settings import settings
from tests.unit.appservice.test_transaction import EVENT

Client = TestClient[web.Request, web.Application]
TOKEN = {"Authorization": f"Bearer {'h' * 32}"}
PATH = "/_matrix/app/v1/transactions/1"


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Inbox]:
    pool, (database,) = await open_database(f"sqlite:///{tmp_path}/test.db", [upgrade_table])
    yield Inbox(database)
    await pool.stop()


@pytest.fixture
async def client(inbox: Inbox) -> AsyncIterator[Client]:
    root = web.Application()
    root.add_subapp("/_matrix/app", Endpoint(settings(), inbox, ManualClock(), lambda: None).app())
    client = TestClient(TestServer(root))
    await client.start_server()
    yield client
    await client.close()


def events(*ids: str) -> dict[str, Any]:
    return {"events": [EVENT | {"event_id": event_id} for event_id in ids]}


async def stored(inbox: Inbox) -> list[str]:
    return [row.event_id for row in await inbox.next_waiting(100)]


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, ""),
        ({"Authorization": "Bearer "}, ""),
        ({"Authorization": "h" * 32}, ""),
        ({"Authorization": f"Bearer {'h' * 31}"}, ""),
        ({"Authorization": f"Bearer {'h' * 33}"}, ""),
        ({"Authorization": f"Bearer {'a' * 32}"}, ""),
        ({"Authorization": f"Basic {'h' * 32}"}, ""),
        ({"Authorization": "Bearer hé\xff"}, ""),
        ({}, f"?access_token={'h' * 32}"),
        (TOKEN, f"?access_token={'h' * 32}"),
    ],
)
async def test_whoever_does_not_show_the_token_in_the_header_is_refused(
    client: Client, inbox: Inbox, headers: dict[str, str], query: str
) -> None:
    for method, path in (("PUT", PATH), ("POST", "/_matrix/app/v1/ping"), ("GET", "/_matrix/app/v1/users/@a:b")):
        answer = await client.request(method, path + query, json=events("$a"), headers=headers)
        assert answer.status == 403
        assert (await answer.json())["errcode"] == "M_FORBIDDEN"
    assert await stored(inbox) == []


async def test_a_token_of_a_megabyte_is_refused(client: Client) -> None:
    answer = await client.put(PATH, json=events("$a"), headers={"Authorization": f"Bearer {'h' * 2**20}"})
    assert answer.status in (400, 403, 431)


async def test_events_are_stored_once_however_often_and_by_whatever_transaction_they_come(
    client: Client, inbox: Inbox
) -> None:
    answers = await asyncio.gather(*(client.put(PATH, json=events("$a", "$b"), headers=TOKEN) for _ in range(3)))
    assert [answer.status for answer in answers] == [200, 200, 200]
    await client.put(PATH, json=events("$b", "$c"), headers=TOKEN)  # the same transaction with another body
    await client.put(PATH.replace("/1", "/2"), json=events("$a", "$d"), headers=TOKEN)
    assert await stored(inbox) == ["$a", "$b", "$c", "$d"]


async def test_a_settled_event_stays_settled_when_it_comes_again(client: Client, inbox: Inbox) -> None:
    await client.put(PATH, json=events("$a"), headers=TOKEN)
    (row,) = await inbox.next_waiting(1)
    await inbox.settle(row)
    await client.put(PATH, json=events("$a"), headers=TOKEN)
    assert await stored(inbox) == []
    await inbox.forget(ManualClock().wall() + 1)
    await client.put(PATH, json=events("$a"), headers=TOKEN)
    assert await stored(inbox) == ["$a"]


async def test_an_answer_has_its_length_for_homeservers_that_want_it(client: Client) -> None:
    answer = await client.put(PATH, json=events("$a"), headers=TOKEN)
    assert answer.headers["Content-Length"] == "2"


async def test_a_body_larger_than_any_transaction_is_refused(client: Client, inbox: Inbox) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 2**20 + 2):
            yield b" " * 2**20

    answer = await client.put(PATH, data=endless(), headers=TOKEN)
    assert answer.status == 413
    assert await stored(inbox) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"events": 7}'])
async def test_what_is_no_transaction_is_refused_with_a_reason(client: Client, body: bytes) -> None:
    answer = await client.put(PATH, data=body, headers=TOKEN)
    assert answer.status == 400
    assert (await answer.json())["error"]


async def test_odd_events_are_skipped_and_the_transaction_is_taken(client: Client, inbox: Inbox) -> None:
    odd: list[Any] = [
        None,
        [],
        {"event_id": "$x"},
        EVENT | {"sender": 7},
        EVENT | {"event_id": "$ok", "content": {"x": "\ud800"}},
    ]
    answer = await client.put(PATH, data=json.dumps({"events": odd}), headers=TOKEN)
    assert answer.status == 200
    assert await stored(inbox) == ["$ok"]


async def test_the_homeserver_may_ping_and_ask_for_the_bot(client: Client) -> None:
    assert (await client.post("/_matrix/app/v1/ping", json={}, headers=TOKEN)).status == 200
    assert (await client.get("/_matrix/app/v1/users/@palabre:example.org", headers=TOKEN)).status == 200
    assert (await client.get("/_matrix/app/v1/users/@palabre-x:example.org", headers=TOKEN)).status == 404
    assert (await client.get("/_matrix/app/v1/rooms/%23palabre-x:example.org", headers=TOKEN)).status == 404


async def test_parked_events_come_back_in_order_when_their_key_is_here(inbox: Inbox, client: Client) -> None:
    await client.put(PATH, json=events("$a", "$b", "$c"), headers=TOKEN)
    rows = await inbox.next_waiting(10)
    for row in rows:
        await inbox.hand_on(row)
    first, second, third = rows
    await inbox.park(first, "session")
    await inbox.park(second, "other")
    room = first.room_id
    assert await next_ready(inbox, room) == third.event_id
    assert set(await inbox.parked()) == {(room, "session"), (room, "other")}
    assert await inbox.unpark("session") == 1
    assert await next_ready(inbox, room) == first.event_id
    assert await inbox.rooms_ready() == [room]
    assert await inbox.give_up(ManualClock().wall() + 1) == 1
    assert await inbox.parked() == []
    assert await inbox.unsettled() == 2


async def next_ready(inbox: Inbox, room: str) -> str:
    row: Row | None = await inbox.next_ready(room)
    assert row is not None
    return row.event_id
