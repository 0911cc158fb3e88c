"""From an ended capture to files in the room: has them made, writes their posts down, cleans up after them.

Each step is stored before the next begins, so that a crash anywhere continues where it was: the capture's `State` says
how far it is, and what is done again gives the same files under the same keys.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from appservice.seams import FilePost, MatrixPort
from bridge import wording
from bridge.artefact_store import Artefact, ArtefactStore, artefact_id, revised
from bridge.call_store import CallStore
from bridge.capture_store import Capture, CaptureStore, State
from bridge.consent_store import ConsentStore
from bridge.files import Folders
from bridge.meetings import MeetingStore
from bridge.posts import Post, PostKind, PostStore
from bridge.receipt import Record, make_receipt
from bridge.removal_store import RemovalStore, removed_until
from bridge.settings import BridgeSettings
from bridge.summary import Presence, presence
from bridge.work import make_job
from media.recorder.job import Cut
from palabre.base.clock import Clock
from palabre.base.database import Database, transaction
from palabre.base.errors import CallerError
from palabre.base.ids import loggable, stable_id
from palabre.base.sealed import read_chunks, read_sealed, write_sealed

log = structlog.get_logger("artefacts")

ATTEMPTS = 4  # a worker that was killed with the service is tried again; one that always dies is given up
PAUSE_SECONDS = 5.0  # between two attempts
CLEAN_SECONDS = 3600.0  # at most, between two looks for what has been kept long enough
LEAST_PAUSE = 5.0  # a look is one query
PUNCTUAL = 0.1  # of the time for which tracks are kept for forgetting: they may outlast it by that share
DAY = 86_400.0
RECEIPT = "consents.json"  # beside the files: bridge.receipt
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
        removals: RemovalStore,
        store: ArtefactStore,
        posts: PostStore,
        matrix: MatrixPort,
        folders: Folders,
        clock: Clock,
        *,
        run_worker: RunWorker,
        written: Callable[[], None],  # posts were written down
        settled: Callable[[], None] = lambda: None,  # nothing more will be made of a capture
    ) -> None:
        self._settings = settings
        self._database = database
        self._meetings = meetings
        self._calls = calls
        self._captures = captures
        self._consents = consents
        self._removals = removals
        self._store = store
        self._posts = posts
        self._matrix = matrix
        self._folders = folders
        self._clock = clock
        self._run_worker = run_worker
        self._written = written
        self._settled = settled
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
            pause = min(CLEAN_SECONDS, max(self._settings.forget_seconds * PUNCTUAL, LEAST_PAUSE))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
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
        call = await self._calls.get(capture.call)
        if call.ended_at is not None and call.ended_at <= self._forgetting_border:
            await self._delete_tracks(capture)
        await self._captures.advance(capture.id, State.POSTED)
        self._settled()
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
        record, there = await self._facts(capture)
        meeting = record.meeting
        try:
            capture_key = await asyncio.to_thread(self._folders.tracks_key, capture.id)
        except FileNotFoundError as error:
            raise CallerError(EMPTY, "Nothing was captured before the service broke off.") from error
        output, output_key = self._folders.output(capture.id), await self._output_key(capture)
        job = make_job(
            self._settings,
            meeting,
            capture,
            there,
            cuts_of(record, capture),
            tracks=self._folders.tracks(capture.id),
            output=output,
            capture_key=capture_key,
            output_key=output_key,
            upload_limit=await self._matrix.upload_limit(),
        )
        log.info("making artefacts", call=loggable(capture.call), kind=capture.kind.value)
        result = await self._run_worker(job, lambda _fraction: None)
        receipt = await self._write_receipt(record, capture, job["stem"])
        artefacts = [self._artefact(capture, made) for made in (*result["artefacts"], receipt)]
        body = wording.artefact_text(
            meeting.language,
            capture.kind,
            result["duration"],
            there,
            interrupted=capture.interrupted,
            missing_seconds=result["missing_seconds"],
            receipt=receipt["name"],
            unreadable=result["unreadable"],
            excerpt=[tuple(line) for line in result["excerpt"]],
        )
        await asyncio.to_thread(_seal, output / MESSAGE, output_key, body.encode())
        async with transaction(self._database):
            if (await self._captures.get(capture.id)).revision != capture.revision:
                self._wake.set()  # somebody was taken out meanwhile: once more without them
                return
            await self._store.replace(capture.id, artefacts)
            ready = stable_id("capture", *revised(capture), "ready")
            await self._posts.add(Post(ready, capture.call, PostKind.TEXT, {"message_of": capture.id}, capture.id))
            for artefact in artefacts:
                post = Post(artefact.id, capture.call, PostKind.FILE, {"artefact": artefact.id}, capture.id)
                await self._posts.add(post)
            await self._captures.advance(capture.id, State.RENDERED)
        self._written()

    async def _write_receipt(self, record: Record, capture: Capture, stem: str) -> dict[str, Any]:
        """What of consent belongs to this capture, as a file beside it; described as the worker does."""
        document = make_receipt(record, capture, self._clock.wall())
        content = (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
        key = await self._output_key(capture)
        await asyncio.to_thread(_seal, self._folders.output(capture.id) / RECEIPT, key, content)
        name = f"{stem}.{capture.kind.value}-consents.json"
        return {
            "name": name,
            "mime_type": "application/json",
            "size": len(content),
            "path": RECEIPT,
            "details": {},
        }

    async def _output_key(self, capture: Capture) -> bytes:
        return await asyncio.to_thread(self._folders.output_key, capture.id)

    def _artefact(self, capture: Capture, made: dict[str, Any]) -> Artefact:
        name, kind, size, path, details = (made[key] for key in ("name", "mime_type", "size", "path", "details"))
        return Artefact(artefact_id(capture, name), capture.id, name, kind, size, path, details)

    async def _refused(self, capture: Capture, refusal: CallerError) -> None:
        """What the worker will not make, also next time: said in one sentence."""
        log.warning("artefacts refused", kind=capture.kind.value, code=refusal.code)
        if refusal.code != EMPTY:
            await self._fail(capture, refusal.code)
            return
        record, there = await self._facts(capture)
        body = wording.nothing_captured(record.meeting.language, capture.kind, there)
        await self._add_text(capture, "nothing", body)
        await self._delete_tracks(capture)
        await self._captures.advance(capture.id, State.POSTED)
        self._settled()
        self._written()

    async def _fail(self, capture: Capture, code: str) -> None:
        """Say it in the room, keep the raw tracks for as long as the settings say."""
        reference = secrets.token_hex(4)
        log.error("artefacts given up", kind=capture.kind.value, code=code, reference=reference, capture=capture.id)
        record, _ = await self._facts(capture)
        days = round(self._settings.failed_tracks_days)
        body = wording.artefact_failed(record.meeting.language, capture.kind, code, reference, days)
        await self._add_text(capture, "failed", body)
        await self._captures.advance(capture.id, State.FAILED)
        self._settled()
        self._written()

    async def _facts(self, capture: Capture) -> tuple[Record, Presence]:
        call = await self._calls.get(capture.call)
        record = Record(
            await self._meetings.get(call.meeting),
            call,
            [one for one in await self._calls.attendances(call.id) if capture.concerns(one.person.key)],
            await self._consents.history(call.id),
            await self._removals.of_call(call.id),
        )
        there = presence(
            record.attendances,
            record.history,
            capture.kind,
            capture.started_at,
            capture.ended_at or self._clock.wall(),
            removed_until(record.removals, capture.kind),
        )
        unreached = [name for name in await self._captures.unreached(capture.id) if name not in there.missing]
        return record, replace(there, unreached=tuple(unreached))

    async def _add_text(self, capture: Capture, what: str, body: str) -> None:
        key = stable_id("capture", *revised(capture), what)
        await self._posts.add(Post(key, capture.call, PostKind.TEXT, {"body": body}))

    # Cleaning up.

    async def _clean(self) -> None:
        """Raw tracks that were kept long enough, for forgetting or of failures, and folders that no capture owns."""
        for capture in await self._captures.past_forgetting(self._forgetting_border):
            await self._delete_tracks(capture)
        border = self._clock.wall() - self._settings.failed_tracks_days * DAY
        for capture in await self._captures.with_tracks(State.FAILED, border):
            await self._delete_tracks(capture)
            await asyncio.to_thread(self._folders.delete_output, capture.id)
        for capture_id in await asyncio.to_thread(self._folders.capture_ids):
            if not await self._captures.exists(capture_id):
                await asyncio.to_thread(self._folders.delete_tracks, capture_id)

    @property
    def _forgetting_border(self) -> float:
        """Of calls that ended before, nobody can have themselves taken out any more."""
        return self._clock.wall() - self._settings.forget_seconds

    async def _delete_tracks(self, capture: Capture) -> None:
        await asyncio.to_thread(self._folders.delete_tracks, capture.id)
        await self._captures.tracks_deleted(capture.id, self._clock.wall())


def cuts_of(record: Record, capture: Capture) -> list[Cut]:
    """What is to be left out of the tracks, on every device of those who asked for it."""
    until = removed_until(record.removals, capture.kind)
    return [
        Cut(one.identity, capture.started_at, until[one.person.key])
        for one in record.attendances
        if until.get(one.person.key, 0.0) > capture.started_at
    ]


def _seal(path: Path, key: bytes, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # of an earlier attempt
    write_sealed(path, key, content)
