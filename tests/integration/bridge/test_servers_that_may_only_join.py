"""People of a homeserver that may only join calls: two federated homeservers, and every token on the relay of one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import jwt
import pytest
from livekit import api, rtc

from palabre.demo.homeserver import Account
from tests.support.deployment import Deployment
from tests.support.element_call.home import Home
from tests.support.federation import Federation

NO_ROOM = "requested room does not exist"  # what Element Call looks for: it says that there is no call to join


@dataclass
class Visit:
    """Alice of the relay's homeserver and Carol of the other one in a room with the bot."""

    home: Home
    away: Home
    alice: Account
    carol: Account
    room_id: str

    @property
    def palabre(self) -> Deployment:
        assert self.home.palabre is not None
        return self.home.palabre

    async def token(self, home: Home, account: Account, **more: Any) -> dict[str, Any]:
        """As Element Call gets it for the room's call."""
        path = f"/v3/user/{quote(account.user_id)}/openid/request_token"
        body = {"room": self.room_id, "openid_token": await home.ask(account, "POST", path, {}), **more}
        url = f"{self.palabre.url}/livekit/jwt/sfu/get"
        async with aiohttp.ClientSession() as http, http.post(url, json={"device_id": "PHONE"} | body) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())

    async def rooms(self) -> list[str]:
        """Of the relay."""
        async with self.livekit() as client:
            return [room.name for room in (await client.room.list_rooms(api.ListRoomsRequest())).rooms]

    def livekit(self) -> api.LiveKitAPI:
        secrets = self.palabre.settings["secrets"]
        return api.LiveKitAPI(self.palabre.url, secrets["livekit_api_key"], secrets["livekit_api_secret"])


async def knock(seat: dict[str, Any]) -> tuple[int, str]:
    """What the relay says to a token."""
    url = f"{seat['url'].replace('ws', 'http', 1)}/rtc/validate?access_token={seat['jwt']}"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status, await answer.text()


def room_of(seat: dict[str, Any]) -> str:
    return str(jwt.decode(seat["jwt"], options={"verify_signature": False})["video"]["room"])


@pytest.fixture
async def visit(federation: Federation) -> Visit:
    def prepare(palabre: Deployment, _others: list[Deployment]) -> None:
        palabre.settings["homeservers"] = {"default": "join"}

    home, away = await federation(2, palabres=1, prepare=prepare)
    assert home.palabre is not None
    alice = await asyncio.to_thread(home.homeserver.register, "alice")
    carol = await asyncio.to_thread(away.homeserver.register, "carol")
    invited = [carol.user_id, home.palabre.bot]
    wish = {"preset": "private_chat", "invite": invited}
    room_id = (await home.ask(alice, "POST", "/v3/createRoom", wish))["room_id"]
    await away.ask(carol, "POST", f"/v3/join/{quote(room_id)}?server_name={quote(home.server_name)}", {})
    return Visit(home, away, alice, carol, room_id)


async def test_they_are_in_calls_that_others_opened_and_no_token_of_theirs_makes_one(visit: Visit) -> None:
    # Nothing runs. Whatever they get is for no call, also with the relay's own words.
    early = await visit.token(visit.away, visit.carol)
    status, words = await knock(early)
    assert status == 404
    assert NO_ROOM in words
    with pytest.raises(rtc.ConnectError):
        await rtc.Room().connect(early["url"], early["jwt"])
    assert await visit.rooms() == []

    # In a call that Alice opened they are welcome, and see her.
    opened = await visit.token(visit.home, visit.alice)
    alice, carol = rtc.Room(), rtc.Room()
    await alice.connect(opened["url"], opened["jwt"])
    used, kept = [await visit.token(visit.away, visit.carol, device_id=device) for device in ("PHONE", "SPARE")]
    assert room_of(used) == room_of(kept) == room_of(opened)
    await carol.connect(used["url"], used["jwt"])
    assert set(carol.remote_participants) == {f"{visit.alice.user_id}:PHONE"}
    assert (await knock(kept))[0] == 200

    # The call ends. Neither the token they used, nor one they kept, nor a new one brings it back.
    await asyncio.gather(alice.disconnect(), carol.disconnect())
    async with visit.livekit() as client:
        await client.room.delete_room(api.DeleteRoomRequest(room=room_of(opened)))
    for seat in (used, kept, await visit.token(visit.away, visit.carol)):
        assert (await knock(seat))[0] in (403, 404)
        with pytest.raises(rtc.ConnectError):
            await rtc.Room().connect(seat["url"], seat["jwt"])
    assert await visit.rooms() == []
