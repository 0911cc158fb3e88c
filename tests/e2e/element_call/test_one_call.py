"""The call button works: two people with Element Call as it is today, in an encrypted room."""

from __future__ import annotations

import pytest

from tests.support.element_call.meeting import carried, keys_came_by_olm, meet
from tests.support.element_call.pages import COMPATIBLE_26
from tests.support.element_call.stage import Stage

pytestmark = pytest.mark.browser


async def test_two_people_see_and_hear_each_other_and_the_relay_only_carries_ciphertext(stage: Stage) -> None:
    home = await stage.home()
    ana, bruno = await stage.people((home, COMPATIBLE_26), (home, COMPATIBLE_26))
    await stage.gather(ana, bruno, encrypted=True)
    await ana.join()
    await bruno.join()
    await meet(ana, bruno)
    await keys_came_by_olm(ana, bruno)
    assert all(person.encrypted for person in await carried(ana, bruno))
    assert len(await home.member_events(ana.account, ana.room_id)) == 2

    await bruno.leave()
    await ana.alone()
    assert len(await home.member_events(ana.account, ana.room_id)) == 1
