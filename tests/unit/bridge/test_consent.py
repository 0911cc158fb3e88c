"""Nobody is recorded before their yes: the table, and the gate under every order of events."""

from __future__ import annotations

import asyncio
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from bridge.consent import TRANSITIONS, ConsentGate, Event, TapKey, after, may_tap
from bridge.consent_store import Answer, Consent, ConsentStore, Kind
from palabre.base.clock import ManualClock
from palabre.base.ids import CallId
from tests.support.bridge_fakes import FakeRelay, FakeSink, track

CALL = CallId("call")


class MemoryStore(ConsentStore):
    """Consents in a list; every look waits a moment, as a database does."""

    def __init__(self) -> None:
        self.consents: list[Consent] = []

    async def add(self, consent: Consent) -> None:
        await asyncio.sleep(0)
        self.consents.append(consent)

    async def answer(self, call: CallId, person: str, kind: Kind) -> Answer:
        await asyncio.sleep(0)
        found = [c.answer for c in self.consents if (c.call, c.person, c.kind) == (call, person, kind)]
        return found[-1] if found else Answer.UNASKED

    async def room(self, call: CallId) -> str:
        await asyncio.sleep(0)
        return "room"


class Listener:
    def participant_joined(self, *_: object) -> None: ...

    def track_published(self, *_: object) -> None: ...


def make_gate() -> tuple[ConsentGate, MemoryStore, FakeRelay]:
    relay = FakeRelay()
    relay.listener = Listener()
    asyncio.run(relay.create_room("room"))
    for person in ("alice", "bob"):
        relay.join("room", f"{person}/tab")
        relay.publish("room", f"{person}/tab", track(f"mic-{person}"))
    store = MemoryStore()
    return ConsentGate(store, relay, ManualClock()), store, relay


def key(person: str, kind: Kind) -> TapKey:
    return TapKey(CALL, kind, person, f"{person}/tab", f"mic-{person}")


def test_the_table_answers_every_event_in_every_state() -> None:
    assert set(TRANSITIONS) == set(product(Answer, Event))


def test_only_agreeing_leads_to_yes_and_only_declining_to_no() -> None:
    for (before, event), answer in TRANSITIONS.items():
        if answer is Answer.YES:
            assert event is Event.AGREE or (before is Answer.YES and event is Event.ASK)
        if answer is Answer.NO:
            assert event is Event.DECLINE or (before is Answer.NO and event is Event.ASK)


@given(st.lists(st.sampled_from(Event)))
def test_a_tap_is_allowed_only_after_a_yes_that_nothing_took_back(events: list[Event]) -> None:
    answer = Answer.UNASKED
    for event in events:
        answer = after(answer, event)
    deciding = [event for event in events if event is not Event.ASK]
    assert may_tap(answer) == (bool(deciding) and deciding[-1] is Event.AGREE)


STEPS = st.lists(
    st.tuples(st.sampled_from([*Event, "open"]), st.sampled_from(["alice", "bob"]), st.sampled_from(Kind)),
    max_size=25,
)


@given(STEPS, st.booleans())
def test_no_order_of_events_leaves_a_tap_open_without_that_persons_yes(steps: list, at_once: bool) -> None:
    gate, store, relay = make_gate()

    async def take(step: object, person: str, kind: Kind) -> None:
        if step == "open":
            await gate.open_tap(key(person, kind), FakeSink, max_layer=1)
        else:
            assert isinstance(step, Event)
            await gate.happen(CALL, person, kind, step, "test")

    async def play() -> None:
        if at_once:
            await asyncio.gather(*(take(*step) for step in steps))
        for step in [] if at_once else steps:
            await take(*step)
        for open_key in gate.open_taps:
            assert await store.answer(CALL, open_key.person, open_key.kind) is Answer.YES

    asyncio.run(play())
    assert relay.open_taps() == {(one.identity, one.track_sid) for one in gate.open_taps}
    for tap in relay.taps:
        assert tap.closed == tap.sink.is_closed  # type: ignore[attr-defined]


async def test_one_persons_yes_opens_nobody_elses_track_and_no_other_kind() -> None:
    gate, _, relay = await asyncio.to_thread(make_gate)
    await gate.happen(CALL, "alice", Kind.RECORDING, Event.AGREE, "page")
    assert await gate.open_tap(key("alice", Kind.RECORDING), FakeSink, max_layer=1)
    assert not await gate.open_tap(key("bob", Kind.RECORDING), FakeSink, max_layer=1)
    assert not await gate.open_tap(key("alice", Kind.TRANSCRIPTION), FakeSink, max_layer=1)
    assert relay.open_taps() == {("alice/tab", "mic-alice")}


async def test_taking_consent_back_closes_the_tap_before_anything_is_waited_for() -> None:
    gate, _, relay = await asyncio.to_thread(make_gate)
    await gate.happen(CALL, "alice", Kind.RECORDING, Event.AGREE, "page")
    await gate.open_tap(key("alice", Kind.RECORDING), FakeSink, max_layer=1)
    withdrawing = gate.happen(CALL, "alice", Kind.RECORDING, Event.DECLINE, "page")
    withdrawing.send(None)  # driven by hand up to its first wait
    assert relay.open_taps() == set()
    withdrawing.close()


async def test_a_track_that_has_gone_is_not_opened_and_its_file_is_closed() -> None:
    gate, _, relay = await asyncio.to_thread(make_gate)
    await gate.happen(CALL, "alice", Kind.RECORDING, Event.AGREE, "page")
    sink = FakeSink()
    gone = TapKey(CALL, Kind.RECORDING, "alice", "alice/tab", "gone")
    assert not await gate.open_tap(gone, lambda: sink, max_layer=1)
    assert sink.is_closed
    assert relay.taps == []


async def test_every_answer_is_kept_with_when_and_how() -> None:
    gate, store, _ = await asyncio.to_thread(make_gate)
    for event, how in ((Event.ASK, "joined"), (Event.AGREE, "page"), (Event.AGREE, "page"), (Event.DECLINE, "command")):
        await gate.happen(CALL, "alice", Kind.RECORDING, event, how)
    assert [(c.answer, c.how) for c in store.consents] == [
        (Answer.ASKED, "joined"),
        (Answer.YES, "page"),
        (Answer.NO, "command"),
    ]
