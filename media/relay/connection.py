"""How one participant is connected: its signalling WebSocket, one or two peer connections, and what flows to it.

A connection obeys its room and reports to it; it decides nothing about others.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Protocol

import structlog
from livekit.protocol import rtc

from media.relay import sdp
from media.relay.congestion.line import Line
from media.relay.datachannels import DATA_TRACK, LOSSY, RELIABLE, DataError, Routed
from media.relay.dataoutlet import DataOutlet
from media.relay.downlinks import OFFERS, OfferedSlots, OfferEvent, OfferState, ReceivedSlots
from media.relay.environment import Environment, Timer
from media.relay.leg import Leg
from media.relay.negotiation import AgreedDown, accepted, offer
from media.relay.outbox import Outbox
from media.relay.participant import Participant
from media.relay.plane.api import DownTrackSpec
from media.relay.signal import CloseCode, Shared
from media.relay.subscriptions import OFF, Subscription, layer_to_send
from media.relay.tracks import PublishedTrack
from media.relay.uplink import Uplink
from palabre.base.errors import PeerError

log = structlog.get_logger("relay")

# Several tracks of one client, and several clients that come at once, make one renegotiation. LiveKit waits 150 ms.
GATHER = 0.05  # seconds


class ConnectionOwner(Protocol):
    """The room, as a connection sees it."""

    def media_connected(self, connection: Connection) -> None: ...

    def media_lost(self, connection: Connection, reason: str) -> None: ...

    def tracks_negotiated(
        self, connection: Connection, started: tuple[PublishedTrack, ...], ended: tuple[PublishedTrack, ...]
    ) -> None: ...

    def codec_refused(self, connection: Connection, subscription: Subscription) -> None: ...

    def data_received(self, connection: Connection, routed: Routed) -> None: ...

    def frame_received(self, connection: Connection, frame: bytes) -> None: ...

    def peer_error(self, what: str) -> None: ...


class Connection:
    """One participant's connection.

    Concurrency: everything happens on the event loop, synchronously, in callbacks of the transports and of the
    WebSocket's reader. The only task is the one that pumps the outbox; `close` leaves the goodbye of the transports
    to a task of the supervisor. A resume replaces the outbox and nothing else.
    """

    def __init__(self, participant: Participant, owner: ConnectionOwner, environment: Environment) -> None:
        self.participant = participant
        self._owner = owner
        self._env = environment
        self._outbox: Outbox | None = None
        limits = environment.settings.limits
        self.publisher = self._new_leg()
        self.subscriber = self.publisher if participant.single else self._new_leg()
        self._uplink = Uplink(participant, self.publisher, environment.plane)
        self._data = DataOutlet(self.subscriber, limits.data_backlog)
        self.subscriptions: dict[str, Subscription] = {}  # by track sid
        self.line = Line(may_pause=participant.may_pause)
        self._slots: OfferedSlots | ReceivedSlots = ReceivedSlots() if participant.single else OfferedSlots()
        self._offer_state = OfferState.IDLE
        self._offer_id = 0
        self._offered: Mapping[str, AgreedDown] = {}
        self._gathering: Timer | None = None
        self.closed = False
        self.joined_at = self.refreshed_at = 0.0  # monotonic seconds
        self.lost_at: float | None = None  # since when there is no WebSocket
        self.ended_by = ""  # how a peer connection ended, once one has
        if not participant.single:
            self.subscriber.transport.open_channel(RELIABLE, ordered=True, max_retransmits=None)
            self.subscriber.transport.open_channel(LOSSY, ordered=False, max_retransmits=0)
            self.subscriber.transport.open_channel(DATA_TRACK, ordered=False, max_retransmits=0)

    def _new_leg(self) -> Leg:
        return Leg(self, self._env.make_transport, self._env.candidates)

    # -- signalling

    def joined(self, now: float) -> None:
        self.joined_at = self.refreshed_at = now

    def lost(self, now: float) -> None:
        """Without a WebSocket since `now` (monotonic seconds)."""
        self.lost_at = now

    def resumed(self) -> None:
        """Renew what the client may have missed: our offer with fresh ICE credentials, or what sections it owes us.

        A single connection restarts ICE with its own next offer.
        """
        self.lost_at = None
        if self.participant.single:
            self._renegotiate()
        else:
            self.subscriber.transport.restart_ice()
            self._offer_event(OfferEvent.RESTART)

    @property
    def signalling(self) -> bool:
        """A WebSocket is attached."""
        return self._outbox is not None

    @property
    def too_slow(self) -> bool:
        """It does not read what it is sent."""
        return self._data.overflowed or (self._outbox is not None and self._outbox.overflowed)

    def attach(self, outbox: Outbox) -> None:
        """Signalling goes to this WebSocket from now on."""
        if self._outbox is not None:
            self._outbox.finish(CloseCode.RESTART, "another connection took over")
        self._outbox = outbox

    def detach(self, outbox: Outbox) -> bool:
        """The WebSocket is gone. False: another one has taken its place."""
        if self._outbox is not outbox:
            return False
        self._outbox = None
        return True

    def send(self, response: rtc.SignalResponse | Shared) -> None:
        """Without a WebSocket it is dropped: a resume begins with everything that counts."""
        if self._outbox is not None:
            self._outbox.put(response)

    def close_signalling(self, code: CloseCode, reason: str) -> None:
        """Send what waits, then close the WebSocket. It stays attached until its end has been noticed."""
        if self._outbox is not None:
            self._outbox.finish(code, reason)

    @property
    def media_alive(self) -> bool:
        return not self.publisher.closed and not self.subscriber.closed

    # -- the client's offers

    def offer_received(self, description: rtc.SessionDescription) -> None:
        """On the publisher's peer connection, or on the only one. Raises `SdpError`."""
        if not self.media_alive:
            return
        parsed = sdp.parse(description.sdp)
        slots = self._slots
        downs = slots.answer(parsed) if isinstance(slots, ReceivedSlots) else {}
        answered = self._uplink.answer(parsed, downs)
        track_ids = {**slots.track_ids(), **answered.track_ids} if downs else dict(answered.track_ids)
        # The id of the offer comes back: livekit-client ignores answers to offers that it has replaced.
        self.send(
            rtc.SignalResponse(
                answer=rtc.SessionDescription(
                    type="answer", sdp=answered.answer.sdp, id=description.id, mid_to_track_id=track_ids
                )
            )
        )
        if isinstance(slots, ReceivedSlots):
            self._route(answered.answer.downs, answered.answer.unsupported)
            if slots.waiting:
                self._renegotiate()
        self._owner.tracks_negotiated(self, answered.started, answered.ended + answered.refused)

    # -- our offers, dual peer connection only

    def answer_received(self, description: rtc.SessionDescription) -> None:
        """To our last offer. Raises `SdpError`."""
        slots = self._slots
        if isinstance(slots, ReceivedSlots) or description.id not in (0, self._offer_id) or not self.media_alive:
            return
        parsed = sdp.parse(description.sdp)
        self.subscriber.take_remote(parsed, offer=False)
        agreed, refused = accepted(self._offered, parsed)
        slots.answered()
        self._route(agreed, refused)
        self._offer_event(OfferEvent.ANSWER)

    def offer_now(self) -> None:
        """Dual: the first offer goes out with the join, media or not, since clients wait for its connection."""
        if not self.participant.single:
            self._offer_event(OfferEvent.CHANGE)

    def _offer_event(self, event: OfferEvent) -> None:
        self._offer_state, make = OFFERS[self._offer_state, event]
        slots = self._slots
        if not make or isinstance(slots, ReceivedSlots):
            return
        made = offer(slots.offer(), self.subscriber.local(), self.subscriber.next_version())
        self._offered = made.downs
        self._offer_id += 1
        self.send(
            rtc.SignalResponse(
                offer=rtc.SessionDescription(
                    type="offer", sdp=made.sdp, id=self._offer_id, mid_to_track_id=slots.track_ids()
                )
            )
        )

    def _renegotiate(self) -> None:
        if self._gathering is None and not self.closed:
            self._gathering = self._env.later(GATHER, self._gathered)

    def _gathered(self) -> None:
        self._gathering = None
        if self.closed:
            return
        slots = self._slots
        if isinstance(slots, ReceivedSlots):
            audios, videos = slots.missing()
            requirement = rtc.MediaSectionsRequirement(num_audios=audios, num_videos=videos)
            self.send(rtc.SignalResponse(media_sections_requirement=requirement))
        else:
            self._offer_event(OfferEvent.CHANGE)

    # -- subscriptions

    def subscribe(self, track: PublishedTrack) -> Subscription:
        """Begin to send a track to this participant."""
        ssrc = secrets.randbelow(0xFFFFFFFE) + 1
        rtx_ssrc = secrets.randbelow(0xFFFFFFFE) + 1 if track.kind == "video" else 0
        subscription = Subscription(next(self._env.numbers), track, ssrc, rtx_ssrc)
        self.subscriptions[track.sid] = subscription
        self._slots.add(subscription)
        self._renegotiate()
        return subscription

    def unsubscribe(self, track_sid: str) -> Subscription | None:
        subscription = self.subscriptions.pop(track_sid, None)
        if subscription is None:
            return None
        self._slots.remove(subscription)
        if subscription.agreed is not None:
            subscription.agreed = None
            self._env.plane.remove_down_track(subscription.down)
        self._renegotiate()
        return subscription

    def unsubscribe_all(self) -> None:
        for sid in list(self.subscriptions):
            self.unsubscribe(sid)

    def forget_down(self, track_sid: str) -> None:
        """The packet path has dropped it with its publisher's session."""
        subscription = self.subscriptions.get(track_sid)
        if subscription is not None:
            subscription.agreed = None

    def _route(self, agreed: Mapping[str, AgreedDown], refused: tuple[str, ...]) -> None:
        """Sections are agreed: let packets flow."""
        for mid, subscription in list(self._slots.used()):
            if mid in refused:
                self._owner.codec_refused(self, subscription)
            elif mid in agreed and subscription.agreed is None:
                self._start(subscription, agreed[mid])

    def _start(self, subscription: Subscription, agreed: AgreedDown) -> None:
        subscription.agreed = agreed
        rtx_ssrc = subscription.rtx_ssrc if agreed.codec.rtx_payload_type >= 0 else 0
        spec = DownTrackSpec(
            subscription.down,
            subscription.track.number,
            subscription.ssrc,
            rtx_ssrc,
            agreed.codec,
            agreed.extensions,
        )
        self._env.plane.add_down_track(self.subscriber.transport.session, spec)
        subscription.layer = OFF
        self.apply_layer(subscription)
        self.line.stale = True

    def apply_layer(self, subscription: Subscription) -> None:
        """Tell the packet path which layer is due now, where that changed."""
        if subscription.agreed is None:
            return
        layer = layer_to_send(subscription)
        if layer != subscription.layer:
            subscription.layer = layer
            self._env.plane.set_layer(subscription.down, layer)

    def end_track(self, track: PublishedTrack) -> None:
        """A track of this participant is over."""
        self._uplink.forget(track)

    # -- data

    def send_data(self, label: str, payload: bytes) -> None:
        self._data.send(label, payload)

    def tick(self) -> None:
        self._data.flush()

    # -- LegOwner

    def leg_connected(self, leg: Leg) -> None:
        self._owner.media_connected(self)

    def leg_closed(self, leg: Leg, reason: str) -> None:
        """The packet path has forgotten this session with its tracks; so do we, before anyone asks it for them."""
        if leg is self.subscriber:
            for subscription in self.subscriptions.values():
                subscription.agreed = None
        self._owner.media_lost(self, reason)

    def channel_opened(self, leg: Leg, label: str) -> None:
        if leg is self.subscriber:
            self._data.flush()

    def channel_message(self, leg: Leg, label: str, payload: bytes) -> None:
        participant = self.participant
        if leg is not self.publisher or not participant.active or not participant.grants.can_publish_data:
            self._owner.peer_error("data_not_allowed")
            return
        try:
            if label == DATA_TRACK:
                self._owner.frame_received(self, payload)
            elif label in (RELIABLE, LOSSY):
                routed = participant.sender.stamp(label, payload)
                if routed is not None:
                    self._owner.data_received(self, routed)
        except DataError:
            self._owner.peer_error("data_packet")
        except PeerError:
            self._owner.peer_error("data_frame")

    # -- the end

    def close(self, code: CloseCode, reason: str) -> None:
        """Everything that flows is stopped by the room before; this ends the connections."""
        self.closed = True
        if self._gathering is not None:
            self._gathering.cancel()
        self.close_signalling(code, reason)
        for leg in {self.publisher, self.subscriber}:
            self._env.tasks.spawn("close transport", leg.transport.close())
