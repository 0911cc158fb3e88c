"""Tokens through real homeservers (MSC4512, MSC4502, MSC4195): one's own, and another's over federation.

Two Synapses, each with its Palabre; the room has neither bot in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from appservice.registration import MEMBERSHIP_SCOPE
from palabre.demo.homeserver import Account, Homeserver
from tests.support.deployment import Deployment
from tests.support.synapse import AppserviceSlot, make_slot

GET_TOKEN = "/_matrix/client/unstable/io.element.msc4195/rtc/livekit/get_token"


def with_proxy(server: Homeserver, name: str) -> AppserviceSlot:
    """A registration with the lines that `palabre registration` writes for `bridge.focus.homeserver_proxy`."""
    slot = make_slot(server, name)
    lines = {
        "io.element.msc4512.proxy_prefix": "rtc/livekit",
        "io.element.msc4512.proxy_url": slot.url,
        "io.element.msc4502.scopes": [MEMBERSHIP_SCOPE],
    }
    server.registrations.append(slot.registration() | lines)
    return slot


async def ask(server: Homeserver, account: Account | None, method: str, path: str, body: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {account.access_token}"} if account else {}
    url = server.url + path
    async with aiohttp.ClientSession() as http, http.request(method, url, json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def relay_says(deployment: Deployment, jwt: str) -> int:
    url = f"{deployment.url}/rtc/validate?access_token={jwt}"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status


async def test_members_get_tokens_for_their_own_relay_and_the_other_organisations(
    new_homeserver: Callable[..., Homeserver],
    new_deployment: Callable[[Homeserver, AppserviceSlot], Deployment],
    tmp_path: Path,
) -> None:
    switches = {"experimental_features": {"msc4512_enabled": True, "msc4502_enabled": True}}
    here, there = (new_homeserver(federation=True, extra=switches) for _ in range(2))
    deployments = []
    for server, name in ((here, "here"), (there, "there")):
        deployment = new_deployment(server, with_proxy(server, name))
        deployment.settings["bridge"]["focus"] = {"homeserver_proxy": True}
        deployment.settings["appservice"]["membership"] = "msc4502"
        await asyncio.to_thread(server.start)
        await deployment.start()
        deployments.append(deployment)
    alice, eve = [await asyncio.to_thread(here.register, name) for name in ("alice", "eve")]
    bob = await asyncio.to_thread(there.register, "bob")
    _, made = await ask(here, alice, "POST", "/_matrix/client/v3/createRoom", {"invite": [bob.user_id]})
    room_id = made["room_id"]
    query = f"?server_name={quote(here.server_name)}"
    status, _ = await ask(there, bob, "POST", f"/_matrix/client/v3/join/{quote(room_id, safe='')}{query}", {})
    assert status == 200

    urls = [deployment.url.replace("http", "ws", 1) for deployment in deployments]
    body = {"url": urls[0], "room_id": room_id, "slot_id": "m.call#ROOM", "member_id": "member-1"}
    status, own = await ask(here, alice, "POST", GET_TOKEN, body)
    assert status == 200, own
    assert await relay_says(deployments[0], own["jwt"]) == 200
    assert (await ask(here, None, "POST", GET_TOKEN, body))[0] == 401
    status, refused = await ask(here, eve, "POST", GET_TOKEN, body)
    assert (status, refused["errcode"]) == (403, "M_FORBIDDEN")

    # Alice at the relay of Bob's organisation, and he at hers.
    for server, account, where in ((here, alice, 1), (there, bob, 0)):
        name = (here, there)[where].server_name
        wanted = body | {"url": urls[where], "server_name": name, "member_id": f"member-{where}"}
        status, theirs = await ask(server, account, "POST", GET_TOKEN, wanted)
        assert status == 200, theirs
        assert await relay_says(deployments[where], theirs["jwt"]) == 200
        assert await relay_says(deployments[1 - where], theirs["jwt"]) == 401
