"""Consents as they are read again: receipts of the calls of a room, and what somebody reads of them in the room."""

from __future__ import annotations

from typing import Any

from bridge import receipt
from bridge.call_store import Call, CallStore
from bridge.capture_store import CaptureStore
from bridge.consent_store import ConsentStore
from bridge.meetings import MeetingStore
from bridge.receipt import Record
from bridge.removal_store import RemovalStore
from palabre.base.clock import Clock
from palabre.base.ids import MeetingId


class Receipts:
    """Reads what the database holds; makes nothing and changes nothing."""

    def __init__(
        self,
        meetings: MeetingStore,
        calls: CallStore,
        captures: CaptureStore,
        consents: ConsentStore,
        removals: RemovalStore,
        clock: Clock,
    ) -> None:
        self._meetings = meetings
        self._calls = calls
        self._captures = captures
        self._consents = consents
        self._removals = removals
        self._clock = clock

    async def record(self, call: Call) -> Record:
        return Record(
            await self._meetings.get(call.meeting),
            call,
            await self._calls.attendances(call.id),
            await self._consents.history(call.id),
            await self._removals.of_call(call.id),
        )

    async def latest(self, meeting: MeetingId) -> Record | None:
        """Of the meeting's last call to which somebody came."""
        call = await self._calls.latest(meeting)
        return None if call is None else await self.record(call)

    async def of_meeting(self, meeting: MeetingId) -> list[dict[str, Any]]:
        """One receipt per capture, oldest first."""
        return [one for call in await self._calls.of_meeting(meeting) for one in await self.of_call(call)]

    async def of_call(self, call: Call) -> list[dict[str, Any]]:
        record, now = await self.record(call), self._clock.wall()
        captures = await self._captures.of_call(call.id)
        return [receipt.make_receipt(record, capture, now) for capture in captures]
