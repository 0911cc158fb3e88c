"""Recording and transcription while a call runs: who is asked, whose tracks are read, what everybody sees of it.

Every tap is opened by `bridge.consent`; what is made of the tracks afterwards is `bridge.artefacts`' business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from bridge import room_state, wording
from bridge.call_store import Call, CallStore
from bridge.capture_store import Capture, CaptureStore, State
from bridge.consent import ConsentGate, Event, TapKey
from bridge.consent_store import Answer, ConsentStore, Kind
from bridge.meetings import Meeting, MeetingStore
from bridge.people import Person
from bridge.posts import Post, Poster, PostKind, PostStore
from bridge.settings import BridgeSettings
from media.relay.seams import RelayControl, TapSink, TrackFacts, TrackSource
from palabre.base.clock import Clock
from palabre.base.database import Database, transaction
from palabre.base.errors import CallerError
from palabre.base.ids import CallId, loggable, random_id, stable_id

log = structlog.get_logger("capture")

SCREEN_LAYER = 2  # a shared screen is read at its best: text must stay legible
VOICES = frozenset({TrackSource.MICROPHONE, TrackSource.UNKNOWN})  # SDKs may leave a microphone's source open


class CaptureFiles(Protocol):
    """Where the packets of one capture go: the recorder's journals."""

    def track(self, person: Person, identity: str, track: TrackFacts) -> TapSink:
        """A new file for this track."""
        ...

    def withdrawn(self, identity: str) -> None:
        """Its person took their consent back; its tracks are closed already."""
        ...

    async def close(self) -> None:
        """Everything is on disk afterwards."""
        ...


@dataclass(frozen=True)
class Running:
    """A capture with its open files."""

    capture: Capture
    files: CaptureFiles


