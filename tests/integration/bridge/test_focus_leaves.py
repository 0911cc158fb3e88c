"""Nobody stays in a call as a ghost: delayed leaves on a real homeserver, when clients and the service are killed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from palabre.demo.matrix_user import MatrixUser
from tests.support.deployment import Deployment, Room

MEMBER = "org.matrix.msc3401.call.member"
HOUR = 3_600_000  # milliseconds, as Element Call 0.26 schedules its leaving
# From the end of a client to the end of its member event: the relay notices, waits for a resume, then for a rejoin.
GONE_SECONDS = 60.0
CLIENT = """
import asyncio, sys
from livekit import rtc
async def main():
    room = rtc.Room()
    await room.connect(sys.argv[1], sys.argv[2])
    print("connected", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def announce(user: MatrixUser, room_id: str) -> str:
    """Member event and delayed leave, as a MatrixRTC client sends them; the delay's id."""
    key = quote(f"_{user.user_id}_{user.account.device_id}_m.call", safe="")
    path = f"/_matrix/client/v3/rooms/{quote(room_id, safe='')}/state/{MEMBER}/{key}"
    await user.call("PUT", path, {"application": "m.call", "device_id": user.account.device_id, "expires": HOUR})
    delayed = await user.call("PUT", f"{path}?org.matrix.msc4140.delay={HOUR}", {})
    return str(delayed["delay_id"])


async def announced(user: MatrixUser, room_id: str) -> bool:
    """Whether the room shows them in a call."""
    state = await user.call("GET", f"/_matrix/client/v3/rooms/{quote(room_id, safe='')}/state", None)
    return any(event["type"] == MEMBER and event["content"] for event in state)  # type: ignore[index]


async def seat(deployment: Deployment, user: MatrixUser, room_id: str, delay_id: str) -> dict[str, Any]:
    path = f"/_matrix/client/v3/user/{user.user_id}/openid/request_token"
    body = {
        "room": room_id,
        "openid_token": await user.call("POST", path, {}),
        "device_id": user.account.device_id,
        "delay_id": delay_id,
        "delay_timeout": HOUR,
        "delay_cs_api_url": "http://127.0.0.1:9",  # nobody goes where a client points
    }
    url = f"{deployment.url}/livekit/jwt/sfu/get"
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
        assert answer.status == 200, await answer.text()
        return dict(await answer.json())


@asynccontextmanager
async def browser(ticket: dict[str, Any]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A client in a process of its own, connected."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, ticket["url"], ticket["jwt"], stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"connected\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until_gone(user: MatrixUser, room_id: str) -> None:
    async with asyncio.timeout(GONE_SECONDS):
        while await announced(user, room_id):  # noqa: ASYNC110 - the state is asked, not told
            await asyncio.sleep(0.5)


async def test_a_browser_that_is_killed_leaves_no_ghost(deployment: Deployment, make_room: Callable[..., Any]) -> None:
    await deployment.start()
    room: Room = await make_room("alice")
    alice = room.people["alice"]
    async with browser(await seat(deployment, alice, room.room_id, await announce(alice, room.room_id))) as process:
        assert await announced(alice, room.room_id)
        process.kill()
        await process.wait()
        await until_gone(alice, room.room_id)


@pytest.mark.long
async def test_a_browser_that_is_killed_while_the_service_is_down_leaves_no_ghost_either(
    deployment: Deployment, make_room: Callable[..., Any]
) -> None:
    await deployment.start()
    room: Room = await make_room("alice")
    alice = room.people["alice"]
    async with browser(await seat(deployment, alice, room.room_id, await announce(alice, room.room_id))) as process:
        await room.hears("alice", lambda message: "org.palabre.call" in message.content)
        await deployment.kill()
        process.kill()
        await process.wait()
    assert await announced(alice, room.room_id)
    await deployment.start()
    await until_gone(alice, room.room_id)
