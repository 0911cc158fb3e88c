"""Holds running calls to what their Matrix rooms say: who leaves, is banned, excluded or loses power, does so in the
call too, at once.

Where the bot is in the room, its events say when to look; everywhere the people present are looked at again from time
to time, which finds what no event told and what rooms without the bot never tell. Nobody is judged by an event alone
but those who left: the rest is read anew, so that the order of events does not matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from weakref import WeakValueDictionary

import structlog

from appservice.seams import Change, MatrixPort, MembershipChange, RoomChange
from bridge.call_store import Call, CallStore
from bridge.meetings import Meeting, MeetingStore
from bridge.people import Person
from bridge.rights import publishing
from bridge.room_questions import RoomQuestions
from bridge.tokens import rights_attributes
from media.relay.seams import RelayControl
from palabre.base.errors import CallerError
from palabre.base.ids import RoomId, loggable
from palabre.base.metrics import counter
from palabre.base.tasks import Supervisor

log = structlog.get_logger("rooms")

GONE = frozenset({"leave", "ban"})
WATCHED = frozenset({Change.POWER, Change.ACL, Change.ACCESS_RULE})  # what people may do hangs on them
LOOKS_AT_ONCE = 16  # people looked at in parallel: most looks are a few reads of the database
REMOVED = counter("room_removals", "People taken out of calls because of their Matrix room", ["reason"])


class RoomWatch:
    """Concurrency: `membership_changed` and `room_changed` are called by the bot's worker, `arrived` by the relay,
    `run` is a task. Each look at a person holds that person's lock while it reads the room and acts, so that of two
    looks the later one has the last word.
    """

    def __init__(
        self,
        questions: RoomQuestions,
        matrix: MatrixPort,
        relay: RelayControl,
        meetings: MeetingStore,
        calls: CallStore,
        tasks: Supervisor,
        ready: Callable[[], Awaitable[object]],
        *,
        recheck_seconds: float,
    ) -> None:
        self._questions = questions
        self._matrix = matrix
        self._relay = relay
        self._meetings = meetings
        self._calls = calls
        self._tasks = tasks
        self._ready = ready
        self._recheck_seconds = recheck_seconds
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._looking = asyncio.Semaphore(LOOKS_AT_ONCE)

    # What the bot tells.

    async def membership_changed(self, change: MembershipChange) -> None:
        """Who leaves the room or is banned leaves its call. Without the bot nobody is told of that: it ends."""
        if change.membership not in GONE:
            return
        found = await self._call_of(change.room_id)
        if found is None:
            return
        _, call = found
        if change.user_id == self._matrix.user_id:
            log.info("call closed: the bot left its room", room=loggable(change.room_id))
            with suppress(CallerError):  # it is over already
                await self._relay.close_room(call.room)
            return
        for identity, person in await self._expected(call):
            if person.key == change.user_id:
                await self._remove(call, identity, "not_in_room")

    async def room_changed(self, change: RoomChange) -> None:
        """The rules of the room changed: everybody's rights in its call are read anew."""
        if change.what in WATCHED and (found := await self._call_of(change.room_id)) is not None:
            people = await self._expected(found[1])
            self._tasks.spawn("room changed", self._look_at(*found, people))  # other events wait

    # What the relay tells.

    def arrived(self, room: str, identity: str) -> None:
        """Somebody's media are connected. They were admitted a moment ago; that moment is looked at, too."""
        self._tasks.spawn("arrival", self._arrived(room, identity))

    async def _arrived(self, room: str, identity: str) -> None:
        call = await self._calls.by_room(room)
        person = None if call is None else await self._calls.expected(call.id, identity)
        if call is not None and person is not None:
            await self._look_at(await self._meetings.get(call.meeting), call, [(identity, person)])

    # From time to time.

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(self._recheck_seconds)
            try:
                await self.look()
            except Exception:  # ours; the next look may go better
                log.exception("could not look at running calls")

    async def look(self) -> None:
        """At everybody who is in a call now."""
        running = {facts.name for facts in self._relay.rooms()}
        calls = [call for call in await self._calls.all_open() if call.room in running]
        await asyncio.gather(*(self._look_at_call(call) for call in calls))

    async def _look_at_call(self, call: Call) -> None:
        present: set[str] = set()
        with suppress(CallerError):  # it has just ended
            present = {facts.identity for facts in self._relay.participants(call.room)}
        people = [(identity, person) for identity, person in await self._expected(call) if identity in present]
        await self._look_at(await self._meetings.get(call.meeting), call, people)

    # How.

    async def _call_of(self, room_id: RoomId) -> tuple[Meeting, Call] | None:
        await self._ready()
        meeting = await self._meetings.of_room(room_id)
        call = None if meeting is None else await self._calls.open_call(meeting.id)
        return None if meeting is None or call is None else (meeting, call)

    async def _expected(self, call: Call) -> list[tuple[str, Person]]:
        """Everybody with a token, come or not: their media may be connecting, and the relay tells only when they do."""
        return [(each.identity, each.person) for each in await self._calls.attendances(call.id)]

    async def _look_at(self, meeting: Meeting, call: Call, people: Iterable[tuple[str, Person]]) -> None:
        """Each person once, whatever the number of devices they are there with."""
        devices: dict[Person, list[str]] = {}
        for identity, person in people:
            devices.setdefault(person, []).append(identity)
        looks = (self._look_at_person(meeting, call, person, identities) for person, identities in devices.items())
        await asyncio.gather(*looks)

    async def _look_at_person(self, meeting: Meeting, call: Call, person: Person, identities: list[str]) -> None:
        lock = self._locks.setdefault((call.room, person.key), asyncio.Lock())
        async with self._looking, lock:
            try:
                may = await self._questions.permissions(person, meeting.room, call.mode)
            except CallerError as refusal:
                for identity in identities:
                    await self._remove(call, identity, refusal.code)
                return
            can_publish, sources = publishing(may)
            for identity in identities:
                with suppress(CallerError):  # they are not there
                    self._relay.set_permissions(
                        call.room, identity, can_publish=can_publish, can_publish_sources=sources
                    )
                    self._relay.set_attributes(call.room, identity, rights_attributes(may))

    async def _remove(self, call: Call, identity: str, reason: str) -> None:
        """Out of the call. The door is shut already: admission asks the room again."""
        with suppress(CallerError):  # they are not there
            await self._relay.remove_participant(call.room, identity)
            REMOVED.labels(reason).inc()
            log.info("removed from the call", call=loggable(call.id), identity=loggable(identity), reason=reason)
