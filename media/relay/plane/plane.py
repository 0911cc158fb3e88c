"""`PythonPlane`: the packet path in Python, behind the `RtpPlane` seam. Names, dispatch and counters only.

What happens to packets is in `session` (one peer), `uptrack` (one published track) and `downtrack` (one subscription).
"""

from __future__ import annotations

from collections import Counter
from functools import partial

from media.relay.plane.api import Delivery, DownStats, DownTrackSpec, LayerStats, Output, PacketTap, UpTrackSpec
from media.relay.plane.downtrack import DownTrack
from media.relay.plane.session import Session
from media.relay.plane.uptrack import SILENT, UpTrack

MEASURE_INTERVAL = 1.0  # seconds over which bit rates are taken
_MIN_DATAGRAM = 8  # bytes: an RTCP header and its sender
_RTCP_TYPES = range(192, 224)  # second bytes that are RTCP and not a marked RTP payload type, RFC 5761 section 4


class PythonPlane:
    """Implements `RtpPlane`. Used from one thread; nothing here waits, logs per packet or reads a clock."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._sessions: dict[int, Session] = {}
        self._ups: dict[int, tuple[Session, UpTrack]] = {}
        self._downs: dict[int, tuple[Session, UpTrack, DownTrack]] = {}
        self._drops: Counter[str] = Counter()
        self._now = 0.0  # of the last call that told the time
        self._measured_at = -1.0  # nothing yet

    # -- sessions

    def add_session(self, session: int) -> None:
        """A peer, before it has keys. Raises `ValueError` for a name in use."""
        if session in self._sessions:
            raise ValueError(f"session {session} exists")
        self._sessions[session] = Session(partial(self._output, session), self._drop)

    def set_keys(self, session: int, profile: str, receive_key: bytes, send_key: bytes) -> None:
        """DTLS is done: what waited for the keys starts."""
        peer = self._sessions[session]
        peer.set_keys(profile, receive_key, send_key)
        for down in list(peer.downs):
            _, track, stream = self._downs[down]
            stream.ready = True
            track.route(stream)
            track.ask(self._now)

    def remove_session(self, session: int) -> None:
        """The peer is gone, with its tracks, subscriptions and taps."""
        peer = self._sessions.pop(session)
        for down in list(peer.downs):
            self.remove_down_track(down)
        for track in list(peer.ups):
            self.remove_up_track(track)

    def receive(self, session: int, datagram: bytes, now: float) -> None:
        """One SRTP or SRTCP datagram."""
        peer = self._sessions[session]
        self._now = now
        if len(datagram) < _MIN_DATAGRAM:
            self._drop("too_short")
        elif datagram[1] in _RTCP_TYPES:
            peer.receive_rtcp(datagram, now)
        else:
            peer.receive_rtp(datagram, now)

    def _drop(self, reason: str) -> None:
        self._drops[reason] += 1

    # -- tracks

    def add_up_track(self, session: int, spec: UpTrackSpec) -> None:
        """A section in which the peer sends, or a new description of it."""
        peer = self._sessions[session]
        known = self._ups.get(spec.track)
        if known is not None and known[0] is not peer:
            raise ValueError(f"track {spec.track} belongs to another session")
        track = peer.add_up(spec)
        self._ups[spec.track] = (peer, track)
        for down in track.downs.values():
            track.route(down)
        track.ask(self._now)

    def remove_up_track(self, track: int) -> None:
        """The track ends, for its subscribers and taps too."""
        peer, up = self._ups.pop(track)
        for down in list(up.downs):
            self.remove_down_track(down)
        peer.remove_up(up)

    def add_down_track(self, session: int, spec: DownTrackSpec) -> None:
        """A section in which the peer receives a track. Raises `ValueError` for a name in use."""
        if spec.down in self._downs:
            raise ValueError(f"down track {spec.down} exists")
        peer, (_, track) = self._sessions[session], self._ups[spec.track]
        down = DownTrack(
            spec,
            track.plan(spec),
            peer.send_rtp,
            peer.send_rtcp,
            peer.sent.number,
            peer.may_resend,
            next_sequence=peer.first_sequence(spec.ssrc),
            next_rtx_sequence=peer.first_sequence(spec.rtx_ssrc),
        )
        down.ready = peer.ready
        peer.add_down(down, track)
        track.add(down)
        self._downs[spec.down] = (peer, track, down)

    def remove_down_track(self, down: int) -> None:
        """The subscription ends."""
        peer, track, stream = self._downs.pop(down)
        peer.remove_down(stream)
        track.remove(stream)

    def set_layer(self, down: int, max_layer: int) -> None:
        """Forward the best flowing layer up to `max_layer`; -1 pauses."""
        _, track, stream = self._downs[down]
        stream.max_layer = max_layer
        track.route(stream)
        track.ask(self._now)

    def pad(self, down: int, octets: int, now: float) -> None:
        """Send about so much again of what was sent last."""
        self._downs[down][2].pad(octets, now)

    def limit_resends(self, session: int, rate: int) -> None:
        """What the peer misses is sent again at no more than `rate` bit/s."""
        self._sessions[session].limit_resends(rate)

    def request_key_frame(self, track: int, now: float) -> None:
        """Ask the publisher for key frames of what anybody gets."""
        self._now = now
        self._ups[track][1].request_key_frame(now)

    def wanted_layer(self, track: int) -> int:
        """The highest layer that a subscriber or a tap wants, -1: none."""
        return self._ups[track][1].wanted_layer()

    # -- taps

    def add_tap(self, track: int, tap: PacketTap, max_layer: int) -> None:
        """Read a track along."""
        up = self._ups[track][1]
        up.add_tap(tap, max_layer)
        up.ask(self._now)

    def remove_tap(self, track: int, tap: PacketTap) -> None:
        """Read no more."""
        self._ups[track][1].remove_tap(tap)

    # -- time and statistics

    def tick(self, now: float) -> None:
        """What is due now, in every session."""
        self._now = now
        for peer in self._sessions.values():
            peer.tick(now)
        if self._measured_at < 0:
            self._measured_at = now
        elapsed = now - self._measured_at
        if elapsed >= MEASURE_INTERVAL:
            self._measured_at = now
            for _, track in self._ups.values():
                track.measure(elapsed)

    def audio_levels(self) -> tuple[tuple[int, int], ...]:
        """(track, loudest level since the last call) of every audio track, 127 where nothing was heard."""
        levels = tuple((name, track.level) for name, (_, track) in self._ups.items() if not track.video)
        for _, track in self._ups.values():
            track.level = SILENT
        return levels

    def remote_bandwidth(self, session: int) -> int:
        """What the subscriber says it can take, bit/s; 0: unknown."""
        return self._sessions[session].bandwidth

    def deliveries(self) -> tuple[Delivery, ...]:
        """What feedback has told since the last call."""
        return tuple(Delivery(name, *told) for name, peer in self._sessions.items() for told in peer.sent.take())

    def up_stats(self) -> tuple[LayerStats, ...]:
        """Every layer that was seen."""
        return tuple(layer for _, track in self._ups.values() for layer in track.stats())

    def down_stats(self) -> tuple[DownStats, ...]:
        """Every down track."""
        return tuple(stream.stats() for _, _, stream in self._downs.values())

    def drops(self) -> tuple[tuple[str, int], ...]:
        """(reason, count) since the start."""
        return tuple(self._drops.items())
