"""`CompiledPlane`: the packet path in C, behind the `RtpPlane` seam. Translates and remembers, decides nothing.

The C part (`_packets`, from the sources in `c/`) is the counterpart of `PythonPlane`, call for call and byte for byte.
It links nothing: libsrtp is the one inside pylibsrtp, whose functions and contexts are handed over by address.
Importing this module protects a known packet, and raises `ImportError` where the extension was not built or libsrtp has
changed.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from pylibsrtp._binding import ffi, lib

from media.relay.plane import _packets
from media.relay.plane.api import (
    Address,
    Codec,
    Delivery,
    DownStats,
    DownTrackSpec,
    Extension,
    LayerStats,
    Output,
    PacketTap,
    Stranger,
    UpTrackSpec,
)
from media.relay.plane.extensions import AUDIO_LEVEL, MID, REPAIRED_RID, RID, TRANSPORT_CC, Plan
from media.relay.plane.rtp import pack_packet
from media.relay.plane.srtp import SrtpReceiver, SrtpSender

_LAYER, _RTP = 0, 1  # kinds of events; the third is a sender report
_FUNCTIONS = ("srtp_protect", "srtp_protect_rtcp", "srtp_unprotect", "srtp_unprotect_rtcp", "srtp_remove_stream")


def _address(pointer: Any) -> int:
    return int(ffi.cast("uintptr_t", pointer))


def _core() -> _packets.Core:
    return _packets.Core(*(_address(ffi.addressof(lib, name)) for name in _FUNCTIONS))


def _codec(codec: Codec) -> _packets.Codec:
    return (codec.payload_type, codec.name, codec.clock_rate, codec.rtx_payload_type, codec.nack)


def _ids(extensions: Iterable[Extension]) -> Mapping[str, int]:
    return {extension.uri: extension.id for extension in extensions}


def _plan(up: UpTrackSpec, down: DownTrackSpec) -> _packets.Plan:
    return Plan(up.extensions, down.extensions, down.codec).key


class CompiledPlane:
    """Implements `RtpPlane` and `MediaLine`. Used from one thread.

    The C part never calls back: what it has to send or tell waits in it until `_deliver`, at the end of each call. Once
    it has the socket, a thread of its own handles what arrives, sends and ticks; what is left for Python waits until
    `hand_over`. Thread and calls exclude each other by one lock inside.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._core = _core()
        self._keys: dict[int, tuple[SrtpReceiver, SrtpSender]] = {}  # the C part uses their contexts
        self._ups: dict[int, tuple[int, UpTrackSpec]] = {}  # with the session, like the next
        self._downs: dict[int, tuple[int, DownTrackSpec]] = {}
        self._taps: dict[int, tuple[int, PacketTap]] = {}  # by the C part's name for it, with the track
        self._last_tap = 0
        self._ready = -1
        self._waiting: deque[Callable[[], None]] = deque()  # taken from the C part, not told yet
        self._stranger: Stranger | None = None  # while the C part has the socket

    def _deliver(self, waiting: bool) -> None:
        """What a call left; never anything once a thread has the socket."""
        if not waiting:
            return
        datagrams, events, _ = self._core.take()
        for session, datagram in datagrams:
            self._output(session, datagram)
        for event in events:
            self._hear(event)

    def _hear(self, event: _packets.Event) -> None:
        known = self._taps.get(event[1])
        if known is not None:  # else it reads no more
            self._tell(known[1], event)

    def _tell(self, tap: PacketTap, event: Any) -> None:
        kind, _, ssrc, *what = event
        if kind == _LAYER:
            rid, payload_type, name, clock_rate, video = what
            mime_type = f"video/{name}" if video else f"audio/{name.lower()}"
            tap.layer(ssrc, rid.decode(), payload_type, mime_type, clock_rate)
        elif kind == _RTP:
            tap.rtp(ssrc, *what)
        else:
            tap.sender_report(ssrc, *what)

    # -- sessions

    def add_session(self, session: int) -> None:
        """A peer, before it has keys. Raises `ValueError` for a name in use."""
        self._core.add_session(session)

    def set_keys(self, session: int, profile: str, receive_key: bytes, send_key: bytes) -> None:
        """DTLS is done. Raises `KeyError` for an unknown profile, `ValueError` for a short key."""
        keys = SrtpReceiver(profile, receive_key), SrtpSender(profile, send_key)
        waiting = self._core.set_keys(session, _address(keys[0].context), _address(keys[1].context))
        self._keys[session] = keys
        self._deliver(waiting)

    def remove_session(self, session: int) -> None:
        """The peer is gone, with its tracks, subscriptions and taps."""
        waiting = self._core.remove_session(session)
        self._keys.pop(session, None)
        for track in [track for track, (owner, _) in self._ups.items() if owner == session]:
            self._forget_up(track)
        self._downs = {down: known for down, known in self._downs.items() if known[0] != session}
        self._deliver(waiting)

    def receive(self, session: int, datagram: bytes, now: float) -> None:
        """One SRTP or SRTCP datagram."""
        self._deliver(self._core.receive(session, datagram, now))

    # -- tracks

    def add_up_track(self, session: int, spec: UpTrackSpec) -> None:
        """A section in which the peer sends, or a new description of it."""
        ids = _ids(spec.extensions)
        waiting = self._core.add_up_track(
            session,
            spec.track,
            spec.kind == "video",
            spec.mid.encode(),
            ids.get(AUDIO_LEVEL, -1),
            tuple(map(_codec, spec.codecs)),
            tuple(rid.encode() for rid in spec.rids),
            spec.ssrcs[0] if spec.ssrcs else (),
            (ids.get(TRANSPORT_CC, -1), ids.get(MID, -1), ids.get(RID, -1), ids.get(REPAIRED_RID, -1)),
        )
        self._ups[spec.track] = (session, spec)
        for down, (_, other) in self._downs.items():
            if other.track == spec.track:
                self._core.set_plan(down, _plan(spec, other))
        self._deliver(waiting)

    def remove_up_track(self, track: int) -> None:
        """The track ends, for its subscribers and taps too."""
        waiting = self._core.remove_up_track(track)
        self._forget_up(track)
        self._deliver(waiting)

    def _forget_up(self, track: int) -> None:
        del self._ups[track]
        self._downs = {down: known for down, known in self._downs.items() if known[1].track != track}
        self._taps = {name: known for name, known in self._taps.items() if known[0] != track}

    def add_down_track(self, session: int, spec: DownTrackSpec) -> None:
        """A section in which the peer receives a track. Raises `ValueError` for a name in use."""
        plan = _plan(self._ups[spec.track][1], spec)
        self._core.add_down_track(session, spec.down, spec.track, spec.ssrc, spec.rtx_ssrc, _codec(spec.codec), plan)
        self._downs[spec.down] = (session, spec)

    def remove_down_track(self, down: int) -> None:
        """The subscription ends."""
        self._deliver(self._core.remove_down_track(down))
        del self._downs[down]

    def set_layer(self, down: int, max_layer: int) -> None:
        """Forward the best flowing layer up to `max_layer`; -1 pauses."""
        self._deliver(self._core.set_layer(down, max_layer))

    def pad(self, down: int, octets: int, now: float) -> None:
        """Send about so much again of what was sent last."""
        self._deliver(self._core.pad(down, octets, now))

    def limit_resends(self, session: int, rate: int) -> None:
        """What the peer misses is sent again at no more than `rate` bit/s."""
        self._core.limit_resends(session, rate)

    def request_key_frame(self, track: int, now: float) -> None:
        """Ask the publisher for key frames of what anybody gets."""
        self._deliver(self._core.request_key_frame(track, now))

    def wanted_layer(self, track: int) -> int:
        """The highest layer that a subscriber or a tap wants, -1: none."""
        return self._core.wanted_layer(track)

    # -- taps

    def add_tap(self, track: int, tap: PacketTap, max_layer: int) -> None:
        """Read a track along."""
        self._last_tap += 1
        if track in self._ups:
            self._taps[self._last_tap] = (track, tap)
        self._deliver(self._core.add_tap(track, self._last_tap, max_layer))

    def remove_tap(self, track: int, tap: PacketTap) -> None:
        """Read no more."""
        if track not in self._ups:
            raise KeyError(track)
        for name in [name for name, known in self._taps.items() if known[0] == track and known[1] is tap]:
            del self._taps[name]
            self._core.remove_tap(track, name)

    # -- time and statistics

    def tick(self, now: float) -> None:
        """What is due now, in every session."""
        if self._stranger is None:
            self._deliver(self._core.tick(now))

    def audio_levels(self) -> tuple[tuple[int, int], ...]:
        """(track, loudest level since the last call) of every audio track, 127 where nothing was heard."""
        return tuple(self._core.audio_levels())

    def remote_bandwidth(self, session: int) -> int:
        """What the subscriber says it can take, bit/s; 0: unknown."""
        return self._core.remote_bandwidth(session)

    def deliveries(self) -> tuple[Delivery, ...]:
        """What feedback has told since the last call."""
        return tuple(map(Delivery._make, self._core.deliveries()))

    def up_stats(self) -> tuple[LayerStats, ...]:
        """Every layer that was seen."""
        return tuple(map(LayerStats._make, self._core.up_stats()))

    def down_stats(self) -> tuple[DownStats, ...]:
        """Every down track."""
        return tuple(map(DownStats._make, self._core.down_stats()))

    def drops(self) -> tuple[tuple[str, int], ...]:
        """(reason, count) since the start."""
        return tuple(self._core.drops())

    # -- the socket

    def open(self, socket: int, stranger: Stranger) -> int:
        """Let a thread read from the socket, and send."""
        ready = self._core.open(socket)
        self._ready, self._stranger = ready, stranger
        return ready

    def hand_over(self) -> None:
        """Deliver what waits; the descriptor that `open` returned is readable. What one of those who are told raises
        does not keep the others from being told: that happens in the next turn of the loop."""
        os.eventfd_read(self._ready)
        datagrams, events, strangers = self._core.take()
        self._waiting.extend(partial(self._output, *datagram) for datagram in datagrams)
        self._waiting.extend(partial(self._hear, event) for event in events)
        if self._stranger is not None:
            self._waiting.extend(partial(self._stranger, *stranger) for stranger in strangers)
        try:
            while self._waiting:
                self._waiting.popleft()()
        finally:
            if self._waiting:
                os.eventfd_write(self._ready, 1)

    def close(self) -> None:
        """End the thread."""
        self._stranger = None
        self._waiting.clear()
        self._core.close()

    def accept(self, address: Address, session: int) -> None:
        """Take the session's media from this address."""
        self._core.accept(*_parts(address), session)

    def refuse(self, address: Address) -> None:
        """Take nobody's media from this address."""
        self._core.refuse(*_parts(address))

    def send_to(self, session: int, address: Address | None) -> None:
        """Send the session's datagrams to this address, or to the output."""
        self._core.send_to(session, *((None, 0, 0) if address is None else _parts(address)))


