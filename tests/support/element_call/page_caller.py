"""Somebody in a call by Palabre's own page, as a widget in the same Matrix client in which others have Element Call."""

from __future__ import annotations

from urllib.parse import urlencode

from playwright.async_api import expect

from tests.support.element_call.caller import START_PATIENCE, Caller
from tests.support.element_call.pages import WIDGET
from tests.support.page import until


class PageCaller(Caller):
    """In French, as the tests of the page are."""

    async def open(self) -> None:
        """Frame the widget and wait for the page before the call."""
        assert self.home.palabre is not None
        choices = {
            "widgetId": WIDGET,
            "parentUrl": self.pages.host,
            "roomId": self.room_id,
            "userId": self.user_id,
            "deviceId": self.device_id,
            "clientLanguage": "fr",
            "clientTheme": "light",
        }
        await self._host("open", WIDGET, self.room_id, f"{self.home.palabre.url}/widget?{urlencode(choices)}")
        await self.frame.locator("#meeting-title").wait_for(timeout=START_PATIENCE * 1000)

    async def enter_call(self) -> None:
        """From the page before the call into the call."""
        await self.frame.get_by_role("button", name="Rejoindre la réunion").click()
        await self.frame.locator("#controls").wait_for(timeout=START_PATIENCE * 1000)

    async def join(self) -> None:
        await self.open()
        await self.enter_call()

    async def leave(self) -> None:
        await self.frame.get_by_role("button", name="Quitter la réunion").click()
        await expect(self.frame.get_by_role("heading", level=1)).to_have_text("Vous avez quitté la réunion")

    async def alone(self, patience: float = START_PATIENCE) -> None:
        tiles = self.frame.get_by_role("article")

        async def nobody() -> bool:
            return await tiles.count() == 1

        await until(nobody, f"{self.name} is alone in the call", patience)
