"""Sound over bad networks: what is lost on the way is asked for again, on the publisher's leg and on the subscriber's.

Ann's network is bad and Ben's is good; both speak, so that one run shows both legs. Counted are packets that came
through in the end, where they arrive; gaps are silence in what LiveKit's Python SDK plays.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.support.links.call import Call, call, keep
from tests.support.links.model import Burst, Profile

pytestmark = [pytest.mark.long, pytest.mark.alone]
both_modes = pytest.mark.parametrize("single", [False, True], ids=["dual", "single"])

LISTEN = 30.0  # seconds: 1,500 packets
SETTLE = 3.0  # seconds: the last packets' retransmissions, and what jitter buffers learn of the link


async def listen(bad: Call, case: str, profile: Profile, *, single: bool) -> dict[str, dict[str, Any]]:
    """Make Ann's network bad for a while; what each of the two heard of the other, by who spoke."""
    await bad.join(single=single)
    ann, ben = bad.people.values()
    for one, tone in ((ann, 440), (ben, 880)):
        await one.ask("publish", tone=tone)
    await asyncio.gather(ann.hears("ben"), ben.hears("ann"))
    began = await bad.legs["ann"].be(profile)
    await asyncio.sleep(SETTLE)
    since = time.monotonic()
    pairs = {"ann": ben, "ben": ann}
    before = {speaker: await listener.ask("heard", of=speaker) for speaker, listener in pairs.items()}
    for leg in bad.legs.values():
        await leg.count()
    await asyncio.sleep(LISTEN)
    figures = {}
    for speaker, listener in pairs.items():
        heard = await listener.ask("heard", of=speaker, since=since)
        report = await bad.legs[listener.name].report()
        spoken = max((await bad.legs[speaker].report())["up"]["sent"].values())  # there is only sound
        samples = heard["samples"] - before[speaker]["samples"]
        figures[speaker] = {
            "delivered": min(1.0, report["down"]["arrived"][str(heard["ssrc"])] / spoken),
            "spoken": spoken,
            "gap": heard["gap"],
            "concealed": (heard["concealed"] - before[speaker]["concealed"]) / samples,
        }
    trace = await bad.legs["ann"].report()
    keep(
        f"sound-{case}-{'single' if single else 'dual'}",
        began=began,
        leg=trace,
        figures={
            f"{leg}'s leg: sound": f"{seen['delivered']:.1%}, longest gap {seen['gap']:.2f} s, "
            f"{seen['concealed']:.1%} concealed"
            for leg, seen in (("publisher", figures["ann"]), ("subscriber", figures["ben"]))
        },
    )
    return figures


@both_modes
@pytest.mark.parametrize(("percent", "least"), [(2, 0.995), (10, 0.98), (25, 0.93)])
async def test_lost_sound_comes_again(percent: int, least: float, single: bool) -> None:
    async with call("ann", "ben") as bad:
        heard = await listen(bad, f"loss-{percent}", Profile(loss=percent / 100), single=single)
    for speaker, figures in heard.items():
        assert figures["spoken"] > 0.8 * LISTEN / 0.02, speaker
        assert figures["delivered"] >= least, speaker
        if percent <= 10:
            assert figures["gap"] <= 0.2, speaker


@both_modes
async def test_sound_lost_in_bursts_comes_again(single: bool) -> None:
    burst = Burst(enter=0.02, leave=0.2)  # a tenth of the packets, five in a row
    async with call("ann", "ben") as bad:
        heard = await listen(bad, "bursts", Profile(burst=burst), single=single)
    for speaker, figures in heard.items():
        assert figures["delivered"] >= 0.98, speaker
        assert figures["gap"] <= 0.2, speaker


@both_modes
async def test_a_long_way_with_jitter_and_some_loss_is_heard_whole(single: bool) -> None:
    async with call("ann", "ben") as bad:
        far = Profile(delay=0.3, jitter=0.04, loss=0.02)
        heard = await listen(bad, "delay-300", far, single=single)
    for speaker, figures in heard.items():
        assert figures["delivered"] >= 0.995, speaker
        assert figures["gap"] <= 0.2, speaker