def _parts(address: Address) -> tuple[str, int, int]:
    return address[0], address[1], address[3] if len(address) == 4 else 0


def _check() -> None:
    """Protect a packet in C whose protected form is known, and take the answer apart. Raises `ImportError`."""
    sent: list[bytes] = []
    plane = CompiledPlane(lambda _, datagram: sent.append(datagram))
    key, codec = bytes(range(28)), Codec(111, "OPUS", 48000, -1, False)
    packet = pack_packet(payload_type=111, sequence=7, timestamp=9, ssrc=0xC0FFEE, payload=b"known answer")
    for session in (1, 2):
        plane.add_session(session)
        plane.set_keys(session, "AEAD_AES_128_GCM", key, key)
    plane.add_up_track(1, UpTrackSpec(1, "audio", "0", (codec,), (), (), ((0xC0FFEE, 0),)))
    plane.add_down_track(2, DownTrackSpec(1, 1, 0xC0FFEE, 0, codec, ()))
    plane.set_layer(1, 0)
    sender = SrtpSender("AEAD_AES_128_GCM", key)
    plane.receive(1, sender.rtp(packet), 1.0)
    if [datagram.hex() for datagram in sent] != [_KNOWN_ANSWER]:
        raise ImportError("libsrtp in pylibsrtp is not the one that the compiled packet path is built for")


_KNOWN_ANSWER = "806f00010000000900c0ffeef6000df13471dad85cdf4844846ea1cf95855f43bbc0a34d1cee303e"
try:
    _check()
except (AttributeError, TypeError) as error:
    raise ImportError("the compiled packet path was built from other sources: run `make setup`") from error
