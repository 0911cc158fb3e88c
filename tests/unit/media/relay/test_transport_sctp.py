"""What a hostile peer can make of an association: nothing that costs others, and nothing but the declared error."""

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.relay.transport import association, sctp
from tests.support.sctp import FIRST, LAST, UNORDERED, Pair, chunk, data, packet, sack

DCEP = 50  # protocol number of data channel establishment, RFC 8832


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    connected = Pair()
    await connected.start()
    yield connected
    await connected.stop()


async def works(pair: Pair) -> None:
    channel = pair.channel("after")
    await pair.until(lambda: channel.readyState == "open")
    channel.send(b"still talking")
    await pair.until(lambda: ("after", b"still talking") in pair.messages)


def opening(label: bytes, size: int | None = None) -> bytes:
    return struct.pack("!BBHLHH", 3, 0, 0, 0, len(label) if size is None else size, 0) + label


async def test_channels_open_and_carry_text_as_bytes(pair: Pair) -> None:
    channel = pair.channel("chat")
    await pair.until(lambda: pair.opened == ["chat"])
    channel.send("déjà vu")
    channel.send(b"")
    await pair.until(lambda: len(pair.messages) == 2)
    assert pair.messages == [("chat", "déjà vu".encode()), ("chat", b"")]


@pytest.mark.parametrize("flags", [UNORDERED, 0, FIRST])
async def test_a_message_of_tiny_fragments_without_end_is_cut_off(
    pair: Pair, flags: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(association, "MAX_HELD", 128)
    first = pair.tsn
    for start in range(0, 1000, 8):
        pair.throw(*[data(first + start + index, flags=flags) for index in range(8)])
        if start % 400 == 0:
            await pair.settle()
    await pair.settle()
    assert pair.ended == "a message that does not end"


async def test_more_fragments_in_a_packet_than_any_sender_makes_are_refused(pair: Pair) -> None:
    pair.throw(*[data(pair.tsn + index, flags=UNORDERED) for index in range(9)])
    await pair.settle()
    assert pair.ended == "too many chunks"


async def test_numbers_behind_a_gap_are_held_up_to_a_limit_and_then_only_the_gap_is_filled(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(association, "MAX_HELD", 256)
    first = pair.tsn
    for start in range(1, 2 * association.MAX_HELD, 40):
        pair.throw(*[data(first + start + index, protocol=1) for index in range(40)])
        await pair.settle()
    assert pair.drops["sctp_window"] > 0
    assert len(pair.ours._association._sack_misordered) <= association.MAX_HELD + 40
    pair.throw(data(first, protocol=1))
    await pair.settle()
    assert len(pair.ours._association._sack_misordered) == 0
    assert pair.ended == ""


async def test_a_full_house_still_hears_that_a_message_was_given_up(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Browsers say so in the packet that carries the next data: to drop it whole would be a deadlock."""
    monkeypatch.setattr(association, "MAX_HELD", 64)
    first = pair.tsn
    for start in range(1, 81, 40):
        pair.throw(*[data(first + start + index, protocol=1, flags=FIRST | LAST | UNORDERED) for index in range(40)])
    pair.throw(data(first + 90, protocol=1), chunk(192, struct.pack("!L", first)))
    await pair.settle()
    assert pair.drops["sctp_window"] > 0
    assert (pair.ours._association._last_received_tsn or 0) >= first + 64
    assert pair.ended == ""


@pytest.mark.parametrize("ahead", [association.MAX_AHEAD + 1, 1 << 20, (1 << 31) - 2])
async def test_a_number_far_ahead_is_not_taken(pair: Pair, ahead: int) -> None:
    pair.throw(data(pair.tsn + ahead))
    await pair.settle()
    assert pair.drops == {"sctp_window": 1}
    await works(pair)


@pytest.mark.parametrize("gaps", [[(1, 1)], [(1, 65535)], [(2, 2), (4, 60000)]])
async def test_acknowledging_what_was_not_sent_is_refused(pair: Pair, gaps: list[tuple[int, int]]) -> None:
    pair.throw(sack(pair.ours._association._local_tsn - 1, gaps))
    await pair.settle()
    assert pair.ended == "acknowledges what was not sent"


async def test_acknowledging_the_future_is_refused(pair: Pair) -> None:
    pair.throw(sack(pair.ours._association._local_tsn + 5))
    await pair.settle()
    assert pair.ended == "acknowledges what was not sent"


async def test_two_acknowledgements_in_a_packet_are_refused(pair: Pair) -> None:
    pair.throw(*[sack(pair.ours._association._local_tsn - 1)] * 2)
    await pair.settle()
    assert pair.ended == "a chunk twice in a packet"


async def test_a_late_init_does_not_reset_what_has_been_received(pair: Pair) -> None:
    await works(pair)
    pair.to_us(packet(0, chunk(1, struct.pack("!LLHHL", 5, 1 << 20, 10, 10, 7))))
    await pair.settle()
    assert pair.drops == {"sctp_late_init": 1}
    pair.messages.clear()
    await works(pair)


async def test_data_before_the_association_is_refused() -> None:
    pair = Pair()
    pair._tasks = [asyncio.ensure_future(pair.ours.run())]
    pair.to_us(packet(pair.ours._association._local_verification_tag, data(1)))
    await pair.settle()
    assert pair.ended == "data before the association"
    await pair.stop()


@pytest.mark.parametrize(
    "user", [opening(b"\xff\xfe"), opening(b"a", 60000) + b"\xff", bytes([2]), opening(b"") + b"", b""]
)
async def test_malformed_channel_openings_end_their_sender_at_most(pair: Pair, user: bytes) -> None:
    pair.throw(data(pair.tsn, user or b"\0", protocol=DCEP, stream=2))
    await pair.settle()
    assert pair.ended in ("", "UnicodeDecodeError", "AssertionError")


async def test_a_channel_opened_twice_ends_its_sender(pair: Pair) -> None:
    for index in range(2):
        pair.throw(data(pair.tsn + index, opening(b"twice"), protocol=DCEP, stream=2, sequence=index))
    await pair.settle()
    assert pair.ended == "AssertionError"


async def test_channels_are_bounded(pair: Pair) -> None:
    for index in range(association.MAX_CHANNELS + 1):
        pair.throw(data(pair.tsn + index, opening(b"one of many"), protocol=DCEP, stream=2 * index))
    await pair.settle()
    assert pair.ended == "too many channels"


async def test_streams_are_bounded_even_without_channels(pair: Pair) -> None:
    for index in range(association.MAX_STREAMS + 1):
        pair.throw(data(pair.tsn + index, stream=index))
    await pair.settle()
    assert pair.ended == "too many channels"


async def test_a_receiver_that_acknowledges_nothing_is_refused_more_at_the_limit(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sctp, "MAX_BUFFERED", 200_000)
    await works(pair)
    pair.muted = True
    sent = 0
    while pair.ours.send("after", bytes(10_000)):
        sent += 1
        assert sent < 1000
        await asyncio.sleep(0)
    assert 200_000 < pair.ours.buffered("after") <= 220_000


class SlowClock:
    """Every look at it takes a second: so does every packet."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now

    def wall(self) -> float:
        return self.now


async def test_who_costs_too_much_time_waits_and_loses_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sctp, "BURST", 8.0)
    monkeypatch.setattr(sctp, "QUEUE", 32)
    pair = Pair(SlowClock())
    await pair.start()
    for index in range(200):
        pair.throw(data(pair.tsn + index))
        if index % 10 == 0:
            await asyncio.sleep(0)
    assert pair.drops["sctp_queue"] > 0
    assert not pair.ours._packets.empty()
    await pair.stop()


numbers = st.one_of(st.integers(-3, 60), st.integers(0, 2**32 - 1))


@st.composite
def hostile_chunk(draw: st.DrawFn) -> tuple[str, tuple[int, ...], bytes]:
    """(kind, numbers relative to the association's, body): DATA and SACK that fit, more or less; anything else."""
    kind = draw(st.sampled_from(["data", "data", "sack", "forward", "any"]))
    relative = tuple(draw(st.lists(numbers, min_size=4, max_size=4)))
    user = draw(
        st.one_of(
            st.binary(min_size=1, max_size=20),
            st.builds(opening, st.binary(max_size=6), st.integers(0, 10)),
            st.just(b"\x02"),
        )
    )
    return kind, relative, user


def build(pair: Pair, kind: str, relative: tuple[int, ...], user: bytes) -> bytes:
    first, second, third, fourth = relative
    if kind == "data":
        protocol = (DCEP, 51, 53, 56, 57, 0)[third % 6]
        return data(pair.tsn + first, user, stream=second % 6, sequence=fourth % 4, protocol=protocol, flags=third % 8)
    if kind == "sack":
        return sack(pair.ours._association._local_tsn + first - 30, [(second % 9 + 1, second % 9 + 1 + third % 9)])
    if kind == "forward":
        return chunk(192, struct.pack("!LHH", (pair.tsn + first) % 2**32, second % 6, third % 2**16))
    return chunk(first % 256, struct.pack("!L", second % 2**32) + user, third % 256)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(hostile_chunk(), min_size=1, max_size=4), min_size=1, max_size=12))
def test_whatever_a_peer_sends_ends_in_the_declared_error_or_in_nothing(
    packets: list[list[tuple[str, tuple[int, ...], bytes]]],
) -> None:
    async def attack() -> list[object]:
        escaped: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: escaped.append(context))
        pair = Pair()
        await pair.start()
        pair.muted = True
        for chunks in packets:
            pair.throw(*[build(pair, *each) for each in chunks])
            await pair.settle()
        assert isinstance(pair.ended, str)
        await pair.stop()
        await asyncio.sleep(0)
        return escaped

    assert asyncio.run(attack()) == []
