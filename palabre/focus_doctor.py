"""`palabre doctor --focus`: looks at a homeserver, and at our own focus, as the clients of its people do.

What is seen becomes `FocusFacts`; `palabre.focus_findings` says what it means. Of other organisations' servers only
what strangers see is looked at; the own one also shows what it tells its application service.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from appservice.events import as_int, as_object, as_texts
from appservice.federation.opening import Federation, open_federation
from appservice.federation.survey import TRANSPORTS_PATH, service_urls
from appservice.membership import probe
from appservice.schema import upgrade_table
from appservice.settings import AppserviceSettings
from bridge.settings import BridgeSettings
from palabre.base.clock import Clock, SystemClock
from palabre.base.database import open_database
from palabre.base.errors import PeerError
from palabre.base.http import Answer
from palabre.doctor import Doctor
from palabre.focus_findings import FocusFacts, FocusFinding, OwnSeen, RelaySeen, examine
from palabre.packages import appservice_settings, bridge_settings, homeserver_settings, speech_finding
from palabre.settings import Settings

DELAYED_EVENTS = "org.matrix.msc4140.delayed_events"
PASSED_ON = "/_matrix/client/unstable/io.element.msc4195/rtc/livekit/get_token"
FEDERATION_PROXY = "/_matrix/client/unstable/io.element.msc4512/appservice/fed_proxy"
STATE_AFTER = "org.matrix.msc4222"
MANAGED_AT_ONCE = 8  # requests about delayed events: Synapse's default lets five through, a call of eight needs more
ORIGIN = {"Origin": "https://call.element.io"}
# https://www.rfc-editor.org/rfc/rfc6455#section-1.2; the token is none, so that nothing is ever upgraded
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
NOBODY = Answer(0, {}, b"")


class FocusDoctor:
    """`ping` has the homeserver call us, and gives its status and errcode."""

    def __init__(
        self,
        matrix: AppserviceSettings,
        bridge: BridgeSettings,
        federation: Federation,
        ping: Callable[[], Awaitable[tuple[int, str]]],
        clock: Clock,
    ) -> None:
        self._matrix = matrix
        self._bridge = bridge
        self._federation = federation
        self._ping = ping
        self._clock = clock

    async def examine(self, server_name: str, language: str) -> list[FocusFinding]:
        """Every finding, good ones too. `server_name` empty: the own server."""
        name = (server_name or self._matrix.server_name).lower()
        own = name == self._matrix.server_name.lower()
        facts = FocusFacts(
            server=name,
            focus_url=self._bridge.focus_url,
            survey=await self._federation.watch.look(name, afresh=True),
            relay=await self._relay(),
            own=await self._own() if own else None,
            appservice_url=str(self._matrix.listen_url),
        )
        return examine(facts, language, self._clock.wall())

    # Our own focus, as clients reach it.

    async def _relay(self) -> RelaySeen:
        focus = self._bridge.focus_url
        signalling = "http" + self._bridge.livekit.url.removeprefix("ws").rstrip("/") + "/rtc"
        health = await self._ask("GET", f"{focus}/healthz", ORIGIN)
        if health.status != 200:
            return RelaySeen(health.status)
        token = await self._ask("POST", f"{focus}/sfu/get", ORIGIN)
        validate = await self._ask("GET", f"{signalling}/validate?access_token=none", ORIGIN)
        socket = await self._ask("GET", f"{signalling}?access_token=none", ORIGIN | HANDSHAKE)
        return RelaySeen(health.status, _open(token), validate.status, _open(validate), socket.status)

    # The own homeserver, as its application service.

    async def _own(self) -> OwnSeen:
        transports = await self._matrix_get(TRANSPORTS_PATH)
        listed = _document(transports).get("rtc_transports")
        longest = await self._longest_delay()
        proxied = self._matrix.focus_proxy
        summary = await self._matrix_get(
            f"/_matrix/client/v1/room_summary/{quote('!none:' + self._matrix.server_name)}"
        )
        return OwnSeen(
            transports_status=transports.status,
            transports=service_urls(listed) if isinstance(listed, list) else None,
            max_delay=longest,
            state_after=await self._state_after(),
            room_summary=_document(summary).get("errcode") != "M_UNRECOGNIZED" if summary.status else None,
            rate_limited=await self._rate_limited() if longest else None,
            ping=await self._pinged(),
            membership=(await probe(self._matrix)).status == 200 if self._matrix.membership == "msc4502" else None,
            proxy=await self._takes_part(FEDERATION_PROXY) if proxied else None,
            proxy_registered=bool(await self._takes_part(PASSED_ON)) if proxied else False,
        )

    async def _takes_part(self, path: str) -> bool | None:
        """Whether the homeserver, or who it passes the question on to, knows that path. None: it did not say."""
        answer = await self._matrix_ask("POST", path, {})
        if answer.status in (0, 401):
            return None
        return _document(answer).get("errcode") != "M_UNRECOGNIZED"

    async def _pinged(self) -> tuple[int, str]:
        try:
            return await self._ping()
        except OSError:  # another program has our port, so the homeserver reaches that one
            return 0, "M_CONNECTION_FAILED"

    async def _longest_delay(self) -> int | None:
        """In milliseconds, 0 where there are no delayed events."""
        answer = await self._matrix_get("/_matrix/client/v3/capabilities")
        if answer.status != 200:
            return None
        delayed = as_object(as_object(_document(answer).get("capabilities")).get(DELAYED_EVENTS))
        return as_int(delayed.get("max_delay_ms"), 0)

    async def _rate_limited(self) -> bool:
        """Restart delayed events that don't exist, without a token, as many at once as a small call has people."""
        path = "/_matrix/client/unstable/org.matrix.msc4140/delayed_events/palabre-doctor/restart"
        url = f"{self._matrix.base_url}{path}"
        answers = await asyncio.gather(*(self._ask("POST", url, {}, {}) for _ in range(MANAGED_AT_ONCE)))
        return any(answer.status == 429 for answer in answers)

    async def _state_after(self) -> bool | None:
        """Seen in the sync of a room that the bot is in; None where it is in none."""
        joined = as_texts(_document(await self._bot_get("/_matrix/client/v3/joined_rooms")).get("joined_rooms"))
        if not joined:
            return None
        chosen = {"rooms": joined[:1], "timeline": {"limit": 1}, "state": {"types": ["m.room.create"]}}
        wanted = quote(json.dumps({"room": chosen, "presence": {"types": []}, "account_data": {"types": []}}))
        query = f"timeout=0&filter={wanted}&{STATE_AFTER}.use_state_after=true"
        answer = await self._bot_get(f"/_matrix/client/v3/sync?{query}")
        rooms = as_object(as_object(_document(answer).get("rooms")).get("join"))
        room = next(iter(rooms.values()), None)
        return None if room is None else f"{STATE_AFTER}.state_after" in as_object(room)

    async def _bot_get(self, path: str) -> Answer:
        """As the bot, which is a user of its own once the service has started."""
        user = f"{'&' if '?' in path else '?'}user_id={quote(self._matrix.bot_user_id)}"
        return await self._matrix_get(path + user)

    async def _matrix_get(self, path: str) -> Answer:
        return await self._matrix_ask("GET", path)

    async def _matrix_ask(self, method: str, path: str, body: Any = None) -> Answer:
        token = {"Authorization": f"Bearer {self._matrix.as_token.get_secret_value()}"}
        return await self._ask(method, f"{self._matrix.base_url}{path}", token, body)

    async def _ask(self, method: str, url: str, headers: dict[str, str], body: Any = None) -> Answer:
        """An address of the settings. Status 0: no answer."""
        http = self._federation.http
        try:
            return await http.request(method, url, headers=headers, json_body=body, trusted=True, max_bytes=1 << 20)
        except PeerError:
            return NOBODY


def _open(answer: Answer) -> bool:
    """Whether a page of any origin may read it."""
    return answer.headers.get("Access-Control-Allow-Origin") in ("*", ORIGIN["Origin"])


def _document(answer: Answer) -> dict[str, Any]:
    try:
        return as_object(answer.json()) if answer.status else {}
    except PeerError:
        return {}


async def examine_focus(settings: Settings, server_name: str, language: str) -> list[FocusFinding]:
    """For the command line. Raises `SettingsError`."""
    matrix, clock = appservice_settings(settings), SystemClock()
    doctor = Doctor(settings, matrix, clock, lambda: speech_finding(settings))
    pool, (tables,) = await open_database(settings.database_url, [upgrade_table])
    try:
        federation = open_federation(homeserver_settings(settings), tables, clock)
        try:
            focus = FocusDoctor(matrix, bridge_settings(settings), federation, doctor.ping, clock)
            return await focus.examine(server_name, language)
        finally:
            await federation.http.close()
    finally:
        await pool.stop()
