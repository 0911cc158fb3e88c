"""Through real SRTP on both sides: whatever the networks do, a subscriber sees one well-formed stream."""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.relay.plane import rtcp
from media.relay.plane.api import Extension
from media.relay.plane.extensions import TRANSPORT_CC
from media.relay.plane.twcc import TransportFeedback
from tests.support.plane import (
    DOWN_EXTENSIONS,
    VP8,
    VP8_WITHOUT_RTX,
    House,
    Received,
    Vp8Source,
    down_of,
    read,
    rtx_of,
    video_up,
)

FRAME_TIME = 1 / 30
TICK = 0.05
LATENCY = 0.01
NUMBER_ID = 11  # of transport-cc towards the subscriber
DESCRIPTOR = 5  # bytes of VP8 payload descriptor, as `Vp8Source` writes them


@dataclass
class Network:
    """What may happen to packets on the way to the plane."""

    loss: float = 0.0
    padding_loss: float = 0.0
    reordering: float = 0.0
    duplication: float = 0.0


@dataclass
class Call:
    """A publisher of one to three layers, who answers NACK and PLI, and one subscriber."""

    seed: int
    network: Network
    rids: tuple[str, ...] = ()
    rtx: bool = True
    padding: bool = False
    start: int = 1000
    published: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.now = 100.0
        self.house = House()
        self.plane = self.house.plane
        self.publisher, self.subscriber = self.house.peer(1), self.house.peer(2, "AES128_CM_SHA1_80")
        codec = VP8 if self.rtx else VP8_WITHOUT_RTX
        self.plane.add_up_track(1, video_up(rids=self.rids, codec=codec))
        # Half of the subscribers speak transport-cc, and their feedback is heard.
        extensions = (*DOWN_EXTENSIONS, Extension(NUMBER_ID, TRANSPORT_CC)) if self.seed & 1 else DOWN_EXTENSIONS
        self.plane.add_down_track(2, down_of(1, 5, codec=VP8, extensions=extensions))
        self.feedback, self.heard = TransportFeedback(), 0
        transport = [0]
        self.sources = [
            Vp8Source(
                10 + index,
                rid=rid,
                sequence=(self.start + 7 * index) & 0xFFFF,
                timestamp=self.random.getrandbits(32),
                picture=self.random.getrandbits(15),
                base=self.random.getrandbits(8),
                seed=self.seed + index,
                transport=transport,
            )
            for index, rid in enumerate(self.rids or ("",))
        ]
        self.history: dict[tuple[int, int], bytes] = {}
        self.wants_key = {source.ssrc for source in self.sources}
        self.repeats = 0
        self.queue: list[tuple[float, int, bytes]] = []
        self.order = 0

    def send(self, packet: bytes) -> None:
        """Protect, and hand to the network. What is lost is lost before the plane sees it."""
        datagram = self.publisher.protect(packet)
        if self.random.random() < self.network.loss:
            return
        copies = 2 if self.random.random() < self.network.duplication else 1
        for _ in range(copies):
            delay = LATENCY + (self.random.uniform(0, 0.03) if self.random.random() < self.network.reordering else 0)
            self.order += 1
            heapq.heappush(self.queue, (self.now + delay, self.order, datagram))

    def frame(self) -> None:
        for source in self.sources:
            key = source.ssrc in self.wants_key
            self.wants_key.discard(source.ssrc)
            for packet in source.frame(key=key, packets=self.random.randint(1, 5), size=30):
                sent = read(packet)
                self.published[sent.payload[DESCRIPTOR:]] = (sent.marker, sent.payload)
                self.history[source.ssrc, sent.sequence] = packet
                self.send(packet)
        if self.padding and self.random.random() < 0.5:
            for _ in range(self.random.randint(1, 6)):
                packet = self.sources[0].padding()
                if self.random.random() >= self.network.padding_loss:
                    self.send(packet)

    def feed_back(self) -> None:
        """The subscriber tells what it got; a tenth is told as lost."""
        received = self.subscriber.received
        for packet in received[self.heard :]:
            if NUMBER_ID in packet.elements and self.random.random() < 0.9:
                self.feedback.add(packet.elements[NUMBER_ID], self.now)
        self.heard = len(received)
        for report in self.feedback.build(1, 0x100A):
            self.subscriber.send_rtcp(report, self.now)
        self.plane.deliveries()

    def answer(self) -> None:
        for message in self.publisher.messages():
            if isinstance(message, rtcp.KeyFrameRequest):
                self.wants_key.update(message.ssrcs)
            elif isinstance(message, rtcp.Nack):
                for sequence in message.sequences:
                    if (packet := self.history.get((message.ssrc, sequence))) is not None:
                        self.repeat(message.ssrc, packet)

    def repeat(self, ssrc: int, packet: bytes) -> None:
        if not self.rtx:
            self.send(packet)
            return
        self.repeats += 1
        rid = next(source.rid for source in self.sources if source.ssrc == ssrc)
        self.send(rtx_of(packet, ssrc=ssrc + 100, sequence=self.repeats & 0xFFFF, rid=rid))

    def run(self, seconds: float, *, silent: bool = False) -> None:
        """Let the call go on; `silent`: nothing new is sent, what is under way arrives and is asked for again."""
        frame_at = tick_at = self.now
        end = self.now + seconds
        while self.now < end:
            self.now = min([frame_at, tick_at, *(entry[0] for entry in self.queue[:1])])
            if self.queue and self.queue[0][0] <= self.now:
                self.plane.receive(1, heapq.heappop(self.queue)[2], self.now)
            elif tick_at <= self.now:
                self.plane.tick(self.now)
                self.feed_back()
                if self.random.random() < 0.2:
                    self.plane.pad(5, self.random.randint(0, 5000), self.now)
                tick_at += TICK
            else:
                if not silent:
                    self.frame()
                frame_at += FRAME_TIME
            self.answer()

    def stream(self) -> list[tuple[int, Received]]:
        """What the subscriber got on the media SSRC, with extended sequence numbers, in the order of arrival."""
        highest, stream = 0, []
        for packet in self.subscriber.received:
            if packet.payload_type == VP8.rtx_payload_type:
                continue
            assert packet.ssrc == 0x100A
            extended = highest + ((packet.sequence - highest + 0x8000) & 0xFFFF) - 0x8000
            highest = max(highest, extended)
            stream.append((extended, packet))
        return stream


