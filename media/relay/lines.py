"""The lines of one room's subscribers: brings feedback to each, applies what each carries, and tells clients which of
their videos have to pause. What a line carries and what it is spent on is decided in `congestion`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from livekit.protocol import rtc

from media.relay.congestion.allocation import Demand, Priority, rising
from media.relay.connection import Connection
from media.relay.measures import Measures
from media.relay.plane.api import Delivery, RtpPlane
from media.relay.plane.extensions import TRANSPORT_CC
from media.relay.seams import TrackSource
from media.relay.subscriptions import NO_LIMIT, OFF, Subscription, wanted_layer
from media.relay.tracks import quality_of_layer

SILENT = 5.0  # seconds without feedback while video flows, after which receiver reports have to do
LOOK = 1.0  # seconds between looks, as the relay's
RESENDS = 0.5  # of the rate, for what is missed: on a full line everything is, and answers would fill it anew
NEWS = 0.05  # of the rate that the packet path was told
SMOOTHING = 0.3  # of what a layer sends more or less than a second before: one key frame moves nobody

_NO_DELIVERIES: Sequence[Delivery] = ()


class Lines:
    """Of one room. `members` is the room's own mapping by identity, read here and changed there."""

    def __init__(self, members: Mapping[str, Connection], plane: RtpPlane) -> None:
        self._members = members
        self._plane = plane
        self._rates: dict[tuple[int, int], int] = {}  # (track, layer) → bit/s, smoothed
        self.speaking: frozenset[str] = frozenset()  # participant sids

    def tick(self, deliveries: Mapping[int, Sequence[Delivery]], now: float) -> list[Subscription]:
        """Every 50 ms. Returns the subscriptions whose layer changed."""
        changed: list[Subscription] = []
        for connection in self._members.values():
            if connection.subscriber.closed:
                continue
            line = connection.line
            heard = deliveries.get(connection.subscriber.transport.session, _NO_DELIVERIES)
            if heard:
                line.hear(heard, now)
            if line.stale:
                line.demand(self._demands(connection))
            others, padding = line.look(now)
            if padding:
                self._pad(connection, padding, now)
            if abs(line.rate - line.told) > NEWS * line.told:
                line.told = line.rate
                self._plane.limit_resends(connection.subscriber.transport.session, int(line.rate * RESENDS))
            if others:
                changed += self._apply(connection)
        return changed

    def look(self, measures: Measures, now: float) -> None:
        """Once a second."""
        self._rates = {key: self._smooth(key, rate) for key, rate in measures.layer_rate.items()}
        for connection in self._members.values():
            if connection.subscriber.closed:
                continue
            connection.line.stale = True
            estimator = connection.line.estimator
            videos = list(_videos(connection))
            if videos and now - estimator.heard_at > SILENT:
                loss = max(measures.down_loss.get(subscription.down, 0.0) for subscription in videos)
                sent = sum(measures.down_rate.get(subscription.down, 0) for subscription in videos)
                bandwidth = self._plane.remote_bandwidth(connection.subscriber.transport.session)
                estimator.report(loss, sent, bandwidth, LOOK, now)

    def _smooth(self, key: tuple[int, int], rate: int) -> int:
        """A layer that stops costs as much as before when it is there again."""
        before = self._rates.get(key, 0)
        return before + int((rate - before) * SMOOTHING) if before and rate else before or rate

    def _demands(self, connection: Connection) -> tuple[Demand, ...]:
        return tuple(
            Demand(
                subscription.down,
                self._priority(subscription),
                self._rates_of(subscription, best),
                subscription.limit if subscription.limit != NO_LIMIT else best,
            )
            for subscription in _videos(connection)
            if (best := wanted_layer(subscription)) != OFF
        )

    def _priority(self, subscription: Subscription) -> Priority:
        track = subscription.track
        if track.source is TrackSource.SCREEN_SHARE:
            return Priority.SCREEN
        return Priority.SPEAKER if track.publisher_sid in self.speaking else Priority.OTHER

    def _rates_of(self, subscription: Subscription, best: int) -> tuple[int, ...]:
        """By layer up to `best`: as seen, else as announced."""
        track = subscription.track
        announced: dict[int, int] = {layer.quality: layer.bitrate for layer in track.info.layers}
        return rising(
            [
                self._rates.get((track.number, layer), 0) or announced.get(quality_of_layer(track.rids, layer), 0)
                for layer in range(best + 1)
            ]
        )

    def _apply(self, connection: Connection) -> list[Subscription]:
        changed: list[Subscription] = []
        states: list[rtc.StreamStateInfo] = []
        for subscription in _videos(connection):
            limit = connection.line.layers.get(subscription.down, NO_LIMIT)
            if limit != subscription.limit:
                subscription.limit = limit
                connection.apply_layer(subscription)
                changed.append(subscription)
            if (limit == OFF) is not subscription.paused:
                subscription.paused = limit == OFF
                states.append(_state(subscription))
        if states:
            connection.send(rtc.SignalResponse(stream_state_update=rtc.StreamStateUpdate(stream_states=states)))
        return changed

    def _pad(self, connection: Connection, octets: int, now: float) -> None:
        """On the video of which most is sent, where packets are numbered."""
        able = [subscription for subscription in _videos(connection) if _numbered(subscription)]
        if able:
            self._plane.pad(max(able, key=lambda subscription: subscription.layer).down, octets, now)


def _videos(connection: Connection) -> Iterator[Subscription]:
    subscriptions: Iterable[Subscription] = connection.subscriptions.values()
    return (one for one in subscriptions if one.track.kind == "video" and one.agreed is not None)


def _numbered(subscription: Subscription) -> bool:
    agreed = subscription.agreed
    return agreed is not None and any(extension.uri == TRANSPORT_CC for extension in agreed.extensions)


def _state(subscription: Subscription) -> rtc.StreamStateInfo:
    track = subscription.track
    state = rtc.PAUSED if subscription.paused else rtc.ACTIVE
    return rtc.StreamStateInfo(participant_sid=track.publisher_sid, track_sid=track.sid, state=state)
