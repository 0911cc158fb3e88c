"""The compiled packet path and the Python one, call for call: whatever is sent and asked, both say the same.

`House` runs them side by side, so every test of the packet path compares them; here they get what those tests don't
bring: every codec, payloads and extensions of any content, orders that nobody would give.
"""

from __future__ import annotations

import random
import shutil
import sysconfig
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pylibsrtp import Error

from media.relay.plane import rtcp
from media.relay.plane.api import Codec, DownTrackSpec, Extension, UpTrackSpec
from media.relay.plane.extensions import (
    ABS_CAPTURE_TIME,
    ABS_SEND_TIME,
    AUDIO_LEVEL,
    DEPENDENCY_DESCRIPTOR,
    TRANSPORT_CC,
)
from media.relay.plane.rtp import pack_packet
from tests.support.plane import (
    H264,
    MID_ID,
    OPUS,
    PLANES,
    REPAIRED_RID_ID,
    RID_ID,
    TRANSPORT_CC_ID,
    UP_EXTENSIONS,
    VP8,
    House,
    Tap,
    Vp8Source,
    down_of,
    video_up,
)

VP9 = Codec(payload_type=98, name="VP9", clock_rate=90000, rtx_payload_type=99, nack=True)
AV1 = Codec(payload_type=45, name="AV1", clock_rate=90000, rtx_payload_type=-1, nack=True)
CODECS = (VP8, VP9, H264, AV1, OPUS)
RIDS = ("q", "h", "f")
UP = (*UP_EXTENSIONS, Extension(12, DEPENDENCY_DESCRIPTOR), Extension(13, ABS_CAPTURE_TIME))
DOWN = (
    (Extension(9, ABS_SEND_TIME), Extension(10, AUDIO_LEVEL)),
    (Extension(3, ABS_SEND_TIME), Extension(20, DEPENDENCY_DESCRIPTOR), Extension(5, ABS_CAPTURE_TIME)),
    (Extension(20, DEPENDENCY_DESCRIPTOR),),
    (Extension(9, ABS_SEND_TIME), Extension(11, TRANSPORT_CC), Extension(20, DEPENDENCY_DESCRIPTOR)),
    (Extension(11, TRANSPORT_CC),),
    (),
)
# The first bytes of payloads that mean something: descriptors with and without what they may hold, parameter sets
_BEGINNINGS = {
    "VP8": (b"\x90\xc0\x80\x05\x09", b"\x90\x80\x05", b"\x80\xf0\x85\x05\x09\x01", b"\x10", b"\x90\xe0\x05\x09\x20"),
    "VP9": (
        b"\x8c\x80\x05",
        b"\xac\x85\x05\x00\x09",
        b"\x8e\x80\x05\x38\x01\x40\x00\xb4",
        b"\xbc\x80\x05\x02",
        b"\x08",
    ),
    "H264": (
        b"\x67\x42\xe0\x1f\x8c\x8d\x40\x50\x17\xfc\xb3",
        b"\x78\x00\x04\x67\x42\xe0\x1f\x00\x02\x68\xce",
        b"\x7c\x87\x42",
    ),
    "AV1": (b"\x18\x0a\x0b", b"\x10\x32", b"\x90"),
    "OPUS": (b"\xfc", b""),
}


def test_the_compiled_plane_is_built_where_there_is_a_compiler():
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if len(PLANES) == 1 and (shutil.which("gcc") is None or not headers.exists()):
        pytest.skip("neither compiler nor headers")
    assert [plane.__name__ for plane in PLANES] == ["PythonPlane", "CompiledPlane"], "run `make setup`"


