"""Three federated homeservers in one call on the relay of one: one goes away, one is shut out of the room meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import aiohttp
from livekit import rtc

from palabre.demo.homeserver import Account
from tests.support.element_call.home import Home
from tests.support.federation import Federation

SECONDS = 5.0  # within which whoever is shut out of the room is out of the call
CONVERGED = 30.0  # until a server that was away has what it missed


async def seat(focus: str, home: Home, account: Account, room_id: str) -> tuple[int, dict[str, Any]]:
    """As Element Call asks for it."""
    path = f"/v3/user/{quote(account.user_id)}/openid/request_token"
    proof = await home.ask(account, "POST", path, {})
    body = {"room": room_id, "openid_token": proof, "device_id": "PHONE"}
    async with aiohttp.ClientSession() as http, http.post(f"{focus}/livekit/jwt/sfu/get", json=body) as answer:
        return answer.status, await answer.json()


async def until(condition: Callable[[], bool], seconds: float = CONVERGED) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the SDK calls back, on this loop
            await asyncio.sleep(0.05)


async def test_who_is_banned_while_another_server_is_away_is_out_and_the_others_call_goes_on(
    federation: Federation,
) -> None:
    homes = await federation(3, palabres=1)
    palabre = homes[0].palabre
    assert palabre is not None
    people = [
        await asyncio.to_thread(home.homeserver.register, name)
        for home, name in zip(homes, ("alice", "bob", "carol"), strict=True)
    ]
    alice, bob, carol = people
    wish = {"preset": "private_chat", "invite": [bob.user_id, carol.user_id, palabre.bot]}
    room_id = (await homes[0].ask(alice, "POST", "/v3/createRoom", wish))["room_id"]
    for home, person in list(zip(homes, people, strict=True))[1:]:
        path = f"/v3/join/{quote(room_id)}?server_name={quote(homes[0].server_name)}"
        await home.ask(person, "POST", path, {})

    rooms = [rtc.Room() for _ in people]
    gone: list[str] = []
    for home, person, call in zip(homes, people, rooms, strict=True):
        status, given = await seat(palabre.url, home, person, room_id)
        assert status == 200, given
        call.on("disconnected", lambda _reason, who=person.user_id: gone.append(who))
        await call.connect(given["url"], given["jwt"])
    names = {f"{person.user_id}:PHONE" for person in people}
    await until(lambda: set(rooms[0].remote_participants) == names - {f"{alice.user_id}:PHONE"})

    # Bob's homeserver is cut off. Carol is banned meanwhile, of which it hears nothing.
    await asyncio.to_thread(homes[1].homeserver.stop)
    await homes[0].ask(alice, "POST", f"/v3/rooms/{quote(room_id)}/ban", {"user_id": carol.user_id})
    await until(lambda: carol.user_id in gone, SECONDS)
    assert gone == [carol.user_id]
    await until(lambda: set(rooms[0].remote_participants) == {f"{bob.user_id}:PHONE"})
    status, refused = await seat(palabre.url, homes[2], carol, room_id)
    assert (status, refused["errcode"]) == (403, "M_FORBIDDEN")

    # It comes back with the room as it was: what it believes lets nobody in, and soon it knows.
    await asyncio.to_thread(homes[1].homeserver.start)
    await homes[0].ask(alice, "PUT", f"/v3/rooms/{quote(room_id)}/state/m.room.topic", {"topic": "We go on"})
    members = f"/v3/rooms/{quote(room_id)}/state/m.room.member/{quote(carol.user_id)}"
    async with asyncio.timeout(CONVERGED):
        while (await homes[1].ask(bob, "GET", members))["membership"] != "ban":  # noqa: ASYNC110 - over HTTP
            await asyncio.sleep(0.2)
    status, again = await seat(palabre.url, homes[1], bob, room_id)
    assert status == 200, again
    assert set(rooms[1].remote_participants) == {f"{alice.user_id}:PHONE"}
    for call in (rooms[0], rooms[1]):
        await call.disconnect()
