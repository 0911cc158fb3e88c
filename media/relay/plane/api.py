"""`RtpPlane`: the seam of the packet path. Synchronous, no policy, only ints, bytes, strings and tuples cross it.

It exists so that the hot path can be compiled: STUN, DTLS, SCTP, SDP, subscriptions and layer *policy* stay outside;
unprotect, header extensions, gap detection, layer *switch*, rewriting, retransmission and feedback are inside.
Sessions, tracks and down tracks are named by ints that the caller chooses.

Concurrency: called from one thread (the event loop). `output` and the taps are called back on that thread, inside
`receive` and `tick`; they must not call the plane again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

Output = Callable[[int, bytes], None]  # (session, datagram): protected SRTP or SRTCP to send on its path


Address = tuple[Any, ...]  # as sockets give them: (host, port) for IPv4, (host, port, flow, scope) for IPv6
Stranger = Callable[[bytes, Address], None]  # (datagram, from where): STUN, DTLS, whatever is not media of a session


class Codec(NamedTuple):
    """One payload type of an up or down track as negotiated."""

    payload_type: int
    name: str  # upper case: OPUS, VP8, VP9, H264, AV1, RED
    clock_rate: int
    rtx_payload_type: int  # -1: retransmissions come on the media SSRC
    nack: bool


class Extension(NamedTuple):
    """A negotiated header extension, RFC 8285."""

    id: int
    uri: str


class UpTrackSpec(NamedTuple):
    """A section in which a publisher sends."""

    track: int
    kind: str  # "audio" or "video"
    mid: str
    codecs: tuple[Codec, ...]
    extensions: tuple[Extension, ...]
    rids: tuple[str, ...]  # in order of rising quality, empty without simulcast
    ssrcs: tuple[tuple[int, int], ...]  # (media, rtx or 0) announced in SDP; Chromium announces none with rids


class DownTrackSpec(NamedTuple):
    """A section in which a subscriber receives one up track."""

    down: int
    track: int
    ssrc: int
    rtx_ssrc: int
    codec: Codec
    extensions: tuple[Extension, ...]


class LayerStats(NamedTuple):
    """One layer of an up track over the last second."""

    track: int
    layer: int  # 0 q, 1 h, 2 f, as position among rids; 0 without simulcast
    ssrc: int
    bitrate: int  # bit/s
    packets: int  # since start
    lost: int  # since start, after retransmission
    width: int  # from the last key frame where the codec tells, else 0
    height: int


class DownStats(NamedTuple):
    """One down track since its start."""

    down: int
    layer: int  # -1: nothing is forwarded (paused, or waiting for the first key frame)
    packets: int
    octets: int
    retransmitted: int
    loss: float  # fraction lost in the subscriber's last receiver report
    rtt: float  # seconds to the subscriber and back, 0: unknown


class Delivery(NamedTuple):
    """Packets to one session that were sent at once, as its transport-cc feedback tells of them."""

    session: int
    sent: float  # when the last one was, monotonic seconds
    arrived: float  # when the last one did, in seconds of the subscriber's clock: only differences count
    octets: int  # that arrived
    packets: int  # that arrived; 0: only losses are known
    lost: int  # negative: so many more had been told as lost, and came after all


class PacketTap(Protocol):
    """Reads an up track inside the plane; `media.relay.seams.TapSink` has the same packet methods.

    Packets without payload (padding) are told too: they count in the sequence numbers. Key frames are asked for when a
    tap is added and when packets are lost for good.
    """

    def layer(self, ssrc: int, rid: str, payload_type: int, mime_type: str, clock_rate: int) -> None: ...

    def rtp(self, ssrc: int, packet: bytes, arrival: float) -> None: ...

    def sender_report(self, ssrc: int, ntp: int, rtp: int, arrival: float) -> None: ...


@runtime_checkable
class MediaLine(Protocol):
    """What a packet path offers that moves datagrams itself, on a thread of its own: media then wait for nobody else's
    signalling. Output, taps and strangers are told in `hand_over`, on the event loop."""

    def open(self, socket: int, stranger: Stranger) -> int:
        """Read from this bound UDP socket from now on. When the returned descriptor is readable, `hand_over` is due.
        Time is the system's monotonic clock then. Raises `OSError`."""
        ...

    def hand_over(self) -> None: ...

    def close(self) -> None:
        """The socket is the caller's again."""
        ...

    def accept(self, address: Address, session: int) -> None:
        """The address is proved to be this session's: its media are taken from there."""
        ...

    def refuse(self, address: Address) -> None:
        """It is nobody's any more."""
        ...

    def send_to(self, session: int, address: Address | None) -> None:
        """Where the session's datagrams go; None: to the output."""
        ...


