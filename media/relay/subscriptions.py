"""Which layer of a track somebody gets: what they show, as far as their line carries it. Pure policy.

The packet path only knows "the best flowing layer up to n"; n is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from livekit.protocol import models, rtc

from media.relay.negotiation import AgreedDown
from media.relay.tracks import PublishedTrack, layer_of_quality

OFF = -1
NO_LIMIT = 99  # above any layer
# A little smaller than asked for is not seen: LiveKit's tolerance for the layer of an element's size.
SIZE_TOLERANCE = 0.9


@dataclass(frozen=True)
class Wish:
    """A subscriber's `UpdateTrackSettings` for one track."""

    disabled: bool = False
    quality: int = models.HIGH
    width: int = 0  # of the element that shows it; 0: `quality` counts
    height: int = 0

    @classmethod
    def of(cls, settings: rtc.UpdateTrackSettings) -> Wish:
        off = settings.disabled or settings.quality == models.OFF
        return cls(off, settings.quality, settings.width, settings.height)


@dataclass(eq=False)
class Subscription:
    """One track on its way to one subscriber."""

    down: int  # its name in the packet path
    track: PublishedTrack
    ssrc: int
    rtx_ssrc: int
    wish: Wish = field(default_factory=Wish)
    agreed: AgreedDown | None = None  # set once both sides know the section
    layer: int = OFF  # as last told to the packet path
    limit: int = NO_LIMIT  # the best layer that the line carries, OFF: none
    paused: bool = False  # the client knows that its line is too narrow for it


def wanted_quality(info: models.TrackInfo, wish: Wish) -> int:
    """LiveKit's VideoQuality that the subscriber can use, or OFF."""
    if wish.disabled:
        return OFF
    if not wish.height or not wish.width:
        return min(wish.quality, models.HIGH)
    layers = sorted((layer for layer in info.layers if layer.height), key=lambda layer: (layer.height, layer.quality))
    large_enough = [layer for layer in layers if layer.height >= wish.height * SIZE_TOLERANCE]
    if not large_enough:
        return models.HIGH
    # Of layers of the same size (screens differ in frame rate) the best.
    best = max(layer.quality for layer in large_enough if layer.height == large_enough[0].height)
    return min(best, models.HIGH)


def wanted_layer(subscription: Subscription) -> int:
    """The highest layer of use to the subscriber, or OFF, whatever its line carries."""
    quality = wanted_quality(subscription.track.info, subscription.wish)
    if quality == OFF or subscription.track.info.muted:
        return OFF
    return layer_of_quality(subscription.track.rids, quality)


def layer_to_send(subscription: Subscription) -> int:
    """The highest layer to forward, or OFF. A muted track is not forwarded, whatever its publisher goes on sending."""
    track = subscription.track
    if track.info.muted or subscription.wish.disabled:
        return OFF
    if track.kind == "audio":
        return 0
    return min(wanted_layer(subscription), subscription.limit)
