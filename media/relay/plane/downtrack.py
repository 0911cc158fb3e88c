"""What one subscriber gets of one up track: packets rewritten so that they look like a single unbroken stream.

Chooses nothing (`UpTrack` routes layers to it) and asks the publisher for nothing. Numbers that come in were extended
by `Receiver`; numbers that go out are extended here, and one of them never carries two different packets: under
AES-GCM that would give both away.
"""

from __future__ import annotations

from collections.abc import Callable

from media.relay.plane.api import DownStats, DownTrackSpec
from media.relay.plane.extensions import Plan, absolute_send_time
from media.relay.plane.layer import Layer
from media.relay.plane.media import Media, follows
from media.relay.plane.rtcp import ReportBlock, pack_sender_report
from media.relay.plane.rtp import EXTENSION, HEADER, MARKER, PADDING, VERSION

CACHE_SIZE = 512  # packets to retransmit, a power of two: three seconds of a 1.5 Mbit/s layer
MAX_HOLES = 256  # remembered places of swallowed packets; what comes from before the oldest one is dropped
MAX_RESENDS = 200  # packets between two ticks, 4,000 per second: who asks for more has no use for the answer
RESEND_INTERVAL = 0.04  # seconds: what was sent again is not asked for anew with reason before a round trip at least
MAX_PADDING = 64  # packets of padding between two ticks: 11 Mbit/s of them
MAX_TIMESTAMP_ERROR = 1.0  # seconds by which a publisher's reports may contradict the time that really passed
MAX_RTT = 10.0  # seconds: a longer "round trip" answers some other report

_CACHE_MASK = CACHE_SIZE - 1
_NEVER = (-1, 0.0)
_ONE_BYTE_OF_PADDING = b"\x01"
_FIRST_WITH_EXTENSION = VERSION | EXTENSION
_pack_header = HEADER.pack


# Incoming numbers [first, end) that have no place in what goes out, and the offset for what is before them.
Hole = tuple[int, int, int]
Sent = tuple[int, bytes, bytes, bytes, bytes, bytes]  # outgoing number, header, extensions, head, middle, rest


