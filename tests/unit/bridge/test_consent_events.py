"""Consent by a Matrix event: what counts, what does not, and what is kept of it as proof."""

from __future__ import annotations

from typing import Any

import pytest

from appservice.seams import DeviceTrust, SendingDevice
from bridge.consent_event import read_answers
from bridge.consent_store import Answer, Evidence, Kind
from palabre.base.errors import CallerError
from tests.support.bridge_fakes import ALICE, BOB, EVE
from tests.support.bridge_world import World

PHONE = SendingDevice("PHONE", "fingerprint-of-the-phone", DeviceTrust.SIGNED, enough=True)
STRANGE = SendingDevice("STRANGE", "fingerprint", DeviceTrust.UNSIGNED, enough=False)
BOBS_MICROPHONE = (f"{BOB}/tab", f"mic-{BOB}/tab")


async def recorded_call(world: World) -> None:
    await world.join(ALICE)
    await world.join(BOB)
    await world.command("record")


async def history(world: World, person: str = BOB) -> list[Any]:
    found = await world.service.captures._consents.history((await world.call()).id)
    return [consent for consent in found if consent.person == person]


async def refused(world: World, **options: Any) -> str:
    with pytest.raises(CallerError) as caught:
        await world.consent({"recording": "yes"}, sender=BOB, **options)
    assert BOBS_MICROPHONE not in world.relay.open_taps()
    return caught.value.code


async def test_a_yes_opens_the_tap_and_is_kept_with_the_event_and_the_device_that_prove_it(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    event = await bridge_world.consent({"recording": "yes"}, sender=BOB, device=PHONE)
    assert BOBS_MICROPHONE in bridge_world.relay.open_taps()
    given = (await history(bridge_world))[-1]
    assert (given.answer, given.how) == (Answer.YES, "event")
    said_at = bridge_world.clock.wall()
    assert given.evidence == Evidence(said_at, event, "PHONE", "fingerprint-of-the-phone", "signed")


async def test_yes_to_one_and_no_to_the_other_in_one_event(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    await bridge_world.command("transcribe")
    await bridge_world.consent({"recording": "no", "transcription": "yes"}, sender=BOB, device=PHONE)
    answers = {consent.kind: consent.answer for consent in await history(bridge_world)}
    assert answers == {Kind.RECORDING: Answer.NO, Kind.TRANSCRIPTION: Answer.YES}


async def test_an_answer_to_another_call_does_not_count(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    assert await refused(bridge_world, call="another", device=PHONE) == "consent_other_call"


async def test_somebody_outside_the_room_cannot_answer(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    with pytest.raises(CallerError) as caught:
        await bridge_world.consent({"recording": "yes"}, sender=EVE, device=PHONE)
    assert caught.value.code == "not_in_room"
    assert await history(bridge_world, EVE) == []


async def test_a_yes_from_a_device_that_its_owner_has_not_verified_does_not_count_but_a_no_does(
    bridge_world: World,
) -> None:
    await recorded_call(bridge_world)
    assert await refused(bridge_world, device=STRANGE) == "device_not_verified"
    with pytest.raises(CallerError, match="not verified"):
        await bridge_world.command("agree", sender=BOB, device=STRANGE)
    with pytest.raises(CallerError, match="not verified"):
        await bridge_world.command("transcribe", sender=BOB, device=STRANGE)
    await bridge_world.consent({"recording": "yes"}, sender=BOB, device=PHONE)
    await bridge_world.consent({"recording": "no"}, sender=BOB, device=STRANGE)
    assert BOBS_MICROPHONE not in bridge_world.relay.open_taps()


async def test_an_old_yes_does_not_count_and_an_old_no_does(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    assert await refused(bridge_world, device=PHONE, age=601.0) == "command_too_old"
    await bridge_world.consent({"recording": "no"}, sender=BOB, device=PHONE, age=601.0)
    assert (await history(bridge_world))[-1].answer is Answer.NO


async def test_a_yes_whose_key_came_late_does_not_overrule_the_no_that_was_said_after_it(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    bridge_world.clock.advance(100.0)
    await bridge_world.consent({"recording": "no"}, sender=BOB, device=PHONE, age=5.0)
    assert await refused(bridge_world, device=PHONE, age=10.0) == "consent_overtaken"
    await bridge_world.consent({"recording": "yes"}, sender=BOB, device=PHONE)
    assert BOBS_MICROPHONE in bridge_world.relay.open_taps()


async def test_a_late_yes_to_a_recording_that_has_ended_is_none_to_the_next_one(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    bridge_world.clock.advance(100.0)
    await bridge_world.command("stop")
    await bridge_world.command("record")
    assert await refused(bridge_world, device=PHONE, age=10.0) == "consent_overtaken"


async def test_an_event_that_is_handed_over_again_changes_nothing(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    await bridge_world.consent({"recording": "yes"}, sender=BOB, event="$yes", device=PHONE)
    await bridge_world.consent({"recording": "no"}, sender=BOB, device=PHONE)
    await bridge_world.consent({"recording": "yes"}, sender=BOB, event="$yes", device=PHONE)
    assert BOBS_MICROPHONE not in bridge_world.relay.open_taps()
    assert [consent.answer for consent in await history(bridge_world)] == [Answer.ASKED, Answer.YES, Answer.NO]


async def test_a_command_can_name_what_it_answers(bridge_world: World) -> None:
    await recorded_call(bridge_world)
    await bridge_world.command("transcribe")
    await bridge_world.command("agree", "transcription", sender=BOB)
    answers = {consent.kind: consent.answer for consent in await history(bridge_world)}
    assert answers == {Kind.RECORDING: Answer.ASKED, Kind.TRANSCRIPTION: Answer.YES}


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"call": "c", "answers": {}},
        {"call": "c", "answers": {"captions": "yes"}},
        {"call": "c", "answers": {"recording": True}},
        {"call": "c", "answers": {"recording": "yes", "transcription": {"yes": "no"}}},
        {"call": "c", "answers": ["recording"]},
        {"call": ["c"], "answers": {"recording": "yes"}},
        {"call": "", "answers": {"recording": "yes"}},
        {"call": "c" * 256, "answers": {"recording": "yes"}},
    ],
)
def test_what_is_no_answer_is_refused_whatever_it_holds(content: dict[str, Any]) -> None:
    with pytest.raises(CallerError) as caught:
        read_answers(content)
    assert caught.value.code == "bad_consent"


def test_kinds_that_are_not_known_here_are_left_out() -> None:
    answers = read_answers({"call": "c", "answers": {"recording": "yes", "holograms": "yes"}, "more": 1})
    assert (answers.agreed, answers.declined) == ((Kind.RECORDING,), ())
