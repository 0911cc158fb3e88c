"""Janus from Debian as a process of ours on the loopback interface, and its API over a WebSocket.

https://janus.conf.meetecho.com/docs/rest.html, https://janus.conf.meetecho.com/docs/videoroom
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import socket
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.ends import LOOPBACK, own_address

PATIENCE = 20.0  # seconds
PROTOCOL = "janus-protocol"

# Debian's own configuration is not read. What is set beside `event_loops` is where it listens, and that what a video
# room does not need is not loaded: idle threads would count as well.
MAIN = """
general: {{
  debug_level = 3
  admin_secret = "{secret}"
  {event_loops}
}}
nat: {{ ice_enforce_list = "{address}" }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
loggers: {{ disable = "{loggers}" }}
"""
WEB_SOCKETS = 'general: {{ json = "compact", ws = true, ws_port = {port}, ws_ip = "127.0.0.1" }}'
LIBRARIES = next(iter(Path("/usr/lib").glob("*/janus")), Path("/usr/lib/janus"))


def why_not() -> str:
    """What keeps Janus from running here; empty: nothing."""
    if shutil.which("janus") is None:
        return "it is not installed (Debian: apt install janus)"
    if own_address() == LOOPBACK:
        return "it has no candidates on the loopback interface, and there is no other one with a route"
    return ""


def _others(folder: str, wanted: str) -> str:
    return ",".join(path.name for path in sorted((LIBRARIES / folder).glob("*.so")) if wanted not in path.name)


def _free_port() -> int:
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        return int(tcp.getsockname()[1])


class Janus:
    """The process. `event_loops` 0 is its default: a thread for each PeerConnection."""

    def __init__(self, event_loops: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="palabre-janus-")
        self.port, folder = _free_port(), Path(self._folder.name)
        (folder / "janus.jcfg").write_text(
            MAIN.format(
                secret=folder.name,
                address=own_address(),
                event_loops=f"event_loops = {event_loops}" if event_loops else "",
                plugins=_others("plugins", "videoroom"),
                transports=_others("transports", "websockets"),
                loggers=_others("loggers", "none"),
            )
        )
        (folder / "janus.transport.websockets.jcfg").write_text(WEB_SOCKETS.format(port=self.port))
        (folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")
        self._log = (folder / "log").open("w+")
        command = ["janus", "--configs-folder", str(folder), "--disable-colors"]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)
        self.pid = self._process.pid

    def log(self) -> str:
        self._log.flush()
        return (Path(self._folder.name) / "log").read_text(errors="replace")

    async def connect(self, http: aiohttp.ClientSession) -> JanusApi:
        """A session of its API, as soon as it answers."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    socket = await http.ws_connect(f"ws://127.0.0.1:{self.port}", protocols=(PROTOCOL,))
                except aiohttp.ClientError:
                    if self._process.poll() is not None:
                        raise RuntimeError(f"Janus ended: {self.log()[-2000:]}") from None
                    await asyncio.sleep(0.1)
                else:
                    api = JanusApi(socket)
                    await api.start()
                    return api

    async def close(self) -> None:
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()
        self._folder.cleanup()


class JanusApi:
    """One session. Requests are answered by transaction; a plugin's answer is the event after the acknowledgement."""

    def __init__(self, web_socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = web_socket
        self._transactions = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._up: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._session = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks.append(asyncio.create_task(self._read()))
        self._session = (await self.request("create"))["data"]["id"]
        self._tasks.append(asyncio.create_task(self._keep_alive()))

    async def _read(self) -> None:
        async for message in self._socket:
            answer = message.json()
            if answer["janus"] == "webrtcup":
                self._up[answer["sender"]].set()
            if answer["janus"] == "ack":
                continue
            waiting = self._waiting.pop(answer.get("transaction", ""), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(20)
            await self._send("keepalive", "", {})

    async def _send(self, kind: str, transaction: str, more: dict[str, Any]) -> None:
        session = {"session_id": self._session} if self._session else {}
        await self._socket.send_json({"janus": kind, "transaction": transaction} | session | more)

    async def request(self, kind: str, **more: Any) -> dict[str, Any]:
        transaction = str(next(self._transactions))
        waiting = self._waiting[transaction] = asyncio.get_running_loop().create_future()
        await self._send(kind, transaction, more)
        async with asyncio.timeout(PATIENCE):
            answer: dict[str, Any] = await waiting
        problem = answer.get("error") or answer.get("plugindata", {}).get("data", {}).get("error")
        if problem:
            raise RuntimeError(f"Janus refused {kind}: {problem}")
        return answer

    async def attach(self) -> int:
        """A handle: a place in a room."""
        answer = await self.request("attach", plugin="janus.plugin.videoroom")
        return int(answer["data"]["id"])

    async def ask(
        self, handle: int, body: dict[str, Any], *, description: tuple[str, str] | None = None
    ) -> tuple[dict[str, Any], str]:
        """A message to the room. Returns what it says, and an SDP or nothing."""
        more = {"jsep": {"type": description[0], "sdp": description[1]}} if description else {}
        answer = await self.request("message", handle_id=handle, body=body, **more)
        return answer["plugindata"]["data"], answer.get("jsep", {}).get("sdp", "")

    async def up(self, handle: int) -> None:
        """Wait until its media may flow."""
        async with asyncio.timeout(PATIENCE):
            await self._up[handle].wait()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._socket.close()
