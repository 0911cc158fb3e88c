"""Who is in a room that the bot is not in: asked of the homeserver, in one of two ways, or not at all.

Element Call works in any room, and Tchap's direct rooms take no third member, so calls run where the bot sees nothing.
`MSC4502` tells an application service that holds the scope whether somebody is in a room; Synapse's admin API tells an
administrator everything. Both know only rooms that the homeserver itself is in.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
from aiohttp import ClientSession
from mautrix.api import Method, Path, SynapseAdminPath
from mautrix.errors import MatrixConnectionError, MatrixRequestError
from mautrix.types import UserID

from appservice.api import HomeserverApi, open_session
from appservice.events import as_object, as_texts
from appservice.settings import AppserviceSettings
from palabre.base.errors import CallerError
from palabre.base.ids import RoomId, UserId, loggable

PATIENCE = 5.0  # seconds that somebody who wants to come in waits for the homeserver

log = structlog.get_logger("matrix")


class How(StrEnum):
    """Ways to ask, by the setting `membership`."""

    NONE = "none"
    MSC4502 = "msc4502"
    ADMIN = "admin"


@dataclass(frozen=True)
class Probe:
    """What the homeserver answered when it was asked about a room that does not exist. Status 0: no answer."""

    how: How
    status: int
    errcode: str


class MembershipCheck:
    """Asks in the way of the settings. A refusal by the homeserver is logged once and makes rooms uncheckable."""

    def __init__(self, settings: AppserviceSettings, session: ClientSession) -> None:
        self._how = How(settings.membership)
        self._own_server = settings.server_name
        self._api = _api(settings, session)
        # By room, while the homeserver is asked: a look at everybody in a call at once is one request.
        self._asking: dict[str, asyncio.Future[frozenset[str] | None]] = {}
        self._complained = False

    async def is_joined(self, room_id: RoomId, user_id: UserId) -> bool | None:
        """None: this homeserver is not to be asked, does not tell, or is not in the room itself and can't know."""
        if self._how is How.NONE:
            return None
        ask = self._ask_msc4502 if self._how is How.MSC4502 else self._ask_admin
        try:
            async with asyncio.timeout(PATIENCE):
                return await ask(room_id, user_id)
        except MatrixRequestError as problem:
            if problem.http_status >= 500 or problem.http_status == 429:
                raise _away() from problem
            if problem.errcode == "M_INVALID_PARAM":  # that is no room, or no user
                return None
            self._complain(room_id, problem)
            return None
        except (MatrixConnectionError, TimeoutError) as problem:
            raise _away() from problem

    def _is_ours(self, user_id: str) -> bool:
        return user_id.partition(":")[2] == self._own_server

    async def _ask_msc4502(self, room_id: RoomId, user_id: UserId) -> bool | None:
        """Of a room that the homeserver has left it may remember members, who may have left it since."""
        if not self._is_ours(user_id) and not await self._joined(room_id, server_name=self._own_server):
            return None
        return await self._joined(room_id, mxid=user_id)

    async def _joined(self, room_id: RoomId, **whom: str) -> bool:
        answer = await self._api.request(Method.GET, _msc4502_path(room_id), query_params=whom)
        return as_object(answer).get("joined") is True

    async def _ask_admin(self, room_id: RoomId, user_id: UserId) -> bool | None:
        asking = self._asking.get(room_id)
        if asking is None:
            asking = self._asking[room_id] = asyncio.ensure_future(self._ask_members(room_id))
            asking.add_done_callback(lambda _: self._asking.pop(room_id))
        members = await asyncio.shield(asking)
        if members is None or not any(self._is_ours(member) for member in members):
            return False if self._is_ours(user_id) else None
        return user_id in members

    async def _ask_members(self, room_id: RoomId) -> frozenset[str] | None:
        """None: the homeserver does not know that room."""
        try:
            answer = await self._api.request(Method.GET, _admin_path(room_id))
        except MatrixRequestError as problem:
            if problem.errcode == "M_NOT_FOUND":
                return None
            raise
        return frozenset(as_texts(as_object(answer).get("members")))

    def _complain(self, room_id: RoomId, problem: MatrixRequestError) -> None:
        if not self._complained:
            log.warning(
                "the homeserver does not say who is in a room, see `palabre doctor`",
                how=self._how.value,
                room=loggable(room_id),
                status=problem.http_status,
                errcode=problem.errcode,
            )
        self._complained = True


async def probe(settings: AppserviceSettings) -> Probe:
    """Ask about a room that does not exist, as `is_joined` would."""
    how = How(settings.membership)
    if how is How.NONE:
        return Probe(how, 200, "")
    room_id = RoomId(f"!palabre-doctor:{settings.server_name}")
    session = open_session()
    try:
        api = _api(settings, session)
        if how is How.MSC4502:
            query = {"mxid": settings.bot_user_id}
            await api.request(Method.GET, _msc4502_path(room_id), query_params=query, retry_count=0)
        else:
            await api.request(Method.GET, _admin_path(room_id), retry_count=0)
    except MatrixRequestError as problem:
        return Probe(how, problem.http_status, problem.errcode or "")
    except (MatrixConnectionError, TimeoutError):
        return Probe(how, 0, "")
    finally:
        await session.close()
    return Probe(how, 200, "")


def _api(settings: AppserviceSettings, session: ClientSession) -> HomeserverApi:
    """As the bot, or as the administrator."""
    token = settings.as_token.get_secret_value()
    user = settings.bot_user_id
    if How(settings.membership) is How.ADMIN:
        if settings.admin_token is not None:
            return HomeserverApi(settings.base_url, settings.admin_token.get_secret_value(), session, patience=PATIENCE)
        user = settings.admin_user_id
    api = HomeserverApi(settings.base_url, token, session, patience=PATIENCE)
    api.as_user_id = UserID(user)
    return api


def _msc4502_path(room_id: str) -> Any:
    """https://github.com/matrix-org/matrix-spec-proposals/pull/4502, as Synapse 1.163 has it."""
    return Path.unstable["io.element.msc4502"].rooms[room_id].is_joined


def _admin_path(room_id: str) -> Any:
    """https://element-hq.github.io/synapse/latest/admin_api/rooms.html#room-members-api"""
    return SynapseAdminPath.v1.rooms[room_id].members


def _away() -> CallerError:
    return CallerError("homeserver_away", "The homeserver does not answer. Try again in a moment.", status=503)
