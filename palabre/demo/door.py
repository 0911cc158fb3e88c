"""How the demo's people get in: the same HTTP API as the call page, with the same proof (docs/http-api.md)."""

from __future__ import annotations

from typing import Any

import aiohttp

from palabre.demo.matrix_user import MatrixUser


class DoorError(AssertionError):
    """Palabre refused; the message is its code and sentence."""


class Door:
    """One person's session with Palabre's API."""

    def __init__(self, public_url: str) -> None:
        self._url = public_url
        self._http = aiohttp.ClientSession()
        self._headers: dict[str, str] = {}
        self.meeting = ""

    async def show_matrix_token(self, user: MatrixUser, room_id: str) -> None:
        """Come in as a member of the room, proved by an OpenID token of one's own homeserver."""
        path = f"/_matrix/client/v3/user/{user.user_id}/openid/request_token"
        token = await user.call("POST", path, {})
        answer = await self._ask("POST", "/api/session/openid", {"openid": token, "room_id": room_id})
        self._headers = {"Authorization": f"Bearer {answer['session']}"}
        self.meeting = answer["meeting"]["id"]

    async def sign_in(self, name: str, password: str, meeting: str) -> None:
        """Come in by link; this sign-in exists under `--dev` only."""
        answer = await self._ask("POST", "/api/session/dev", {"user": name, "password": password})
        self._headers = {"Authorization": f"Bearer {answer['session']}"}
        self.meeting = meeting

    async def join(self, device: str, mode: str = "server") -> tuple[str, str]:
        """The LiveKit URL and token for this meeting's call."""
        answer = await self._ask("POST", f"/api/meetings/{self.meeting}/join", {"device": device, "mode": mode})
        return answer["url"], answer["token"]

    async def state(self) -> dict[str, Any]:
        return await self._ask("GET", f"/api/meetings/{self.meeting}")

    async def capture(self, *kinds: str) -> None:
        await self._ask("POST", f"/api/meetings/{self.meeting}/capture", {"kinds": list(kinds)})

    async def consent(self, answer: str, *kinds: str) -> None:
        await self._ask("PUT", f"/api/meetings/{self.meeting}/consent", {"kinds": list(kinds), "answer": answer})

    async def close(self) -> None:
        await self._http.close()

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        async with self._http.request(method, self._url + path, json=body, headers=self._headers) as response:
            answer: dict[str, Any] = await response.json()
            if response.status >= 400:
                raise DoorError(f"{method} {path}: {answer.get('code')}: {answer.get('message')}")
            return answer
