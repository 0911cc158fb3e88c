"""The HTTP API of the call page, as docs/http-api.md has it: reads requests, asks bridge, writes answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from bridge.consent_store import CAPTURED, Answer, Kind
from bridge.entrance import Opened
from bridge.modes import MODE_END_TO_END, MODE_SERVER
from bridge.people import MATRIX_DEVICE_LIMIT
from bridge.service import BridgeService
from bridge.sessions import Session
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import MeetingId, RoomId
from web.answers import api, read_json, text_field
from web.dev_signin import check_password
from web.limits import PASSWORD, SESSION, SIGN_IN, RateLimit, caller_address
from web.settings import WebSettings

NAME_LIMIT = 255  # characters of a server name, room id or account: what Matrix allows
SECRET_LIMIT = 1024  # characters of a token or password
DEVICE_LIMIT = 32
PARTICIPANT = r"/participants/{identity:[^/]+}"  # percent-encoded: identities hold slashes
BEARER = "bearer "


class Api:
    """The handlers. Keeps nothing but the rate limits."""

    def __init__(self, settings: WebSettings, bridge: BridgeService, clock: Clock, *, dev: bool, version: str) -> None:
        self._settings = settings
        self._bridge = bridge
        self._clock = clock
        self._dev = dev
        self._version = version
        self._sign_in = RateLimit(SIGN_IN)
        self._password = RateLimit(PASSWORD)
        self._unknown = RateLimit(SIGN_IN)
        self._requests = RateLimit(SESSION)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        meeting = r"/api/meetings/{id:[A-Za-z0-9_-]{1,64}}"
        router.add_get("/api/config", api(self._config))
        router.add_post("/api/session/openid", api(self._openid))
        router.add_post("/api/session/dev", api(self._dev_session))
        router.add_get(meeting, api(self._meeting))
        router.add_post(meeting + "/join", api(self._join))
        router.add_post(meeting + "/capture", api(self._start_capture))
        router.add_delete(meeting + "/capture", api(self._stop_capture))
        router.add_put(meeting + "/consent", api(self._consent))
        router.add_post(meeting + PARTICIPANT + "/mute", api(self._mute))
        router.add_post(meeting + PARTICIPANT + "/remove", api(self._remove))
        router.add_route("*", "/api/{path:.*}", api(_unknown))

    def config(self) -> dict[str, Any]:
        """What the page needs before it starts; also written into it."""
        return {
            "version": self._version,
            "dev": self._dev,
            "matrix_server": self._bridge.server_name,
            "foci": list(self._settings.foci),
        }

    async def _config(self, _request: web.Request) -> Mapping[str, Any]:
        return self.config()

    async def _openid(self, request: web.Request) -> Mapping[str, Any]:
        self._sign_in.take(self._address(request), self._clock.monotonic())
        body = await read_json(request)
        openid = body.get("openid")
        if not isinstance(openid, dict):
            raise CallerError("bad_field", "“openid” must be an object with the token.", field="openid")
        opened = await self._bridge.entrance.open_with_openid(
            text_field(openid, "matrix_server_name", limit=NAME_LIMIT),
            text_field(openid, "access_token", limit=SECRET_LIMIT),
            RoomId(text_field(body, "room_id", limit=NAME_LIMIT)),
        )
        return self._session_view(opened)

    async def _dev_session(self, request: web.Request) -> Mapping[str, Any]:
        if not self._dev:
            raise _not_found()
        self._password.take(self._address(request), self._clock.monotonic())
        body = await read_json(request)
        name = text_field(body, "user", limit=NAME_LIMIT)
        user = check_password(self._settings.dev_users, name, text_field(body, "password", limit=SECRET_LIMIT))
        return self._session_view(await self._bridge.entrance.open_for_dev_user(name, user.display_name, user.user_id))

    async def _meeting(self, request: web.Request) -> Mapping[str, Any]:
        session = await self._session(request)
        view = await self._bridge.conference.view(session, _meeting_id(request))
        call = None
        if view.started_at is not None:
            call = {"started_at": view.started_at, "participants": list(view.participants)}
        return {
            "id": view.meeting.id,
            "title": view.meeting.title,
            "mode": view.mode,
            "service_url": view.service_url,
            "room_encrypted": view.room_encrypted,
            "call": call,
            "capture": view.capture,
        }

    async def _join(self, request: web.Request) -> Mapping[str, Any]:
        session = await self._session(request)
        body = await read_json(request)
        mode = body.get("mode", MODE_SERVER)
        if mode not in (MODE_END_TO_END, MODE_SERVER):
            raise CallerError("bad_field", "“mode” must be “e2ee” or “server”.", field="mode")
        limit = MATRIX_DEVICE_LIMIT if mode == MODE_END_TO_END else DEVICE_LIMIT
        device = text_field(body, "device", limit=limit)
        seat = await self._bridge.entrance.join(session, _meeting_id(request), device, mode)
        return {
            "url": seat.url,
            "token": seat.token,
            "identity": seat.identity,
            "name": seat.name,
            "mode": seat.mode,
            "service_url": seat.service_url,
            "may": {
                "publish": seat.may.publish,
                "capture": seat.may.capture,
                "moderate": seat.may.moderate,
                "share": seat.may.share,
            },
        }

    async def _start_capture(self, request: web.Request) -> Mapping[str, Any]:
        session = await self._session(request)
        kinds = _kinds(await read_json(request), CAPTURED)
        return await self._bridge.conference.start_capture(session, _meeting_id(request), kinds)

    async def _stop_capture(self, request: web.Request) -> Mapping[str, Any]:
        session = await self._session(request)
        kinds = _kinds(await read_json(request), CAPTURED)
        return await self._bridge.conference.stop_capture(session, _meeting_id(request), kinds)

    async def _consent(self, request: web.Request) -> Mapping[str, Any]:
        session = await self._session(request)
        body = await read_json(request)
        answer = body.get("answer")
        if answer not in ("yes", "no"):
            raise CallerError("bad_field", "“answer” must be “yes” or “no”.", field="answer")
        earlier = body.get("earlier", "keep")
        if earlier not in ("keep", "remove") or (earlier == "remove" and answer == "yes"):
            raise CallerError("bad_field", "“earlier” must be “keep”, or “remove” with a no.", field="earlier")
        answers = await self._bridge.conference.answer(
            session, _meeting_id(request), _kinds(body, Kind), agree=answer == "yes", remove_earlier=earlier == "remove"
        )
        return {kind.value: answers.get(kind, Answer.UNASKED).value for kind in Kind}

    async def _mute(self, request: web.Request) -> Mapping[str, Any]:
        session = await self._session(request)
        identity = request.match_info["identity"]
        return {"muted": await self._bridge.conference.mute(session, _meeting_id(request), identity)}

    async def _remove(self, request: web.Request) -> Mapping[str, Any]:
        session = await self._session(request)
        await self._bridge.conference.remove(session, _meeting_id(request), request.match_info["identity"])
        return {}

    async def _session(self, request: web.Request) -> Session:
        """The session that the request shows. Raises `CallerError`."""
        header = request.headers.get("Authorization", "")
        if not header.lower().startswith(BEARER):
            raise CallerError("session_missing", "You are not signed in. Open the page again.", status=401)
        try:
            session = await self._bridge.entrance.session(header[len(BEARER) :].strip())
            self._require_bound(session)
        except CallerError:  # counted by address: tokens can't be tried quickly either
            self._unknown.take(self._address(request), self._clock.monotonic())
            raise
        self._requests.take(session.person.key, self._clock.monotonic())
        return session

    def _session_view(self, opened: Opened) -> dict[str, Any]:
        person = opened.session.person
        settings = self._bridge.settings
        view: dict[str, Any] = {
            "session": opened.token,
            "expires_at": opened.session.expires_at,
            "user": {"id": person.key, "name": person.name},
            "command_prefix": settings.command_prefix,
            "forget_seconds": settings.forget_seconds,
        }
        if opened.meeting is not None:
            view["meeting"] = {"id": opened.meeting.id, "title": opened.meeting.title}
        return view

    def _require_bound(self, session: Session) -> None:
        """A session for every meeting is the dev sign-in's, and must not outlive it in the database."""
        if session.meeting is None and not self._dev:
            raise CallerError("session_expired", "You are not signed in any more. Open the page again.", status=401)

    def _address(self, request: web.Request) -> str:
        forwarded = request.headers.get("X-Forwarded-For", "")
        return caller_address(request.remote or "", forwarded, self._settings.trusted_proxies)


async def _unknown(_request: web.Request) -> Mapping[str, Any]:
    raise _not_found()


def _not_found() -> CallerError:
    return CallerError("not_found", "There is nothing at this address.", status=404)


def _meeting_id(request: web.Request) -> MeetingId:
    return MeetingId(request.match_info["id"])


def _kinds(body: Mapping[str, Any], among: Iterable[Kind]) -> list[Kind]:
    """`kinds` of a request: one or several, each once."""
    names = body.get("kinds")
    known = {kind.value: kind for kind in among}
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name in known for name in names):
        raise CallerError("bad_field", f"“kinds” must list some of: {', '.join(known)}.", field="kinds")
    return [known[name] for name in dict.fromkeys(names)]