class Chaos:
    """Two publishers of three tracks each and three subscribers, who do anything at all. Seeded."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.house = House()
        self.plane = self.house.plane
        self.now = 100.0
        profiles = ("AEAD_AES_128_GCM", "AES128_CM_SHA1_80", "AEAD_AES_256_GCM")
        self.peers = [self.house.peer(session, profiles[session % 3]) for session in range(1, 6)]
        self.codecs: dict[int, Codec] = {}
        self.rids: dict[int, tuple[str, ...]] = {}
        self.downs: dict[int, int] = {}
        self.numbers: dict[int, int] = {}
        self.past: list[tuple[int, bytes]] = []
        self.taps: list[tuple[int, Tap]] = []
        self.delivered = 0
        self.told: list[Tap] = []  # also those that read no more
        for track in range(1, 7):
            self.publish(track)
        for _ in range(12):
            self.subscribe()

    def publish(self, track: int) -> None:
        kind = "audio" if track % 3 == 0 else "video"
        codec = OPUS if kind == "audio" else self.random.choice(CODECS[:-1])
        rids = RIDS[: self.random.randint(0, 3)] if codec is not OPUS else ()
        self.codecs[track], self.rids[track] = codec, rids
        ssrcs = ((track * 100, track * 100 + 50),) if not rids and self.random.random() < 0.5 else ()
        others = (self.random.choice(CODECS),) if self.random.random() < 0.3 else ()
        spec = UpTrackSpec(track, kind, str(track), (codec, *others), UP[self.random.randint(0, 2) :], rids, ssrcs)
        self.plane.add_up_track(1 + track % 2, spec)

    def subscribe(self) -> None:
        down, track = self.random.randint(1, 12), self.random.choice(list(self.codecs))
        codec = self.codecs[track] if self.random.random() < 0.9 else self.random.choice(CODECS)
        ssrc = 10_000 + 2 * self.random.randint(1, 12)
        rtx = ssrc + 1 if codec.rtx_payload_type >= 0 else 0
        spec = DownTrackSpec(down, track, ssrc, rtx, codec, self.random.choice(DOWN))
        try:
            self.plane.add_down_track(self.random.randint(3, 5), spec)
        except ValueError:
            return
        self.downs[down] = ssrc
        self.plane.set_layer(down, 2)

    def packet(self) -> tuple[int, bytes]:
        """Mostly the next one of a stream, with something of its codec in it."""
        rng = self.random
        track = rng.choice(list(self.codecs))
        codec, rids = self.codecs[track], self.rids[track]
        layer = rng.randrange(len(rids)) if rids else 0
        ssrc, repeats = track * 100 + layer, rng.random() < 0.1 and codec.rtx_payload_type >= 0
        number = self.numbers.get(ssrc, rng.choice([5, 65_500, 32_000]))
        step = rng.choice([1] * 60 + [2, 2, 3, 4, 30, -1, -3, 0] + [600, 40_000] * (rng.random() < 0.1))
        number = self.numbers[ssrc] = (number + step) & 0xFFFF
        payload = rng.choice(_BEGINNINGS[codec.name]) + rng.randbytes(rng.choice([0, 1, 5, 30]))
        if rng.random() < 0.3:
            at = rng.randrange(len(payload) + 1)
            payload = payload[:at] + rng.randbytes(rng.randint(0, 2)) + payload[at + 1 :]
        elements = {MID_ID: str(track).encode(), TRANSPORT_CC_ID: (number * 3 + layer & 0xFFFF).to_bytes(2, "big")}
        if rids:
            elements[REPAIRED_RID_ID if repeats else RID_ID] = rids[layer].encode()
        elements |= {key: rng.randbytes(rng.randint(1, 3)) for key in (6, 13) if rng.random() < 0.4}
        if rng.random() < 0.3:
            elements[12] = rng.randbytes(rng.choice([1, 3, 16, 17, 60]))
        if rng.random() < 0.05:
            elements = {key: value for key, value in elements.items() if rng.random() < 0.5}
        if repeats:
            payload = ((number - rng.randint(0, 6)) & 0xFFFF).to_bytes(2, "big") + payload
        return 1 + track % 2, pack_packet(
            payload_type=codec.rtx_payload_type if repeats else codec.payload_type,
            sequence=rng.getrandbits(16) if repeats and rng.random() < 0.1 else number,
            timestamp=int(self.now * codec.clock_rate) + layer * 1_000_000 & 0xFFFFFFFF,
            ssrc=ssrc + 50 if repeats else ssrc,
            payload=b"" if rng.random() < 0.05 else payload,
            marker=rng.random() < 0.4,
            extensions=elements,
            padding=rng.choice([0, 0, 0, 0, 1, 200]),
        )

    def send(self) -> None:
        session, packet = self.packet()
        try:
            datagram = self.peers[session - 1].protect(packet)
        except Error:
            return  # libsrtp doesn't even send that
        copies = self.random.choice([1] * 20 + [0, 2])
        self.past = [*self.past[-20:], (session, datagram)]
        for _ in range(copies):
            self.plane.receive(session, datagram, self.now)
        if self.random.random() < 0.03:
            session, datagram = self.random.choice(self.past)
            self.plane.receive(session, datagram, self.now)

    def control(self) -> None:
        """Any RTCP, true or not."""
        rng = self.random
        ssrc = rng.choice([*self.numbers, *self.downs.values(), 1])
        if rng.random() < 0.5 and self.downs:
            ssrc = rng.choice(list(self.downs.values()))
        first = rng.choice([1, rng.getrandbits(16)])
        block = rtcp.ReportBlock(ssrc, rng.randrange(256), rng.randrange(1000), first, 3, rng.getrandbits(32), 99)
        made = (
            rtcp.pack_sender_report(ssrc, rng.choice([rng.getrandbits(64), 2**64 - 1]), rng.getrandbits(32), 1, 2),
            rtcp.pack_receiver_report(1, [block] * rng.randint(0, 3)),
            rtcp.pack_nack(1, ssrc, [(first + i) & 0xFFFF for i in sorted(rng.sample(range(200), rng.randint(1, 80)))]),
            rtcp.pack_pli(1, ssrc),
            rtcp.pack_fir(1, ssrc, 3),
            rtcp.pack_remb(1, rng.getrandbits(rng.randint(1, 40)), [ssrc]),
            rtcp.pack_bye([ssrc]),
            self.transport_feedback(),
        )
        packet = b"".join(rng.sample(made, rng.randint(1, 3)))
        if rng.random() < 0.1:
            packet = packet[:8] + rng.randbytes(len(packet) - 8)
        self.house.peers[rng.randint(1, 5)].send_rtcp(packet, self.now)

    def transport_feedback(self) -> bytes:
        """Of every form, mostly whole: status chunks at random, and the deltas they call for."""
        rng = self.random
        chunks = [rng.choice([rng.randrange(1, 9), 0x2000 | rng.randrange(1, 9)]) for _ in range(rng.randint(1, 4))]
        chunks += [0x8000 | rng.getrandbits(15) & rng.choice([0x3FFF, 0x5555]) for _ in range(rng.randint(0, 2))]
        told = rng.randint(1, 60)
        body = rng.choice([rng.randrange(60), rng.randrange(60), 65_500]).to_bytes(2, "big") + told.to_bytes(2, "big")
        body += rng.choice([5, 6, 0xFFFFFF]).to_bytes(3, "big") + b"\1"
        body += b"".join(chunk.to_bytes(2, "big") for chunk in chunks) + rng.randbytes(rng.choice([40, 40, 3]))
        return rtcp.pack_transport_feedback(1, 1, body)

    def order(self) -> None:
        rng = self.random
        down, track = rng.randint(1, 12), rng.randint(1, 6)
        choice = rng.randrange(13)
        try:
            if choice <= 2:
                self.plane.set_layer(down, rng.randint(-1, 2))
            elif choice <= 5:
                self.subscribe()
            elif choice == 6:
                self.plane.remove_down_track(down)
                self.downs.pop(down, None)
            elif choice == 7 and rng.random() < 0.3:
                self.publish(track)
            elif choice == 8 and rng.random() < 0.2:
                self.plane.remove_up_track(track)
                self.codecs.pop(track, None)
            elif choice == 9:
                self.plane.request_key_frame(track, self.now)
            elif choice == 10:
                tap = Tap()
                self.plane.add_tap(track, tap, rng.randint(0, 2))
                self.taps.append((track, tap))
                self.told.append(tap)
            elif choice == 11:
                self.plane.pad(down, rng.randint(0, 3000), self.now)
                self.plane.limit_resends(rng.randint(3, 5), rng.choice([0, 5_000, 500_000]))
            elif self.taps:
                self.plane.remove_tap(*self.taps.pop())
        except KeyError:
            return  # of both, which `House` has seen to
        if not self.codecs:
            self.publish(1)

    def look(self) -> None:
        self.plane.up_stats(), self.plane.down_stats(), self.plane.drops(), self.plane.audio_levels()
        self.delivered += sum(delivery.packets for delivery in self.plane.deliveries())
        for session in range(1, 6):
            self.plane.remote_bandwidth(session)
        for track in self.codecs:
            self.plane.wanted_layer(track)

    def live(self, steps: int) -> None:
        for step in range(steps):
            self.now += self.random.choice([0.001, 0.001, 0.004, 0.02, 0.02, 0.3])
            for _ in range(self.random.randint(1, 12)):
                self.send()
            for what, chance in ((self.control, 0.6), (self.order, 0.2)):
                if self.random.random() < chance:
                    what()
            if step % 3 == 0:
                self.plane.tick(self.now)
            if step % 20 == 0:
                self.look()
        self.look()


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_whatever_happens_both_planes_do_the_same(seed):
    chaos = Chaos(seed)
    chaos.live(120)
    for session in (3, 1, 2, 4, 5):
        chaos.plane.remove_session(session)
    assert chaos.plane.down_stats() == ()


def test_chaos_reaches_what_it_is_for():
    """Otherwise the comparison above would compare nothing."""
    sent = retransmitted = told = delivered = 0
    drops: set[str] = set()
    for seed in range(8):
        chaos = Chaos(seed)
        chaos.live(120)
        stats = chaos.plane.down_stats()
        sent += sum(down.packets for down in stats)
        retransmitted += sum(down.retransmitted for down in stats)
        told += sum(len(tap.packets) for tap in chaos.told)
        delivered += chaos.delivered
        drops |= dict(chaos.plane.drops()).keys()
    assert sent > 500
    assert retransmitted > 20
    assert told > 100
    assert delivered > 20
    assert drops >= {"probe", "srtp_replay", "duplicate_or_too_late", "unknown_ssrc"}


def test_a_stream_that_was_forgotten_could_be_replayed_and_one_in_use_could_not():
    """What `MAX_STREAMS` costs; both planes forget the same ones."""
    house = House()
    publisher = house.peer(1)
    house.plane.add_up_track(1, video_up())
    datagrams = []
    for ssrc in (20, *range(10_000, 10_300)):
        datagrams.append(publisher.protect(Vp8Source(ssrc, mid="0" if ssrc == 20 else "no").frame(key=True)[0]))
        house.plane.receive(1, datagrams[-1], 100.0)
    for datagram in (datagrams[0], datagrams[1], datagrams[-1]):
        house.plane.receive(1, datagram, 100.0)
    assert dict(house.plane.drops()) == {"unknown_ssrc": 301, "srtp_replay": 2}


def test_a_clock_at_its_end_wraps():
    house = House()
    publisher, subscriber = house.peer(1), house.peer(2)
    house.plane.add_up_track(1, video_up())
    house.plane.add_down_track(2, down_of(1, 5))
    house.plane.set_layer(5, 0)
    source = Vp8Source(20)
    publisher.send(source.frame(key=True)[0], 100.0)
    publisher.send_rtcp(rtcp.pack_sender_report(20, 2**64 - 1, 2**32 - 1, 1, 1), 100.0)
    for layer in (-1, 0):
        house.plane.set_layer(5, layer)
    publisher.send(source.frame(key=True)[0], 101.0)
    (first, second) = [m for m in subscriber.messages() if isinstance(m, rtcp.SenderReport)]
    assert first.ntp == 2**64 - 1
    assert second.ntp == (1 << 32) - 1
