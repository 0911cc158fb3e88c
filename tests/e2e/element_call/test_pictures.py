"""The pictures of Element Call in docs/screenshots, with drawn people; look at them before you commit them.

The test always takes them; it keeps them in docs/ when `PALABRE_SCREENSHOTS=1` is set, else with the other pictures.
"""

from __future__ import annotations

import os

import pytest
from PIL import Image

from tests.support.element_call.pages import COMPATIBLE_26, LEGACY_19
from tests.support.element_call.stage import PICTURES, Stage
from tests.support.page import ROOT, until

pytestmark = [pytest.mark.browser, pytest.mark.long]

COLOURS = 2000  # a picture with people in it has more; an empty page or a spinner has a few hundred
SETTLED = 5000  # ms; people's pictures reach full size when the largest simulcast layer is there, hints have gone
SEEN = """() => {
  const videos = [...document.querySelectorAll('video')]
  return videos.filter((video) => video.videoWidth > 0 && video.currentTime > 0.5 && !video.paused).length
}"""


async def test_the_pictures_of_the_documentation(stage: Stage) -> None:
    here, there = await stage.federation(palabres=1)
    people = await stage.people((here, COMPATIBLE_26), (here, LEGACY_19), (there, COMPATIBLE_26), drawn=True)
    await stage.gather(*people, encrypted=True)
    for caller in people:
        await caller.join()
    ana, bruno, _ = people
    folder = ROOT / "docs" / "screenshots" if os.environ.get("PALABRE_SCREENSHOTS") == "1" else PICTURES
    for caller, name in ((ana, "element-call.png"), (bruno, "element-call-tchap.png")):

        async def all_there(frame=caller.frame) -> bool:
            return await frame.evaluate(SEEN) >= len(people)

        await until(all_there, f"{caller.name} sees everybody", 60.0)
        assert caller.page is not None
        await caller.page.wait_for_timeout(SETTLED)
        await caller.picture(folder / name)
        with Image.open(folder / name) as picture:
            assert picture.convert("RGB").getcolors(COLOURS) is None, f"{name} shows next to nothing"
