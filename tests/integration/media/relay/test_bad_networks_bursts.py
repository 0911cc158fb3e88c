"""Pictures over networks that lose many packets at once: they move again soon after.

A burst takes every packet for a second, in both directions. What was lost for good takes a key frame.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from tests.support.links.call import call, keep
from tests.support.links.model import PERFECT, Burst, Profile, Step

pytestmark = [pytest.mark.long, pytest.mark.alone]
both_modes = pytest.mark.parametrize("single", [False, True], ids=["dual", "single"])

BURSTS = 5
EVERY, LENGTH = 6.0, 1.0  # seconds
MOVES = 3  # pictures from which it is called moving


def moving_after(pictures: list[Any], ends: list[float]) -> list[float]:
    """Seconds from the end of each burst until the picture moved again."""
    waits = []
    for end in ends:
        after = [at for at, _, _ in pictures if at > end]
        waits.append(after[MOVES - 1] - end if len(after) >= MOVES else float("inf"))
    return waits


@both_modes
async def test_a_key_frame_comes_within_two_seconds_after_a_burst(single: bool) -> None:
    steps = []
    for number in range(BURSTS):
        steps += [Step(number * EVERY, Profile(blocked=True)), Step(number * EVERY + LENGTH, PERFECT)]
    async with call("ann", "ben") as bad:
        await bad.join(single=single)
        ann, ben = bad.people.values()
        for one in (ann, ben):
            await one.ask("publish", picture=True)
        await asyncio.gather(ann.sees("ben"), ben.sees("ann"))
        began = await bad.legs["ann"].follow(up=steps, down=steps)
        await asyncio.sleep(BURSTS * EVERY)
        ends = [began + number * EVERY + LENGTH for number in range(BURSTS)]
        waits = {}
        for listener, speaker in ((ben, "ann"), (ann, "ben")):
            seen = await listener.ask("seen", of=speaker, since=began)
            waits[speaker] = moving_after(seen["pictures"], ends)
        trace = await bad.legs["ann"].report()
    keep(
        f"bursts-{'single' if single else 'dual'}",
        began=began,
        leg=trace,
        figures={
            f"{leg}'s leg: pictures move again after": f"{max(waits[who]):.1f} s at most"
            for leg, who in (("publisher", "ann"), ("subscriber", "ben"))
        },
    )
    for speaker, each in waits.items():
        assert max(each) <= 2.0, speaker


@both_modes
async def test_pictures_move_through_gilbert_elliott_bursts(single: bool) -> None:
    async with call("ann", "ben") as bad:
        await bad.join(single=single)
        ann, ben = bad.people.values()
        for one in (ann, ben):
            await one.ask("publish", picture=True)
        await asyncio.gather(ann.sees("ben"), ben.sees("ann"))
        began = await bad.legs["ann"].be(Profile(burst=Burst(enter=0.005, leave=0.1), delay=0.02))
        await asyncio.sleep(30)
        stills = {}
        for listener, speaker in ((ben, "ann"), (ann, "ben")):
            times = [at for at, _, _ in (await listener.ask("seen", of=speaker, since=began))["pictures"]]
            stills[speaker] = max(b - a for a, b in itertools.pairwise(times))
        trace = await bad.legs["ann"].report()
    keep(
        f"gilbert-elliott-{'single' if single else 'dual'}",
        began=began,
        leg=trace,
        figures={
            f"{leg}'s leg: longest still picture": f"{stills[who]:.1f} s"
            for leg, who in (("publisher", "ann"), ("subscriber", "ben"))
        },
    )
    assert max(stills.values()) <= 2.0
