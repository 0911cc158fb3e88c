"""LiveKit's server SDK for JavaScript, unmodified, in a Node of its own: calls the relay and verifies its webhooks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.strict_client import node

FOLDER = Path(__file__).resolve().parents[1] / "e2e" / "js-livekit"


class SdkError(Exception):
    """The SDK threw: `code` is Twirp's, or the name of the error's class."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class JsServerSdk:
    """One question at a time. `{"$file": …}` and `{"$bytes": …}` in arguments become what JSON can't say."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._asked = 0

    async def call(self, client: str, method: str, *arguments: Any) -> Any:
        """Raises `SdkError`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asked += 1
        question = {"id": self._asked, "client": client, "method": method, "args": arguments}
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        async with asyncio.timeout(30):
            answer = json.loads(await self._process.stdout.readline())
        if "error" in answer:
            raise SdkError(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]


@asynccontextmanager
async def js_server_sdk(url: str, key: str, secret: str) -> AsyncIterator[JsServerSdk]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        node(), "client.mjs", url, key, secret, cwd=FOLDER, stdin=pipe, stdout=pipe
    )
    try:
        yield JsServerSdk(process)
    finally:
        process.kill()
        await process.wait()
