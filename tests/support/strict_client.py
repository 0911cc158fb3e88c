"""Somebody with a strict Matrix client: matrix-js-sdk with Rust crypto in Node, unsigned devices excluded.

The independent judge of what the bot encrypts: it shares no code with Palabre or with matrix-nio, and it gives keys to
and believes cross-signed devices only, as a strict Element does.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from palabre.demo.homeserver import Account, Homeserver
from palabre.demo.matrix_user import PATIENCE, Message
from tests.support.synapse import unique_name

FOLDER = Path(__file__).resolve().parents[1] / "e2e" / "js-matrix"
LINE_LIMIT = 16 * 1024 * 1024  # bytes of one JSON line


class StrictClientError(AssertionError):
    """The client refused, or what was expected did not come."""


def node() -> Path:
    """The Node that npm installed beside the client: the machine's own may be too old for it."""
    found = sorted(FOLDER.glob("node_modules/node-linux-*/bin/node"))
    if not found:
        raise StrictClientError(f"no Node in {FOLDER}: run `npm ci` there, or `make test`")
    return found[0]


class StrictClient:
    """One user on one device, in a process of its own."""

    def __init__(self, homeserver: Homeserver, account: Account) -> None:
        self.homeserver = homeserver
        self.user_id = account.user_id
        self.events: dict[str, dict[str, Any]] = {}  # by event id, as last reported
        self._account = account
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()
        self._news = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Log in, cross-sign the own device, sync."""
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            node(), "client.mjs", cwd=FOLDER, stdin=pipe, stdout=pipe, limit=LINE_LIMIT
        )
        self._reader = asyncio.create_task(self._read())
        account = self._account
        await self._ask(
            "start",
            homeserver=self.homeserver.url,
            user_id=account.user_id,
            access_token=account.access_token,
            device_id=account.device_id,
        )

    async def close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def create_room(self, name: str, invite: list[str]) -> str:
        return str(await self._ask("create", name=name, invite=invite))

    async def join(self, room_id: str) -> None:
        await self._ask("join", room_id=room_id)

    async def send(self, room_id: str, body: str) -> str:
        return str(await self._ask("send", room_id=room_id, content={"msgtype": "m.text", "body": body}))

    async def download(self, message: Message, folder: Path, *, thumbnail: bool = False) -> bytes:
        """The file of an encrypted message, its hash checked and decrypted by the client."""
        content = message.content["info"] if thumbnail else message.content
        path = folder / "downloaded"
        await self._ask("download", file=content["thumbnail_file" if thumbnail else "file"], path=str(path))
        return path.read_bytes()

    async def expect(self, room_id: str, wanted: Callable[[Message], bool], *, patience: float = PATIENCE) -> Message:
        """The first readable message of the room that is `wanted`, seen already or still to come."""
        try:
            async with asyncio.timeout(patience):
                while True:
                    self._news.clear()
                    for message in self.messages(room_id):
                        if message.readable and wanted(message):
                            return message
                    await self._news.wait()
        except TimeoutError:
            seen = "\n".join(f"  {e['sender']} {e['type']} {e['failure']} {e['content']}" for e in self.events.values())
            raise StrictClientError(f"{self.user_id} waited {patience:.0f} s in vain; it has:\n{seen}") from None

    def messages(self, room_id: str) -> list[Message]:
        """What the room's timeline shows, in order of arrival."""
        fields = ("room_id", "event_id", "sender", "type", "content", "encrypted", "readable")
        events = [event for event in self.events.values() if event["room_id"] == room_id]
        return [Message(**{name: event[name] for name in fields}) for event in events]

    def shield(self, message: Message) -> int:
        """The warning that Element would show beside the message: 0 none, 1 grey, 2 red."""
        return int(self.events[message.event_id]["shield"])

    async def _ask(self, request: str, **parameters: Any) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps({"id": number, "request": request, **parameters}).encode() + b"\n")
        await self._process.stdin.drain()
        assert self._reader is not None
        await asyncio.wait({answer, self._reader}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if self._reader.done():
            self._reader.result()
        if not answer.done():
            raise StrictClientError(f"{self.user_id}: no answer to {request}")
        return answer.result()

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            message = json.loads(line)
            if event := message.get("event"):
                if event["thread"]:
                    relation = {"rel_type": "m.thread", "event_id": event["thread"]}
                    event["content"] = event["content"] | {"m.relates_to": relation}
                self.events[event["event_id"]] = event
                self._news.set()
            elif error := message.get("error"):
                self._answers.pop(message["id"]).set_exception(StrictClientError(error))
            else:
                self._answers.pop(message["id"]).set_result(message["result"])


MakeStrict = Callable[[str], Awaitable[StrictClient]]


@pytest.fixture
async def strict_user(homeserver: Homeserver) -> AsyncIterator[MakeStrict]:
    """Makes strict clients on the shared homeserver."""
    made: list[StrictClient] = []

    async def make(stem: str) -> StrictClient:
        account = await asyncio.to_thread(homeserver.register, unique_name(stem))
        made.append(StrictClient(homeserver, account))
        await made[-1].start()
        return made[-1]

    yield make
    for client in made:
        await client.close()
