"""From an ended capture to files in the room: has them made, writes their posts down, cleans up after them.

Each step is stored before the next begins, so that a crash anywhere continues where it was: the capture's `State` says
how far it is, and what is done again gives the same files under the same keys.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from appservice.seams import FilePost, MatrixPort
from bridge import wording
from bridge.artefact_store import Artefact, ArtefactStore, artefact_id
from bridge.call_store import CallStore
from bridge.capture_store import Capture, CaptureStore, State
from bridge.consent_store import ConsentStore
from bridge.files import Folders
from bridge.meetings import Meeting, MeetingStore
from bridge.posts import Post, PostKind, PostStore
from bridge.settings import BridgeSettings
from bridge.summary import Presence, presence
from bridge.work import make_job
from palabre.base.clock import Clock
from palabre.base.database import Database, transaction
from palabre.base.errors import CallerError
from palabre.base.ids import loggable, stable_id
from palabre.base.sealed import read_chunks, read_sealed, write_sealed

log = structlog.get_logger("artefacts")

ATTEMPTS = 4  # a worker that was killed with the service is tried again; one that always dies is given up
PAUSE_SECONDS = 5.0  # between two attempts
CLEAN_SECONDS = 3600.0  # between two looks for what has been kept long enough
DAY = 86_400.0
MESSAGE = "message"  # beside the files: what is posted with them; it quotes what was said, so that it is sealed too
EMPTY = "recording_empty"  # nobody was captured: said by the worker, no failure

RunWorker = Callable[[dict[str, Any], Callable[[float], None]], Awaitable[dict[str, Any]]]


class Artefacts:
    """One job at a time: a call that still runs needs the machine more.

    Concurrency: `run` is the only one to make artefacts; `settled` and `make_file` are called by the poster.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        database: Database,
        meetings: MeetingStore,
        calls: CallStore,
        captures: CaptureStore,
        consents: ConsentStore,
        store: ArtefactStore,
        posts: PostStore,
        matrix: MatrixPort,
        folders: Folders,
        clock: Clock,
        *,
        run_worker: RunWorker,
        written: Callable[[], None],  # posts were written down
    ) -> None:
        self._settings = settings
        self._database = database
        self._meetings = meetings
        self._calls = calls
        self._captures = captures
        self._consents = consents
        self._store = store
        self._posts = posts
        self._matrix = matrix
        self._folders = folders
        self._clock = clock
        self._run_worker = run_worker
        self._written = written
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """A capture has ended."""
        self._wake.set()

    async def run(self) -> None:
        """Make what is to be made, clean up what is done, for ever."""
        await self._clean()
        for capture in await self._captures.in_state(State.FAILED):
            await self._try_again(capture)
        for capture in await self._captures.in_state(State.RENDERED):
            await self.settled(capture.id)
        while True:
            self._wake.clear()
            await self._clean()
            for capture in await self._captures.in_state(State.ENDED):
                await self._make(capture)
            with suppress(TimeoutError):
                async with asyncio.timeout(CLEAN_SECONDS):
                    await self._wake.wait()

    async def settled(self, capture_id: str) -> None:
        """A post of this capture was acknowledged or refused. With the last one the raw tracks go, or are kept."""
        capture = await self._captures.get(capture_id)
        waiting, refused = await self._posts.outcome(capture_id)
        if waiting or capture.state is not State.RENDERED:
            return
        if refused:
            await self._fail(capture, refused[0])
            return
        await self._delete_tracks(capture)
        await self._captures.advance(capture.id, State.POSTED)
        log.info("artefacts posted", call=loggable(capture.call), kind=capture.kind.value)

    async def make_file(self, artefact: str) -> FilePost:
        """The file of a post, unsealed piece by piece as it goes up."""
        found = await self._store.get(artefact)
        folder = self._folders.output(found.capture)
        key = await asyncio.to_thread(self._folders.output_key, found.capture)
        details = found.details
        poster = details.get("poster")
        thumbnail = await asyncio.to_thread(read_sealed, folder / poster["path"], key) if poster else b""

        async def chunks() -> AsyncIterator[bytes]:
            pieces = read_chunks(folder / found.path, key)
            while (piece := await asyncio.to_thread(next, pieces, b"")) != b"":
                yield piece

        return FilePost(
            name=found.name,
            mime_type=found.mime_type,
            size=found.size,
            chunks=chunks,
            msgtype="m.video" if found.is_film else "m.file",
            width=details.get("width", 0),
            height=details.get("height", 0),
            duration=details.get("duration", 0.0),
            thumbnail=thumbnail,
            thumbnail_size=(poster["width"], poster["height"]) if poster else (0, 0),
        )

    async def make_text(self, capture: str) -> str:
        """What is said in the room with the files of this capture."""
        key = await asyncio.to_thread(self._folders.output_key, capture)
        return (await asyncio.to_thread(read_sealed, self._folders.output(capture) / MESSAGE, key)).decode()

    # Making them.

    async def _make(self, capture: Capture) -> None:
        attempt = await self._captures.count_attempt(capture.id)
        try:
            await self._make_once(capture)
        except CallerError as refusal:
            await self._refused(capture, refusal)
        except Exception:  # a dead worker or a mistake of ours: the next captures must not wait for it
            log.exception("artefacts failed", kind=capture.kind.value, attempt=attempt)
            if attempt >= ATTEMPTS:
                await self._fail(capture, "worker_died")
            else:
                await asyncio.sleep(PAUSE_SECONDS)
                self._wake.set()

    async def _try_again(self, capture: Capture) -> None:
        """Whoever runs the service may have mended what failed, a missing model for instance: once per start."""
        if not capture.tracks_deleted:
            async with transaction(self._database):
                await self._posts.forget_refusals(capture.id)
                await self._captures.retry(capture.id, attempts=ATTEMPTS - 1)

    async def _make_once(self, capture: Capture) -> None:
        meeting, there = await self._facts(capture)
        try:
            capture_key = await asyncio.to_thread(self._folders.tracks_key, capture.id)
        except FileNotFoundError as error:
            raise CallerError(EMPTY, "Nothing was captured before the service broke off.") from error
        output_key = await asyncio.to_thread(self._folders.output_key, capture.id)
        job = make_job(
            self._settings,
            meeting,
            capture,
            there,
            tracks=self._folders.tracks(capture.id),
            output=self._folders.output(capture.id),
            capture_key=capture_key,
            output_key=output_key,
            upload_limit=await self._matrix.upload_limit(),
        )
        log.info("making artefacts", call=loggable(capture.call), kind=capture.kind.value)
        result = await self._run_worker(job, lambda _fraction: None)
        artefacts = [
            Artefact(
                artefact_id(capture.id, made["name"]),
                capture.id,
                made["name"],
                made["mime_type"],
                made["size"],
                made["path"],
                made["details"],
            )
            for made in result["artefacts"]
        ]
        body = wording.artefact_text(
            meeting.language,
            capture.kind,
            result["duration"],
            there,
            interrupted=capture.interrupted,
            missing_seconds=result["missing_seconds"],
            excerpt=[tuple(line) for line in result["excerpt"]],
        )
        await asyncio.to_thread(_seal_text, self._folders.output(capture.id) / MESSAGE, output_key, body)
        async with transaction(self._database):
            await self._store.replace(capture.id, artefacts)
            ready = stable_id("capture", capture.id, "ready")
            await self._posts.add(Post(ready, capture.call, PostKind.TEXT, {"message_of": capture.id}, capture.id))
            for artefact in artefacts:
                post = Post(artefact.id, capture.call, PostKind.FILE, {"artefact": artefact.id}, capture.id)
                await self._posts.add(post)
            await self._captures.advance(capture.id, State.RENDERED)
        self._written()

    async def _refused(self, capture: Capture, refusal: CallerError) -> None:
        """What the worker will not make, also next time: said in one sentence."""
        log.warning("artefacts refused", kind=capture.kind.value, code=refusal.code)
        if refusal.code != EMPTY:
            await self._fail(capture, refusal.code)
            return
        meeting, there = await self._facts(capture)
        body = wording.nothing_captured(meeting.language, capture.kind, there)
        await self._add_text(capture, "nothing", body)
        await self._delete_tracks(capture)
        await self._captures.advance(capture.id, State.POSTED)
        self._written()

    async def _fail(self, capture: Capture, code: str) -> None:
        """Say it in the room, keep the raw tracks for as long as the settings say."""
        reference = secrets.token_hex(4)
        log.error("artefacts given up", kind=capture.kind.value, code=code, reference=reference, capture=capture.id)
        meeting, _ = await self._facts(capture)
        days = round(self._settings.failed_tracks_days)
        body = wording.artefact_failed(meeting.language, capture.kind, code, reference, days)
        await self._add_text(capture, "failed", body)
        await self._captures.advance(capture.id, State.FAILED)
        self._written()

    async def _facts(self, capture: Capture) -> tuple[Meeting, Presence]:
        call = await self._calls.get(capture.call)
        there = presence(
            await self._calls.attendances(call.id),
            await self._consents.history(call.id),
            capture.kind,
            capture.started_at,
            capture.ended_at or self._clock.wall(),
        )
        return await self._meetings.get(call.meeting), there

    async def _add_text(self, capture: Capture, what: str, body: str) -> None:
        key = stable_id("capture", capture.id, what)
        await self._posts.add(Post(key, capture.call, PostKind.TEXT, {"body": body}))

    # Cleaning up.

    async def _clean(self) -> None:
        """Raw tracks of failures that were kept long enough, and folders that no capture owns."""
        border = self._clock.wall() - self._settings.failed_tracks_days * DAY
        for capture in await self._captures.with_tracks(State.FAILED, border):
            await self._delete_tracks(capture)
            await asyncio.to_thread(self._folders.delete_output, capture.id)
        for capture_id in await asyncio.to_thread(self._folders.capture_ids):
            if not await self._captures.exists(capture_id):
                await asyncio.to_thread(self._folders.delete_tracks, capture_id)

    async def _delete_tracks(self, capture: Capture) -> None:
        await asyncio.to_thread(self._folders.delete_tracks, capture.id)
        await self._captures.tracks_deleted(capture.id, self._clock.wall())


def _seal_text(path: Path, key: bytes, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # of an earlier attempt
    write_sealed(path, key, text.encode())