class RtpPlane(Protocol):
    """The packet path. `now` is monotonic seconds everywhere. Unknown names raise KeyError (our fault)."""

    def add_session(self, session: int) -> None: ...

    def set_keys(self, session: int, profile: str, receive_key: bytes, send_key: bytes) -> None:
        """DTLS is done. `profile` is libsrtp's name without prefix: AEAD_AES_128_GCM, AEAD_AES_256_GCM,
        AES128_CM_SHA1_80; keys are master key + salt."""
        ...

    def remove_session(self, session: int) -> None:
        """Also removes its up tracks with everybody's down tracks of them, its own down tracks, and the taps."""
        ...

    def receive(self, session: int, datagram: bytes, now: float) -> None:
        """One SRTP or SRTCP datagram of a session. Bad input is dropped and counted, never raised."""
        ...

    def add_up_track(self, session: int, spec: UpTrackSpec) -> None:
        """Add, or update when `spec.track` exists (renegotiation)."""
        ...

    def remove_up_track(self, track: int) -> None:
        """Also removes its down tracks and its taps."""
        ...

    def add_down_track(self, session: int, spec: DownTrackSpec) -> None:
        """Starts paused until `set_layer`."""
        ...

    def remove_down_track(self, down: int) -> None: ...

    def set_layer(self, down: int, max_layer: int) -> None:
        """Forward the best flowing layer up to `max_layer`; -1 pauses. Audio: 0 or -1. The switch happens at a key
        frame, which the plane asks for."""
        ...

    def pad(self, down: int, octets: int, now: float) -> None:
        """Send about so much again of what was sent last, by RTX, so that the feedback tells what the path carries.
        Nothing goes out where there is no RTX, or no transport-cc."""
        ...

    def limit_resends(self, session: int, rate: int) -> None:
        """What a subscriber misses is sent again at no more than `rate` bit/s from now on; 0: without a limit."""
        ...

    def request_key_frame(self, track: int, now: float) -> None: ...

    def wanted_layer(self, track: int) -> int:
        """The highest layer that a down track or a tap wants, -1: none. What dynacast tells the publisher."""
        ...

    def add_tap(self, track: int, tap: PacketTap, max_layer: int) -> None: ...

    def remove_tap(self, track: int, tap: PacketTap) -> None: ...

    def tick(self, now: float) -> None:
        """Call every 50 ms: NACK repeats, transport-cc feedback, receiver and sender reports, PLI repeats."""
        ...

    def audio_levels(self) -> tuple[tuple[int, int], ...]:
        """(track, loudest level since the last call in -dBov, 0 loud … 127 silent), RFC 6464."""
        ...

    def remote_bandwidth(self, session: int) -> int:
        """What the subscriber says it can take (REMB), bit/s; 0: unknown."""
        ...

    def deliveries(self) -> tuple[Delivery, ...]:
        """What feedback has told since the last call, by session in its order."""
        ...

    def up_stats(self) -> tuple[LayerStats, ...]: ...

    def down_stats(self) -> tuple[DownStats, ...]: ...

    def drops(self) -> tuple[tuple[str, int], ...]:
        """Counters of what was dropped and why: (reason, count)."""
        ...