def check_stream(call: Call) -> list[Received]:
    """The invariants that hold whatever was lost; returns the packets in order of their numbers."""
    by_number: dict[int, Received] = {}
    for number, packet in call.stream():
        assert number not in by_number, "a sequence number was used twice"
        by_number[number] = packet
    ordered = [packet for _, packet in sorted(by_number.items())]
    media = [packet for packet in ordered if not packet.padding]
    for packet in media:
        marker, original = call.published[packet.payload[DESCRIPTOR:]]
        assert packet.marker == marker
        assert packet.payload[:2] == original[:2]
    for before, after in itertools.pairwise(media):
        step = (after.timestamp - before.timestamp) & 0xFFFFFFFF
        same_picture = before.payload[2:4] == after.payload[2:4]
        assert (step == 0) if same_picture else 0 < step < 0x80000000, "time does not go forward"
        pictures = (picture(after) - picture(before)) & 0x7FFF
        assert pictures < 0x4000, "picture ids go back"
        assert (after.payload[4] - before.payload[4] - pictures) & 0xFF == 0, "TL0PICIDX and picture id part ways"
    return ordered


def picture(packet: Received) -> int:
    return int.from_bytes(packet.payload[2:4], "big") & 0x7FFF


def check_whole(ordered: list[Received]) -> None:
    """Nothing is missing: neither a number nor a picture."""
    for before, after in itertools.pairwise(ordered):
        assert (after.sequence - before.sequence) & 0xFFFF == 1, "a number is missing"
        assert (picture(after) - picture(before)) & 0x7FFF in (0, 1), "a picture is missing"


