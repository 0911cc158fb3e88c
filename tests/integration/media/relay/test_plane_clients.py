"""LiveKit's Python SDK (libwebrtc) on a lossy line: pictures keep counting while layers change and a pause ends."""

from __future__ import annotations

import random
from typing import Any, cast

from tests.support.livekit_people import RED, Person, people
from tests.support.relay import RunningRelay, running_relay, until

ROOM = "council"


class LossyLine:
    """Loses datagrams of the packet path on both ways, before SRTP sees them: seeded, and only while `loss` is set."""

    def __init__(self, relay: RunningRelay, seed: int) -> None:
        self.plane = cast(Any, relay.control._plane)  # either packet path
        self.loss = 0.0
        self._random = random.Random(seed)
        self._receive, self._output = self.plane.receive, self.plane._output
        self.plane.receive = self._lossy_receive
        self.plane._output = self._lossy_output

    def _lossy_receive(self, session: int, datagram: bytes, now: float) -> None:
        if self._random.random() >= self.loss:
            self._receive(session, datagram, now)

    def _lossy_output(self, session: int, datagram: bytes) -> None:
        if self._random.random() >= self.loss:
            self._output(session, datagram)


async def inbound_video(person: Person) -> Any:
    """libwebrtc's statistics of the one video stream that somebody receives."""
    stats = await person.room.get_rtc_stats()
    for report in (*stats.subscriber_stats, *stats.publisher_stats):
        if report.HasField("inbound_rtp") and report.inbound_rtp.stream.kind == "video":
            return report.inbound_rtp.inbound
    raise AssertionError("no video is received")


async def test_pictures_keep_counting_over_losses_switches_and_a_pause() -> None:
    async with running_relay(packet_threads=0) as relay, people("alice", "bob") as (alice, bob):
        line = LossyLine(relay, seed=3)
        await alice.join(relay, ROOM)
        await alice.show(RED)
        await bob.join(relay, ROOM)
        await bob.sees("alice", RED)
        (down,) = (stats.down for stats in line.plane.down_stats())
        line.loss = 0.1
        for layer in (0, 1, -1, 1, 0):
            line.plane.set_layer(down, layer)
            if layer >= 0:
                await until(lambda layer=layer: line.plane.down_stats()[0].layer == layer, f"layer {layer} flows")
                await bob.sees("alice", RED)
        await until(lambda: line.plane.down_stats()[0].retransmitted > 0, "bob misses something and gets it")
        await bob.sees("alice", RED)
        # Losses are healed by retransmission on both ways: libwebrtc hardly ever has to ask for a key frame itself (on
        # a busy machine it does now and then, when its decoder waits; after broken numbers it would all the time).
        video = await inbound_video(bob)
        assert video.nack_count > 0
        assert video.pli_count <= 5
        assert dict(line.plane.drops()).get("srtp_authentication", 0) == 0
