"""What crosses to the recorder's process: whole, whatever the pieces, or one declared error."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.recorder_wire import (
    MAX_MESSAGE,
    Order,
    Packet,
    Report,
    Unpacker,
    WireError,
    pack_order,
    pack_report,
    pack_rtp,
)

_counts = st.integers(0, 2**32 - 1)
_times = st.floats(0, 1e9)
_names = st.text().filter(lambda name: name != "do")
_fields = st.dictionaries(_names, st.integers() | st.text() | st.none(), max_size=4)
_messages = st.one_of(
    st.builds(Order, st.text(), _fields),
    st.builds(Packet, _counts, _times, st.binary(max_size=1500)),
    st.builds(Report, _counts, _times, _counts, st.integers(0, 2**64 - 1), _counts),
)


def packed(message: Order | Packet | Report) -> bytes:
    if isinstance(message, Order):
        return pack_order(message.do, message.fields)
    return pack_rtp(*message) if isinstance(message, Packet) else pack_report(message)


@given(st.lists(_messages, max_size=8), st.lists(st.integers(1, 200)))
def test_messages_arrive_whatever_pieces_a_pipe_makes_of_them(
    messages: list[Order | Packet | Report], cuts: list[int]
) -> None:
    stream = b"".join(map(packed, messages))
    unpacker = Unpacker()
    found: list[Order | Packet | Report] = []
    for cut in [*cuts, len(stream)]:
        found += unpacker.feed(stream[:cut])
        stream = stream[cut:]
    assert found == messages


@given(st.binary(max_size=300))
def test_what_is_no_message_is_one_declared_error(data: bytes) -> None:
    with suppress(WireError):
        list(Unpacker().feed(data))


def test_a_message_has_a_largest_size_on_both_sides() -> None:
    with pytest.raises(WireError):
        pack_order("members", {"members": "x" * MAX_MESSAGE})
    with pytest.raises(WireError):
        list(Unpacker().feed(b"\xff\xff\xff\xff\x01"))
