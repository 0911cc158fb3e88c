"""Rooms that the bot joins, leaves and creates.

A room for a meeting is created under an address of our own namespace: whoever repeats the request after a crash finds
the room by that address and goes on with it. What is asked of the homeserver is made by pure functions below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog
from mautrix.api import Method, Path
from mautrix.errors import MatrixRequestError, MNotFound

from appservice.api import HomeserverApi, as_caller_error
from appservice.crypto import ALGORITHM
from appservice.events import RoomEvent, as_id, as_object, read_event
from appservice.roomstore import MEMBER, RoomStore
from appservice.rtc.levels import CALL_TYPES
from appservice.seams import MeetingRoomSpec
from appservice.settings import AppserviceSettings
from appservice.state import Member, creators_rule, read_member
from palabre.base.errors import CallerError
from palabre.base.ids import RoomId, loggable

AT_ONCE = 500  # events of a large room's state that are read before others get their turn

log = structlog.get_logger("matrix")


class Rooms:
    """Membership of the bot, and rooms of its own."""

    def __init__(self, settings: AppserviceSettings, api: HomeserverApi, store: RoomStore) -> None:
        self._settings = settings
        self._api = api
        self._store = store
        self._creating = asyncio.Lock()

    async def refresh(self, room_id: str) -> bool:
        """Read the room's whole state; False, and forgotten, when the bot is not in it."""
        try:
            answer = await self._api.request(Method.GET, Path.v3.rooms[room_id].state)
        except MatrixRequestError as problem:
            if problem.http_status not in (403, 404):
                raise
            await self._store.forget(room_id)
            return False
        raw: list[Any] = answer if isinstance(answer, list) else []
        events: list[RoomEvent] = []
        for start in range(0, len(raw), AT_ONCE):
            read = (read_event(as_object(each) | {"room_id": room_id}) for each in raw[start : start + AT_ONCE])
            events += [event for event in read if event is not None]
            await asyncio.sleep(0)
        mine = next((event for event in events if event.state_key == self._settings.bot_user_id), None)
        if mine is None or mine.content.get("membership") != "join":  # after leaving, a server may still show the state
            await self._store.forget(room_id)
            return False
        await self._store.replace(room_id, events)
        return True

    async def ask_member(self, room_id: str, user_id: str) -> Member:
        """The membership of one user, fresh from the homeserver."""
        try:
            answer = await self._api.request(Method.GET, Path.v3.rooms[room_id].state[MEMBER][user_id])
        except MatrixRequestError:
            return Member()
        return read_member(as_object(answer))

    async def joined(self) -> list[str]:
        """Rooms that the homeserver says the bot is in."""
        answer = as_object(await self._api.request(Method.GET, Path.v3.joined_rooms))
        rooms = answer.get("joined_rooms")
        return [room for each in (rooms if isinstance(rooms, list) else []) if (room := as_id(each, "!"))]

    async def join(self, room_id: str, inviter: str) -> None:
        """Accept an invitation. Room ids of version 12 name no server, so the inviter's is asked for the way."""
        server = inviter.partition(":")[2]
        await self._api.request(Method.POST, Path.v3.join[room_id], {}, query_params={"server_name": server})

    async def leave(self, room_id: str, reason: str) -> None:
        """Leave, or decline an invitation; `reason` is shown to those in the room."""
        await self._api.request(Method.POST, Path.v3.rooms[room_id].leave, {"reason": reason})

    async def create_meeting_room(self, spec: MeetingRoomSpec) -> tuple[RoomId, list[str]]:
        """The room, and those of `spec.invite` whose invitation was refused. Raises `CallerError`."""
        if not spec.alias_localpart.startswith(self._settings.prefix):
            raise ValueError(f"{spec.alias_localpart} is outside the registration's namespace {self._settings.prefix}")
        alias = f"#{spec.alias_localpart}:{self._settings.server_name}"
        try:
            async with self._creating:  # two at once would make Synapse leave a room without an address behind
                room_id = await self._find(alias) or await self._create(spec, alias)
            if not await self.refresh(room_id):
                raise CallerError("alias_taken", "The meeting's address belongs to another room.", alias=alias)
            await self._invite(room_id, spec.asker)
        except MatrixRequestError as problem:
            raise as_caller_error(problem) from problem
        return room_id, [user for user in spec.invite if not await self._invites(room_id, user)]

    async def _find(self, alias: str) -> RoomId | None:
        try:
            answer = await self._api.request(Method.GET, Path.v3.directory.room[alias])
        except MNotFound:
            return None
        return RoomId(as_id(as_object(answer).get("room_id"), "!")) or None

    async def _create(self, spec: MeetingRoomSpec, alias: str) -> RoomId:
        body = room_request(spec, self._settings.bot_user_id)
        try:
            answer = await self._api.request(Method.POST, Path.v3.createRoom, body)
        except MatrixRequestError as problem:
            if problem.errcode == "M_UNSUPPORTED_ROOM_VERSION":
                sentence = f"This homeserver cannot create rooms of version {spec.room_version}."
                raise CallerError("unknown_room_version", sentence, version=spec.room_version) from problem
            found = await self._find(alias)  # an earlier try got through, or is getting through, without its answer
            if found is None:
                raise
            return found
        return RoomId(as_id(as_object(answer).get("room_id"), "!"))

    async def _invites(self, room_id: str, user_id: str) -> bool:
        """One refused invitation doesn't stop the others."""
        try:
            await self._invite(room_id, user_id)
        except MatrixRequestError as problem:
            log.info("invitation refused", user=loggable(user_id), errcode=problem.errcode)
            return False
        return True

    async def _invite(self, room_id: str, user_id: str) -> None:
        if user_id == self._settings.bot_user_id:
            return
        if (await self._store.member(room_id, user_id)).membership in ("join", "invite"):
            return
        await self._api.request(Method.POST, Path.v3.rooms[room_id].invite, {"user_id": user_id}, retry_count=0)


