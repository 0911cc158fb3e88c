"""What must appear in a room exactly once: written down first, sent in order, ticked off when acknowledged.

Each call is one thread. Its first post is the root, everything else goes below it. A post's key is also the seed of its
Matrix transaction id, so that sending again after a crash is the same message.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

import structlog

from appservice.seams import FilePost, MatrixPort
from palabre.base import metrics
from palabre.base.clock import Clock
from palabre.base.database import Database
from palabre.base.errors import CallerError
from palabre.base.ids import CallId, EventId, RoomId, loggable
from palabre.base.tasks import Supervisor

log = structlog.get_logger("posts")

RETRY_SECONDS = 30.0  # after an error of ours; what the homeserver can't do just now, the bot retries itself

_posted = metrics.counter("posts", "Posts in rooms", ["outcome"])


class PostKind(Enum):
    ROOT = "root"  # the call event: the thread's root
    TEXT = "text"
    FILE = "file"


@dataclass(frozen=True)
class Post:
    """`content`: for text and root `{"body", "html", "extra"}`, or `{"message_of": capture}` where the body is sealed;
    for a file `{"artefact": id}`.
    """

    key: str
    call: CallId
    kind: PostKind
    content: dict[str, Any]
    capture: str | None = None  # whose artefacts or failure it brings


class PostStore:
    """The table `bridge_post`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(self, post: Post) -> None:
        """Write it down behind the call's others, unless a post with this key is there."""
        await self._database.execute(
            """INSERT INTO bridge_post (key, seq, call, capture, kind, content, created_at)
               SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5, $6 FROM bridge_post WHERE call = $2
               ON CONFLICT (key) DO NOTHING""",
            post.key,
            post.call,
            post.capture,
            post.kind.value,
            json.dumps(post.content),
            self._clock.wall(),
        )

    async def waiting_calls(self) -> list[CallId]:
        rows = await self._database.fetch(
            """SELECT DISTINCT call FROM bridge_post
               WHERE (event_id IS NULL AND refused IS NULL AND NOT withdrawn) OR (withdrawn AND NOT taken_back)"""
        )
        return [row["call"] for row in rows]

    async def next(self, call: CallId) -> Post | None:
        row = await self._database.fetchrow(
            """SELECT key, call, kind, content, capture FROM bridge_post
               WHERE call = $1 AND event_id IS NULL AND refused IS NULL AND NOT withdrawn ORDER BY seq LIMIT 1""",
            call,
        )
        return row and Post(row["key"], row["call"], PostKind(row["kind"]), json.loads(row["content"]), row["capture"])

    async def acknowledge(self, key: str, event_id: EventId) -> None:
        await self._database.execute("UPDATE bridge_post SET event_id = $2 WHERE key = $1", key, event_id)

    async def refuse(self, key: str, code: str) -> None:
        await self._database.execute("UPDATE bridge_post SET refused = $2 WHERE key = $1", key, code)

    async def withdraw(self, capture: str) -> None:
        """What a capture has brought into the room is to be taken back, and what has not gone out yet is not to go."""
        await self._database.execute("UPDATE bridge_post SET withdrawn = true WHERE capture = $1", capture)

    async def to_take_back(self, call: CallId) -> list[str]:
        """Keys of posts that were withdrawn, newest first."""
        rows = await self._database.fetch(
            "SELECT key FROM bridge_post WHERE call = $1 AND withdrawn AND NOT taken_back ORDER BY seq DESC", call
        )
        return [row["key"] for row in rows]

    async def took_back(self, key: str) -> None:
        await self._database.execute("UPDATE bridge_post SET taken_back = true WHERE key = $1", key)

    async def forget_refusals(self, capture: str) -> None:
        """Posts of this capture that were refused are to be tried again."""
        await self._database.execute("UPDATE bridge_post SET refused = NULL WHERE capture = $1", capture)

    async def thread(self, call: CallId) -> EventId | None:
        """The root of the call's thread, once it is there."""
        event_id = await self._database.fetchval(
            "SELECT event_id FROM bridge_post WHERE call = $1 AND kind = 'root'", call
        )
        return None if event_id is None else EventId(event_id)

    async def contents(self, call: CallId, since: float) -> list[dict[str, Any]]:
        """Of all that was written down for a call since then, oldest first."""
        rows = await self._database.fetch(
            "SELECT content FROM bridge_post WHERE call = $1 AND created_at >= $2 ORDER BY seq", call, since
        )
        return [json.loads(row["content"]) for row in rows]

    async def room(self, call: CallId) -> RoomId:
        room_id = await self._database.fetchval(
            """SELECT bridge_meeting.room_id FROM bridge_meeting
               JOIN bridge_call ON bridge_call.meeting = bridge_meeting.id WHERE bridge_call.id = $1""",
            call,
        )
        return RoomId(room_id)

    async def outcome(self, capture: str) -> tuple[int, list[str]]:
        """How many posts of a capture still wait, and the codes of those that were refused."""
        rows = await self._database.fetch(
            "SELECT event_id, refused FROM bridge_post WHERE capture = $1 AND NOT withdrawn", capture
        )
        waiting = sum(row["event_id"] is None and row["refused"] is None for row in rows)
        return waiting, [row["refused"] for row in rows if row["refused"] is not None]


