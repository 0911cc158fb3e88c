"""Consent to be recorded or transcribed: what each answer leads to, and the one gate through which taps are opened.

The table is pure. `ConsentGate` is the only code in Palabre that calls `RelayControl.open_tap`; it does so only while
the stored consent of that very person for that kind says yes, and closes what it opened when that changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import structlog

from bridge.consent_store import Answer, Consent, ConsentStore, Evidence, Kind
from bridge.modes import MODE_END_TO_END
from media.relay.seams import RelayControl, Tap, TapSink
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import CallId, loggable

log = structlog.get_logger("consent")


class Event(Enum):
    """What can happen to somebody's consent for one kind in one call."""

    ASK = "ask"  # a capture runs while they are in the call
    AGREE = "agree"
    DECLINE = "decline"  # before a yes, or taking it back
    END = "end"  # the capture ended: its consents end with it, the next one asks anew


# Whoever said no is not asked again: they can change their mind, nobody has to repeat a no.
TRANSITIONS: Mapping[tuple[Answer, Event], Answer] = {
    (Answer.UNASKED, Event.ASK): Answer.ASKED,
    (Answer.UNASKED, Event.AGREE): Answer.YES,
    (Answer.UNASKED, Event.DECLINE): Answer.NO,
    (Answer.UNASKED, Event.END): Answer.UNASKED,
    (Answer.ASKED, Event.ASK): Answer.ASKED,
    (Answer.ASKED, Event.AGREE): Answer.YES,
    (Answer.ASKED, Event.DECLINE): Answer.NO,
    (Answer.ASKED, Event.END): Answer.UNASKED,
    (Answer.YES, Event.ASK): Answer.YES,
    (Answer.YES, Event.AGREE): Answer.YES,
    (Answer.YES, Event.DECLINE): Answer.NO,
    (Answer.YES, Event.END): Answer.UNASKED,
    (Answer.NO, Event.ASK): Answer.NO,
    (Answer.NO, Event.AGREE): Answer.YES,
    (Answer.NO, Event.DECLINE): Answer.NO,
    (Answer.NO, Event.END): Answer.UNASKED,
}


def after(answer: Answer, event: Event) -> Answer:
    return TRANSITIONS[answer, event]


def counts_as_yes(mode: str, evidence: Evidence) -> bool:
    """In an end-to-end call only what the person's own device encrypted: the page's session is proven by their
    homeserver alone, which could then open a recording of them by itself. The bot takes events there only encrypted."""
    return mode != MODE_END_TO_END or evidence.event_id != ""


def may_tap(answer: Answer) -> bool:
    """Silence is not consent."""
    return answer is Answer.YES


@dataclass(frozen=True)
class TapKey:
    """One tap: which person's track, for which kind, in which call."""

    call: CallId
    kind: Kind
    person: str
    identity: str
    track_sid: str


class ConsentGate:
    """Stores consents and holds the open taps.

    Concurrency: used from the event loop. A lock per service orders answers against openings, so that a tap is never
    opened on a yes that is being taken back; a withdrawal closes taps before it waits for anything.
    """

    def __init__(
        self, store: ConsentStore, relay: RelayControl, clock: Clock, *, opened: Callable[[], None] = lambda: None
    ) -> None:
        """`opened` is called after a tap was opened: somebody is being captured."""
        self._opened = opened
        # Told of every answer that changed anything, before whoever gave it hears that it is taken.
        self.answered: Callable[[CallId, str, Kind, Answer], None] = lambda *_: None
        self._store = store
        self._relay = relay
        self._clock = clock
        self._lock = asyncio.Lock()
        self._taps: dict[TapKey, Tap] = {}

    async def answer(self, call: CallId, person: str, kind: Kind) -> Answer:
        return await self._store.answer(call, person, kind)

    async def answers(self, call: CallId, person: str) -> dict[Kind, Answer]:
        return {kind: await self.answer(call, person, kind) for kind in Kind}

    async def end(self, call: CallId, kind: Kind) -> None:
        """The capture ended, and everybody's consent to it."""
        for person in await self._store.answers(call, kind):
            await self.happen(call, person, kind, Event.END, "capture_ended")

    async def overtaken(self, call: CallId, person: str, kind: Kind, evidence: Evidence) -> bool:
        """Whether a yes was given before what took it back, and only arrives after it."""
        since = await self._store.taken_back_at(call, person, kind)
        return since is not None and evidence.said_at < since

    async def happen(
        self, call: CallId, person: str, kind: Kind, event: Event, how: str, proof: Evidence | None = None
    ) -> Answer:
        """Store what follows from `event`, and return it. After anything but yes, no tap of that person is open."""
        if event in (Event.DECLINE, Event.END):
            self.close_taps(call, kind, person)
        async with self._lock:
            before = await self._store.answer(call, person, kind)
            answer = after(before, event)
            if answer is not before:
                await self._store.add(Consent(call, person, kind, answer, how, self._clock.wall(), proof))
                log.info("consent", kind=kind.value, answer=answer.value, how=how, person=loggable(person))
            if not may_tap(answer):
                self.close_taps(call, kind, person)
            if answer is not before:
                self.answered(call, person, kind, answer)
            return answer

    async def open_tap(self, key: TapKey, make_sink: Callable[[], TapSink], *, max_layer: int) -> bool:
        """Open the tap `key` unless it is open; False, and nothing is opened, without that person's stored yes.

        `make_sink` is called only when the tap will be opened. A track that has just gone is False as well.
        """
        async with self._lock:
            if key in self._taps:
                return True
            if not may_tap(await self._store.answer(key.call, key.person, key.kind)):
                return False
            room = await self._store.room(key.call)
            sink = make_sink()
            try:
                tap = self._relay.open_tap(room, key.identity, key.track_sid, sink, max_layer=max_layer)
            except CallerError:
                sink.closed(self._clock.monotonic())
                return False
            self._taps[key] = tap
            self._opened()
            return True

    def close_taps(self, call: CallId, kind: Kind | None = None, person: str | None = None) -> None:
        """Close every open tap of the call, or only those of a kind or a person."""
        for key in [key for key in self._taps if key.call == call]:
            if (kind is None or key.kind is kind) and (person is None or key.person == person):
                self._taps.pop(key).close()

    def forget_track(self, call: CallId, track_sid: str) -> None:
        """The track ended: the relay has closed its taps."""
        for key in [key for key in self._taps if key.call == call and key.track_sid == track_sid]:
            self._taps.pop(key).close()

    @property
    def open_taps(self) -> frozenset[TapKey]:
        return frozenset(self._taps)
