"""Somebody in a call by Element Call: their own browser, their own Matrix device, a numbered camera and a tone."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from playwright.async_api import BrowserContext, ConsoleMessage, Frame, Page, Playwright, Route

from palabre.demo.homeserver import Account
from tests.support import numbered
from tests.support.element_call.chromium import OwnBrowser
from tests.support.element_call.home import Home
from tests.support.element_call.pages import WIDGET, ElementCall, Pages
from tests.support.page import until

SIZE = {"width": 1000, "height": 720}  # a lower page would hide the buttons of Element Call
KEYS = "io.element.call.encryption_keys"
CONSOLE_LINES = 30  # what a failure report shows of warnings and errors
LINE = 400  # characters of a console line
START_PATIENCE = 45.0  # seconds: two browsers that start on a busy machine


@dataclass(frozen=True)
class CallRoom:
    room_id: str
    encrypted: bool
    members: tuple[str, ...]  # user ids, all joined before anybody calls
    via: tuple[str, ...]


@dataclass
class Caller:
    number: int  # in pictures; also chooses the tone
    name: str
    home: Home
    account: Account
    call: ElementCall
    pages: Pages
    browser: OwnBrowser
    devices: str  # a script that gives pages a camera and a microphone
    page: Page | None = None
    room: CallRoom | None = None
    said: list[str] = field(default_factory=list)  # what the pages wrote to the console

    @property
    def user_id(self) -> str:
        return self.account.user_id

    @property
    def room_id(self) -> str:
        assert self.room is not None
        return self.room.room_id

    @property
    def device_id(self) -> str:
        return f"CALL{self.number}"

    async def start(self, playwright: Playwright, homes: list[Home]) -> None:
        """Open the Matrix client and sign in."""
        context = await self.browser.start(playwright)
        await context.grant_permissions(["camera", "microphone"], origin=self.pages.origin)
        await context.add_init_script(self.devices)
        await self._route_well_known(context, homes)
        self.page = await context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        await self.page.set_viewport_size(SIZE)  # type: ignore[arg-type]
        await self.page.goto(self.pages.host)
        await self._host(
            "signIn",
            {
                "homeserver": self.home.homeserver.url,
                "user": self.user_id,
                "password": self.account.password,
                "device": self.device_id,
            },
        )

    async def enter(self, room: CallRoom) -> None:
        """Join the room and wait until everybody is in it."""
        self.room = room
        await self._host("enter", room.room_id, list(room.members), list(room.via))

    async def join(self) -> None:
        """Press the call button of the room that was entered."""
        assert self.room is not None
        address = self.pages.call(
            self.call,
            room=self.room.room_id,
            user=self.user_id,
            device=self.device_id,
            homeserver=self.home.homeserver.url,
            encrypted=self.room.encrypted,
        )
        await self._host("open", WIDGET, self.room.room_id, address)
        await self.frame.locator('[data-testid="incall_leave"]').wait_for(timeout=START_PATIENCE * 1000)

    async def write(self, body: str) -> None:
        """A message in the room, encrypted where it is."""
        await self._host("say", self.room_id, body)

    async def speak(self, clip: Path) -> None:
        """Say what a sound file holds, instead of the tone, until it is over."""
        await self.frame.evaluate("(file) => speak(file)", base64.b64encode(clip.read_bytes()).decode())

    async def leave(self) -> None:
        await self.frame.locator('[data-testid="incall_leave"]').click()

        async def gone() -> bool:
            assert self.page is not None
            return await self.page.locator("iframe").count() == 0

        await until(gone, f"{self.name}'s call closes", numbered.PATIENCE)

    @property
    def frame(self) -> Frame:
        """Element Call in the page."""
        assert self.page is not None
        return self.page.frames[-1]

    async def meets(self, *others: Caller, patience: float = START_PATIENCE) -> None:
        """Their pictures move here and their tones sound here."""
        people = [other.number for other in others]
        await numbered.shows(self.frame, *people, patience=patience)
        await numbered.plays(self.frame, *people, patience=patience)

    async def alone(self, patience: float = START_PATIENCE) -> None:
        """Nobody else is in the call as shown here, not even as somebody whose media are missing.

        With one other person Element Call fills its page with them and shows no names.
        """
        names = self.frame.locator('[data-testid="name_tag"]')

        async def nobody() -> bool:
            return set(await names.all_inner_texts()) == {self.name}

        await until(nobody, f"{self.name} is alone in the call", patience)

    async def deliveries(self) -> list[dict[str, Any]]:
        """The media keys that came: from which device by Olm, what they claim, whether they were refused."""
        assert self.page is not None
        all_of_them: list[dict[str, Any]] = await self.page.evaluate("host.deliveries")
        return [one for one in all_of_them if one["type"] == KEYS]

    async def picture(self, path: Path) -> None:
        assert self.page is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=path)

    def complaints(self) -> str:
        """The end of what the pages warned of."""
        lines = [line for line in self.said if line.startswith(("error", "warning"))]
        return "\n".join(lines[-CONSOLE_LINES:])

    async def _host(self, function: str, *arguments: Any) -> None:
        assert self.page is not None
        await self.page.evaluate(f"(given) => host.{function}(...given)", list(arguments))

    async def _route_well_known(self, context: BrowserContext, homes: list[Home]) -> None:
        """Element Call 0.19 asks `https://SERVER/.well-known/matrix/client`; Synapse answers, on its loopback port."""
        servers = {home.server_name: home.homeserver.url for home in homes}

        async def answer(route: Route) -> None:
            url = servers.get(urlsplit(route.request.url).netloc)
            if url is None:
                await route.abort()
                return
            async with aiohttp.ClientSession() as http, http.get(f"{url}/.well-known/matrix/client") as response:
                await route.fulfill(
                    status=response.status,
                    body=json.dumps(await response.json()),
                    headers={"Content-Type": "application/json", "Access-Control-Allow-Origin": "*"},
                )

        await context.route("https://**/.well-known/matrix/client", answer)

    def _console(self, message: ConsoleMessage) -> None:
        line = f"{message.type}: {message.text}"
        self.said.append(line[:LINE])
