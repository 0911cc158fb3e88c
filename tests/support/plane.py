"""Peers of the packet path in tests: they protect and unprotect with pylibsrtp, so that SRTP is real on both sides."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi

from media.relay.plane import PythonPlane, rtcp
from media.relay.plane.api import Codec, DownTrackSpec, Extension, RtpPlane, UpTrackSpec
from media.relay.plane.extensions import ABS_SEND_TIME, AUDIO_LEVEL, MID, REPAIRED_RID, RID, TRANSPORT_CC
from media.relay.plane.rtp import pack_packet, parse_extensions, parse_header
from tests.support.both_planes import BothPlanes

try:
    from media.relay.plane.compiled import CompiledPlane
except ImportError:  # not built; `test_compiled` says so
    PLANES = (PythonPlane,)
else:
    PLANES = (PythonPlane, CompiledPlane)  # type: ignore[assignment]

PROFILES = {
    "AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
    "AES128_CM_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
}

VP8 = Codec(payload_type=96, name="VP8", clock_rate=90000, rtx_payload_type=97, nack=True)
VP8_WITHOUT_RTX = VP8._replace(rtx_payload_type=-1)
H264 = Codec(payload_type=102, name="H264", clock_rate=90000, rtx_payload_type=103, nack=True)
OPUS = Codec(payload_type=111, name="OPUS", clock_rate=48000, rtx_payload_type=-1, nack=False)

MID_ID, RID_ID, REPAIRED_RID_ID, TRANSPORT_CC_ID, SEND_TIME_ID, LEVEL_ID = 1, 2, 3, 4, 5, 6
UP_EXTENSIONS = (
    Extension(MID_ID, MID),
    Extension(RID_ID, RID),
    Extension(REPAIRED_RID_ID, REPAIRED_RID),
    Extension(TRANSPORT_CC_ID, TRANSPORT_CC),
    Extension(SEND_TIME_ID, ABS_SEND_TIME),
    Extension(LEVEL_ID, AUDIO_LEVEL),
)
DOWN_EXTENSIONS = (Extension(9, ABS_SEND_TIME), Extension(10, AUDIO_LEVEL))


@dataclass
class Received:
    """An RTP packet as a peer got it, unprotected."""

    packet: bytes
    second: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    elements: dict[int, bytes]
    padding: bool

    @property
    def marker(self) -> bool:
        return self.second & 0x80 != 0

    @property
    def payload_type(self) -> int:
        return self.second & 0x7F


def read(packet: bytes) -> Received:
    """Take a packet apart."""
    second, sequence, timestamp, ssrc, profile, extension, start, end = parse_header(packet)
    elements = parse_extensions(packet, profile, extension, start) if profile else {}
    return Received(packet, second, sequence, timestamp, ssrc, packet[start:end], elements, packet[0] & 0x20 != 0)


@dataclass
class Peer:
    """One session's other end. `received` and `control` collect what the plane sends."""

    plane: RtpPlane
    session: int
    profile: str = "AEAD_AES_128_GCM"
    received: list[Received] = field(default_factory=list)
    control: list[bytes] = field(default_factory=list)
    now: float = 100.0

    def __post_init__(self) -> None:
        profile, size = PROFILES[self.profile]
        keys = random.Random(self.session)
        self.key, self.their_key = keys.randbytes(size), keys.randbytes(size)

        def context(key: bytes, direction: int) -> Session:
            policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile)
            policy.window_size = 1024
            policy.allow_repeat_tx = True
            return Session(policy)

        self._send = context(self.key, Policy.SSRC_ANY_OUTBOUND)
        self._receive = context(self.their_key, Policy.SSRC_ANY_INBOUND)
        self.raw: list[bytes] = []
        self._seen: set[bytes] = set()

    @property
    def context(self) -> int:
        """Where libsrtp's context for what it sends is, for benches in C; lives as long as this."""
        return int(ffi.cast("uintptr_t", self._send._srtp[0]))

    def connect(self) -> None:
        """The plane learns the session and its keys."""
        self.plane.add_session(self.session)
        self.plane.set_keys(self.session, self.profile, self.key, self.their_key)

    def protect(self, packet: bytes) -> bytes:
        return self._send.protect(packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        return self._send.protect_rtcp(packet)

    def send(self, packet: bytes, now: float | None = None) -> None:
        """An RTP packet to the plane."""
        self.plane.receive(self.session, self.protect(packet), self.now if now is None else now)

    def send_rtcp(self, packet: bytes, now: float | None = None) -> None:
        """A compound RTCP packet to the plane."""
        self.plane.receive(self.session, self.protect_rtcp(packet), self.now if now is None else now)

    def take(self, datagram: bytes) -> None:
        """The plane's output for this session."""
        self.raw.append(datagram)
        if 192 <= datagram[1] <= 223:
            self.control.append(self._receive.unprotect_rtcp(datagram))
        elif datagram not in self._seen:  # libsrtp takes a plain retransmission for a replay
            self._seen.add(datagram)
            self.received.append(read(self._receive.unprotect(datagram)))

    def messages(self) -> list[rtcp.Message]:
        """All RTCP so far, parsed, and forgotten."""
        messages = [message for packet in self.control for message in rtcp.parse(packet)]
        self.control.clear()
        return messages


class House:
    """A plane and its peers, wired together. The compiled plane runs beside the Python one and must say the same."""

    def __init__(self) -> None:
        self.peers: dict[int, Peer] = {}
        self.plane = BothPlanes(PLANES, lambda session, datagram: self.peers[session].take(datagram))

    @property
    def reference(self) -> PythonPlane:
        """The Python plane, for tests that look inside."""
        reference = self.plane.planes[0]
        assert isinstance(reference, PythonPlane)
        return reference

    def peer(self, session: int, profile: str = "AEAD_AES_128_GCM", *, connected: bool = True) -> Peer:
        peer = self.peers[session] = Peer(self.plane, session, profile)
        if connected:
            peer.connect()
        return peer


def video_up(
    track: int = 1, *, mid: str = "0", rids: tuple[str, ...] = (), codec: Codec = VP8, ssrcs=()
) -> UpTrackSpec:
    return UpTrackSpec(track, "video", mid, (codec,), UP_EXTENSIONS, rids, ssrcs)


def audio_up(track: int = 2, *, mid: str = "1") -> UpTrackSpec:
    return UpTrackSpec(track, "audio", mid, (OPUS,), UP_EXTENSIONS, (), ())


def down_of(track: int, down: int, *, codec: Codec = VP8, ssrc: int = 0, extensions=DOWN_EXTENSIONS) -> DownTrackSpec:
    ssrc = ssrc or 0x1000 + 2 * down
    return DownTrackSpec(down, track, ssrc, ssrc + 1 if codec.rtx_payload_type >= 0 else 0, codec, extensions)


@dataclass
class Vp8Source:
    """Makes the packets of one VP8 layer; payloads are random but for the descriptor and the frame tag."""

    ssrc: int
    mid: str = "0"
    rid: str = ""
    sequence: int = 1000
    timestamp: int = 50_000
    picture: int = 100
    base: int = 10
    seed: int = 0
    payload_type: int = 96
    transport: list[int] = field(default_factory=lambda: [0])

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed or self.ssrc)

    def elements(self) -> dict[int, bytes]:
        elements = {MID_ID: self.mid.encode(), TRANSPORT_CC_ID: self.transport[0].to_bytes(2, "big")}
        self.transport[0] = (self.transport[0] + 1) & 0xFFFF
        if self.rid:
            elements[RID_ID] = self.rid.encode()
        return elements

    def frame(self, *, key: bool = False, packets: int = 2, size: int = 40) -> list[bytes]:
        """The next frame, 3,000 timestamp units after the last."""
        self.timestamp = (self.timestamp + 3000) & 0xFFFFFFFF
        self.picture = (self.picture + 1) & 0x7FFF
        self.base = (self.base + 1) & 0xFF
        made = []
        for index in range(packets):
            descriptor = bytes((0x90 if index == 0 else 0x80, 0xC0)) + (0x8000 | self.picture).to_bytes(2, "big")
            descriptor += bytes((self.base,))
            body = self.random.randbytes(size)
            if index == 0:
                body = bytes((body[0] & 0xFE if key else body[0] | 1,)) + body[1:]
                if key:
                    body = body[:3] + b"\x9d\x01\x2a" + b"\x80\x02" + b"\x68\x01" + body[10:]
            made.append(self.packet(descriptor + body, marker=index == packets - 1))
        return made

    def packet(self, payload: bytes, *, marker: bool = False, padding: int = 0) -> bytes:
        self.sequence = (self.sequence + 1) & 0xFFFF
        return pack_packet(
            payload_type=self.payload_type,
            sequence=self.sequence,
            timestamp=self.timestamp,
            ssrc=self.ssrc,
            payload=payload,
            marker=marker,
            extensions=self.elements(),
            padding=padding,
        )

    def padding(self) -> bytes:
        """A packet without payload, as bandwidth probes are."""
        return self.packet(b"", padding=200)


