"""`stage`: homeservers, Palabres and people with Element Call for one test.

Its pictures and what the pages wrote to their consoles stay in .cache/element-call.

home = await stage.home()
alice, bob = await stage.callers(home, COMPATIBLE_26), await stage.caller(home, COMPATIBLE_26)
await stage.gather(alice, bob, encrypted=True)
await alice.join()
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Error, Playwright, async_playwright

from palabre.demo.homeserver import Homeserver
from tests.support.deployment import Deployment
from tests.support.element_call.caller import Caller, CallRoom
from tests.support.element_call.chromium import OwnBrowser
from tests.support.element_call.home import MEMBER, Home
from tests.support.element_call.page_caller import PageCaller
from tests.support.element_call.pages import OUR_PAGE, ElementCall, Pages, serving
from tests.support.federation import found, start
from tests.support.numbered import numbered_devices
from tests.support.page import PEOPLE, ROOT, drawn_devices
from tests.support.synapse import AppserviceSlot, unique_name

PICTURES = ROOT / ".cache" / "element-call"


class Stage:
    def __init__(
        self,
        playwright: Playwright,
        pages: Pages,
        folder: Path,
        label: str,
        new_homeserver: Callable[..., Homeserver],
        new_deployment: Callable[[Homeserver, AppserviceSlot], Deployment],
    ) -> None:
        self.callers: list[Caller] = []
        self.homes: list[Home] = []
        self._playwright = playwright
        self._pages = pages
        self._folder = folder
        self._label = label
        self._new_homeserver = new_homeserver
        self._new_deployment = new_deployment

    async def home(self) -> Home:
        """A homeserver and its Palabre, both running."""
        (home,) = await self.federation(1)
        return home

    async def federation(self, servers: int = 2, *, palabres: int | None = None) -> list[Home]:
        """Homeservers that federate, the first `palabres` of them (all, by default) with a Palabre of its own.

        The others' people call on the first one's.
        """

        def prepare(palabre: Deployment, others: list[Deployment]) -> None:
            foci = [other.url for other in others]
            palabre.settings["web"] |= {"frame_ancestors": [self._pages.origin], "foci": foci}

        made = found(self._new_homeserver, self._new_deployment, servers, palabres)
        self.homes += made
        await start(made, self._folder, prepare)
        return made

    async def caller(self, home: Home, call: ElementCall) -> Caller:
        """The next person, signed in."""
        (caller,) = await self.people((home, call))
        return caller

    async def people(self, *whence: tuple[Home, ElementCall], drawn: bool = False) -> list[Caller]:
        """The next people, signed in; their browsers start at once. `drawn`: cameras show faces, not numbers."""
        callers = [await self._caller(home, call, drawn) for home, call in whence]
        async with asyncio.TaskGroup() as everybody:
            for caller in callers:
                everybody.create_task(caller.start(self._playwright, self.homes))
        return callers

    async def _caller(self, home: Home, call: ElementCall, drawn: bool) -> Caller:
        number = len(self.callers) + 1
        who, someone = list(PEOPLE.items())[number - 1]
        devices = drawn_devices(who) if drawn else numbered_devices(number)
        account = await asyncio.to_thread(home.homeserver.register, unique_name(f"person{number}-"))
        await home.ask(account, "PUT", f"/v3/profile/{account.user_id}/displayname", {"displayname": someone.name})
        browser = OwnBrowser(self._folder / f"browser{number}")
        kind = PageCaller if call is OUR_PAGE else Caller
        caller = kind(number, someone.name, home, account, call, self._pages, browser, devices)
        self.callers.append(caller)
        return caller

    async def gather(self, *callers: Caller, encrypted: bool, bots: bool = True) -> CallRoom:
        """A room of the first one's that all of them are in, with the bots of their Palabres."""
        first = callers[0]
        palabres = [home.palabre for home in self.homes if home.palabre is not None] if bots else []
        members = [caller.user_id for caller in callers] + [palabre.bot for palabre in palabres]
        state: list[dict[str, Any]] = []
        if encrypted:
            content = {"algorithm": "m.megolm.v1.aes-sha2"}
            state.append({"type": "m.room.encryption", "state_key": "", "content": content})
        wish = {
            "name": "Comité de pilotage",
            "preset": "private_chat",
            "invite": members[1:],
            "initial_state": state,
            "power_level_content_override": {"events": {MEMBER: 0}},  # as Element does: everybody may call
        }
        room_id = (await first.home.ask(first.account, "POST", "/v3/createRoom", wish))["room_id"]
        room = CallRoom(room_id, encrypted, tuple(members), (first.home.server_name,))
        async with asyncio.TaskGroup() as everybody:
            for caller in callers:
                everybody.create_task(caller.enter(room))
        return room

    async def picture(self, name: str) -> None:
        """What each person has on their screen."""
        for caller in self.callers:
            await caller.picture(PICTURES / f"{self._label}-{name}-{caller.number}.png")

    async def close(self) -> None:
        for caller in self.callers:
            with suppress(Error):
                await caller.picture(PICTURES / f"{self._label}-end-{caller.number}.png")
            (PICTURES / f"{self._label}-{caller.number}.log").write_text("\n".join(caller.said))
            with suppress(Error):
                await caller.browser.close()
            await caller.browser.kill()


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    new_homeserver: Callable[..., Homeserver],
    new_deployment: Callable[[Homeserver, AppserviceSlot], Deployment],
) -> AsyncIterator[Stage]:
    label = re.sub(r"[^a-z0-9.]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")
    async with async_playwright() as playwright, serving() as pages:
        made = Stage(playwright, pages, tmp_path, label, new_homeserver, new_deployment)
        try:
            yield made
        finally:
            await made.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    made = getattr(item, "funcargs", {}).get("stage")
    if report.failed and isinstance(made, Stage):
        for caller in made.callers:
            report.sections.append((f"{caller.name}'s pages complain", caller.complaints()))
    return report
