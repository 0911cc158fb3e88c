"""One administration's side: its homeserver with the switches that calls need, and perhaps a Palabre of its own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from palabre.demo.homeserver import Account, Homeserver
from tests.support.deployment import Deployment

MEMBER = "org.matrix.msc3401.call.member"
STICKY_MEMBER = "org.matrix.msc4143.rtc.member"
SWITCHES = {
    "msc4143_enabled": True,  # where calls go: GET rtc/transports
    "msc4222_enabled": True,  # the state after a sync, which Element's library wants
    "msc4354_enabled": True,  # sticky events
    "msc3266_enabled": True,  # room summaries
}


def focus_url(public_url: str) -> str:
    """Where Element Call asks for tokens: one spelling everywhere, without a slash at its end."""
    return f"{public_url}/livekit/jwt"


def switches(focus: str) -> dict[str, Any]:
    """What `homeserver.yaml` says for calls on `focus`, on both routes by which clients find it."""
    transport = {"type": "livekit", "livekit_service_url": focus}
    return {
        "experimental_features": SWITCHES,
        "matrix_rtc": {"transports": [transport]},
        "extra_well_known_client_content": {"org.matrix.msc4143.rtc_foci": [transport]},
    }


@dataclass
class Home:
    homeserver: Homeserver
    palabre: Deployment | None = None

    @property
    def server_name(self) -> str:
        return self.homeserver.server_name

    async def ask(self, account: Account, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """A request to the client API as this person."""
        request = self.homeserver.request
        return await asyncio.to_thread(request, method, f"/_matrix/client{path}", body, token=account.access_token)

    async def member_events(self, account: Account, room_id: str) -> dict[str, dict[str, Any]]:
        """Contents of the room's call member events that aren't empty, by state key."""
        state = await self.ask(account, "GET", f"/v3/rooms/{quote(room_id, safe='')}/state")
        events: Any = state  # the endpoint answers with a list
        return {
            event["state_key"]: event["content"] for event in events if event["type"] == MEMBER and event["content"]
        }