wishes = st.lists(st.integers(-1, 2), min_size=1, max_size=6)
starts = st.sampled_from([0, 1000, 32700, 65500, 65535])
seeds = st.integers(0, 2**32)
# Derandomized, so that a run of the suite tells of the change at hand and not of luck.
lean = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@lean
@given(seed=seeds, start=starts, wanted=wishes, padding=st.booleans())
def test_a_whole_stream_stays_whole_through_switches_pauses_padding_and_wraps(seed, start, wanted, padding):
    call = Call(seed, Network(), rids=("q", "h", "f"), padding=padding, start=start)
    for layer in wanted:
        call.plane.set_layer(5, layer)
        call.run(call.random.uniform(0.1, 0.6))
    ordered = check_stream(call)
    check_whole(ordered)
    assert call.plane.drops() == ()


@lean
@given(seed=seeds, start=starts, reordering=st.floats(0.05, 0.4), duplication=st.floats(0, 0.3), rtx=st.booleans())
def test_a_reordered_and_duplicated_stream_arrives_whole(seed, start, reordering, duplication, rtx):
    call = Call(seed, Network(reordering=reordering, duplication=duplication), rtx=rtx, start=start)
    call.plane.set_layer(5, 0)
    call.run(1.0)
    call.run(1.5, silent=True)
    check_whole(check_stream(call))


@lean
@given(seed=seeds, start=starts, wanted=wishes, loss=st.floats(0.02, 0.25), rtx=st.booleans(), padding=st.booleans())
def test_a_lossy_stream_is_never_wrong(seed, start, wanted, loss, rtx, padding):
    network = Network(loss=loss, reordering=0.05, duplication=0.05)
    call = Call(seed, network, rids=("q", "h", "f"), rtx=rtx, padding=padding, start=start)
    for layer in wanted:
        call.plane.set_layer(5, layer)
        call.run(call.random.uniform(0.1, 0.6))
    check_stream(call)


@lean
@given(seed=seeds, start=starts, loss=st.floats(0.02, 0.1), rtx=st.booleans())
def test_what_was_lost_is_asked_for_until_it_is_there(seed, start, loss, rtx):
    call = Call(seed, Network(), rtx=rtx, start=start)
    call.plane.set_layer(5, 0)
    call.run(0.1)
    call.network.loss = loss
    call.run(1.0)
    call.network.loss = 0.0
    call.run(1.5, silent=True)
    ordered = check_stream(call)
    numbers = {packet.sequence for packet in ordered}
    assert len(numbers) == ((ordered[-1].sequence - ordered[0].sequence) & 0xFFFF) + 1


@lean
@given(seed=seeds, loss=st.floats(0.05, 0.3))
def test_lost_padding_leaves_no_holes(seed, loss):
    call = Call(seed, Network(padding_loss=loss), padding=True)
    call.plane.set_layer(5, 0)
    call.run(1.0)
    check_whole(check_stream(call))


@lean
@given(seed=seeds, start=starts, rtx=st.booleans(), share=st.floats(0.02, 0.3))
def test_what_a_subscriber_misses_is_sent_again_unchanged(seed, start, rtx, share):
    call = Call(seed, Network(), start=start)
    if not rtx:
        call.plane.remove_down_track(5)
        call.plane.add_down_track(2, down_of(1, 5, codec=VP8_WITHOUT_RTX, ssrc=0x100A))
    call.plane.set_layer(5, 0)
    call.run(0.5)
    first = {packet.sequence: packet for _, packet in call.stream()}
    missed = [sequence for sequence in first if call.random.random() < share]
    sent = dict(zip(first, call.subscriber.raw, strict=False))
    call.subscriber.received.clear()
    call.subscriber.raw.clear()
    call.subscriber.send_rtcp(rtcp.pack_nack(9, 0x100A, missed), call.now)
    if not rtx:
        assert call.subscriber.raw == [sent[number] for number in missed]
        return
    again = call.subscriber.received
    assert len(again) == len(missed)
    for sequence, packet in zip(missed, again, strict=True):
        original = first[sequence]
        assert (packet.ssrc, packet.payload_type) == (0x100B, 97)
        assert packet.payload == sequence.to_bytes(2, "big") + original.payload
        assert (packet.timestamp, packet.marker) == (original.timestamp, original.marker)
