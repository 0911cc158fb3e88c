from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appservice.events import MAX_EVENT_BYTES, decode_json, encode_event, read_event, read_text
from appservice.transaction import read_transaction
from palabre.base.errors import PeerError

EVENT: dict[str, Any] = {
    "event_id": "$one",
    "room_id": "!room:example.org",
    "sender": "@alice:example.org",
    "type": "m.room.message",
    "origin_server_ts": 1_700_000_000_000,
    "content": {"msgtype": "m.text", "body": "hello"},
    "unsigned": {"age": 5},
}
ODD: list[Any] = [None, 7, -(2**70), 1.5, True, [], ["x"], {}, {"x": {"y": []}}, "", "x" * 70_000, "\ud800", "a\0b"]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def body_of(*events: object) -> bytes:
    return json.dumps({"events": list(events)}).encode()


def test_the_events_come_in_their_order() -> None:
    second = EVENT | {"event_id": "$two", "state_key": ""}
    transaction = read_transaction(body_of(EVENT, second))
    assert [event.event_id for event in transaction.events] == ["$one", "$two"]
    assert [event.state_key for event in transaction.events] == [None, ""]
    assert transaction.skipped == 0


@pytest.mark.parametrize("field", ["event_id", "room_id", "sender", "type", "content", "state_key"])
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: str(odd)[:12].encode("ascii", "replace").decode())
def test_an_event_with_an_odd_field_is_skipped_and_its_neighbours_are_not(field: str, odd: Any) -> None:
    transaction = read_transaction(body_of(EVENT | {field: odd}, EVENT | {"event_id": "$after"}))
    harmless = isinstance(odd, dict) if field == "content" else field == "state_key" and odd in (None, "")
    assert transaction.skipped == (0 if harmless else 1)
    assert transaction.events[-1].event_id == "$after"


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: str(odd)[:12].encode("ascii", "replace").decode())
def test_odd_content_is_stored_as_ascii_and_read_back(odd: Any) -> None:
    for name in ("msgtype", "body", "format", "formatted_body", "m.relates_to"):
        event = read_event(EVENT | {"content": EVENT["content"] | {name: odd}, "unsigned": odd})
        assert event is not None
        read_text(event.content)
        stored = encode_event(event)
        assert stored is not None
        assert stored.isascii()
        assert read_event(decode_json(stored)) is not None


def test_an_event_nested_beyond_reason_does_not_take_its_transaction_down() -> None:
    deep = json.dumps(EVENT | {"event_id": "$deep"}).replace('"hello"', "[" * 100_000 + "]" * 100_000)
    brackets = json.dumps(EVENT | {"event_id": "$brackets", "content": {"body": '}]"{[\\'}})
    body = f'{{"events": [{deep}, {brackets}, {json.dumps(EVENT)}]}}'.encode()
    transaction = read_transaction(body)
    assert [event.event_id for event in transaction.events] == ["$brackets", "$one"]
    assert transaction.skipped == 1


def test_numbers_that_json_should_not_hold_do_not_take_a_transaction_down() -> None:
    body = body_of(EVENT, EVENT | {"event_id": "$two"}).replace(b'"hello"', b"9" * 10_000, 1)
    body = body.replace(b'"hello"', b"[NaN, -Infinity, 1e999]", 1)
    assert len(read_transaction(body).events) == 2


def test_an_oversized_event_is_not_stored() -> None:
    event = read_event(EVENT | {"content": {"body": "x" * MAX_EVENT_BYTES}})
    assert event is not None
    assert encode_event(event) is None


@pytest.mark.parametrize(
    "body", [b"", b"no", b"[]", b'"events"', b'{"events": {}}', b"{}", b"\xff\xfe", b'{"events": [']
)
def test_what_is_no_transaction_is_refused(body: bytes) -> None:
    with pytest.raises(PeerError):
        read_transaction(body)


@given(json_values, st.sampled_from([*EVENT, "state_key"]))
def test_any_json_in_any_field_is_read_or_skipped(value: object, field: str) -> None:
    event = copy.deepcopy(EVENT) | {field: value}
    transaction = read_transaction(body_of(event))
    assert len(transaction.events) + transaction.skipped == 1
    for read in transaction.events:
        read_text(read.content)
        assert encode_event(read) is not None


@given(st.binary())
def test_any_bytes_are_a_transaction_or_a_refusal(body: bytes) -> None:
    try:
        read_transaction(body)
    except PeerError:
        return


def test_a_reply_is_read_without_what_it_quotes() -> None:
    content = {"msgtype": "m.text", "body": "> <@bob:hs> old\n> words\n\n!palabre status"}
    content["m.relates_to"] = {"m.in_reply_to": {"event_id": "$old"}}  # type: ignore[assignment]
    text = read_text(content)
    assert text is not None
    assert text.body == "!palabre status"


@pytest.mark.parametrize("content", [{"msgtype": "m.notice", "body": "!palabre"}, {"body": "!palabre"}])
def test_notices_and_what_has_no_type_are_not_read(content: dict[str, Any]) -> None:
    assert read_text(content) is None


def test_an_edit_is_not_read_again() -> None:
    edit = {"rel_type": "m.replace", "event_id": "$old"}
    assert read_text({"msgtype": "m.text", "body": "!palabre call", "m.relates_to": edit}) is None
