"""The signalling codec and the outbox."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import rtc

from media.relay.outbox import Outbox
from media.relay.signal import CloseCode, SignalError, decode, encode


def test_both_encodings_are_read() -> None:
    request = rtc.SignalRequest(mute=rtc.MuteTrackRequest(sid="TR_x", muted=True))
    assert decode(request.SerializeToString()) == request
    assert decode('{"mute": {"sid": "TR_x", "muted": true}, "later": 1}') == request


def test_both_encodings_are_written() -> None:
    response = rtc.SignalResponse(mute=rtc.MuteTrackRequest(sid="TR_x", muted=True))
    frame = encode(response, as_text=False)
    assert isinstance(frame, bytes)
    assert rtc.SignalResponse.FromString(frame) == response
    assert json.loads(encode(response, as_text=True)) == {"mute": {"sid": "TR_x", "muted": True}}


@pytest.mark.parametrize("frame", ["", "{", '{"mute": 5}', b"\xff\xff", '{"mute":' * 500])
def test_nonsense_raises_one_error(frame: bytes | str) -> None:
    with pytest.raises(SignalError):
        decode(frame)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_no_frame_raises_anything_else(frame: bytes | str) -> None:
    try:
        decode(frame)
    except SignalError:
        return


class Socket:
    """A WebSocket that keeps what it is sent; `blocked` makes it a reader that does not read."""

    def __init__(self) -> None:
        self.sent: list[bytes | str] = []
        self.closed: tuple[int, bytes] | None = None
        self.blocked = asyncio.Event()
        self.blocked.set()

    async def send_bytes(self, data: bytes, compress: int | None = None) -> None:
        await self.blocked.wait()
        self.sent.append(data)

    async def send_str(self, data: str, compress: int | None = None) -> None:
        self.sent.append(data)

    async def close(self, *, code: int = 1000, message: bytes = b"", drain: bool = True) -> bool:
        self.closed = code, message
        return True


def pong(number: int) -> rtc.SignalResponse:
    return rtc.SignalResponse(pong=number)


async def test_what_is_put_is_sent_in_order_and_before_the_close() -> None:
    socket, outbox = Socket(), Outbox(10, 1000, lambda: None)
    outbox.put(pong(1))
    outbox.as_text = True
    outbox.put(pong(2))
    outbox.finish(CloseCode.RESTART, "bye")
    outbox.put(pong(3))
    assert await outbox.pump(socket) is CloseCode.RESTART
    assert [type(frame) for frame in socket.sent] == [bytes, str]
    assert socket.closed == (1012, b"bye")


@pytest.mark.parametrize(("messages", "octets"), [(5, 10_000), (100, 10)])
async def test_a_slow_reader_is_cut_and_what_waited_is_thrown_away(messages: int, octets: int) -> None:
    cut: list[bool] = []
    socket, outbox = Socket(), Outbox(messages, octets, lambda: cut.append(True))
    socket.blocked.clear()
    pump = asyncio.create_task(outbox.pump(socket))
    for number in range(10):
        await asyncio.sleep(0)
        outbox.put(pong(number))
    assert outbox.overflowed
    assert cut == [True]
    socket.blocked.set()
    assert await pump is CloseCode.SLOW_READER
    assert len(socket.sent) <= 1


async def test_a_socket_that_breaks_ends_the_pump() -> None:
    class Broken(Socket):
        async def send_bytes(self, data: bytes, compress: int | None = None) -> None:
            raise ConnectionResetError

    outbox = Outbox(10, 1000, lambda: None)
    outbox.put(pong(1))
    assert await outbox.pump(Broken()) is None


def test_no_close_code_is_1000_because_old_clients_never_come_back_from_it() -> None:
    assert 1000 not in list(CloseCode)
