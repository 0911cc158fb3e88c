"""What happens in calls, as the relay tells it: who comes and goes, when one starts and ends, what the room hears.

The relay's callbacks must return at once, so they only queue; one task works the queue off in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Protocol

import structlog

from appservice.seams import RtcMember
from bridge import wording
from bridge.agents import AGENT
from bridge.call_store import Call, CallStore, came
from bridge.leaving import DelegatedLeaves
from bridge.meetings import Meeting, MeetingStore
from bridge.people import Person
from bridge.posts import Post, Poster, PostKind, PostStore
from media.relay.seams import ParticipantFacts, RelayControl, RoomFacts, TrackFacts
from palabre.base.clock import Clock
from palabre.base.database import Database, transaction
from palabre.base.ids import RoomId, loggable, stable_id

log = structlog.get_logger("calls")

ALIVE_SECONDS = 10.0  # how exactly the end of a call is known when the service is killed
EMPTY_SECONDS = 300.0  # a call for which tokens were given and nobody came; LiveKit's default
DEPARTURE_SECONDS = 20.0  # after the last one left, LiveKit's default: a reload is not the end of the call


class CallObserver(Protocol):
    """Told about calls in order, after they are stored: the captures."""

    async def joined(self, call: Call, person: Person, identity: str) -> None: ...

    async def track_published(self, call: Call, person: Person, identity: str, track: TrackFacts) -> None: ...

    async def track_gone(self, call: Call, track_sid: str) -> None: ...

    async def call_ended(self, call: Call, at: float) -> None: ...

    async def metadata(self, meeting: Meeting, call: Call) -> str:
        """What everybody in the call sees of it, docs/http-api.md."""
        ...


class Calls:
    """Implements `media.relay.seams.RelayListener`.

    Concurrency: the relay's callbacks append to `_queue`; `run` alone handles them, one at a time, so that a track is
    never seen before its publisher. A crash in one is logged and the next goes on.
    """

    def __init__(
        self,
        database: Database,
        meetings: MeetingStore,
        calls: CallStore,
        posts: PostStore,
        poster: Poster,
        relay: RelayControl,
        clock: Clock,
        *,
        base_url: str,
        return_seconds: float,
        observer: CallObserver,
        arrived: Callable[[str, str], None],
        moved: Callable[[str], None],
        leaves: DelegatedLeaves,
        members: Callable[[RoomId], Awaitable[Collection[RtcMember]]],
        track_changed: Callable[[str, str, TrackFacts], None],
        started: Callable[[Call, Person], None],
    ) -> None:
        self._leaves = leaves
        self._members = members  # who announces in a room to be in its call
        self._database = database
        self._meetings = meetings
        self._calls = calls
        self._posts = posts
        self._poster = poster
        self._relay = relay
        self._clock = clock
        self._base_url = base_url
        self._return_seconds = return_seconds
        self._observer = observer
        self._closing = False
        self._arrived = arrived  # this and the two next are told at once, out of order with the rest
        self._moved = moved  # somebody came to a room or left it
        self._track_changed = track_changed
        self._started = started  # told once of every call, in order, with who began it
        self._queue: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()

    async def open(self, meeting: Meeting, mode: str) -> Call:
        """The meeting's running call, whatever its mode, or a new one of `mode`; the relay has its room afterwards."""
        call = await self._calls.open_or_create(meeting.id, mode)
        await self._create_room(meeting, call, EMPTY_SECONDS)
        return call

    async def recover(self) -> None:
        """After a start: calls that were running wait a while for their people, then end when they were last alive."""
        for call in await self._calls.all_open():
            await self._calls.leave_all(call.id, call.alive_at)
            await self._create_room(await self._meetings.get(call.meeting), call, self._return_seconds)

    async def run(self) -> None:
        """Work off what the relay tells, for ever."""
        while True:
            handle = await self._queue.get()
            try:
                await handle()
            except Exception:  # ours; what comes after it must not wait
                log.exception("call event failed", handler=getattr(handle, "func", handle).__name__)
            finally:
                self._queue.task_done()

    async def keep_alive(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_SECONDS)
            await self._calls.touch(self._clock.wall())

    async def close(self) -> None:
        """The relay is about to end. Its calls do not: their people come back to the next start."""
        await self.settled()
        self._closing = True

    async def settled(self) -> None:
        """Return once everything that the relay told so far is handled."""
        await self._queue.join()

    def announced(self, room_id: RoomId) -> None:
        """Who announces to be in the call of that room has changed."""
        self._queue.put_nowait(partial(self._recognise, room_id))

    # What the relay calls.

    def room_started(self, room: RoomFacts) -> None:
        """The room exists; the call starts when somebody comes."""

    def participant_joined(self, room: str, participant: ParticipantFacts) -> None:
        self._moved(room)
        if participant.kind == AGENT:
            return  # nobody's coming: bridge.agents
        self._arrived(room, participant.identity)
        self._queue.put_nowait(partial(self._joined, room, participant.identity, self._clock.wall()))

    def participant_left(self, room: str, participant: ParticipantFacts, reason: str) -> None:
        self._moved(room)
        self._queue.put_nowait(partial(self._left, room, participant.identity, reason, self._clock.wall()))

    def track_published(self, room: str, identity: str, track: TrackFacts) -> None:
        self._queue.put_nowait(partial(self._published, room, identity, track))

    def track_changed(self, room: str, identity: str, track: TrackFacts) -> None:
        """Mute and size reach the taps by themselves."""
        self._track_changed(room, identity, track)

    def track_unpublished(self, room: str, identity: str, track: TrackFacts) -> None:
        self._queue.put_nowait(partial(self._unpublished, room, track.sid))

    def room_finished(self, room: RoomFacts) -> None:
        if not self._closing:
            self._queue.put_nowait(partial(self._finished, room.name, self._clock.wall()))

    # What follows from it.

    async def _joined(self, room: str, identity: str, at: float) -> None:
        found = await self._find(room, identity)
        if found is None:
            log.warning("stranger in a call", room=loggable(room), identity=loggable(identity))
            return
        call, person = found
        await self._leaves.present(call.meeting, identity)
        counts = await self._calls.join(call.id, identity, at)
        if not counts:
            meeting = await self._meetings.get(call.meeting)
            counts = await self._recognised(await self._members(meeting.room), call, person, identity)
        if counts:
            await self._came(call, person, identity, at)

    async def _recognise(self, room_id: RoomId) -> None:
        """Connections that seemed to be trials are people once the room shows them as members of its call."""
        meeting = await self._meetings.of_room(room_id)
        call = None if meeting is None else await self._calls.open_call(meeting.id)
        if call is None:
            return
        members = await self._members(room_id)
        for participant in self._present(call.room):
            person = await self._calls.expected(call.id, participant.identity)
            if person is not None and await self._recognised(members, call, person, participant.identity):
                await self._came(call, person, participant.identity, self._clock.wall())

    async def _recognised(self, members: Collection[RtcMember], call: Call, person: Person, identity: str) -> bool:
        """Whether that person announces this very connection, and it did not count before."""
        if not any((member.identity, member.user_id) == (identity, person.key) for member in members):
            return False
        return await self._calls.count(call.id, identity)

    async def _came(self, call: Call, person: Person, identity: str, at: float) -> None:
        """Somebody is there: the first one starts the call."""
        async with transaction(self._database):
            starts = await self._calls.start(call.id, at)
            if starts:
                await self._post_start(await self._meetings.get(call.meeting), call)
        self._poster.wake()
        if starts:
            self._started(call, person)
        await self._observer.joined(call, person, identity)

    async def _left(self, room: str, identity: str, reason: str, at: float) -> None:
        call = await self._calls.by_room(room)
        if call is None:
            return
        log.info("left", call=loggable(call.id), identity=loggable(identity), reason=reason)
        if identity not in {participant.identity for participant in self._present(room)}:
            await self._calls.leave(call.id, identity, at)
            await self._leaves.gone(call.meeting, identity)

    def is_present(self, call: Call, identity: str) -> bool:
        """Whether the relay has that participant, connected."""
        return identity in {participant.identity for participant in self._present(call.room)}

    def _present(self, room: str) -> tuple[ParticipantFacts, ...]:
        """Who is in the room by now: the same identity may have come back before this was handled."""
        known = {facts.name for facts in self._relay.rooms()}
        return self._relay.participants(room) if room in known else ()

    async def _published(self, room: str, identity: str, track: TrackFacts) -> None:
        if (found := await self._find(room, identity)) is None:
            return
        call, person = found
        if await self._calls.count(call.id, identity):  # whoever shows or says something is no trial connection
            await self._came(call, person, identity, self._clock.wall())
        await self._observer.track_published(call, person, identity, track)

    async def _find(self, room: str, identity: str) -> tuple[Call, Person] | None:
        call = await self._calls.by_room(room)
        person = None if call is None else await self._calls.expected(call.id, identity)
        return None if call is None or person is None else (call, person)

    async def _unpublished(self, room: str, track_sid: str) -> None:
        if (call := await self._calls.by_room(room)) is not None:
            await self._observer.track_gone(call, track_sid)

    async def _finished(self, room: str, at: float) -> None:
        call = await self._calls.by_room(room)
        if call is None or call.ended_at is not None:
            return
        await self._calls.leave_all(call.id, at)
        ended_at = await self._calls.last_left(call.id) or at
        await self._observer.call_ended(call, ended_at)
        meeting = await self._meetings.get(call.meeting)
        async with transaction(self._database):
            await self._calls.end(call.id, ended_at)
            if call.started_at is not None:
                await self._post_end(meeting, call, ended_at - call.started_at)
        self._poster.wake()

    async def _create_room(self, meeting: Meeting, call: Call, empty_timeout: float) -> None:
        await self._relay.create_room(
            call.room,
            metadata=await self._observer.metadata(meeting, call),
            empty_timeout=empty_timeout,
            departure_timeout=DEPARTURE_SECONDS,
        )

    async def _post_start(self, meeting: Meeting, call: Call) -> None:
        body = wording.call_started(meeting.language, call.mode, wording.meeting_link(self._base_url, meeting.id))
        extra = {wording.CALL_FIELD: {"call": call.id, "meeting": meeting.id, "mode": call.mode}}
        key = stable_id("call", call.id, "started")
        await self._posts.add(Post(key, call.id, PostKind.ROOT, {"body": body, "extra": extra}))

    async def _post_end(self, meeting: Meeting, call: Call, duration: float) -> None:
        people = came(await self._calls.attendances(call.id))
        body = wording.call_ended(meeting.language, duration, [person.name for person in people])
        await self._posts.add(Post(stable_id("call", call.id, "ended"), call.id, PostKind.TEXT, {"body": body}))
