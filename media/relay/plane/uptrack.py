"""One published track: its layers, who gets which of them, and who reads along.

Decides which layer flows to whom (the best flowing one up to what each may have) and hands packets on. Which SSRC is
which layer, and everything about sequence numbers and losses, was settled before (`Session`, `Receiver`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from media.relay.plane.api import Codec, DownTrackSpec, LayerStats, PacketTap, UpTrackSpec
from media.relay.plane.codecs import DESCRIBERS, describe_other, frame_size, opus_span
from media.relay.plane.downtrack import DownTrack
from media.relay.plane.extensions import AUDIO_LEVEL, Plan, absolute_send_time
from media.relay.plane.layer import ClockReport, Layer
from media.relay.plane.media import Media, take_apart
from media.relay.plane.receiver import Receiver
from media.relay.plane.rtp import MARKER, Header, restore_original

REPAIR_INTERVAL = 3.0  # seconds between key frames for readers: without picture ids lost padding looks like a loss
SILENT = 127  # -dBov, RFC 6464: the lowest level there is


class UpTrack:
    """`ask_key_frame(ssrc)` sends a request to the publisher.

    Every down track is in at most one list of `_forwarding` (its `layer`) and in at most one of `_waiting` (its
    `target`, while that is another): packets of layers that nobody gets cost nothing here.
    """

    def __init__(self, spec: UpTrackSpec, ask_key_frame: Callable[[int], None]) -> None:
        self.track = spec.track
        self.video = spec.kind == "video"
        self.layers: list[Layer] = []
        self.downs: dict[int, DownTrack] = {}
        self.codecs: dict[int, Codec] = {}  # by payload type
        self.level = SILENT  # the loudest since it was last read
        self._taps: list[tuple[PacketTap, int]] = []  # with the highest layer each reads
        self._ask_key_frame = ask_key_frame
        self._forwarding: list[list[DownTrack]] = []  # by layer
        self._waiting: list[list[DownTrack]] = []  # by layer: for its next key frame
        self._plans: dict[object, Plan] = {}
        self._unsettled = False  # layers stopped or came back: somebody may have to change
        self.update(spec)

    def update(self, spec: UpTrackSpec) -> None:
        """Take over what was renegotiated; layers whose rid is still there live on."""
        self.spec = spec
        known = set(self.codecs.values())
        self.codecs = {codec.payload_type: next((old for old in known if old == codec), codec) for codec in spec.codecs}
        self.rtx = {codec.rtx_payload_type: codec for codec in self.codecs.values() if codec.rtx_payload_type >= 0}
        self._level_id = next((extension.id for extension in spec.extensions if extension.uri == AUDIO_LEVEL), -1)
        self._plans.clear()
        for down in self.downs.values():
            down.plan = self.plan(down.spec)
        rids = spec.rids or ("",)
        if tuple(layer.rid for layer in self.layers) == rids:
            return
        for down in self.downs.values():
            self._detach(down)
        before = {layer.rid: layer for layer in self.layers}
        self.layers = [before.get(rid) or Layer(0, rid) for rid in rids]
        for index, layer in enumerate(self.layers):
            layer.index = index
        self._forwarding = [[] for _ in rids]
        self._waiting = [[] for _ in rids]

    # -- packets

    def receive(
        self,
        layer: Layer,
        codec: Codec,
        packet: bytes,
        header: Header,
        sequence: int,
        elements: Mapping[int, bytes],
        now: float,
        *,
        newest: bool,
    ) -> None:
        """Hand a packet on to everyone who gets `layer`; `sequence` is extended, `newest` that none after it came.

        For a packet that came by RTX, `header` tells of the original one, though `packet` is as it came.
        """
        second, _, timestamp, _, _, _, start, end = header
        forwarding = self._forwarding[layer.index]
        if start == end:
            for down in forwarding:
                down.padding(sequence)
            if layer.codec is codec:
                self._read_along(layer, codec, packet, header, now)
            return
        if layer.codec is not codec or not layer.flowing:
            self._started(layer, codec, now)
        if self._taps:
            self._read_along(layer, codec, packet, header, now)
        layer.octets += end - start
        description = DESCRIBERS.get(codec.name, describe_other)(packet, start, end)
        span = opus_span(packet, start) if codec.name == "OPUS" else 0
        media = take_apart(packet, start, end, sequence, timestamp, second & MARKER, description, span)
        key = description[0] and newest
        if newest:
            layer.passed(media, now)
        if not self.video:
            self._hear(elements)
        elif key:
            layer.key_frame_came(frame_size(codec.name, packet, start, end))
        elif layer.key_frame_wanted:
            self._ask_for(layer, now)
        waiting = self._waiting[layer.index]
        if not forwarding and not waiting:
            return
        send_time = absolute_send_time(now)
        for plan in self._plans.values():
            plan.prepare(elements, send_time)
        for down in forwarding:
            down.forward(media, now)
        if waiting and key:
            self._switch(layer, media, now)

    def _switch(self, layer: Layer, media: Media, now: float) -> None:
        """A key frame begins: whoever waited for one of this layer gets it from here on."""
        for down in tuple(self._waiting[layer.index]):
            self._detach(down)
            down.target = layer
            self._forwarding[layer.index].append(down)
            down.start(layer, media, now)

    def _hear(self, elements: Mapping[int, bytes]) -> None:
        level = elements.get(self._level_id)
        if level:
            self.level = min(self.level, level[0] & 0x7F)

    def _read_along(self, layer: Layer, codec: Codec, packet: bytes, header: Header, now: float) -> None:
        if packet[1] & 0x7F != codec.payload_type:
            packet = restore_original(packet, header, layer.ssrc)
        for tap, max_layer in self._taps:
            if layer.index <= max_layer:
                tap.rtp(layer.ssrc, packet, now)

    def _started(self, layer: Layer, codec: Codec, now: float) -> None:
        """First packet of a layer, after a silence or with another codec."""
        layer.flowing = True
        layer.last_at = now
        if layer.codec is not codec:
            layer.codec = codec
            for tap, max_layer in self._taps:
                self._introduce(tap, max_layer, layer)
        for down in self.downs.values():
            # After a pause of everything, the layers come back one by one: who has one already waits a tick for it.
            if down.layer is None or down.layer is layer or down.layer.flowing:
                self.route(down)
            else:
                self._unsettled = True

    def sender_report(self, layer: Layer, ntp: int, rtp: int, now: float) -> None:
        """The publisher's clock, passed on at once: a late report would be a wrong one."""
        layer.report = ClockReport(ntp, rtp, now)
        for down in self._forwarding[layer.index]:
            down.report(now)
        for tap, max_layer in self._taps:
            if layer.index <= max_layer:
                tap.sender_report(layer.ssrc, ntp, rtp, now)

    # -- who gets what

    def plan(self, spec: DownTrackSpec) -> Plan:
        """The extension plan for a subscriber, shared with those whose plan is the same."""
        plan = Plan(self.spec.extensions, spec.extensions, spec.codec)
        return self._plans.setdefault(plan.key, plan)

    def add(self, down: DownTrack) -> None:
        """A subscriber, getting nothing until it is routed."""
        self.downs[down.spec.down] = down

    def remove(self, down: DownTrack) -> None:
        """A subscriber goes."""
        del self.downs[down.spec.down]
        self._detach(down)
        if all(other.plan is not down.plan for other in self.downs.values()):
            self._plans.pop(down.plan.key, None)

    def carry(self, layer: Layer, ssrc: int, receiver: Receiver) -> None:
        """`ssrc` carries `layer` from now on, under numbers of its own: whoever gets the layer starts anew."""
        layer.bind(ssrc, receiver)
        for down in self.downs.values():
            if layer in (down.layer, down.target):
                self._detach(down)
            down.forget(layer)

    def interrupted(self, layer: Layer) -> None:
        """So much is lost that only a new start helps: subscribers shall neither miss nor ask for all of that."""
        layer.key_frame_wanted = self.video
        for down in tuple(self._forwarding[layer.index]):
            self._detach(down)
            self.route(down)

    def route(self, down: DownTrack) -> None:
        """Bring `down` to the layer it should get, at that layer's next key frame. `ask` asks for it."""
        target = self._target(down)
        if target is down.target:
            return
        if target is None:
            self._detach(down)
            return
        if down.target is not None and down.target is not down.layer:
            self._waiting[down.target.index].remove(down)
        down.target = target
        if target is not down.layer:
            self._waiting[target.index].append(down)
            target.key_frame_wanted = self.video

    def _route_all(self) -> None:
        self._unsettled = False
        for down in self.downs.values():
            self.route(down)

    def _target(self, down: DownTrack) -> Layer | None:
        """The best flowing layer up to what the subscriber may have, else the lowest one above.

        When nothing flows (a muted camera), the layer stays: what comes next continues it without a key frame.
        """
        if down.max_layer < 0 or not down.ready:
            return None
        name = down.spec.codec.name
        layers = [layer for layer in self.layers if layer.codec is not None and layer.codec.name == name]
        best: Layer | None = None
        for layer in layers:
            if layer.flowing and (best is None or layer.index <= down.max_layer):
                best = layer
        return best or (down.layer if down.layer in layers else None)

    def _detach(self, down: DownTrack) -> None:
        if down.layer is not None:
            self._forwarding[down.layer.index].remove(down)
        if down.target is not None and down.target is not down.layer:
            self._waiting[down.target.index].remove(down)
        down.layer = down.target = None

    def wanted_layer(self) -> int:
        """The highest layer that anyone wants, -1: nobody wants any."""
        wishes = [down.max_layer for down in self.downs.values()] + [max_layer for _, max_layer in self._taps]
        return min(max(wishes, default=-1), len(self.layers) - 1)

    # -- readers

    def add_tap(self, tap: PacketTap, max_layer: int) -> None:
        """Let `tap` read layers up to `max_layer`, from now on. `ask` asks for the key frames it needs."""
        self._taps.append((tap, max_layer))
        for layer in self.layers:
            self._introduce(tap, max_layer, layer)

    def remove_tap(self, tap: PacketTap) -> None:
        """`tap` reads no more. One that does not read is fine."""
        self._taps = [(other, max_layer) for other, max_layer in self._taps if other is not tap]

    def _introduce(self, tap: PacketTap, max_layer: int, layer: Layer) -> None:
        if layer.codec is None or not layer.ssrc or layer.index > max_layer:
            return
        name = layer.codec.name if self.video else layer.codec.name.lower()
        mime_type = f"{self.spec.kind}/{name}"
        tap.layer(layer.ssrc, layer.rid, layer.codec.payload_type, mime_type, layer.codec.clock_rate)
        if layer.report is not None:
            tap.sender_report(layer.ssrc, layer.report.ntp, layer.report.rtp, layer.report.arrival)
        layer.key_frame_wanted = self.video

    # -- key frames, time, statistics

    def want_key_frame(self, layer: Layer, now: float) -> None:
        """Somebody needs a key frame of `layer`."""
        if self.video:
            layer.key_frame_wanted = True
            self._ask_for(layer, now)

    def ask(self, now: float) -> None:
        """Ask for the key frames that are wanted, as far as earlier requests are old enough."""
        for layer in self.layers:
            self._ask_for(layer, now)

    def _ask_for(self, layer: Layer, now: float) -> None:
        if not layer.key_frame_wanted:
            return
        if not self.needed(layer):
            layer.key_frame_wanted = False
        elif layer.flowing and layer.key_frame_due(now):
            self._ask_key_frame(layer.ssrc)

    def request_key_frame(self, now: float) -> None:
        """A key frame of everything that anybody gets."""
        for layer in self.layers:
            if layer.flowing and self.needed(layer):
                self.want_key_frame(layer, now)

    def incomplete(self, layer: Layer, now: float) -> None:
        """A packet of `layer` is lost for good. Subscribers say when they need a key frame; readers can't."""
        read = any(layer.index <= max_layer for _, max_layer in self._taps)
        if read and now - layer.repaired_at > REPAIR_INTERVAL:
            layer.repaired_at = now
            self.want_key_frame(layer, now)

    def needed(self, layer: Layer) -> bool:
        """Whether anybody gets, awaits or reads `layer`."""
        return (
            bool(self._forwarding[layer.index])
            or bool(self._waiting[layer.index])
            or any(layer.index <= max_layer for _, max_layer in self._taps)
        )

    def tick(self, now: float) -> None:
        """Notice layers that stopped, repeat requests that went unanswered."""
        for layer in self.layers:
            if layer.flowing and self.video and layer.silent(now):
                layer.flowing = False
                self._unsettled = True
        if self._unsettled:
            self._route_all()
        self.ask(now)
        for down in self.downs.values():
            down.tick()

    def ended(self, layer: Layer) -> None:
        """The publisher said goodbye to a layer's stream."""
        layer.flowing = False
        self._unsettled = True

    def measure(self, elapsed: float) -> None:
        """Take bit rates over the last `elapsed` seconds."""
        for layer in self.layers:
            layer.measure(elapsed)

    def stats(self) -> list[LayerStats]:
        """What is known of the layers that were seen."""
        return [
            LayerStats(
                track=self.track,
                layer=layer.index,
                ssrc=layer.ssrc,
                bitrate=layer.bitrate,
                packets=layer.receiver.received,
                lost=layer.receiver.lost,
                width=layer.width,
                height=layer.height,
            )
            for layer in self.layers
            if layer.receiver is not None
        ]
