"""What a call must show: everybody sees and hears everybody, and in an encrypted room nobody else can."""

from __future__ import annotations

import asyncio

from tests.support.element_call.caller import START_PATIENCE, Caller
from tests.support.element_call.relay_view import OnRelay, on_relay


async def meet(*callers: Caller, patience: float = START_PATIENCE) -> None:
    """Each one's picture moves and tone sounds in every other page."""
    async with asyncio.TaskGroup() as everybody:
        for caller in callers:
            others = [other for other in callers if other is not caller]
            everybody.create_task(caller.meets(*others, patience=patience))


async def keys_came_by_olm(*callers: Caller) -> None:
    """Everybody got media keys from everybody else's device, by Olm, and each from the device that it names."""
    for caller in callers:
        deliveries = await caller.deliveries()
        assert not any(one["refused"] for one in deliveries), deliveries
        assert all(one["device"] == one["claimed"] for one in deliveries), deliveries
        senders = {(one["sender"], one["device"]) for one in deliveries}
        assert senders == {(o.user_id, o.device_id) for o in callers if o is not caller}, deliveries


async def carried(*callers: Caller) -> list[OnRelay]:
    """What the relays of these people's servers carry: a camera and a microphone of each, once."""
    palabres = {id(c.home.palabre): c.home.palabre for c in callers if c.home.palabre is not None}
    found = [person for palabre in palabres.values() for person in (await on_relay(palabre)).values()]
    publishers = [person for person in found if person.tracks]
    assert [person.tracks for person in publishers] == [2] * len(callers), found
    return publishers
