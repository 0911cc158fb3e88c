"""Member events of clients that are gone and have not withdrawn them: the bot does it in their place.

A client leaves a call by a delayed event that it keeps putting off; where the homeserver has no such events, or the
client died before it had made one, its member stays for hours, and others see somebody who is not there. The relay
knows better: who publishes on ours holds a connection to it. Of members on other relays nothing is known, and they are
left alone. Sticky members nobody else can withdraw; they end within the hour.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable

import structlog
from mautrix.api import Method, Path
from mautrix.errors import MatrixRequestError

from appservice.api import HomeserverApi
from appservice.events import as_object
from appservice.roomstore import RoomStore
from appservice.rtc.members import publishing_focus
from appservice.rtc.roster import Roster
from appservice.seams import RelayView, RtcMember
from appservice.settings import AppserviceSettings
from palabre.base.clock import Clock
from palabre.base.ids import RoomId, loggable
from palabre.base.metrics import counter

LOOK_SECONDS = 5.0
# The relay keeps the place of somebody whose connection broke for 15 s, and Element Call's own delayed leave fires
# after 18 s without its client: whoever is still there after that would have been put out by themselves.
GONE_SECONDS = 30.0
# From announcing oneself to connecting: browsers ask for permission, tokens are fetched, machines are slow.
NEVER_SEEN_SECONDS = 120.0

log = structlog.get_logger("matrix")
withdrawn = counter("matrix_rtc_members_withdrawn", "Member events of clients that were gone, by outcome", ["result"])

Key = tuple[str, str, str]


class Absences:
    """Since when members are missing on our relay; pure. A new event of a member is a sign of life."""

    def __init__(self, our_foci: frozenset[str]) -> None:
        self._ours = our_foci
        self._seen: set[Key] = set()
        self._since: dict[Key, float] = {}

    def look(self, room_id: str, members: Iterable[RtcMember], present: frozenset[str], now: float) -> list[RtcMember]:
        """Who is to be withdrawn now: each is named once. `present`: identities in the room's call on our relay."""
        members = list(members)
        leftovers = []
        for member in members:
            key = (room_id, member.identity, member.event_id)
            if member.identity in present:
                self._seen.add(key)
                self._since.pop(key, None)
            elif self._may_judge(member, members):
                since = self._since.setdefault(key, now)
                if now - since >= (GONE_SECONDS if key in self._seen else NEVER_SEEN_SECONDS):
                    self._since[key] = math.inf
                    leftovers.append(member)
        self._forget(room_id, {(room_id, member.identity, member.event_id) for member in members})
        return leftovers

    def _may_judge(self, member: RtcMember, members: list[RtcMember]) -> bool:
        """State keys without the underscore are, for homeservers, those of the user whom they name."""
        ours = publishing_focus(member, members) in self._ours
        return ours and not member.sticky and member.state_key.startswith("_")

    def _forget(self, room_id: str, known: set[Key]) -> None:
        gone = {key for key in (*self._seen, *self._since) if key[0] == room_id and key not in known}
        self._seen -= gone
        for key in gone:
            self._since.pop(key, None)


class Leftovers:
    """Looks again and again; `run` until cancelled."""

    def __init__(
        self,
        settings: AppserviceSettings,
        api: HomeserverApi,
        store: RoomStore,
        roster: Roster,
        relay: RelayView,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._api = api
        self._store = store
        self._roster = roster
        self._relay = relay
        self._clock = clock
        self._absences = Absences(relay.focus_urls)
        self._rooms: set[str] = set()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Exception:
                log.exception("could not look for members who are gone")

    async def look(self) -> None:
        """At every room that has members, and once more at those that had some."""
        rooms = set(await self._roster.rooms())
        for room_id in rooms | self._rooms:
            present = await self._relay.present(RoomId(room_id))
            if present is None:
                continue
            members = [
                member for member in await self._roster.members(room_id) if not self._settings.owns_user(member.user_id)
            ]
            for member in self._absences.look(room_id, members, present, self._clock.monotonic()):
                await self._withdraw(room_id, member)
        self._rooms = rooms

    async def _withdraw(self, room_id: str, member: RtcMember) -> None:
        state = await self._store.state(room_id)
        if state.power(self._settings.bot_user_id) < state.power_for_state(member.event_type):
            withdrawn.labels("no_power").inc()
            return
        path = Path.v3.rooms[room_id].state[member.event_type][member.state_key]
        try:
            newest = as_object(await self._api.request(Method.GET, path, query_params={"format": "event"}))
            if newest.get("event_id") != member.event_id:  # they wrote again meanwhile
                return
            await self._api.request(Method.PUT, path, {})
        except MatrixRequestError as problem:
            withdrawn.labels("refused").inc()
            log.info("a member could not be withdrawn", room=loggable(room_id), errcode=problem.errcode)
            return
        withdrawn.labels("done").inc()
        log.info("withdrew a member who is gone", room=loggable(room_id), user=loggable(member.user_id))
