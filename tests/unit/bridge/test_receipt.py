"""The consent receipt says who was asked, when, what they answered, and by what it is proven."""

from __future__ import annotations

import csv
import io
import json

from bridge.call_store import Attendance, Call
from bridge.capture_store import Capture, State
from bridge.consent_store import Answer, Consent, Evidence, Kind
from bridge.meetings import Meeting
from bridge.people import Person
from bridge.receipt import Record, make_receipt
from bridge.removal_store import Removal
from palabre.base.ids import CallId, MeetingId, RoomId
from palabre.consents import COLUMNS, to_csv, to_json

CALL = CallId("call")
ADA, BOB = Person("@ada:example.org", "Ada"), Person("guest:bob", "=HYPERLINK(1)")
KEY = Evidence(1010.0, "$yes", "PHONE", "fingerprint", "signed")


def record() -> tuple[Record, Capture]:
    meeting = Meeting(MeetingId("m"), RoomId("!room:example.org"), "Budget", "auto", "en", "@ada:example.org")
    call = Call(CALL, MeetingId("m"), "call-room", "server", 900.0, 900.0, 2000.0, 2000.0)
    history = [
        Consent(CALL, ADA.key, Kind.TRANSCRIPTION, Answer.NO, "page", 950.0, Evidence(950.0)),
        Consent(CALL, ADA.key, Kind.RECORDING, Answer.ASKED, "joined", 1000.0),
        Consent(CALL, BOB.key, Kind.RECORDING, Answer.ASKED, "joined", 1000.0),
        Consent(CALL, ADA.key, Kind.RECORDING, Answer.YES, "event", 1012.0, KEY),
        Consent(CALL, ADA.key, Kind.RECORDING, Answer.NO, "page", 1100.0, Evidence(1100.0)),
    ]
    attendances = [Attendance("a", ADA, 910.0, 1500.0), Attendance("b", BOB, 1300.0, None)]
    removals = [Removal(CALL, ADA.key, Kind.RECORDING, 1100.0, "page", Evidence(1100.0))]
    capture = Capture("capture", CALL, Kind.RECORDING, ADA, 1000.0, 1400.0, interrupted=False, state=State.ENDED)
    return Record(meeting, call, attendances, history, removals), capture


def test_a_receipt_has_everybody_with_their_answers_and_proofs() -> None:
    receipt = make_receipt(*record(), written_at=3000.0)
    assert receipt["format"] == "palabre.consents.1"
    assert receipt["meeting"] == {"id": "m", "title": "Budget", "room": "!room:example.org"}
    assert receipt["capture"]["started_by"] == {"id": "@ada:example.org", "name": "Ada"}
    ada, bob = receipt["people"]
    assert ada["present"] == [[1000.0, 1400.0]]
    assert ada["consented"] == [[1012.0, 1100.0]]
    assert ada["removed_until"] == 1100.0
    assert [one["answer"] for one in ada["answers"]] == ["asked", "yes", "no"]
    assert [one["how"] for one in ada["answers"]] == ["joined", "event", "page"]
    assert ada["answers"][0]["proof"] is None
    assert ada["answers"][1]["proof"] == {
        "said_at": 1010.0,
        "event_id": "$yes",
        "device_id": "PHONE",
        "fingerprint": "fingerprint",
        "trust": "signed",
    }
    assert bob["guest"]
    assert (bob["present"], bob["consented"], bob["removed_until"]) == ([[1300.0, 1400.0]], [], None)


def test_receipts_are_exported_as_a_list_and_as_a_table_that_no_spreadsheet_executes() -> None:
    receipts = [make_receipt(*record(), written_at=3000.0)]
    assert json.loads(to_json(receipts))["receipts"] == receipts
    head, *rows = csv.reader(io.StringIO(to_csv(receipts)))
    assert tuple(head) == COLUMNS
    table = [dict(zip(head, row, strict=True)) for row in rows]
    assert [row["answer"] for row in table] == ["asked", "yes", "no", "asked"]
    assert table[1]["said_at"] == "1970-01-01T00:16:50.000+00:00"
    assert table[1]["person"] == "'@ada:example.org"
    assert table[3]["name"] == "'=HYPERLINK(1)"
