"""One peer's packets: unprotect, find the layer an SSRC belongs to, feedback; protect what goes to the peer.

SSRCs are per session: two publishers may use the same one, and nobody can send on another's track, because a session
only ever looks at its own tracks. What a packet means to subscribers is `UpTrack`'s and `DownTrack`'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from media.relay.plane import rtcp
from media.relay.plane.api import UpTrackSpec
from media.relay.plane.delivery import SentPackets
from media.relay.plane.downtrack import DownTrack
from media.relay.plane.extensions import MID, REPAIRED_RID, RID, TRANSPORT_CC
from media.relay.plane.layer import Layer
from media.relay.plane.receiver import AFTER_GAP, LATE, OUTAGE, UNWANTED, Receiver
from media.relay.plane.rtp import MARKER, Header, RtpError, parse_extensions, parse_header
from media.relay.plane.srtp import SrtpError, SrtpReceiver, SrtpSender
from media.relay.plane.twcc import FEEDBACK_INTERVAL, TransportFeedback
from media.relay.plane.uptrack import UpTrack

REPORT_INTERVAL = 1.0  # seconds between receiver reports; libwebrtc's own interval for video
REPORTS_PER_PACKET = 30  # of at most 31: with the header 728 bytes
MAX_STREAMS = 256  # SSRCs with replay state in libsrtp (1 kB each): 40 simulcast tracks with RTX
MAX_SENT_STREAMS = 4096  # SSRCs of removed down tracks whose numbers are remembered
RESEND_BURST = 0.25  # seconds of the limit on what is sent again that may come at once: a burst of losses
LOCAL_SSRC = 1  # under which feedback is sent: streams of the relay itself don't exist

_NO_ELEMENTS: dict[int, bytes] = {}
# From here on clocks are compared with a margin: ticks of 50 ms come a little early as often as late.
_EARLY = 0.01


class Route(NamedTuple):
    """What an SSRC carries."""

    track: UpTrack
    layer: Layer
    receiver: Receiver
    rtx: bool


class Session:
    """`output` takes datagrams for the peer's path, `drop` counts a reason."""

    def __init__(self, output: Callable[[bytes], None], drop: Callable[[str], None]) -> None:
        self.ups: dict[int, UpTrack] = {}
        self.downs: dict[int, DownTrack] = {}
        self.bandwidth = 0  # bit/s by REMB
        self.sent = SentPackets()
        self._resend_rate = 0  # bit/s, 0: any
        self._resend_budget = 0.0  # octets
        self._ticked_at = 0.0
        self._output = output
        self._drop = drop
        self._receiver: SrtpReceiver | None = None
        self._sender: SrtpSender | None = None
        self._routes: dict[int, Route] = {}
        self._streams: dict[int, None] = {}  # SSRCs that libsrtp knows, oldest first
        self._by_ssrc: dict[int, tuple[UpTrack, DownTrack]] = {}  # what the peer is sent, by its media SSRC
        self._sent: dict[int, int] = {}  # SSRC of a removed down track -> its next extended sequence number
        self._feedback = TransportFeedback()
        self._feedback_at = self._report_at = 0.0
        self._transport_cc_id = self._mid_id = self._rid_id = self._repaired_rid_id = -1

    # -- keys

    @property
    def ready(self) -> bool:
        """Whether there are keys."""
        return self._sender is not None

    def set_keys(self, profile: str, receive_key: bytes, send_key: bytes) -> None:
        """Use these from now on. Raises `KeyError` for an unknown profile, `ValueError` for a short key."""
        self._receiver = SrtpReceiver(profile, receive_key)
        self._sender = SrtpSender(profile, send_key)
        self._streams = dict.fromkeys(self._routes)

    def send_rtp(self, packet: bytes) -> None:
        """Protect an RTP packet and hand it to the path."""
        if self._sender is None:
            return
        try:
            datagram = self._sender.rtp(packet)
        except SrtpError as error:
            self._drop("send_" + error.reason)
            return
        self._output(datagram)

    def send_rtcp(self, packet: bytes) -> None:
        """Protect an RTCP packet and hand it to the path."""
        if self._sender is None:
            return
        try:
            datagram = self._sender.rtcp(packet)
        except SrtpError as error:
            self._drop("send_" + error.reason)
            return
        self._output(datagram)

    def _send_feedback(self, packet: bytes) -> None:
        self.send_rtcp(rtcp.pack_receiver_report(LOCAL_SSRC) + packet)

    # -- tracks

    def add_up(self, spec: UpTrackSpec) -> UpTrack:
        """A section in which the peer sends, or a new description of it."""
        track = self.ups.get(spec.track)
        if track is None:
            track = self.ups[spec.track] = UpTrack(spec, self._ask_key_frame)
        else:
            track.update(spec)
            for ssrc in [ssrc for ssrc, route in self._routes.items() if route.layer not in route.track.layers]:
                del self._routes[ssrc]
        for extension in spec.extensions:  # ids are the same in all sections of a bundle, RFC 8843 section 8
            if extension.uri == TRANSPORT_CC:
                self._transport_cc_id = extension.id
            elif extension.uri == MID:
                self._mid_id = extension.id
            elif extension.uri == RID:
                self._rid_id = extension.id
            elif extension.uri == REPAIRED_RID:
                self._repaired_rid_id = extension.id
        if spec.ssrcs and not spec.rids and spec.codecs:
            media, rtx = spec.ssrcs[0]
            self._bind(track, track.layers[0], media, rtx=False)
            if rtx:
                self._bind(track, track.layers[0], rtx, rtx=True)
        return track

    def remove_up(self, track: UpTrack) -> None:
        """The section sends no more; its SSRCs may come again for another track."""
        del self.ups[track.track]
        for ssrc in [ssrc for ssrc, route in self._routes.items() if route.track is track]:
            del self._routes[ssrc]

    def add_down(self, down: DownTrack, track: UpTrack) -> None:
        """A stream of `track` to the peer. Raises `ValueError` for an SSRC in use: it would carry two streams."""
        if any(
            {down.spec.ssrc, down.spec.rtx_ssrc} & {other.spec.ssrc, other.spec.rtx_ssrc} - {0}
            for other in self.downs.values()
        ):
            raise ValueError("SSRC is in use by another down track of the session")
        self.downs[down.spec.down] = down
        self._by_ssrc[down.spec.ssrc] = track, down

    def remove_down(self, down: DownTrack) -> None:
        """The stream ends. Its SSRCs go on where they ended should they be used again: keys are never used twice."""
        del self.downs[down.spec.down]
        del self._by_ssrc[down.spec.ssrc]
        self._sent[down.spec.ssrc] = down.next_sequence
        if down.spec.rtx_ssrc:
            self._sent[down.spec.rtx_ssrc] = down.next_rtx_sequence
        while len(self._sent) > MAX_SENT_STREAMS:
            del self._sent[next(iter(self._sent))]

    def first_sequence(self, ssrc: int) -> int:
        """The extended sequence number with which `ssrc` begins or goes on.

        Below 32,768 for a new one: a receiver that misses the first packets must not guess one wrap too few.
        """
        return self._sent.get(ssrc, 1)

    # -- RTP

    def receive_rtp(self, datagram: bytes, now: float) -> None:
        """One SRTP datagram."""
        if self._receiver is None:
            self._drop("no_keys")
            return
        try:
            packet = self._receiver.rtp(datagram)
            header = parse_header(packet)
        except SrtpError as error:
            self._drop(error.reason)
            return
        except RtpError:
            self._drop("rtp_malformed")
            return
        second, number, timestamp, ssrc, profile, extension, start, _ = header
        elements = parse_extensions(packet, profile, extension, start) if profile else _NO_ELEMENTS
        element = elements.get(self._transport_cc_id)
        if element is not None:
            self._feedback.add(element, now)
        route = self._routes.get(ssrc) or self._learn(ssrc, second & 0x7F, elements)
        if route is None:
            return
        track, layer, receiver, rtx = route
        sequence = receiver.add(number, timestamp, now)
        verdict = receiver.verdict
        if rtx:
            self._receive_rtx(route, packet, header, elements, now)
            return
        codec = track.codecs.get(second & 0x7F)
        if codec is None:
            self._drop("unknown_payload_type")
            return
        if verdict >= LATE:
            if verdict == UNWANTED:
                self._drop("duplicate_or_too_late")
                return
            if verdict == OUTAGE:
                track.interrupted(layer)
        track.receive(layer, codec, packet, header, sequence, elements, now, newest=verdict != LATE)
        if verdict == AFTER_GAP:
            self._ask_again(ssrc, route, now)

    def _receive_rtx(self, route: Route, packet: bytes, header: Header, elements: dict[int, bytes], now: float) -> None:
        """RFC 4588: the payload begins with the original sequence number. Packets without one are probes."""
        track, layer, _, _ = route
        second, _, timestamp, ssrc, profile, extension, start, end = header
        codec = track.rtx.get(second & 0x7F)
        if codec is None or layer.receiver is None:
            self._drop("unknown_payload_type")
            return
        if end - start <= 2:
            self._drop("probe")
            return
        original = packet[start] << 8 | packet[start + 1]
        sequence = layer.receiver.recover(original)
        if sequence < 0:
            self._drop("probe")
            return
        second = second & MARKER | codec.payload_type
        header = (second, original, timestamp, ssrc, profile, extension, start + 2, end)
        track.receive(layer, codec, packet, header, sequence, elements, now, newest=False)

    def _learn(self, ssrc: int, payload_type: int, elements: dict[int, bytes]) -> Route | None:
        """Find out what an SSRC carries: mid and rid say it, or there is only one track with that payload type.

        libsrtp keeps replay state for each SSRC that authenticated, so those are counted, whatever they carry.
        """
        self._note_stream(ssrc)
        track = self._track_of(payload_type, elements.get(self._mid_id))
        if track is None:
            self._drop("unknown_ssrc")
            return None
        rtx = payload_type in track.rtx
        if not rtx and payload_type not in track.codecs:
            self._drop("unknown_payload_type")
            return None
        rid = elements.get(self._repaired_rid_id, b"") if rtx else b""
        rid = rid or elements.get(self._rid_id, b"")
        layer = next((layer for layer in track.layers if layer.rid.encode() == rid), None)
        if layer is None:
            if len(track.layers) > 1 or track.layers[0].rid:
                self._drop("unknown_rid")
                return None
            layer = track.layers[0]
        return self._bind(track, layer, ssrc, rtx=rtx)

    def _track_of(self, payload_type: int, mid: bytes | None) -> UpTrack | None:
        if mid is not None:
            return next((track for track in self.ups.values() if track.spec.mid.encode() == mid), None)
        tracks = [track for track in self.ups.values() if payload_type in track.codecs or payload_type in track.rtx]
        return tracks[0] if len(tracks) == 1 else None

    def _note_stream(self, ssrc: int) -> None:
        self._streams[ssrc] = None
        if len(self._streams) > MAX_STREAMS:
            oldest = next((ssrc for ssrc in self._streams if ssrc not in self._routes), None)
            if oldest is not None and self._receiver is not None:
                del self._streams[oldest]
                self._receiver.forget(oldest)

    def _bind(self, track: UpTrack, layer: Layer, ssrc: int, *, rtx: bool) -> Route | None:
        """Route `ssrc` to a layer, which it then is the only one to carry. The first owner keeps an SSRC."""
        route = self._routes.get(ssrc)
        if route is not None:
            return route if (route.track, route.layer, route.rtx) == (track, layer, rtx) else None
        codec = track.spec.codecs[0]
        self._routes.pop(layer.rtx_ssrc if rtx else layer.ssrc, None)
        receiver = Receiver(codec.clock_rate, nack=codec.nack and not rtx)
        if rtx:
            layer.rtx_ssrc = ssrc
        else:
            track.carry(layer, ssrc, receiver)
        self._note_stream(ssrc)
        route = self._routes[ssrc] = Route(track, layer, receiver, rtx)
        return route

    # -- RTCP

    def receive_rtcp(self, datagram: bytes, now: float) -> None:
        """One SRTCP datagram."""
        if self._receiver is None:
            self._drop("no_keys")
            return
        try:
            messages = rtcp.parse(self._receiver.rtcp(datagram))
        except SrtpError as error:
            self._drop(error.reason)
            return
        except rtcp.RtcpError:
            self._drop("rtcp_malformed")
            return
        for message in messages:
            self._handle(message, now)

    def _handle(self, message: rtcp.Message, now: float) -> None:
        match message:
            case rtcp.SenderReport():
                self._sender_report(message, now)
                self._reports(message.reports, now)
            case rtcp.ReceiverReport():
                self._reports(message.reports, now)
            case rtcp.Nack():
                if (entry := self._by_ssrc.get(message.ssrc)) is not None:
                    entry[1].resend(message.sequences, now)
            case rtcp.KeyFrameRequest():
                for ssrc in message.ssrcs:
                    if (entry := self._by_ssrc.get(ssrc)) is not None and (layer := entry[1].target) is not None:
                        entry[0].want_key_frame(layer, now)
            case rtcp.TransportReport():
                self.sent.hear(message)
            case rtcp.Remb():
                self.bandwidth = message.bitrate
            case rtcp.Bye():
                for ssrc in message.ssrcs:
                    if (route := self._routes.get(ssrc)) is not None and not route.rtx:
                        route.track.ended(route.layer)

    def _sender_report(self, message: rtcp.SenderReport, now: float) -> None:
        route = self._routes.get(message.ssrc)
        if route is None:
            return
        route.receiver.sender_report(message.ntp, now)
        if not route.rtx:
            route.track.sender_report(route.layer, message.ntp, message.rtp, now)

    def _reports(self, reports: tuple[rtcp.ReportBlock, ...], now: float) -> None:
        for block in reports:
            if (entry := self._by_ssrc.get(block.ssrc)) is not None:
                entry[1].receiver_report(block, now)

    def _ask_key_frame(self, ssrc: int) -> None:
        self._send_feedback(rtcp.pack_pli(LOCAL_SSRC, ssrc))

    def _ask_again(self, ssrc: int, route: Route, now: float) -> None:
        receiver = route.receiver
        sequences = receiver.due(now)
        if receiver.gave_up:
            receiver.gave_up = False
            if not route.rtx:
                route.track.incomplete(route.layer, now)
        if sequences and route.track.needed(route.layer):
            self._send_feedback(rtcp.pack_nack(LOCAL_SSRC, ssrc, sequences))

    # -- time

    def limit_resends(self, rate: int) -> None:
        """What the peer misses is sent again at no more than `rate` bit/s, 0: at any."""
        self._resend_rate = rate
        self._resend_budget = min(self._resend_budget, rate * RESEND_BURST / 8)

    def may_resend(self, octets: int) -> bool:
        """Whether so much may be sent again now; it counts."""
        if not self._resend_rate:
            return True
        if self._resend_budget <= 0:
            return False
        self._resend_budget -= octets
        return True

    def tick(self, now: float) -> None:
        """Repeat requests, send feedback and reports that are due."""
        earned = self._resend_rate * (now - self._ticked_at) / 8
        self._resend_budget = min(self._resend_budget + earned, self._resend_rate * RESEND_BURST / 8)
        self._ticked_at = now
        for ssrc, route in self._routes.items():
            if route.receiver.missing:
                self._ask_again(ssrc, route, now)
        if now - self._feedback_at > FEEDBACK_INTERVAL - _EARLY:
            self._feedback_at = now
            for packet in self._feedback.build(LOCAL_SSRC, next(iter(self._routes), 0)):
                self._send_feedback(packet)
        if now - self._report_at > REPORT_INTERVAL - _EARLY:
            self._report_at = now
            reports = [
                route.receiver.report(ssrc, now) for ssrc, route in self._routes.items() if route.receiver.highest >= 0
            ]
            for first in range(0, len(reports), REPORTS_PER_PACKET):
                self.send_rtcp(rtcp.pack_receiver_report(LOCAL_SSRC, reports[first : first + REPORTS_PER_PACKET]))
        for track in self.ups.values():
            track.tick(now)
