"""`palabre consents export`: what the database holds of consents, as JSON receipts or as a table, for those who account
for them. Reads only; the service may run meanwhile.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import bridge.schema
from bridge.call_store import Call, CallStore
from bridge.capture_store import CaptureStore
from bridge.consent_store import ConsentStore
from bridge.meetings import MeetingStore
from bridge.receipt import FORMAT
from bridge.receipts import Receipts
from bridge.removal_store import RemovalStore
from palabre.base.clock import SystemClock
from palabre.base.database import Database, open_database
from palabre.base.ids import RoomId
from palabre.settings import Settings

COLUMNS = (
    "room",
    "call",
    "capture",
    "kind",
    "person",
    "name",
    "answer",
    "at",
    "how",
    "said_at",
    "event_id",
    "device_id",
    "fingerprint",
    "trust",
    "removed_until",
)
# What a spreadsheet takes for the beginning of a formula; user ids begin with one of them.
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class NothingFoundError(Exception):
    """No such call or room; the message is for the operator."""


async def read_receipts(settings: Settings, *, call: str = "", room: str = "") -> list[dict[str, Any]]:
    """The receipts of one call, or of all calls of a room, oldest first. Raises `NothingFoundError`."""
    pool, (database,) = await open_database(settings.database_url, [bridge.schema.upgrade_table])
    try:
        return await _read(database, call, room)
    finally:
        await pool.stop()


async def _read(database: Database, call: str, room: str) -> list[dict[str, Any]]:
    clock = SystemClock()
    meetings, calls = MeetingStore(database, clock), CallStore(database, clock)
    receipts = Receipts(meetings, calls, CaptureStore(database), ConsentStore(database), RemovalStore(database), clock)
    if call:
        found: Call | None = await calls.find(call)
        if found is None:
            raise NothingFoundError(f"There is no call {call} in the database.")
        return await receipts.of_call(found)
    meeting = await meetings.of_room(RoomId(room))
    if meeting is None:
        raise NothingFoundError(f"No call was ever held in the room {room}.")
    return await receipts.of_meeting(meeting.id)


def to_json(receipts: list[dict[str, Any]]) -> str:
    return json.dumps({"format": f"{FORMAT}.list", "receipts": receipts}, ensure_ascii=False, indent=1) + "\n"


def to_csv(receipts: list[dict[str, Any]]) -> str:
    """One line per answer; times in UTC."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for receipt in receipts:
        for person in receipt["people"]:
            for answer in person["answers"]:
                table.writerow([_cell(value) for value in _row(receipt, person, answer)])
    return text.getvalue()


def _row(receipt: dict[str, Any], person: dict[str, Any], answer: dict[str, Any]) -> list[str | None]:
    proof = answer["proof"] or {}
    return [
        receipt["meeting"]["room"],
        receipt["call"]["id"],
        receipt["capture"]["id"],
        receipt["capture"]["kind"],
        person["id"],
        person["name"],
        answer["answer"],
        _time(answer["at"]),
        answer["how"],
        _time(proof.get("said_at")),
        proof.get("event_id"),
        proof.get("device_id"),
        proof.get("fingerprint"),
        proof.get("trust"),
        _time(person["removed_until"]),
    ]


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _cell(value: str | None) -> str:
    text = value or ""
    return f"'{text}" if text.startswith(_FORMULA) else text
