"""Files for rooms, streamed: read, encrypted and uploaded a piece at a time, never whole in memory.

https://spec.matrix.org/v1.16/client-server-api/#sending-encrypted-attachments
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from mautrix.api import MediaPath, Method, Path
from mautrix.crypto.attachments import async_encrypt_attachment
from mautrix.errors import MatrixRequestError, MNotFound
from mautrix.types import EncryptedFile

from appservice import content
from appservice.api import HomeserverApi, as_caller_error
from appservice.events import as_int, as_object, as_text
from appservice.seams import FilePost
from appservice.sender import Sender
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import EventId

LIMIT_LIFETIME = 600.0  # seconds that the upload limit is believed
UNSAID_LIMIT = 50 * 1024 * 1024  # Synapse's default, for a homeserver that says nothing
MEGABYTE = 1_000_000

Uploaded = dict[str, Any]
Chunks = Callable[[], AsyncIterator[bytes]]


class Files:
    """Uploads."""

    def __init__(self, api: HomeserverApi, sender: Sender, clock: Clock) -> None:
        self._api = api
        self._sender = sender
        self._clock = clock
        self._limit = (0, -LIMIT_LIFETIME)  # bytes, and when it was read

    async def limit(self) -> int:
        """Bytes that the homeserver takes in one upload."""
        limit, read_at = self._limit
        now = self._clock.monotonic()
        if not limit or now - read_at > LIMIT_LIFETIME:
            limit = as_int(as_object(await self._media_config()).get("m.upload.size"), UNSAID_LIMIT)
            self._limit = (limit, now)
        return limit

    async def send(self, room_id: str, post: FilePost, *, key: str, thread: str | None = None) -> EventId:
        """Upload and post. A repetition after a crash uploads again, but posts once."""
        sent = await self._sender.sent(key)
        if sent:
            return sent
        await self._sender.require_room(room_id)
        limit = await self.limit()
        if post.size > limit:
            raise CallerError(
                "file_too_large",
                "The file is larger than this homeserver takes.",
                status=413,
                limit=limit // MEGABYTE,
                size=-(-post.size // MEGABYTE),
                name=post.name,
            )
        encrypted = await self._sender.is_encrypted(room_id)
        thumbnail: Uploaded = {}
        if post.thumbnail:
            thumbnail = await self._upload(_whole(post.thumbnail), len(post.thumbnail), "image/jpeg", encrypted)
        where = await self._upload(post.chunks, post.size, post.mime_type, encrypted, name=post.name)
        return await self._sender.send(room_id, "m.room.message", content.file(post, where, thumbnail, thread), key=key)

    async def _upload(self, chunks: Chunks, size: int, mime_type: str, encrypted: bool, *, name: str = "") -> Uploaded:
        """`{"file": …}` or `{"url": …}`, as a content names it. While the homeserver is away it is tried again, with a
        new pass over the content.
        """
        body = _Body(chunks, size, encrypted)
        query = {"filename": name} if name and not encrypted else {}
        kind = "application/octet-stream" if encrypted else mime_type
        headers = {"Content-Type": kind, "Content-Length": str(size)}
        try:
            answer = await self._api.request(Method.POST, MediaPath.v3.upload, body.pass_over, headers, query)
        except MatrixRequestError as problem:
            raise as_caller_error(problem) from problem
        url = as_text(as_object(answer).get("content_uri"))
        return {"file": body.described | {"url": url}} if encrypted else {"url": url}

    async def _media_config(self) -> Any:
        try:
            return await self._api.request(Method.GET, Path.v1.media.config)
        except MNotFound:  # before Matrix 1.11
            return await self._api.request(Method.GET, MediaPath.v3.config)


class _Body:
    """What an upload sends, as often as it is tried. Each pass is encrypted with a key of its own."""

    def __init__(self, chunks: Chunks, size: int, encrypted: bool) -> None:
        self._chunks = chunks
        self._size = size
        self._encrypted = encrypted
        self._failure: Exception | None = None
        self.described: dict[str, Any] = {}  # key and hash of the last pass

    def pass_over(self) -> AsyncIterator[bytes]:
        """Raises what reading the content raised the last time: aiohttp takes that for a broken connection."""
        if self._failure is not None:
            raise self._failure
        return self._sealed() if self._encrypted else self._measured()

    async def _sealed(self) -> AsyncIterator[bytes]:
        async for piece in async_encrypt_attachment(self._measured()):
            if isinstance(piece, EncryptedFile):
                self.described = as_object(piece.serialize())
            else:
                yield piece

    async def _measured(self) -> AsyncIterator[bytes]:
        """The chunks, which must be `size` bytes: the homeserver is told so before the first one."""
        seen = 0
        try:
            async for chunk in self._chunks():
                seen += len(chunk)
                if seen > self._size:
                    break
                yield chunk
            if seen != self._size:
                raise ValueError(f"the file has other than the {self._size} bytes that it was said to have")
        except Exception as failure:
            self._failure = failure
            raise


def _whole(data: bytes) -> Chunks:
    async def pieces() -> AsyncIterator[bytes]:
        yield data

    return pieces