class DownTrack:
    """One stream to one subscriber. `send` takes a whole RTP packet, `send_report` a whole RTCP packet.

    `layer` is what is being forwarded, `target` what should be: equal, except while a key frame of `target` is awaited.
    """

    __slots__ = (
        "_base_shift",
        "_begun",
        "_cache",
        "_expected",
        "_first",
        "_holes",
        "_last",
        "_last_at",
        "_may_resend",
        "_next",
        "_number",
        "_offset",
        "_payload_type",
        "_picture_shift",
        "_report_at",
        "_report_middle",
        "_resends",
        "_resent",
        "_rtx_sequence",
        "_send",
        "_send_report",
        "_sent_layer",
        "_shifted",
        "_ssrc",
        "_timestamp_shift",
        "layer",
        "loss",
        "max_layer",
        "octets",
        "packets",
        "plan",
        "ready",
        "retransmitted",
        "rtt",
        "spec",
        "target",
    )

    def __init__(
        self,
        spec: DownTrackSpec,
        plan: Plan,
        send: Callable[[bytes], None],
        send_report: Callable[[bytes], None],
        number: Callable[[int, float], bytes],
        may_resend: Callable[[int], bool],
        *,
        next_sequence: int,
        next_rtx_sequence: int,
    ) -> None:
        """The sequence numbers are extended; an SSRC that was used before goes on where it ended. `number` gives a
        packet of so many bytes, sent now, its transport-cc number; `may_resend` says whether so many bytes may be sent
        again."""
        self.spec = spec
        self.plan = plan
        self._ssrc = spec.ssrc
        self._payload_type = spec.codec.payload_type
        self.layer: Layer | None = None
        self.target: Layer | None = None
        self.max_layer = -1
        self.ready = False  # whether the subscriber's keys are there
        self.packets = self.octets = self.retransmitted = 0
        self.loss = self.rtt = 0.0
        self._send = send
        self._send_report = send_report
        self._number = number
        self._may_resend = may_resend
        self._sent_layer: Layer | None = None  # the layer of `_last`
        self._last: Media | None = None  # the newest packet that went out
        self._last_at = 0.0
        self._first = self._expected = 0  # numbers of the layer: the first one forwarded, the next one
        self._begun = 0  # outgoing number with which the present layer began; nobody needs what was before
        self._offset = 0  # outgoing number - incoming number, for what comes next
        self._next = next_sequence  # outgoing number after the newest one
        self._timestamp_shift = self._picture_shift = self._base_shift = 0
        self._shifted = False  # whether payloads have to be rewritten
        self._holes: list[Hole] = []
        self._cache: list[Sent | None] = [None] * CACHE_SIZE if spec.codec.nack else []
        self._resent = [_NEVER] * len(self._cache)  # by place in the cache: outgoing number, when it was sent again
        self._resends = 0  # packets sent again since the last tick
        self._rtx_sequence = next_rtx_sequence
        self._report_middle = 0
        self._report_at = 0.0

    @property
    def next_sequence(self) -> int:
        """The extended number of the next new packet."""
        return self._next

    @property
    def next_rtx_sequence(self) -> int:
        """The extended number of the next packet of the RTX stream."""
        return self._rtx_sequence

    # -- what comes from the layer

    def start(self, layer: Layer, media: Media, now: float) -> None:
        """Forward `layer` from this packet on (a key frame's first, or any of audio), right after what went out."""
        last = self._last
        timestamp = media.timestamp
        self._offset = self._next - media.sequence
        self._begun = self._next
        if last is not None:
            self._timestamp_shift = self._next_timestamp(last, layer, timestamp, now) - timestamp
            if media.picture >= 0 and last.picture >= 0:
                self._picture_shift += last.picture + 1 - media.picture
            if media.base_layer >= 0 and last.base_layer >= 0:
                self._base_shift += last.base_layer + 1 - media.base_layer
            self._shifted = bool(self._picture_shift & 0x7FFF or self._base_shift & 0xFF)
        self._holes.clear()
        self._first = self._expected = media.sequence
        self.layer = self._sent_layer = layer
        self.forward(media, now)
        self.report(now)

    def forget(self, layer: Layer) -> None:
        """`layer` is carried by another stream now: its clock says nothing any more about what went out."""
        if self._sent_layer is layer:
            self._sent_layer = None

    def _next_timestamp(self, last: Media, layer: Layer, timestamp: int, now: float) -> int:
        """The timestamp for a packet of a layer that is taken up; later than the last one.

        Layers run on clocks of their own, which sender reports tie together; the time that passed here is the check,
        and the answer where reports are missing.
        """
        clock_rate = self.spec.codec.clock_rate
        before = last.timestamp + self._timestamp_shift
        passed = before + int((now - self._last_at) * clock_rate)
        old = self._sent_layer
        if old is layer:
            mapped = timestamp + self._timestamp_shift
        elif old is not None and old.report and layer.report:
            between = (layer.report.ntp - old.report.ntp) * clock_rate >> 32
            mapped = old.report.rtp + between + timestamp - layer.report.rtp + self._timestamp_shift
        else:
            mapped = passed
        if abs(_signed(mapped - passed)) > MAX_TIMESTAMP_ERROR * clock_rate:
            mapped = passed
        return before + max(1, _signed(mapped - before))

    def forward(self, media: Media, now: float) -> None:
        """Send a packet of `layer`. The hot path: once per packet and subscriber."""
        sequence, timestamp, marker, head, middle, rest, picture, _, _, _, _ = media
        outgoing = sequence + self._offset
        if sequence != self._expected or outgoing != self._next:
            outgoing = self._place(media)
            if outgoing < 0:
                return
        if sequence >= self._expected:
            self._expected = sequence + 1
        if outgoing >= self._next:
            self._next = outgoing + 1
            self._last = media
            self._last_at = now
        if self._shifted and picture >= 0:
            middle = self._shift(media)
        block = self.plan.current
        header = _pack_header(
            _FIRST_WITH_EXTENSION if block else VERSION,
            marker | self._payload_type,
            outgoing & 0xFFFF,
            (timestamp + self._timestamp_shift) & 0xFFFFFFFF,
            self._ssrc,
        )
        if self._cache:
            self._cache[outgoing & _CACHE_MASK] = (outgoing, header, block, head, middle, rest)
        payload = len(head) + len(middle) + len(rest)
        self.packets += 1
        self.octets += payload
        if self.plan.numbered:
            block = self.plan.stamp(block, self._number(HEADER.size + len(block) + payload, now))
        self._send(b"".join((header, block, head, middle, rest)))

    def _shift(self, media: Media) -> bytes:
        """`middle` with the picture id and TL0PICIDX that continue what went out before the layer was switched."""
        _, _, _, _, middle, _, picture, size, base_layer, _, _ = media
        picture += self._picture_shift
        base_layer = (base_layer + self._base_shift) & 0xFF if base_layer >= 0 else -1
        if size == 2 and len(middle) == 3:
            return bytes((0x80 | picture >> 8 & 0x7F, picture & 0xFF, base_layer))
        number = (0x8000 | picture & 0x7FFF).to_bytes(2, "big") if size == 2 else bytes((picture & 0x7F,))
        if base_layer < 0:
            return number + middle[size:]
        return number + middle[size:-1] + bytes((base_layer,))

    def _place(self, media: Media) -> int:
        """The outgoing number of a packet that is not simply the next one; -1: it has no place (any more)."""
        sequence = media.sequence
        if sequence < self._expected:
            return self._late_place(sequence)
        last = self._last
        if last is not None and follows(last, media):
            self._close_up(last.sequence + 1, sequence)
        return sequence + self._offset

    def _late_place(self, sequence: int) -> int:
        if sequence < self._first:
            return -1
        for first, end, offset in self._holes:
            if sequence < first:
                return sequence + offset
            if sequence < end:
                return -1
        return sequence + self._offset

    def _close_up(self, first: int, end: int) -> None:
        """No number from `first` to before `end` gets a place; nothing from `first` on was sent."""
        while self._holes and self._holes[-1][0] >= first:
            self._holes.pop()
        self._add_hole(len(self._holes), (first, end, self._next - first))
        self._offset = self._next - end

    def padding(self, sequence: int) -> None:
        """A packet of `layer` without payload: swallowed, unless what came later left a place for it."""
        last = self._last
        if last is None:
            return
        if sequence < last.sequence:
            self._fill(sequence, last)
            return
        # Nothing behind it was sent, so everything behind it can move down.
        holes = self._holes
        index = len(holes)
        while index and holes[index - 1][0] > sequence:
            index -= 1
            first, end, offset = holes[index]
            holes[index] = (first, end, offset - 1)
        offset = holes[index][2] + 1 if index < len(holes) else self._offset
        if index and holes[index - 1][1] == sequence:
            holes[index - 1] = (holes[index - 1][0], sequence + 1, holes[index - 1][2])
        else:
            self._add_hole(index, (sequence, sequence + 1, offset))
        self._offset -= 1
        self._expected = max(self._expected, sequence + 1)

    def _add_hole(self, index: int, hole: Hole) -> None:
        self._holes.insert(index, hole)
        if len(self._holes) > MAX_HOLES:
            self._first = self._holes.pop(0)[1]

    def _fill(self, sequence: int, last: Media) -> None:
        """Padding that came late: its place was kept free, as nobody could know that it was padding."""
        outgoing = self._late_place(sequence)
        if outgoing < 0:
            return
        timestamp = (last.timestamp + self._timestamp_shift) & 0xFFFFFFFF
        header = _pack_header(VERSION | PADDING, self._payload_type, outgoing & 0xFFFF, timestamp, self._ssrc)
        if self._cache:
            self._cache[outgoing & _CACHE_MASK] = (outgoing, header, b"", b"", b"", _ONE_BYTE_OF_PADDING)
        self._send(header + _ONE_BYTE_OF_PADDING)

    def report(self, now: float) -> None:
        """Tell the subscriber what the publisher said of its clock, in the numbers of this stream."""
        layer = self.layer
        if layer is None or layer.report is None:
            return
        ntp, rtp, arrival = layer.report
        ntp += int((now - arrival) * (1 << 32))
        rtp += int((now - arrival) * self.spec.codec.clock_rate)
        self._report_middle = ntp >> 16 & 0xFFFFFFFF
        self._report_at = now
        packet = pack_sender_report(self._ssrc, ntp, rtp + self._timestamp_shift, self.packets, self.octets)
        self._send_report(packet)

    # -- what comes from the subscriber

    def resend(self, sequences: tuple[int, ...], now: float) -> None:
        """Answer a NACK as far as the cache goes: by RTX, or by the very same packet where none was negotiated."""
        if not self._cache:
            return
        send_time = absolute_send_time(now)
        patience = max(RESEND_INTERVAL, self.rtt)
        for sequence in sequences:
            sent = self._cache[sequence & _CACHE_MASK]
            if sent is None or sent[0] & 0xFFFF != sequence:
                continue
            number, at = self._resent[sequence & _CACHE_MASK]
            if sent[0] < self._begun or (number == sent[0] and now - at < patience):
                continue
            if self._resends >= MAX_RESENDS or not self._may_resend(sum(map(len, sent[1:]))):
                return
            self._resends += 1
            self._resent[sequence & _CACHE_MASK] = sent[0], now
            self.retransmitted += 1
            if self.spec.codec.rtx_payload_type >= 0:
                self._send(self._pack_rtx(sent, send_time, now))
            else:
                self._send(b"".join(sent[1:]))

    def pad(self, octets: int, now: float) -> None:
        """Send about `octets` again of what went out last, newest first. Not counted as retransmitted."""
        if not self._cache or not self.plan.numbered:
            return
        send_time = absolute_send_time(now)
        number = self._next
        for _ in range(MAX_PADDING):
            if octets <= 0:
                return
            number -= 1
            sent = self._cache[number & _CACHE_MASK]
            if sent is None or sent[0] != number:
                if number == self._next - 1:
                    return  # nothing was sent yet
                number = self._next
                continue
            packet = self._pack_rtx(sent, send_time, now)
            self._send(packet)
            octets -= len(packet)

    def _pack_rtx(self, sent: Sent, send_time: bytes, now: float) -> bytes:
        """RFC 4588 section 4."""
        outgoing, header, block, head, middle, rest = sent
        rtx_sequence = self._rtx_sequence
        self._rtx_sequence = rtx_sequence + 1
        if block and self.plan.numbered:
            size = HEADER.size + len(block) + 2 + len(head) + len(middle) + len(rest)
            block = self.plan.stamp(block, self._number(size, now))
        elif block and self.plan.key[0]:
            block = self.plan.stamp(block, send_time)
        return b"".join(
            (
                bytes((header[0], header[1] & MARKER | self.spec.codec.rtx_payload_type)),
                (rtx_sequence & 0xFFFF).to_bytes(2, "big"),
                header[4:8],
                self.spec.rtx_ssrc.to_bytes(4, "big"),
                block,
                (outgoing & 0xFFFF).to_bytes(2, "big"),
                head,
                middle,
                rest,
            )
        )

    def receiver_report(self, block: ReportBlock, now: float) -> None:
        """What the subscriber says of the stream."""
        self.loss = block.fraction_lost / 256
        if block.last_sr and block.last_sr == self._report_middle:
            rtt = now - self._report_at - block.delay / 65536
            if 0 <= rtt <= MAX_RTT:
                self.rtt = rtt

    def stats(self) -> DownStats:
        """Since the start."""
        return DownStats(
            down=self.spec.down,
            layer=self.layer.index if self.layer is not None else -1,
            packets=self.packets,
            octets=self.octets,
            retransmitted=self.retransmitted,
            loss=self.loss,
            rtt=self.rtt,
        )

    def tick(self) -> None:
        """Packets may be sent again from now on."""
        self._resends = 0


def _signed(difference: int) -> int:
    """A difference of 32-bit timestamps, between -2**31 and 2**31."""
    return ((difference + 0x80000000) & 0xFFFFFFFF) - 0x80000000
