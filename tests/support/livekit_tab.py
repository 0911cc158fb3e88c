"""One person in one browser window who drives an unmodified livekit-client (`tests/e2e/livekit_page.js`).

What counts is read from the decoded picture and heard in the sound; a connection state proves nothing.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from playwright.async_api import Error

from tests.support.relay import RunningRelay

E2E = Path(__file__).parents[1] / "e2e"
FOLDERS = {
    "/livekit-client": E2E.parents[1] / "web/client/node_modules/livekit-client/dist",
    "/page": E2E,
}
ROOM = "council"
RED, BLUE = ("#c02020", (192, 32, 32)), ("#2030c0", (32, 48, 192))
LOOKS = 150  # a tenth of a second each


class Window(Protocol):
    """What is used of Playwright's `Page`; `FirefoxWindow` has it too."""

    async def goto(self, url: str) -> Any: ...

    async def reload(self) -> Any: ...

    async def evaluate(self, script: str, argument: Any = None) -> Any: ...


@dataclass
class Tab:
    """One person in one browser tab, driving livekit_page.js."""

    relay: RunningRelay
    page: Window
    name: str
    complaints: list[str] = field(default_factory=list)

    def complain(self, error: Error) -> None:
        self.complaints.append(str(error))

    async def join(self, *, single: bool, options: dict[str, Any] | None = None, **grants: Any) -> None:
        await self.page.goto(self.relay.http + "/page/livekit_page.html")
        token = self.relay.token(self.name, ROOM, **grants)
        await self.call("join", token, self.relay.url, {"singlePeerConnection": single, **(options or {})})

    async def call(self, function: str, *arguments: Any) -> Any:
        script = f"arguments => {function}(...arguments)"
        return await asyncio.wait_for(self.page.evaluate(script, [self.name, *arguments]), 30)

    async def run(self, script: str) -> Any:
        return await asyncio.wait_for(
            self.page.evaluate(f"async () => {{ const room = rooms.{self.name}; {script} }}"), 30
        )

    async def until(self, script: str, what: str) -> Any:
        for _ in range(LOOKS):
            value = await self.run(script)
            if value:
                return value
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.name}: never {what}")

    async def sees(self, other: str, colour: tuple[int, int, int], *, width: int = 0) -> None:
        """The other's picture is right, moves on, and has that width."""
        numbers: list[int] = []
        looked: Any = None
        for _ in range(LOOKS):
            looked = await self.page.evaluate("who => look(who)", f"{self.name}<{other}:camera")
            right = looked and all(abs(a - b) < 50 for a, b in zip(looked["colour"], colour, strict=True))
            if right and (not width or looked["width"] == width):
                numbers.append(looked["number"])
                if sum(1 for a, b in itertools.pairwise(numbers) if 0 < (b - a) % 256 < 40) >= 3:
                    return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.name} never sees {other} ({colour}, {width}): last {looked}, numbers {numbers}")

    async def hears(self, other: str, frequency: int) -> None:
        heard = None
        for _ in range(20):
            heard = await self.page.evaluate("who => listen(who)", f"{self.name}<{other}:microphone")
            if heard and abs(heard - frequency) < 20:
                return
        raise AssertionError(f"{self.name} hears {heard} instead of {frequency} from {other}")
