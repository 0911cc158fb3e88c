"""The recorder as Matrix rooms see it: a second device of the bot's user, and a member of the calls that it records.

Clients show whoever has a member event, and send them their media keys; so nobody is recorded unseen. Implements
`appservice.seams.RecorderPort`. What the recorder's own process does with the device is `appservice.recorder_client`'s.
https://github.com/matrix-org/matrix-spec-proposals/pull/4143, events as Element Call 0.26 writes and reads them
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import structlog
from mautrix.api import Method, Path, PathBuilder
from mautrix.errors import MatrixRequestError, MForbidden, MNotFound

from appservice.api import HomeserverApi, as_caller_error
from appservice.events import as_object, as_text
from appservice.identity import Identity
from appservice.roomstore import RoomStore
from appservice.seams import DeviceTrust, RecorderAccess, RtcStay
from appservice.settings import AppserviceSettings
from appservice.vault import Vault, derive_key
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import RoomId, UserId, random_id

CALL_MEMBER = "org.matrix.msc3401.call.member"
DEVICE = "recorder_device"  # its name in the vault
LONGEST_STAY = 4 * 3600.0  # seconds that a member event holds: Element Call's own
DELAYED_EVENTS = PathBuilder("/_matrix/client/unstable/org.matrix.msc4140/delayed_events")

log = structlog.get_logger("matrix")


class RecorderMember:
    """Used from the event loop. `ask_device` before the bot cleans up its other devices."""

    def __init__(
        self,
        settings: AppserviceSettings,
        api: HomeserverApi,
        rooms: RoomStore,
        identity: Identity,
        vault: Vault,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._api = api
        self._rooms = rooms
        self._identity = identity
        self._vault = vault
        self._clock = clock
        self._user = UserId(settings.bot_user_id)

    async def ask_device(self, *, renew: bool = False) -> str:
        """The device's name, chosen once and stored before it is used."""
        known = None if renew else await self._vault.get(DEVICE)
        if known is None:
            known = random_id("PALABRE_REC_", 10)
            await self._vault.put(DEVICE, known)
        return known

    async def access(self, *, renew: bool = False) -> RecorderAccess:
        if renew:
            await self._forget_device(await self.ask_device())
        return RecorderAccess(
            homeserver_url=self._settings.base_url,
            token=self._settings.as_token.get_secret_value(),
            secret=base64.urlsafe_b64decode(derive_key(self._settings.secret.get_secret_value(), "recorder")),
            user_id=self._user,
            device_id=await self.ask_device(renew=renew),
            device_name=self._settings.bot_name,
            trusted=frozenset(trust for trust in DeviceTrust if self._settings.is_enough(trust)),
        )

    async def sign(self, device_keys: Mapping[str, Any]) -> None:
        try:
            await self._identity.sign(device_keys)
        except MatrixRequestError as problem:
            raise as_caller_error(problem) from problem

    async def may_enter(self, room_id: RoomId) -> None:
        if not await self._rooms.knows(room_id):
            raise CallerError("not_in_room", "The bot is not in that room.", status=409)
        state = await self._rooms.state(room_id)
        needed, have = state.power_for_state(CALL_MEMBER), state.power(self._user)
        if have < needed:
            raise _missing_power(needed, have)

    async def enter(self, room_id: RoomId, focus_url: str, *, leave_after: float) -> RtcStay:
        """The leave is scheduled first: whatever happens then, nobody stays in the call as a ghost."""
        device_id = await self.ask_device()
        delay_id = await self._schedule_leave(room_id, device_id, leave_after)
        stay = RtcStay(room_id, device_id, self._clock.wall(), delay_id)
        await self._put(stay, member_content(self._user, stay, focus_url, LONGEST_STAY))
        return stay

    async def renew(self, stay: RtcStay, focus_url: str) -> None:
        """Clients count from `created_ts`, which stays what it was: a later one would be another membership."""
        expires = self._clock.wall() - stay.entered_at + LONGEST_STAY
        created = {"created_ts": round(stay.entered_at * 1000)}
        await self._put(stay, member_content(self._user, stay, focus_url, expires) | created)

    async def leave(self, stay: RtcStay) -> None:
        await self._put(stay, {})
        if stay.delay_id:
            try:
                await self._api.request(Method.POST, delay_path(stay.delay_id, "cancel"), {})
            except MNotFound:
                log.debug("the delayed leave has happened already")
            except MatrixRequestError as problem:
                log.info("a delayed leave could not be cancelled", errcode=problem.errcode)

    async def _schedule_leave(self, room_id: str, device_id: str, after: float) -> str:
        """Empty where the homeserver has no delayed events: then a crash of everything leaves the member until it
        expires, or until the next start.
        """
        query = {"org.matrix.msc4140.delay": str(round(after * 1000))}
        path = _path(room_id, state_key(self._user, device_id))
        try:
            answer = await self._api.request(Method.PUT, path, {}, query_params=query)
        except MForbidden:
            raise CallerError("not_in_room", "The bot may not be a member of calls in that room.", status=403) from None
        except MatrixRequestError as problem:
            log.warning("the homeserver schedules no leave of the recorder", errcode=problem.errcode)
            return ""
        return as_text(as_object(answer).get("delay_id"))

    async def _put(self, stay: RtcStay, content: dict[str, Any]) -> None:
        try:
            await self._api.request(Method.PUT, _path(stay.room_id, state_key(self._user, stay.device_id)), content)
        except MForbidden:
            state = await self._rooms.state(stay.room_id)
            raise _missing_power(state.power_for_state(CALL_MEMBER), state.power(self._user)) from None
        except MatrixRequestError as problem:
            raise as_caller_error(problem) from problem

    async def _forget_device(self, device_id: str) -> None:
        try:
            await self._api.request(Method.DELETE, Path.v3.devices[device_id])
        except MatrixRequestError as problem:
            log.info("the recorder's old device could not be deleted", errcode=problem.errcode)


def member_content(user: str, stay: RtcStay, focus_url: str, expires: float) -> dict[str, Any]:
    """`expires` in seconds. Clients that select one focus for all (`legacy`) read the same fields."""
    return {
        "application": "m.call",
        "call_id": "",
        "scope": "m.room",
        "device_id": stay.device_id,
        "membershipID": f"{user}:{stay.device_id}",
        "expires": round(expires * 1000),
        "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"},
        "foci_preferred": [
            {"type": "livekit", "livekit_service_url": focus_url, "livekit_alias": stay.room_id},
        ],
    }


def state_key(user: str, device_id: str) -> str:
    return f"_{user}_{device_id}_m.call"


def _path(room_id: str, key: str) -> Any:
    return Path.v3.rooms[room_id].state[CALL_MEMBER][key]


def delay_path(delay_id: str, what: str) -> PathBuilder:
    """`restart`, `send` or `cancel` a delayed event; nobody needs a token for it. MSC4140."""
    return DELAYED_EVENTS[delay_id][what]


def _missing_power(needed: int, have: int) -> CallerError:
    sentence = f"The bot has power {have} in that room and {CALL_MEMBER} needs {needed}."
    return CallerError("missing_power", sentence, status=403, needed=needed, have=have, event=CALL_MEMBER)