def room_request(spec: MeetingRoomSpec, bot: str) -> dict[str, Any]:
    """The body of `/createRoom`: private, encrypted from its first event, and the asker has the bot's power.

    https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3createroom
    """
    body: dict[str, Any] = {
        "name": spec.title,
        "preset": "private_chat",
        "visibility": "private",
        "room_alias_name": spec.alias_localpart,
        "room_version": spec.room_version,
        "initial_state": [
            _initial("m.room.encryption", {"algorithm": ALGORITHM}),
            _initial("m.room.history_visibility", {"history_visibility": "invited"}),
            _initial("m.room.guest_access", {"guest_access": "forbidden"}),
        ],
        "power_level_content_override": power_levels(spec, bot),
    }
    if creators_rule(spec.room_version):
        body["creation_content"] = {"additional_creators": _unique([spec.asker], without=bot)}
    return body


def power_levels(spec: MeetingRoomSpec, bot: str) -> dict[str, Any]:
    """Levels of a meeting's room. Creators of version 12 rooms must not be named: the homeserver refuses it."""
    events: dict[str, int] = {
        "m.room.name": 50,
        "m.room.avatar": 50,
        "m.room.canonical_alias": 50,
        "m.room.encryption": 100,
        "m.room.history_visibility": 100,
        "m.room.power_levels": 100,
        "m.room.server_acl": 100,
        "m.room.tombstone": 150 if creators_rule(spec.room_version) else 100,
        **dict.fromkeys(CALL_TYPES, 0),
    }
    levels: dict[str, Any] = {"events": events, "state_default": 50, "events_default": 0, "users_default": 0}
    if not creators_rule(spec.room_version):
        levels["users"] = {bot: 100, spec.asker: 100}
    return levels


def _initial(event_type: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"type": event_type, "state_key": "", "content": content}


def _unique(users: Iterable[str], *, without: str) -> list[str]:
    return [user for user in dict.fromkeys(users) if user != without]
