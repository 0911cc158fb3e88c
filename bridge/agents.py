"""Agents in a room's call: programs that hold an API key and take part. Everybody sees them; they hear whoever agreed.

When one comes, the room is told and everybody present is asked (`Kind.AGENT` of `bridge.consent`). The relay gives it
the media and messages of those whose answer is yes, and of nobody else. A yes is for the agents that were there when it
was given: when another comes, everybody is asked anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from bridge import room_state, wording
from bridge.asking import Latecomers, ask_content, asked_in, to_mention
from bridge.call_store import Call, CallStore
from bridge.consent import ConsentGate, Event
from bridge.consent_store import Answer, Kind
from bridge.meetings import MeetingStore
from bridge.people import Person
from bridge.posts import Post, Poster, PostKind, PostStore
from bridge.settings import BridgeSettings
from media.relay.seams import ParticipantFacts, RelayControl
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import CallId, loggable, stable_id
from palabre.base.tasks import Supervisor

log = structlog.get_logger("agents")

AGENT = "agent"  # LiveKit's kind of participant
KINDS = (Kind.AGENT,)


@dataclass
class _Listening:
    """The agents of one call, and who is heard."""

    room: str
    since: float  # when the present agents were first asked about, seconds since the epoch
    asked_about: frozenset[str]  # identities of agents
    agents: list[ParticipantFacts] = field(default_factory=list)
    people: dict[str, Person] = field(default_factory=dict)  # by identity
    heard: frozenset[str] = frozenset()  # identities
    told: bool = False  # the room knows of the agents
    not_yes: set[str] = field(default_factory=set)  # people who have said anything else since the last look began


class Agents:
    """Concurrency: `run` looks at one call after the other, whenever somebody came, left or answered there. Taking a
    consent back does not wait for it: `answered` shuts the agents' ears before the answer is acknowledged."""

    def __init__(
        self,
        settings: BridgeSettings,
        meetings: MeetingStore,
        calls: CallStore,
        gate: ConsentGate,
        posts: PostStore,
        poster: Poster,
        relay: RelayControl,
        clock: Clock,
        tasks: Supervisor,
    ) -> None:
        self._settings = settings
        self._meetings = meetings
        self._calls = calls
        self._gate = gate
        self._posts = posts
        self._poster = poster
        self._relay = relay
        self._clock = clock
        self._calls_with: dict[CallId, _Listening] = {}
        self._latecomers = Latecomers(tasks, self._ask_latecomers)
        self._changed: asyncio.Queue[str] = asyncio.Queue()

    def moved(self, room: str) -> None:
        """Somebody came to or left that room of the relay."""
        self._changed.put_nowait(room)

    def answered(self, call: CallId, person: str, kind: Kind, answer: Answer) -> None:
        """What `ConsentGate` stored."""
        listening = self._calls_with.get(call)
        if kind is not Kind.AGENT or listening is None:
            return
        if answer is not Answer.YES:
            listening.not_yes.add(person)
            mine = {identity for identity, one in listening.people.items() if one.key == person}
            self._let_hear(listening, listening.heard - mine)
        self.moved(listening.room)

    async def run(self) -> None:
        """For ever."""
        while True:
            rooms = {await self._changed.get()}
            while not self._changed.empty():
                rooms.add(self._changed.get_nowait())
            for room in rooms:
                try:
                    await self._look(room)
                except Exception:  # ours; nobody is heard who was not, and the next look may go better
                    log.exception("could not look at the agents of a call", room=loggable(room))

    # Steps

    async def _look(self, room: str) -> None:
        call = await self._calls.by_room(room)
        if call is None:
            return
        present = self._present(room)
        agents = [facts for facts in present if facts.kind == AGENT]
        listening = self._calls_with.get(call.id)
        if not agents:
            if listening is not None:
                await self._gone(call, listening)
            return
        names = frozenset(facts.identity for facts in agents)
        if listening is None or not names <= listening.asked_about:
            await self._gate.end(call.id, Kind.AGENT)  # what was agreed to was something else
            listening = _Listening(room, self._clock.wall(), names)
            self._calls_with[call.id] = listening
            log.info("agents in a call", call=loggable(call.id), agents=len(agents))
        listening.agents = agents
        listening.people = await self._people(call, present)
        listening.not_yes.clear()
        answers = {
            person.key: await self._gate.happen(call.id, person.key, Kind.AGENT, Event.ASK, "agent")
            for person in listening.people.values()
        }
        self._show(listening, answers)
        agreed = {key for key, answer in answers.items() if answer is Answer.YES} - listening.not_yes
        self._let_hear(
            listening, frozenset(identity for identity, one in listening.people.items() if one.key in agreed)
        )
        await self._ask(call, listening, answers)

    def _present(self, room: str) -> tuple[ParticipantFacts, ...]:
        with suppress(CallerError):  # it is over
            return self._relay.participants(room)
        return ()

    async def _people(self, call: Call, present: Iterable[ParticipantFacts]) -> dict[str, Person]:
        return {
            facts.identity: person
            for facts in present
            if facts.kind != AGENT and (person := await self._calls.expected(call.id, facts.identity)) is not None
        }

    async def _gone(self, call: Call, listening: _Listening) -> None:
        """The last agent has left: who agreed to be heard is asked again by the next."""
        del self._calls_with[call.id]
        await self._gate.end(call.id, Kind.AGENT)
        self._show(listening, {})

    def _show(self, listening: _Listening, answers: Mapping[str, Answer]) -> None:
        name = room_state.consent_attribute(Kind.AGENT)
        for identity, person in listening.people.items():
            with suppress(CallerError):  # they have just left
                shown = room_state.SHOWN[answers.get(person.key, Answer.UNASKED)]
                self._relay.set_attributes(listening.room, identity, {name: shown})

    def _let_hear(self, listening: _Listening, heard: frozenset[str]) -> None:
        listening.heard = heard
        for facts in listening.agents:
            with suppress(CallerError):  # it has just left
                self._relay.set_hearing(listening.room, facts.identity, heard)

    # Asking in the room

    async def _ask(self, call: Call, listening: _Listening, answers: Mapping[str, Answer]) -> None:
        """At once for agents that have come; people who come later are asked a little later, several together."""
        if not listening.told:
            listening.told = True
            await self._post(call, listening, answers, first=True)
        elif await self._unasked(call, listening, answers):
            self._latecomers.came(call.id)

    async def _ask_latecomers(self, call_id: CallId) -> None:
        listening = self._calls_with.get(call_id)
        if listening is not None:
            call = await self._calls.get(call_id)
            keys = {person.key for person in listening.people.values()}
            answers = {key: await self._gate.answer(call_id, key, Kind.AGENT) for key in keys}
            await self._post(call, listening, answers, first=False)

    async def _unasked(self, call: Call, listening: _Listening, answers: Mapping[str, Answer]) -> list[Person]:
        """Who is to be mentioned: silent, and not mentioned since these agents came."""
        contents = await self._posts.contents(call.id, listening.since)
        people = {person.key: person for person in listening.people.values()}
        return to_mention(
            people.values(), {key: [answer] for key, answer in answers.items()}, asked_in(contents, KINDS)
        )

    async def _post(self, call: Call, listening: _Listening, answers: Mapping[str, Answer], *, first: bool) -> None:
        asked = await self._unasked(call, listening, answers)
        if not (first or asked):
            return
        meeting = await self._meetings.get(call.meeting)
        names = [facts.name or facts.identity for facts in listening.agents]
        words = wording.agents_came(meeting.language, names, self._settings.command_prefix, asked)
        sids = sorted(facts.sid for facts in listening.agents)
        key = stable_id("agents", call.id, *sids, *sorted(person.key for person in asked))
        await self._posts.add(Post(key, call.id, PostKind.TEXT, ask_content(words, call.id, KINDS, asked)))
        self._poster.wake()
