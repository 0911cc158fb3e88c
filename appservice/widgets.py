"""The call widget of a room: written when it is not there or has changed, and pinned to the room's top.

Element reads widgets from `im.vector.modular.widgets` and their places from `io.element.widgets.layout`.
"""

from __future__ import annotations

from typing import Any

from mautrix.api import Method, Path
from mautrix.errors import MatrixRequestError, MForbidden, MNotFound

from appservice.api import HomeserverApi, as_caller_error
from appservice.events import as_object
from appservice.roomstore import RoomStore
from appservice.seams import Widget
from palabre.base.errors import CallerError

WIDGET = "im.vector.modular.widgets"
LAYOUT = "io.element.widgets.layout"
HEIGHT_PERCENT = 50  # of the room view, for a pinned widget that people look at

Content = dict[str, Any]


class Widgets:
    """Writes widgets as the bot."""

    def __init__(self, api: HomeserverApi, rooms: RoomStore, bot: str) -> None:
        self._api = api
        self._rooms = rooms
        self._bot = bot

    async def put(self, room_id: str, widget: Widget) -> bool:
        """Returns whether anything had to be written. Raises `CallerError("missing_power", needed=…, event=…)`."""
        wanted = widget_content(widget, self._bot)
        layout = await self._read(room_id, LAYOUT, "")
        pinned = layout_with(layout, widget.widget_id)
        changes: list[tuple[str, str, Content]] = []
        if await self._read(room_id, WIDGET, widget.widget_id) != wanted:
            changes.append((WIDGET, widget.widget_id, wanted))
        if pinned != layout:
            changes.append((LAYOUT, "", pinned))
        await self._require_power(room_id, [event_type for event_type, _, _ in changes])
        for event_type, key, content in changes:
            await self._write(room_id, event_type, key, content)
        return bool(changes)

    async def _require_power(self, room_id: str, event_types: list[str]) -> None:
        """All or nothing: a widget that nobody sees is no use."""
        state = await self._rooms.state(room_id)
        have = state.power(self._bot)
        for event_type in event_types:
            needed = state.power_for_state(event_type)
            if have < needed:
                raise _missing_power(event_type, needed, have)

    async def _read(self, room_id: str, event_type: str, key: str) -> Content:
        try:
            return as_object(await self._api.request(Method.GET, _path(room_id, event_type, key)))
        except MNotFound:
            return {}
        except MForbidden:
            raise CallerError("not_in_room", "The bot is not in that room.", status=409) from None
        except MatrixRequestError as problem:
            raise as_caller_error(problem) from problem

    async def _write(self, room_id: str, event_type: str, key: str, content: Content) -> None:
        try:
            await self._api.request(Method.PUT, _path(room_id, event_type, key), content)
        except MForbidden:
            state = await self._rooms.state(room_id)
            raise _missing_power(event_type, state.power_for_state(event_type), state.power(self._bot)) from None
        except MatrixRequestError as problem:
            raise as_caller_error(problem) from problem


def widget_content(widget: Widget, bot: str) -> Content:
    """https://github.com/matrix-org/matrix-spec-proposals/pull/2764: `m.custom` is a page without further meaning."""
    return {
        "type": "m.custom",
        "id": widget.widget_id,
        "name": widget.name,
        "url": widget.url,
        "data": widget.data,
        "creatorUserId": bot,
        "waitForIframeLoad": True,
    }


def layout_with(layout: Content, widget_id: str) -> Content:
    """The layout with the widget at the top, alone or beside those that are there. Its place is left alone when it has
    one: people move widgets.
    """
    places = as_object(layout.get("widgets"))
    if as_object(places.get(widget_id)).get("container") == "top":
        return layout
    place = {"container": "top", "index": 0, "width": 100, "height": HEIGHT_PERCENT}
    return layout | {"widgets": places | {widget_id: place}}


def _missing_power(event_type: str, needed: int, have: int) -> CallerError:
    sentence = f"The bot has power {have} in that room and {event_type} needs {needed}."
    return CallerError("missing_power", sentence, status=403, needed=needed, have=have, event=event_type)


def _path(room_id: str, event_type: str, key: str) -> Any:
    return Path.v3.rooms[room_id].state[event_type][key]