def rtx_of(packet: bytes, *, ssrc: int, sequence: int, payload_type: int = 97, rid: str = "", mid: str = "0") -> bytes:
    """The RTX packet that repeats `packet`, RFC 4588."""
    original = read(packet)
    elements = {MID_ID: mid.encode()} | ({REPAIRED_RID_ID: rid.encode()} if rid else {})
    return pack_packet(
        payload_type=payload_type,
        sequence=sequence,
        timestamp=original.timestamp,
        ssrc=ssrc,
        payload=original.sequence.to_bytes(2, "big") + original.payload,
        marker=original.marker,
        extensions=elements,
    )


def opus_packet(
    sequence: int,
    *,
    ssrc: int = 7,
    mid: str = "1",
    level: int = 30,
    payload: bytes = b"\xfc\xff\xfe",
    timestamp: int | None = None,
) -> bytes:
    return pack_packet(
        payload_type=111,
        sequence=sequence,
        timestamp=sequence * 960 if timestamp is None else timestamp,
        ssrc=ssrc,
        payload=payload,
        extensions={MID_ID: mid.encode(), LEVEL_ID: bytes((0x80 | level,))},
    )


class Tap:
    """A `PacketTap` that writes down what it is told."""

    def __init__(self) -> None:
        self.layers: list[tuple[int, str, int, str, int]] = []
        self.packets: list[tuple[int, bytes, float]] = []
        self.reports: list[tuple[int, int, int]] = []

    def layer(self, ssrc: int, rid: str, payload_type: int, mime_type: str, clock_rate: int) -> None:
        self.layers.append((ssrc, rid, payload_type, mime_type, clock_rate))

    def rtp(self, ssrc: int, packet: bytes, arrival: float) -> None:
        self.packets.append((ssrc, packet, arrival))

    def sender_report(self, ssrc: int, ntp: int, rtp: int, arrival: float) -> None:
        self.reports.append((ssrc, ntp, rtp))
