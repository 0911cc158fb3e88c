"""The call page in real browsers, on a real Palabre with a real Synapse behind it.

* `site`: the whole service, one encrypted room with the bot in it, and three people who may sign in by link.
* `matrix_client_page`: the least of a Matrix client, which frames the page as a widget (`frame_widget`).
* `browser`: a headless Chromium; `site.visit(browser, "ana")` opens the page as one of them, with a drawn camera.

Tokens come from the service's own endpoints, with the people's own proof; nothing is minted here.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Frame, FrameLocator, Page, async_playwright

from appservice.seams import Command
from palabre.base.clock import SystemClock
from palabre.base.ids import EventId, RoomId, UserId
from palabre.demo.homeserver import Account, Homeserver, free_port
from palabre.initialise import InitialFacts, initial_document
from palabre.listening import opened
from palabre.service import Service
from palabre.settings import Settings
from tests.support.synapse import AppserviceSlot, unique_name

ROOT = Path(__file__).resolve().parents[2]
DEVICES = (Path(__file__).parent / "browser" / "devices.js").read_text(encoding="utf-8")
HOST_PAGE = ROOT / "tests" / "e2e" / "host" / "widget-host.html"
AXE = ROOT / "web" / "client" / "node_modules" / "axe-core" / "axe.min.js"
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-loopback-in-peer-connection",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
PASSWORD = "demo"
TITLE = "Comité de pilotage"
START_SECONDS = 30.0
Theme = Literal["light", "dark"]

PAGE = ["Feuille de route 2027", "1. Ouverture aux directions régionales", "2. Accessibilité : audit au printemps"]
NAMES = {
    "audioinput": ["Micro intégré", "Casque USB", "Station de réunion"],
    "videoinput": ["Caméra intégrée"],
    "audiooutput": ["Haut-parleurs intégrés", "Casque USB", "Station de réunion"],
}


def _look(wall: tuple[str, str], skin: str, hair: str, coat: str, hairstyle: str) -> dict[str, Any]:
    shared = {"page": PAGE, "devices": NAMES}
    return {"wall": wall, "skin": skin, "hair": hair, "coat": coat, "hairstyle": hairstyle, **shared}


@dataclass(frozen=True)
class Someone:
    """A person of these tests."""

    name: str
    look: dict[str, Any]


PEOPLE = {
    "ana": Someone("Ana Pereira", _look(("#cdbda6", "#efe9dd"), "#8d5533", "#26201b", "#385c8a", "long")),
    "bruno": Someone("Bruno Lefèvre", _look(("#a9bcc0", "#e9efe9"), "#e0b08c", "#4a2f1d", "#2f5d44", "short")),
    "chloe": Someone("Chloé Marchand", _look(("#bcaac6", "#efe9f1"), "#f2cdb0", "#7a4a2a", "#7a2f4a", "bun")),
}


def drawn_devices(who: str) -> str:
    """A script that gives pages a camera which shows this person, and devices with ordinary names."""
    return f"({DEVICES})({json.dumps(PEOPLE[who].look)})"


@dataclass
class Site:
    """A running Palabre and one meeting."""

    service: Service
    url: str
    homeserver: Homeserver
    room_id: str
    accounts: dict[str, Account]
    host_origin: str  # from where a widget may be framed
    meeting: str = ""
    said: list[str] = field(default_factory=list)  # whatever pages wrote to their consoles

    async def visit(
        self,
        browser: Browser,
        who: str,
        *,
        path: str = "",
        size: tuple[int, int] = (1280, 800),
        theme: Theme = "light",
        locale: str = "fr-FR",
    ) -> Page:
        """Open the meeting's link, or `path`, as somebody whose camera shows them. Close its context."""
        page = await self.new_page(browser, who, size=size, theme=theme, locale=locale)
        await page.goto(self.url + (path or f"/m/{self.meeting}"))
        return page

    async def new_page(
        self, browser: Browser, who: str, *, size: tuple[int, int], theme: Theme, locale: str = "fr-FR"
    ) -> Page:
        context: BrowserContext = await browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=theme,
            locale=locale,
            permissions=["camera", "microphone"],
        )
        await context.add_init_script(drawn_devices(who))
        page = await context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.said.append(f"{who}: {error}"))
        return page

    async def sign_in(self, page: Page, who: str) -> None:
        """Fill in the form, up to the pre-join page."""
        await page.locator("input[name=user]").fill(who)
        await page.locator("input[name=password]").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.locator("#meeting-title").wait_for()

    async def join(self, page: Page) -> None:
        """Through the pre-join page into the call."""
        await page.locator("section[aria-labelledby=meeting-title] button").last.click()
        await page.locator("#controls").wait_for()

    async def come(self, browser: Browser, who: str, **options: Any) -> Page:
        """`visit`, `sign_in` and `join`."""
        page = await self.visit(browser, who, **options)
        await self.sign_in(page, who)
        await self.join(page)
        return page

    def widget_path(self, parent: str, *, theme: str = "light", language: str = "fr") -> str:
        """The widget's address as a Matrix client fills it in."""
        query = f"widgetId=w1&parentUrl={quote(parent, safe='')}&roomId={quote(self.room_id, safe='')}"
        return f"/widget?{query}&clientLanguage={language}&clientTheme={theme}"

    async def openid(self, who: str) -> dict[str, Any]:
        """What the person's homeserver vouches with, as their Matrix client asks for it."""
        account = self.accounts[who]
        return await self.ask(who, "POST", f"/_matrix/client/v3/user/{account.user_id}/openid/request_token", {})

    async def encryption(self, wanted: str) -> None:
        """Ana writes `!palabre encryption …`; her client here has no keys, so the command is handed over by itself."""
        path = f"/_matrix/client/v3/rooms/{quote(self.room_id, safe='')}/send/org.palabre.test/{wanted}"
        event = EventId((await self.ask("ana", "PUT", path, {}))["event_id"])
        ana = UserId(self.accounts["ana"].user_id)
        command = Command("encryption", (wanted,), ana, RoomId(self.room_id), event, None, "fr", time.time())
        await self.service.bridge.commands.handle(command)

    async def ask(self, who: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """A request to the homeserver as this person."""
        token = self.accounts[who].access_token
        return await asyncio.to_thread(self.homeserver.request, method, path, body, token=token)

    def in_call(self) -> list[str]:
        """Display names of who the relay has in the meeting's call, sorted."""
        rooms = self.service.relay.rooms()
        return sorted(person.name for room in rooms for person in self.service.relay.participants(room.name))

    def _console(self, message: ConsoleMessage) -> None:
        self.said.append(f"{message.type}: {message.text}")


async def faults(page: Page | Frame) -> list[str]:
    """What axe finds of serious or critical weight, as `rule: element`. The page's CSP allows no script tag."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("(tags) => axe.run(document, { runOnly: tags })", AXE_TAGS)
    return [
        f"{violation['id']}: {node['target'][-1]} {node['html'][-120:]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


SEES = """(name) => {
  const tiles = [...document.querySelectorAll('article')]
  const video = tiles.find((tile) => tile.getAttribute('aria-label').startsWith(name))?.querySelector('video')
  return video ? video.videoWidth > 0 && video.currentTime > 0.5 && !video.paused : false
}"""


async def sees(page: Page, name: str) -> None:
    """The tile of `name` shows a picture that moves on."""
    await page.wait_for_function(SEES, arg=name)


async def frame_widget(
    site: Site,
    browser: Browser,
    client: str,
    who: str,
    *,
    vouch: bool = True,
    language: str = "fr",
    script: str = "",
) -> tuple[Page, FrameLocator]:
    """The Matrix client's page at `client` and the widget in it. `vouch`: the client tells who the person is.

    `script` runs before each document, after the drawn devices.
    """
    page = await site.new_page(browser, who, size=(600, 640), theme="light")
    if script:
        await page.context.add_init_script(script)
    await page.goto(client)
    if vouch:
        await page.evaluate("(token) => { window.openid = token }", await site.openid(who))
    await page.evaluate("(url) => frame(url)", site.url + site.widget_path(client, language=language))
    return page, page.frame_locator("iframe")


async def until(condition: Any, what: str, patience: float = 15.0) -> None:
    """Wait for a condition (a function, or one that returns an awaitable) that no event announces."""
    deadline = time.monotonic() + patience
    while True:
        result = condition()
        if await result if asyncio.iscoroutine(result) else result:
            return
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        await asyncio.sleep(0.05)


def _settings(slot: AppserviceSlot, folder: Path, dev_users: dict[str, Any], host_origin: str) -> Settings:
    facts = InitialFacts(slot.server_name, slot.homeserver_url, slot.url, folder / "palabre", language="fr")
    document = initial_document(facts)
    document["secrets"] |= {"as_token": slot.as_token, "hs_token": slot.hs_token}
    document |= {
        "listen": {"host": "127.0.0.1", "port": slot.port},
        "monitoring": {"host": "127.0.0.1", "port": 0},
        "media": {"host": "127.0.0.1", "udp_port": 0, "tcp_port": 0, "advertised": ["127.0.0.1"]},
        "appservice": {"id": slot.id, "bot_localpart": slot.bot_localpart, "prefix": slot.prefix},
        "bridge": {"openid": {"allow_private": True}},
        "web": {"dev_users": dev_users, "frame_ancestors": [host_origin]},
    }
    return Settings(**document)


async def _people(homeserver: Homeserver) -> dict[str, Account]:
    accounts = {}
    for who, someone in PEOPLE.items():
        account = await asyncio.to_thread(homeserver.register, unique_name(who))
        path = f"/_matrix/client/v3/profile/{account.user_id}/displayname"
        body = {"displayname": someone.name}
        await asyncio.to_thread(homeserver.request, "PUT", path, body, token=account.access_token)
        accounts[who] = account
    return accounts


async def _meeting_room(site: Site, bot: str) -> None:
    """An encrypted room of everybody's with the bot in it, and the meeting that belongs to it."""
    encryption = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    others = [account.user_id for who, account in site.accounts.items() if who != "ana"]
    body = {"name": TITLE, "preset": "private_chat", "invite": [bot, *others], "initial_state": [encryption]}
    site.room_id = (await site.ask("ana", "POST", "/_matrix/client/v3/createRoom", body))["room_id"]
    room = quote(site.room_id, safe="")
    for who in ("bruno", "chloe"):
        await site.ask(who, "POST", f"/_matrix/client/v3/join/{room}", {})

    async def bot_is_there() -> bool:
        joined = await site.ask("ana", "GET", f"/_matrix/client/v3/rooms/{room}/joined_members")
        return bot in joined["joined"]

    await until(bot_is_there, "the bot accepts its invitation", START_SECONDS)
    async with aiohttp.ClientSession() as http:
        proof = {"openid": await site.openid("ana"), "room_id": site.room_id}
        async with http.post(f"{site.url}/api/session/openid", json=proof) as answer:
            site.meeting = (await answer.json())["meeting"]["id"]
    await site.encryption("server")  # these meetings are for people by link as well


@pytest.fixture
async def site(homeserver: Homeserver, appservice_slot: AppserviceSlot, tmp_path: Path) -> AsyncIterator[Site]:
    """A whole Palabre for this test alone."""
    accounts = await _people(homeserver)
    dev_users = {
        who: {"password": PASSWORD, "display_name": someone.name, "user_id": accounts[who].user_id}
        for who, someone in PEOPLE.items()
    }
    host_origin = f"http://127.0.0.1:{free_port()}"
    settings = _settings(appservice_slot, tmp_path, dev_users, host_origin)
    service = Service(settings, opened(settings.listen), dev=True, clock=SystemClock())
    await service.start()
    try:
        site = Site(service, appservice_slot.url, homeserver, "", accounts, host_origin)
        await _meeting_room(site, f"@{appservice_slot.bot_localpart}:{appservice_slot.server_name}")
        yield site
    finally:
        await service.stop()


@pytest.fixture
async def matrix_client_page(site: Site) -> AsyncIterator[str]:
    """Address of a page that frames widgets, on the origin that the settings allow."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=HOST_PAGE.read_text(encoding="utf-8"), content_type="text/html")

    app = web.Application()
    app.router.add_get("/room", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", urlsplit(site.host_origin).port).start()
    yield f"{site.host_origin}/room"
    await runner.cleanup()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, headless, with pretended devices."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_FLAGS)
        yield chromium
        await chromium.close()
