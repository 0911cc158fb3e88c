"""The recorder as a member of the calls that it records: entering, being seen, leaving, and knowing who else is there.

Clients show whoever has a member event and a presence on the relay. Leaving withdraws the member event first, so that
clients change their keys, then the presence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from appservice.rtc.members import publishing_focus
from appservice.seams import MatrixPort, RtcMember, RtcStay
from bridge import wording
from bridge.call_store import Call
from bridge.capture_store import Capture, CaptureStore
from bridge.consent_store import Kind
from bridge.meetings import Meeting
from bridge.settings import BridgeSettings
from media.recorder.errors import CaptureError
from media.relay.seams import RelayControl
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import loggable

LEAVE_SECONDS = 10.0  # that the homeserver may take; then the delayed leave does it
LEAVE_AFTER = 20.0  # without a sign of the recorder's process, which puts it off every four seconds
RENEW_SECONDS = 2 * 3600.0  # a member event holds four hours
RECORDER = "palabre.recorder"  # attribute of the presence

log = structlog.get_logger("recorder")


@dataclass
class OpenCapture:
    """A capture that the process writes."""

    capture: Capture
    key: bytes
    on_error: Callable[[CaptureError], None]
    closed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class RecordedCall:
    """A call that is recorded, and our membership of it. `turn`: entering and leaving, one at a time."""

    call: Call
    meeting: Meeting
    captures: dict[str, OpenCapture] = field(default_factory=dict)
    stay: RtcStay | None = None
    renewed_at: float = 0.0
    members: tuple[RtcMember, ...] = ()
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Stays:
    """`order` tells the recorder's process something, if there is one.

    Concurrency: used from the event loop; a call's `turn` orders what its membership goes through.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        matrix: MatrixPort,
        relay: RelayControl,
        store: CaptureStore,
        clock: Clock,
        order: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        self._focus_url = settings.focus_url
        self._foci = settings.foci
        self._matrix = matrix
        self._port = matrix.recorder
        self._relay = relay
        self._store = store
        self._clock = clock
        self._order = order
        self._delays: set[str] = set()  # leaves that the process puts off

    async def enter(self, recorded: RecordedCall) -> None:
        """Unless we are there."""
        async with recorded.turn:
            if recorded.stay is None and recorded.captures:
                recorded.stay = await self._port.enter(recorded.meeting.room, self._focus_url, leave_after=LEAVE_AFTER)
                recorded.renewed_at = self._clock.monotonic()
                if recorded.stay.delay_id:
                    self._delays.add(recorded.stay.delay_id)
                    self.tell_delays()
                log.info("the recorder is in the call", call=loggable(recorded.call.id))
            self.show(recorded)
        await self.look(recorded)

    async def leave(self, recorded: RecordedCall) -> None:
        async with recorded.turn:
            stay, recorded.stay = recorded.stay, None
            if stay is None:
                return
            self._delays.discard(stay.delay_id)
            self.tell_delays()  # if the homeserver is away, the leave happens by itself
            try:
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._port.leave(stay)
            except (TimeoutError, CallerError) as problem:
                log.warning("the recorder's member event stays until it expires", problem=type(problem).__name__)
            with suppress(CallerError):  # the relay's room has ended
                self._relay.remove_presence(recorded.call.room, self._identity(stay))
            log.info("the recorder has left the call", call=loggable(recorded.call.id))

    def show(self, recorded: RecordedCall) -> None:
        """The presence on the relay, named after what is recorded."""
        if recorded.stay is None or not recorded.captures:
            return
        kinds = sorted({one.capture.kind for one in recorded.captures.values()}, key=list(Kind).index)
        name = wording.recorder_name(recorded.meeting.language, kinds)
        with suppress(CallerError):  # the relay's room has ended
            self._relay.add_presence(recorded.call.room, self._identity(recorded.stay), name, {RECORDER: "1"})

    def _identity(self, stay: RtcStay) -> str:
        """As clients find it by the member event."""
        return f"{self._matrix.user_id}:{stay.device_id}"

    def tell_delays(self) -> None:
        self._order("delays", {"delays": sorted(self._delays)})

    # Who else is.

    async def look(self, recorded: RecordedCall) -> None:
        """Tell the process who is in the call, and note whose media go to another relay."""
        everybody = await self._matrix.rtc_members(recorded.meeting.room)
        others = tuple(member for member in everybody if member.user_id != self._matrix.user_id)
        if others != recorded.members:
            recorded.members = others
            self.tell_members(recorded)
        ours = {"", *self._foci}  # also where nobody can tell
        elsewhere = {member.user_id for member in others if publishing_focus(member, everybody) not in ours}
        if elsewhere:
            names = await self._matrix.members(recorded.meeting.room)
            for capture in list(recorded.captures):
                for user in elsewhere:
                    await self._store.note_unreached(capture, user, names.get(user, user))

    def tell_members(self, recorded: RecordedCall) -> None:
        who = [[member.identity, member.user_id, member.device_id] for member in recorded.members]
        self._order("members", {"room": recorded.meeting.room, "members": who})

    async def renew(self, recorded: RecordedCall) -> None:
        if recorded.stay is not None and self._clock.monotonic() - recorded.renewed_at > RENEW_SECONDS:
            await self._port.renew(recorded.stay, self._focus_url)
            recorded.renewed_at = self._clock.monotonic()
