"""Every pair of Element Calls that people meet: today's, Tchap's, one of each, and today's with sticky events."""

from __future__ import annotations

import pytest

from tests.support.element_call.meeting import carried, keys_came_by_olm, meet
from tests.support.element_call.pages import COMPATIBLE_26, LEGACY_19, STICKY_26, ElementCall
from tests.support.element_call.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.long]

PAIRS = [
    pytest.param(COMPATIBLE_26, COMPATIBLE_26, id="0.26-and-0.26"),
    pytest.param(LEGACY_19, LEGACY_19, id="0.19-and-0.19"),
    pytest.param(LEGACY_19, COMPATIBLE_26, id="0.19-and-0.26"),
    pytest.param(COMPATIBLE_26, LEGACY_19, id="0.26-and-0.19"),
    pytest.param(STICKY_26, STICKY_26, id="sticky-0.26-and-0.26"),
]


@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "encrypted"])
@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_each_sees_and_hears_the_other(
    stage: Stage, first: ElementCall, second: ElementCall, encrypted: bool
) -> None:
    home = await stage.home()
    ana, bruno = await stage.people((home, first), (home, second))
    await stage.gather(ana, bruno, encrypted=encrypted)
    await ana.join()
    await bruno.join()
    await meet(ana, bruno)
    assert {person.encrypted for person in await carried(ana, bruno)} == {encrypted}
    if encrypted:
        await keys_came_by_olm(ana, bruno)
    await stage.picture("met")