class Poster:
    """Sends what is written down, one task per call so that a room in trouble does not hold up the others.

    Concurrency: `run` owns `_sending`; `wake` may be called from anywhere in the event loop. Shutdown cancels: whatever
    was not acknowledged is sent again by the next start, under the same transaction id.
    """

    def __init__(
        self,
        store: PostStore,
        matrix: MatrixPort,
        tasks: Supervisor,
        *,
        make_file: Callable[[str], Awaitable[FilePost]],  # of an artefact id
        make_text: Callable[[str], Awaitable[str]],  # of a capture id
        settled: Callable[[str], Awaitable[None]],  # a post of this capture was acknowledged or refused
    ) -> None:
        self._store = store
        self._matrix = matrix
        self._tasks = tasks
        self._make_file = make_file
        self._make_text = make_text
        self._settled = settled
        self._wake = asyncio.Event()
        self._sending: dict[CallId, asyncio.Task[None]] = {}

    def wake(self) -> None:
        """Something was written down."""
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            for call in await self._store.waiting_calls():
                if call not in self._sending or self._sending[call].done():
                    self._sending[call] = self._tasks.spawn("posts", self._send_all(call))
            self._sending = {call: task for call, task in self._sending.items() if not task.done()}
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS):
                    await self._wake.wait()

    async def _send_all(self, call: CallId) -> None:
        room_id = await self._store.room(call)
        await self._take_back(call, room_id)
        while (post := await self._store.next(call)) is not None:
            try:
                event_id = await self._send(room_id, post)
            except CallerError as refusal:
                log.warning("post refused", kind=post.kind.value, code=refusal.code, room=loggable(room_id))
                _posted.labels("refused").inc()
                await self._store.refuse(post.key, refusal.code)
            else:
                _posted.labels("acknowledged").inc()
                await self._store.acknowledge(post.key, event_id)
            if post.capture is not None:
                await self._settled(post.capture)
            await self._take_back(call, room_id)  # this one may have been withdrawn while it went out
        self._wake.set()  # something may have been written down since the last look

    async def _take_back(self, call: CallId, room_id: RoomId) -> None:
        for key in await self._store.to_take_back(call):
            try:
                await self._matrix.take_back(room_id, key=key)
            except CallerError as refusal:  # the bot is not in the room any more: nobody can help there
                log.warning("post could not be taken back", code=refusal.code, room=loggable(room_id))
            await self._store.took_back(key)

    async def _send(self, room_id: RoomId, post: Post) -> EventId:
        thread = None if post.kind is PostKind.ROOT else await self._store.thread(post.call)
        if post.kind is PostKind.FILE:
            file = await self._make_file(post.content["artefact"])
            return await self._matrix.send_file(room_id, file, key=post.key, thread=thread)
        sealed = post.content.get("message_of")
        return await self._matrix.send_text(
            room_id,
            await self._make_text(sealed) if sealed else post.content["body"],
            key=post.key,
            html=post.content.get("html", ""),
            thread=thread,
            extra=post.content.get("extra"),
        )
