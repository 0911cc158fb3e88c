"""A network that goes away, or changes under a call: it goes on, and nobody has to join again.

Somebody who resumes keeps the sid, and the others never see them go.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.links.call import ROOM, Call, call, keep
from tests.support.links.model import PERFECT, Profile, Step

pytestmark = [pytest.mark.long, pytest.mark.alone]
both_modes = pytest.mark.parametrize("single", [False, True], ids=["dual", "single"])


async def talk(bad: Call, *, single: bool) -> dict[str, str]:
    """Ann and Ben join, hear and see each other. Their sids."""
    sids = await bad.join(single=single)
    ann, ben = bad.people.values()
    await ann.ask("publish", tone=440, picture=True)
    await ben.ask("publish", tone=880, picture=True)
    await goes_on(bad)
    return sids


async def goes_on(bad: Call) -> None:
    """Both hear and see the other from now on."""
    ann, ben = bad.people.values()
    await asyncio.gather(ann.hears("ben"), ben.hears("ann"))
    await asyncio.gather(ann.sees("ben"), ben.sees("ann"))


async def nobody_joined_again(bad: Call, sids: dict[str, str]) -> None:
    for name, one in bad.people.items():
        state = await one.ask("state")
        assert state["sid"] == sids[name]
        assert not {"participant_disconnected", "participant_connected", "disconnected"} & set(state["events"][1:])
        assert len(state["others"]) == 1
    assert not [event for event in bad.relay.events if event[0] in ("participant_left", "track_unpublished")]
    assert len([event for event in bad.relay.events if event[0] == "participant_joined"]) == 2
    assert len(bad.relay.control.participants(ROOM)) == 2


async def back_after(bad: Call, ended: float) -> dict[str, float]:
    """Seconds from `ended` until each one's picture of the other moved again."""
    waits = {}
    for name, one in bad.people.items():
        other = next(other for other in bad.people if other != name)
        pictures = (await one.ask("seen", of=other, since=ended))["pictures"]
        waits[name] = pictures[2][0] - ended
    return waits


def as_figures(waits: dict[str, float]) -> dict[str, str]:
    return {"pictures move again after": " and ".join(f"{wait:.1f} s" for wait in waits.values())}


@both_modes
async def test_an_outage_of_ten_seconds_is_resumed_without_a_new_join(single: bool) -> None:
    async with call("ann", "ben") as bad:
        sids = await talk(bad, single=single)
        outage = [Step(0, Profile(blocked=True)), Step(10, PERFECT)]
        began = await bad.legs["ann"].follow(up=outage, down=outage)
        await asyncio.sleep(10)
        await goes_on(bad)
        waits = await back_after(bad, began + 10)
        await nobody_joined_again(bad, sids)
        trace = await bad.legs["ann"].report()
    keep(f"outage-10-{'single' if single else 'dual'}", began=began, leg=trace, figures=as_figures(waits))
    assert max(waits.values()) <= 3.0


@both_modes
async def test_a_client_that_the_relay_suddenly_sees_elsewhere_goes_on(single: bool) -> None:
    async with call("ann", "ben") as bad:
        sids = await talk(bad, single=single)
        changed = time.monotonic()
        await bad.legs["ann"].rebind()
        await asyncio.sleep(3)
        await goes_on(bad)
        waits = await back_after(bad, changed)
        await nobody_joined_again(bad, sids)
        trace = await bad.legs["ann"].report()
    keep(f"address-rebound-{'single' if single else 'dual'}", began=changed, leg=trace, figures=as_figures(waits))


@both_modes
async def test_a_client_that_moves_to_another_network_goes_on(single: bool) -> None:
    async with call("ann", "ben") as bad:
        sids = await talk(bad, single=single)
        moved = time.monotonic()
        bad.legs["ann"].move()
        await asyncio.sleep(3)
        await goes_on(bad)
        await bad.people["ann"].until("state", lambda state: state["state"] == 1, "connected", seconds=40)
        await goes_on(bad)
        await nobody_joined_again(bad, sids)
        waits = await back_after(bad, moved)
        trace = await bad.legs["ann"].report()
    keep(f"address-moved-{'single' if single else 'dual'}", began=moved, leg=trace, figures=as_figures(waits))
