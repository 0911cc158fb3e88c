"""Reading one transaction of a homeserver; pure.

https://spec.matrix.org/v1.16/application-service-api/#pushing-events: the homeserver repeats a transaction until it is
answered with 200, so a single event that can't be read must not make its transaction fail for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from appservice.events import RoomEvent, TooDeepError, as_object, decode_json, read_event
from palabre.base.errors import PeerError


@dataclass(frozen=True)
class Transaction:
    """The events in their order, and how many were none."""

    events: tuple[RoomEvent, ...]
    skipped: int


def read_transaction(body: bytes) -> Transaction:
    """Raises `PeerError` when it is no transaction at all."""
    try:
        raw = as_object(decode_json(body)).get("events")
        if not isinstance(raw, list):
            raise PeerError("the transaction has no list of events")
    except TooDeepError:
        raw = list(_one_by_one(body))
    except (ValueError, UnicodeDecodeError):
        raise PeerError("the transaction is not JSON") from None
    events = [read_event(each) for each in raw]
    good = tuple(event for event in events if event is not None)
    return Transaction(good, len(events) - len(good))


_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_EVENT_DEPTH = 2  # {"events": [{…}]}


def _one_by_one(body: bytes) -> Iterator[object]:
    """Every object two levels down, each parsed on its own; None for what is nested too deeply even so.

    The slow way, for transactions in which somebody's event is made to upset a parser. Objects in other lists of the
    transaction come along and are no events.
    """
    depth = start = 0
    for token in _TOKENS.finditer(body):
        mark = token.group()
        if mark in (b"{", b"["):
            if depth == _EVENT_DEPTH:
                start = token.start()
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
            if depth == _EVENT_DEPTH:
                yield _parsed(body[start : token.end()])


def _parsed(text: bytes) -> object:
    try:
        return decode_json(text)
    except ValueError:
        return None
