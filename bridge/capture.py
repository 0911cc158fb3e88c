"""Recording and transcription while a call runs: who is asked, whose tracks are read, what everybody sees of it.

Every tap is opened by `bridge.consent`; what is made of the tracks afterwards is `bridge.artefacts`' business.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import structlog

from bridge import room_state, wording
from bridge.asking import Latecomers, ask_content, asked_in, to_mention
from bridge.audience import Audience
from bridge.call_store import Call, CallStore
from bridge.capture_files import CaptureFiles, Running
from bridge.capture_store import Capture, CaptureStore, OneTrack, State
from bridge.consent import ConsentGate, Event, counts_as_yes
from bridge.consent_store import Answer, ConsentStore, Evidence, Kind
from bridge.meetings import Meeting, MeetingStore
from bridge.people import Person
from bridge.posts import Post, Poster, PostKind, PostStore
from bridge.reading import TrackReader
from bridge.settings import BridgeSettings
from media.relay.seams import RelayControl, TrackFacts
from palabre.base.clock import Clock
from palabre.base.database import Database, transaction
from palabre.base.errors import CallerError
from palabre.base.ids import CallId, loggable, random_id, stable_id
from palabre.base.tasks import Supervisor

log = structlog.get_logger("capture")

# After a longer outage nobody who comes back still thinks of being recorded: what ran has ended.
OUTAGE_SECONDS = 600.0


class Captures:
    """Starts, stops and follows captures. Implements `bridge.calls.CallObserver`.

    Concurrency: `_lock` orders starts, stops, answers and comings and goings, so that whoever comes while a capture
    starts is asked exactly once. Nothing waits for the network inside it, only for the database and the disk; taking a
    consent back closes taps before it waits for the lock. Opening files may take long where another process keeps
    them, so it happens outside: `_turns` has one start or stop at a time per call.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        database: Database,
        meetings: MeetingStore,
        calls: CallStore,
        store: CaptureStore,
        consents: ConsentStore,
        gate: ConsentGate,
        posts: PostStore,
        poster: Poster,
        relay: RelayControl,
        clock: Clock,
        tasks: Supervisor,
        *,
        open_files: Callable[[Capture], Awaitable[CaptureFiles]],
        ended: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._database = database
        self._meetings = meetings
        self._calls = calls
        self._store = store
        self._consents = consents
        self._gate = gate
        self._posts = posts
        self._poster = poster
        self._audience = Audience(relay, calls)
        self._reader = TrackReader(consents, gate, self._audience, settings.recording.camera_layer)
        self._clock = clock
        self._open_files = open_files
        self._ended = ended
        self._running: dict[CallId, dict[Kind, Running]] = {}
        self._lock = asyncio.Lock()
        self._turns: defaultdict[CallId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._latecomers = Latecomers(tasks, self._ask_latecomers)

    # What people ask for. Whether they may is checked by the caller.

    async def start(
        self,
        meeting: Meeting,
        person: Person,
        kinds: Iterable[Kind],
        *,
        how: str,
        proof: Evidence,
        ids: Mapping[Kind, str] | None = None,
        only: OneTrack | None = None,
    ) -> None:
        """Start these kinds, unless they run. Everyone present is asked; `person` has thereby agreed, where
        `counts_as_yes` holds of `proof`, and is asked otherwise.

        With `ids` the same request repeated after a crash starts nothing again. `only`: nothing but that track is
        captured, and nobody else is asked. Raises `CallerError`: `no_call`,
        `capture_not_stored`, and what opening the files raises.
        """
        call = await self._call_with_people(meeting)
        async with self._turns[call.id], AsyncExitStack() as unused:
            opened: list[Running] = []
            for kind in kinds:
                capture_id = ids[kind] if ids else random_id()
                if kind not in self._of(call) and not await self._store.exists(capture_id):
                    opened.append(await self._open(call, person, kind, capture_id, only))
                    unused.push_async_callback(self._close_files, opened[-1])
            async with self._lock:
                call = await self._call_with_people(meeting)  # they may all have left meanwhile
                await self._begin(meeting, call, person, opened, how, proof)
                unused.pop_all()
                self._show(meeting, call)
                await self._show_consents(call)
        self._poster.wake()

    async def stop(self, meeting: Meeting, kinds: Iterable[Kind], *, only: str = "") -> bool:
        """Stop these kinds, or of them only the capture with that id. False if none of them runs."""
        call = await self._calls.open_call(meeting.id)
        if call is None:
            return False
        async with self._turns[call.id], self._lock:
            running = self._of(call)
            chosen = [running[kind] for kind in kinds if kind in running]
            chosen = [one for one in chosen if only in ("", one.capture.id)]
            for one in chosen:
                await self._end(call, one, interrupted=False)
        self._poster.wake()
        return bool(chosen)

    async def answer(
        self, meeting: Meeting, person: Person, kinds: Iterable[Kind], *, agree: bool, how: str, proof: Evidence
    ) -> dict[Kind, Answer]:
        """Store an answer, before joining or in the call; it takes effect before this returns.

        Returns the person's answers. Raises `CallerError`: `no_call`; `consent_by_event` for a yes that an end-to-end
        call takes by an encrypted event only; `consent_overtaken` for a yes that was given before what took it back,
        and only arrives after it.
        """
        kinds = tuple(kinds)
        call = await self._calls.open_call(meeting.id)
        if call is None:
            raise CallerError("no_call", "No call is running in this room. Start one first.", status=409)
        if agree and not counts_as_yes(call.mode, proof):
            raise CallerError(
                "consent_by_event",
                "In an end-to-end encrypted call only an encrypted message of your own device says yes.",
                status=409,
            )
        if not agree:
            for kind in kinds:
                self._gate.close_taps(call.id, kind, person.key)
        async with self._lock:
            if agree and any([await self._gate.overtaken(call.id, person.key, kind, proof) for kind in kinds]):
                raise CallerError(
                    "consent_overtaken",
                    "You have said no since, or what you agreed to has ended. Answer again.",
                    status=409,
                )
            for kind in kinds:
                before = await self._gate.answer(call.id, person.key, kind)
                event = Event.AGREE if agree else Event.DECLINE
                await self._gate.happen(call.id, person.key, kind, event, how, proof)
                running = self._of(call).get(kind)
                if running is None or running.files is None:
                    continue
                if agree:
                    await self._reader.read_person(call, running, person)
                elif before is Answer.YES:
                    identities = await self._audience.identities_of(call, person)
                    running.files.withdrawn(person.key, identities, self._clock.wall())
            await self._show_consents(call, person)
            return await self._gate.answers(call.id, person.key)

    async def is_asked(self, meeting: Meeting, person: str, kind: Kind) -> bool:
        """Whether somebody has a say in this kind in the call that runs."""
        call = await self._calls.open_call(meeting.id)
        return call is not None and await self._gate.answer(call.id, person, kind) is not Answer.UNASKED

    def view(self, call: Call | None) -> dict[str, Any]:
        """What runs, as docs/http-api.md writes it."""
        return room_state.capture_view(self._captures(call))

    def running(self, call: Call | None) -> frozenset[Kind]:
        return frozenset(self._of(call))

    # What happens in calls.

    async def joined(self, call: Call, person: Person, identity: str) -> None:
        """A latecomer is asked like everyone else; whoever agreed before is read from their first packet."""
        await self._resume(call)
        async with self._lock:
            for kind, running in self._of(call).items():
                if not running.capture.concerns(person.key):
                    continue
                answer = await self._gate.happen(call.id, person.key, kind, Event.ASK, "joined")
                if answer is Answer.YES:
                    await self._reader.read_person(call, running, person)
                elif answer is Answer.ASKED:
                    self._latecomers.came(call.id)
            await self._show_consents(call, person)

    async def track_published(self, call: Call, person: Person, identity: str, track: TrackFacts) -> None:
        async with self._lock:
            for running in self._of(call).values():
                await self._reader.read_track(call, running, person, identity, track)

    async def track_gone(self, call: Call, track_sid: str) -> None:
        """A capture of that track alone ends with it."""
        self._gate.forget_track(call.id, track_sid)
        async with self._lock:
            for running in [one for one in self._of(call).values() if one.capture.track == track_sid]:
                await self._end(call, running, interrupted=False)
        self._poster.wake()

    async def call_ended(self, call: Call, at: float) -> None:
        """`at`: when the last one left; the room stays open a little longer for those who reload."""
        async with self._lock:
            meeting = await self._meetings.get(call.meeting)
            for running in list(self._of(call).values()):
                await self._finish(meeting, running, interrupted=False, at=at)
            self._turns.pop(call.id, None)

    async def metadata(self, meeting: Meeting, call: Call) -> str:
        return room_state.room_metadata(meeting, call, self._captures(call))

    # The service's life.

    async def recover(self) -> None:
        """After a start: what was running goes on when somebody of its call comes back.

        After a long outage it ended when the service was last alive, and says that it was interrupted.
        """
        for capture in await self._store.in_state(State.RUNNING):
            call = await self._calls.get(capture.call)
            if call.ended_at is None and self._clock.wall() - call.alive_at <= OUTAGE_SECONDS:
                self._running.setdefault(call.id, {})[capture.kind] = Running(capture, None)
                continue
            await self._gate.end(call.id, capture.kind)
            await self._store.end(capture.id, call.alive_at, interrupted=True)
            log.warning("capture was interrupted", call=loggable(call.id), kind=capture.kind.value)
        self._ended()

    async def close(self) -> None:
        """The service ends: close the files. What ran goes on with the next start."""
        async with self._lock:
            running = [one for kinds in self._running.values() for one in kinds.values()]
            self._running.clear()
            for one in running:
                self._gate.close_taps(one.capture.call, one.capture.kind)
                await self._close_files(one)

    async def broke(self, capture_id: str) -> None:
        """The disk takes no more of this capture: what there is of it is made and posted, marked interrupted."""
        async with self._lock:
            for call_id, kinds in list(self._running.items()):
                for running in [one for one in kinds.values() if one.capture.id == capture_id]:
                    await self._end(await self._calls.get(call_id), running, interrupted=True)
        self._poster.wake()

    # Steps, all under the lock.

    async def _open(self, call: Call, person: Person, kind: Kind, capture_id: str, only: OneTrack | None) -> Running:
        """The files of a new capture. Not under the lock."""
        capture = Capture(
            capture_id, call.id, kind, person, self._clock.wall(), None, interrupted=False, state=State.RUNNING
        )
        if only is not None:
            capture = replace(capture, track=only.sid, track_of=only.of.key)
        try:
            return Running(capture, await self._open_files(capture))
        except OSError as error:
            log.exception("capture could not be stored", kind=kind.value)
            raise CallerError(
                "capture_not_stored", "Nothing can be stored just now; whoever runs this service must look.", status=503
            ) from error

    async def _begin(
        self, meeting: Meeting, call: Call, person: Person, opened: Sequence[Running], how: str, proof: Evidence
    ) -> None:
        if not opened:
            return
        for running in opened:  # opening may have taken its time: it begins now
            running.capture = replace(running.capture, started_at=self._clock.wall())
        kinds = [running.capture.kind for running in opened]
        concerned = opened[0].capture.concerns
        people = [one for one in await self._audience.people(call) if concerned(one.key)]
        asked = await self._unanswered(call, [one for one in people if one.key != person.key], kinds)
        whose = people[0] if people and opened[0].capture.track else None
        prefix = self._settings.command_prefix
        words = wording.capture_started(meeting.language, kinds, person.name, prefix, asked, whose)
        async with transaction(self._database):
            for running in opened:
                await self._store.begin(running.capture)
            key = stable_id("capture", opened[0].capture.id, "started")
            await self._posts.add(Post(key, call.id, PostKind.TEXT, ask_content(words, call.id, kinds, asked)))
        for running in opened:
            kind = running.capture.kind
            self._running.setdefault(call.id, {})[kind] = running
            log.info("capture started", call=loggable(call.id), kind=kind.value, how=how)
            agreed = not person.is_program and counts_as_yes(call.mode, proof)
            if agreed and not await self._gate.overtaken(call.id, person.key, kind, proof):
                await self._gate.happen(call.id, person.key, kind, Event.AGREE, "started", proof)
            for present in people:
                if await self._gate.happen(call.id, present.key, kind, Event.ASK, "joined") is Answer.YES:
                    await self._reader.read_person(call, running, present)

    async def _finish(self, meeting: Meeting, running: Running, *, interrupted: bool, at: float | None = None) -> None:
        capture = running.capture
        ended_at = self._clock.wall() if at is None else max(at, capture.started_at)
        self._gate.close_taps(capture.call, capture.kind)
        self._running[capture.call].pop(capture.kind)
        if not self._running[capture.call]:
            del self._running[capture.call]
        interrupted = not await self._close_files(running) or interrupted
        # First: a crash before the end is stored comes back here, one after it does not.
        await self._gate.end(capture.call, capture.kind)
        body = wording.capture_stopped(meeting.language, capture.kind)
        async with transaction(self._database):
            await self._store.end(capture.id, ended_at, interrupted=interrupted)
            key = stable_id("capture", capture.id, "stopped")
            await self._posts.add(Post(key, capture.call, PostKind.TEXT, {"body": body}))
        log.info("capture ended", call=loggable(capture.call), kind=capture.kind.value, interrupted=interrupted)
        self._ended()

    async def _end(self, call: Call, running: Running, *, interrupted: bool) -> None:
        """Finish it while the call goes on."""
        meeting = await self._meetings.get(call.meeting)
        await self._finish(meeting, running, interrupted=interrupted)
        self._show(meeting, call)
        await self._show_consents(call)

    async def _close_files(self, running: Running) -> bool:
        """Whether all that was captured is there: not when nobody came back after a restart, or the disk failed."""
        try:
            if running.files is not None:
                await running.files.close()
        except OSError:
            log.exception("capture could not be closed", kind=running.capture.kind.value)
            return False
        return running.files is not None

    async def _resume(self, call: Call) -> None:
        """The first one is back after a restart: what ran in their call is written on."""
        for running in [one for one in self._of(call).values() if one.files is None]:
            capture, meeting = running.capture, await self._meetings.get(call.meeting)
            async with self._turns[call.id]:
                try:
                    running.files = await self._open_files(capture)
                    log.info("capture goes on", call=loggable(call.id), kind=capture.kind.value)
                except (OSError, CallerError):
                    log.exception("capture could not go on", kind=capture.kind.value)
                    async with self._lock:
                        await self._finish(meeting, running, interrupted=True)
            self._show(meeting, call)

    # Asking in the room.

    async def _ask_latecomers(self, call_id: CallId) -> None:
        """Those who came since a capture began and are still silent, all in one message."""
        async with self._lock:
            call = await self._calls.get(call_id)
            running = self._captures(call)
            silent = await self._unanswered(call, await self._audience.people(call), list(running)) if running else []
            if silent:
                meeting = await self._meetings.get(call.meeting)
                words = wording.latecomers_asked(meeting.language, running, self._settings.command_prefix, silent)
                key = stable_id("ask", *(one.id for one in running.values()), *(person.key for person in silent))
                await self._posts.add(Post(key, call.id, PostKind.TEXT, ask_content(words, call.id, running, silent)))
        self._poster.wake()

    async def _unanswered(self, call: Call, people: Sequence[Person], kinds: Sequence[Kind]) -> list[Person]:
        """Who is to be mentioned because of these kinds, running or about to."""
        running = self._captures(call)
        since = min((running[kind].started_at for kind in kinds if kind in running), default=math.inf)
        contents = await self._posts.contents(call.id, since) if since < math.inf else []
        answers = {
            person.key: [(await self._gate.answers(call.id, person.key))[kind] for kind in kinds] for person in people
        }
        return to_mention(people, answers, asked_in(contents, kinds))

    # What everybody sees.

    def _show(self, meeting: Meeting, call: Call) -> None:
        self._audience.show_captures(meeting, call, self._captures(call))

    async def _show_consents(self, call: Call, person: Person | None = None) -> None:
        """Write the attributes of everybody present, or of one person."""
        for one in [person] if person else await self._audience.people(call):
            answers = await self._gate.answers(call.id, one.key)
            for identity in await self._audience.identities_of(call, one):
                self._audience.show_answers(call, identity, answers, self._captures(call))

    async def _call_with_people(self, meeting: Meeting) -> Call:
        call = await self._calls.open_call(meeting.id)
        if call is None or not self._audience.identities(call):
            raise CallerError("no_call", "No call is running in this room. Start one first.", status=409)
        return call

    def _of(self, call: Call | None) -> dict[Kind, Running]:
        return {} if call is None else self._running.get(call.id, {})

    def _captures(self, call: Call | None) -> dict[Kind, Capture]:
        return {kind: running.capture for kind, running in self._of(call).items()}
