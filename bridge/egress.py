"""Recordings that a program asks for with an API key (LiveKit's Egress): captures like those asked for in the room.

A program gets no more than a room's members do. Everybody whom it concerns is asked, nobody is recorded before they
agree, everybody sees that it runs and who asked, and what comes of it is posted, encrypted, in the call's room: the
program is told where. Rooms of the relay that are no room's call have no people, so that nothing is recorded there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from bridge import access, wording
from bridge.admission import NO_ROOM
from bridge.audience import Audience
from bridge.call_store import Call, CallStore
from bridge.capture_store import Capture, CaptureStore, OneTrack, State
from bridge.consent_store import Evidence, Kind
from bridge.egress_store import Egress, EgressStore
from bridge.meetings import Meeting, MeetingStore
from bridge.people import Person, program_person
from bridge.recordings import Recordings
from bridge.rights import Right, needed
from bridge.room_questions import RoomQuestions
from bridge.settings import BridgeSettings
from media.relay.seams import EgressFacts, EgressFile, EgressState, EgressWish, Grants, RelayControl
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import UserId, loggable, random_id
from palabre.base.words import say

log = structlog.get_logger("egress")

PREFIX = "EG_"  # LiveKit's; clients tell ids apart by it
NOBODY = "nobody agreed to be recorded, or nobody who agreed said or showed anything"
INTERRUPTED = "the service was interrupted before the recording began"
NOT_MADE = "the recording could not be made or posted; whoever runs the service finds out why"


def state_after(egress: Egress, capture: Capture | None, *, reads: bool, has_files: bool) -> tuple[EgressState, str]:
    """What an egress is now, and the sentence where it is no success. Pure.

    `reads`: a track of somebody who agreed is being read; `has_files`: something came of it that is in the room. Once
    somebody was recorded it never again only starts.
    """
    if capture is None:
        return EgressState.ABORTED, INTERRUPTED
    match capture.state:
        case State.RUNNING:
            recorded = reads or egress.started_at is not None
            return (EgressState.ACTIVE if recorded else EgressState.STARTING), ""
        case State.ENDED | State.RENDERED:
            return EgressState.ENDING, ""
        case State.FAILED:
            return EgressState.FAILED, NOT_MADE
        case _:
            return (EgressState.COMPLETE, "") if has_files else (EgressState.ABORTED, NOBODY)


class Egresses:
    """Implements `media.relay.seams.EgressRequests`.

    Concurrency: `run` looks at every egress that is not over whenever `wake` was called; `_lock` keeps its looks and
    those of `start` and `stop` apart, so that webhooks hear of every state once and in order. What a crash leaves
    untold is told by the next start.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        bot: UserId,
        questions: RoomQuestions,
        meetings: MeetingStore,
        calls: CallStore,
        captures: CaptureStore,
        store: EgressStore,
        recordings: Recordings,
        relay: RelayControl,
        clock: Clock,
        ready: Callable[[], Awaitable[object]],
    ) -> None:
        self._settings = settings
        self._bot = bot
        self._questions = questions
        self._meetings = meetings
        self._calls = calls
        self._captures = captures
        self._store = store
        self._recordings = recordings
        self._audience = Audience(relay, calls)
        self._relay = relay
        self._clock = clock
        self._ready = ready
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something of a capture has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Tell of what changes, for ever."""
        while True:
            self._wake.clear()
            async with self._lock:
                for egress in await self._store.running():
                    await self._look(egress)
            await self._wake.wait()

    # EgressRequests

    async def start(self, grants: Grants, wish: EgressWish) -> EgressFacts:
        await self._ready()
        call = await self._calls.by_room(wish.room)
        if call is None or call.ended_at is not None:
            raise CallerError("not_found", NO_ROOM, status=404)
        meeting = await self._meetings.get(call.meeting)
        await self._require_allowed(meeting)
        only = await self._track(call, wish.track_sid) if wish.track_sid else None
        name = say(meeting.language, "room.program", name=grants.issuer)
        now = self._clock.wall()
        egress = Egress(
            random_id(PREFIX), call.id, random_id(), self._room_sid(call), wish, EgressState.STARTING, now, now
        )
        async with self._lock:
            await self._store.add(egress)
            try:
                await self._capture(meeting, call, program_person(grants.issuer, name), egress, only)
            except BaseException:
                await self._store.delete(egress.id)
                raise
            log.info("egress asked for", call=loggable(call.id), track=only is not None)
            self._relay.tell_egress(await self._facts(egress))
            return await self._facts(await self._look(egress))

    async def find(self, *, room: str = "", egress_id: str = "", active: bool = False) -> tuple[EgressFacts, ...]:
        found = [await self._facts(egress) for egress in await self._store.find(room, egress_id)]
        return tuple(facts for facts in found if not (active and facts.state.over))

    async def stop(self, egress_id: str) -> EgressFacts:
        async with self._lock:
            egress = await self._store.get(egress_id)
            if egress is None:
                raise CallerError("not_found", "egress does not exist", status=404)
            call = await self._calls.get(egress.call)
            meeting = await self._meetings.get(call.meeting)
            await self._recordings.captures.stop(meeting, [Kind.RECORDING], only=egress.capture)
            return await self._facts(await self._look(egress))

    # Steps

    async def _require_allowed(self, meeting: Meeting) -> None:
        """A room in which members need a power for recording does not lend it to programs. Raises `CallerError`."""
        view = await self._questions.view(meeting.room, self._bot)
        access.require_bot(view)
        if needed(Right.CAPTURE, view, self._settings.policy) > 0:
            raise CallerError(
                "capture_forbidden",
                "In this room only some members may record, so that a program may not.",
                status=403,
            )

    async def _track(self, call: Call, sid: str) -> OneTrack:
        for identity in self._audience.identities(call):
            if sid in {track.sid for track in self._audience.tracks(call, identity)}:
                person = await self._calls.expected(call.id, identity)
                if person is not None:
                    return OneTrack(sid, person)
        raise CallerError("not_found", "track is not found", status=404)

    async def _capture(
        self, meeting: Meeting, call: Call, program: Person, egress: Egress, only: OneTrack | None
    ) -> None:
        """Raises `CallerError`: what `Captures.start` raises, and `capture_running`."""
        await self._recordings.captures.start(
            meeting,
            program,
            [Kind.RECORDING],
            how="egress",
            proof=Evidence(self._clock.wall()),
            ids={Kind.RECORDING: egress.capture},
            only=only,
        )
        if not await self._captures.exists(egress.capture):
            raise CallerError(
                "capture_running", "This call is being recorded already: a call has one recording.", status=412
            )

    def _room_sid(self, call: Call) -> str:
        return next((room.sid for room in self._relay.rooms() if room.name == call.room), "")

    async def _look(self, egress: Egress) -> Egress:
        """What it is now; if that has changed, it is stored and told."""
        capture = await self._captures.find(egress.capture)
        files = await self._files(egress)
        reads = self._recordings.reads(egress.call, Kind.RECORDING)
        state, error = state_after(egress, capture, reads=reads, has_files=bool(files))
        if state is egress.state:
            return egress
        now = self._clock.wall()
        egress = replace(egress, state=state, error=error, updated_at=now)
        if state is EgressState.ACTIVE:
            egress = replace(egress, started_at=now)
        elif state.over:
            egress = replace(egress, ended_at=now)
        await self._store.put(egress)
        log.info("egress", state=state.value, call=loggable(egress.call))
        self._relay.tell_egress(_facts(egress, files))
        return egress

    async def _facts(self, egress: Egress) -> EgressFacts:
        return _facts(egress, await self._files(egress))

    async def _files(self, egress: Egress) -> tuple[EgressFile, ...]:
        """As they are in the room now: whoever had themselves taken out is not in them, even when it is over."""
        call = await self._calls.get(egress.call)
        meeting = await self._meetings.get(call.meeting)
        return await self._store.files(egress.capture, wording.matrix_link(meeting.room))


def _facts(egress: Egress, files: tuple[EgressFile, ...]) -> EgressFacts:
    return EgressFacts(
        egress.id,
        egress.wish,
        egress.room_sid,
        egress.state,
        egress.updated_at,
        started_at=egress.started_at,
        ended_at=egress.ended_at,
        error=egress.error,
        files=files,
    )