class Captures:
    """Starts, stops and follows captures. Implements `bridge.calls.CallObserver`.

    Concurrency: `_lock` orders starts, stops, answers and comings and goings, so that whoever comes while a capture
    starts is asked exactly once. Nothing waits for the network inside it, only for the database and the disk; taking a
    consent back closes taps before it waits for the lock.
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
        self._relay = relay
        self._clock = clock
        self._open_files = open_files
        self._ended = ended
        self._running: dict[CallId, dict[Kind, Running]] = {}
        self._lock = asyncio.Lock()

    # What people ask for. Whether they may is checked by the caller.

    async def start(
        self,
        meeting: Meeting,
        person: Person,
        kinds: Iterable[Kind],
        *,
        how: str,
        ids: Mapping[Kind, str] | None = None,
    ) -> None:
        """Start these kinds, unless they run. Everyone present is asked; `person` has thereby agreed.

        With `ids` the same request repeated after a crash starts nothing again. Raises `CallerError("no_call")`.
        """
        async with self._lock:
            call = await self._calls.open_call(meeting.id)
            if call is None or not self._present(call):
                raise CallerError("no_call", "No call is running in this room. Start one first.", status=409)
            for kind in kinds:
                await self._begin(meeting, call, person, kind, ids[kind] if ids else random_id(), how)
            self._show(meeting, call)
            await self._show_consents(call)
        self._poster.wake()

    async def stop(self, meeting: Meeting, kinds: Iterable[Kind]) -> bool:
        """Stop these kinds. False if none of them runs."""
        async with self._lock:
            call = await self._calls.open_call(meeting.id)
            running = self._of(call)
            chosen = [running[kind] for kind in kinds if kind in running]
            for one in chosen:
                await self._finish(meeting, one, interrupted=False)
            if call is not None and chosen:
                self._show(meeting, call)
                await self._show_consents(call)
        self._poster.wake()
        return bool(chosen)

    async def answer(
        self, meeting: Meeting, person: Person, kinds: Iterable[Kind], *, agree: bool, how: str
    ) -> dict[Kind, Answer]:
        """Store an answer, before joining or in the call; it takes effect before this returns.

        Returns the person's answers. Raises `CallerError("no_call")`.
        """
        kinds = tuple(kinds)
        call = await self._calls.open_call(meeting.id)
        if call is None:
            raise CallerError("no_call", "No call is running in this room. Start one first.", status=409)
        if not agree:
            for kind in kinds:
                self._gate.close_taps(call.id, kind, person.key)
        async with self._lock:
            for kind in kinds:
                before = await self._gate.answer(call.id, person.key, kind)
                await self._gate.happen(call.id, person.key, kind, Event.AGREE if agree else Event.DECLINE, how)
                running = self._of(call).get(kind)
                if running is not None and agree:
                    await self._read_tracks(call, running, person)
                elif running is not None and before is Answer.YES:
                    for identity in await self._identities(call, person):
                        running.files.withdrawn(identity)
            await self._show_consents(call, person)
            return await self._answers(call.id, person)

    def view(self, call: Call | None) -> dict[str, Any]:
        """What runs, as docs/http-api.md writes it."""
        return room_state.capture_view(self._captures(call))

    def running(self, call: Call | None) -> frozenset[Kind]:
        return frozenset(self._of(call))

    # What happens in calls.

    async def joined(self, call: Call, person: Person, identity: str) -> None:
        """A latecomer is asked like everyone else; whoever agreed before is read from their first packet."""
        async with self._lock:
            for kind, running in self._of(call).items():
                answer = await self._gate.happen(call.id, person.key, kind, Event.ASK, "joined")
                if answer is Answer.YES:
                    await self._read_tracks(call, running, person)
            await self._show_consents(call, person)

    async def track_published(self, call: Call, person: Person, identity: str, track: TrackFacts) -> None:
        async with self._lock:
            for running in self._of(call).values():
                await self._read_track(call, running, person, identity, track)

    async def track_gone(self, call: Call, track_sid: str) -> None:
        self._gate.forget_track(call.id, track_sid)

    async def call_ended(self, call: Call, at: float) -> None:
        """`at`: when the last one left; the room stays open a little longer for those who reload."""
        async with self._lock:
            meeting = await self._meetings.get(call.meeting)
            for running in list(self._of(call).values()):
                await self._finish(meeting, running, interrupted=False, at=at)

    async def metadata(self, meeting: Meeting, call: Call) -> str:
        return room_state.room_metadata(meeting, call, self._captures(call))

    # The service's life.

    async def recover(self) -> None:
        """After a start: what was running ended when the service was last alive, and says that it was interrupted."""
        for capture in await self._store.in_state(State.RUNNING):
            call = await self._calls.get(capture.call)
            await self._end_consents(call.id, capture.kind)
            await self._store.end(capture.id, call.alive_at, interrupted=True)
            log.warning("capture was interrupted", call=loggable(call.id), kind=capture.kind.value)
        self._ended()

    async def close(self) -> None:
        """The service ends: close the files. The next start makes the artefacts of what ran, marked interrupted."""
        async with self._lock:
            for running in [one for kinds in self._running.values() for one in kinds.values()]:
                call = await self._calls.get(running.capture.call)
                await self._finish(await self._meetings.get(call.meeting), running, interrupted=True)

    async def broke(self, capture_id: str) -> None:
        """The disk takes no more of this capture: what there is of it is made and posted, marked interrupted."""
        async with self._lock:
            for call_id, kinds in list(self._running.items()):
                for running in [one for one in kinds.values() if one.capture.id == capture_id]:
                    call = await self._calls.get(call_id)
                    meeting = await self._meetings.get(call.meeting)
                    await self._finish(meeting, running, interrupted=True)
                    self._show(meeting, call)
                    await self._show_consents(call)
        self._poster.wake()

    # Steps, all under the lock.

    async def _begin(self, meeting: Meeting, call: Call, person: Person, kind: Kind, capture_id: str, how: str) -> None:
        if kind in self._of(call) or await self._store.exists(capture_id):
            return
        capture = Capture(
            capture_id, call.id, kind, person, self._clock.wall(), None, interrupted=False, state=State.RUNNING
        )
        try:
            files = await self._open_files(capture)
        except OSError as error:
            log.exception("capture could not be stored", kind=kind.value)
            raise CallerError(
                "capture_not_stored", "Nothing can be stored just now; whoever runs this service must look.", status=503
            ) from error
        body = wording.capture_started(meeting.language, kind, person.name, self._settings.command_prefix)
        async with transaction(self._database):
            await self._store.begin(capture)
            key = stable_id("capture", capture_id, "started")
            await self._posts.add(Post(key, call.id, PostKind.TEXT, {"body": body}))
        running = self._running.setdefault(call.id, {})[kind] = Running(capture, files)
        log.info("capture started", call=loggable(call.id), kind=kind.value, how=how)
        await self._gate.happen(call.id, person.key, kind, Event.AGREE, "started")
        for present in await self._people(call):
            if await self._gate.happen(call.id, present.key, kind, Event.ASK, "joined") is Answer.YES:
                await self._read_tracks(call, running, present)

    async def _finish(self, meeting: Meeting, running: Running, *, interrupted: bool, at: float | None = None) -> None:
        capture = running.capture
        ended_at = self._clock.wall() if at is None else max(at, capture.started_at)
        self._gate.close_taps(capture.call, capture.kind)
        self._running[capture.call].pop(capture.kind)
        if not self._running[capture.call]:
            del self._running[capture.call]
        try:
            await running.files.close()
        except OSError:
            log.exception("capture could not be closed", kind=capture.kind.value)
            interrupted = True
        # First: a crash before the end is stored comes back here, one after it does not.
        await self._end_consents(capture.call, capture.kind)
        body = wording.capture_stopped(meeting.language, capture.kind)
        async with transaction(self._database):
            await self._store.end(capture.id, ended_at, interrupted=interrupted)
            key = stable_id("capture", capture.id, "stopped")
            await self._posts.add(Post(key, capture.call, PostKind.TEXT, {"body": body}))
        log.info("capture ended", call=loggable(capture.call), kind=capture.kind.value, interrupted=interrupted)
        self._ended()

    async def _end_consents(self, call: CallId, kind: Kind) -> None:
        for person in await self._consents.answers(call, kind):
            await self._gate.happen(call, person, kind, Event.END, "capture_ended")

    async def _read_tracks(self, call: Call, running: Running, person: Person) -> None:
        for identity in await self._identities(call, person):
            with suppress(CallerError):  # they have just left
                for track in self._relay.tracks(call.room, identity):
                    await self._read_track(call, running, person, identity, track)

    async def _read_track(self, call: Call, running: Running, person: Person, identity: str, track: TrackFacts) -> None:
        kind = running.capture.kind
        if track.encrypted or (kind is Kind.TRANSCRIPTION and not is_voice(track)):
            return
        key = TapKey(call.id, kind, person.key, identity, track.sid)
        screen = track.source is TrackSource.SCREEN_SHARE
        await self._gate.open_tap(
            key,
            lambda: running.files.track(person, identity, track),
            max_layer=SCREEN_LAYER if screen else self._settings.recording.camera_layer,
        )

    # What everybody sees.

    def _show(self, meeting: Meeting, call: Call) -> None:
        if self._exists(call):
            self._relay.set_room_metadata(call.room, room_state.room_metadata(meeting, call, self._captures(call)))
            self._relay.set_room_recording(call.room, bool(self._of(call)))

    async def _show_consents(self, call: Call, person: Person | None = None) -> None:
        """Write the attributes of everybody present, or of one person."""
        for one in [person] if person else await self._people(call):
            attributes = room_state.consent_attributes(await self._answers(call.id, one), self._captures(call))
            for identity in await self._identities(call, one):
                with suppress(CallerError):  # they have just left
                    self._relay.set_attributes(call.room, identity, attributes)

    async def _answers(self, call: CallId, person: Person) -> dict[Kind, Answer]:
        return {kind: await self._gate.answer(call, person.key, kind) for kind in Kind}

    def _present(self, call: Call) -> list[str]:
        """Identities that are in the call now."""
        if not self._exists(call):
            return []
        return [participant.identity for participant in self._relay.participants(call.room)]

    def _exists(self, call: Call) -> bool:
        return call.room in {room.name for room in self._relay.rooms()}

    async def _people(self, call: Call) -> list[Person]:
        found = {person.key: person for identity in self._present(call) if (person := await self._who(call, identity))}
        return list(found.values())

    async def _identities(self, call: Call, person: Person) -> list[str]:
        return [
            identity
            for identity in self._present(call)
            if (found := await self._who(call, identity)) and found.key == person.key
        ]

    async def _who(self, call: Call, identity: str) -> Person | None:
        return await self._calls.expected(call.id, identity)

    def _of(self, call: Call | None) -> dict[Kind, Running]:
        return {} if call is None else self._running.get(call.id, {})

    def _captures(self, call: Call | None) -> dict[Kind, Capture]:
        return {kind: running.capture for kind, running in self._of(call).items()}


def is_voice(track: TrackFacts) -> bool:
    return track.kind == "audio" and track.source in VOICES
