"""Which layer of a track somebody gets: what they show, capped by what their line carries. Pure policy.

The packet path only knows "the best flowing layer up to n"; n is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from livekit.protocol import models, rtc

from media.relay.negotiation import AgreedDown
from media.relay.tracks import PublishedTrack, layer_of_quality

OFF = -1
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


def layer_to_send(subscription: Subscription, cap: int) -> int:
    """The highest layer to forward, or OFF. A muted track is not forwarded, whatever its publisher goes on sending."""
    track = subscription.track
    if track.info.muted or subscription.wish.disabled:
        return OFF
    if track.kind == "audio":
        return 0
    return layer_of_quality(track.rids, min(wanted_quality(track.info, subscription.wish), cap))


class LayerCap:
    """How much video one subscriber's line carries, as the best VideoQuality to send it.

    Going down needs loss over several looks, not the receiver's bandwidth estimate alone: REMB never exceeds 1.5 times
    what is being sent, so that it would keep everybody low. Going up is a try; when it fails, the next one waits
    twice as long.
    """

    LOOKS_BEFORE_DOWN = 3  # a look is a second: bursts pass, congestion stays
    LOSS_DOWN = 0.08  # retransmission repairs less than this without visible harm
    LOSS_UP = 0.02
    HOLD = 10.0  # seconds at a cap before a try upwards
    LONGEST_HOLD = 80.0

    def __init__(self) -> None:
        self.cap: int = models.HIGH
        self._bad = 0
        self._hold = self.HOLD
        self._since = 0.0  # when the cap last changed
        self._rose = False

    def look(self, loss: float, sent: int, estimate: int, now: float) -> int:
        """Once a second: fraction lost (the worst of the video tracks), bit/s sent, the receiver's estimate in bit/s
        (0: unknown), monotonic seconds. Returns the cap."""
        congested = loss > self.LOSS_DOWN and (estimate == 0 or estimate < sent * 1.1)
        self._bad = self._bad + 1 if congested else 0
        if self._bad >= self.LOOKS_BEFORE_DOWN and self.cap > models.LOW:
            failed_try = self._rose and now - self._since < self._hold
            self._hold = min(self._hold * 2, self.LONGEST_HOLD) if failed_try else self._hold
            self._move(-1, now)
        elif self.cap < models.HIGH and loss < self.LOSS_UP and now - self._since >= self._hold:
            self._move(+1, now)
        elif self.cap == models.HIGH and now - self._since >= self.LONGEST_HOLD:
            self._hold = self.HOLD
        return self.cap

    def _move(self, step: int, now: float) -> None:
        self.cap += step
        self._bad = 0
        self._since = now
        self._rose = step > 0
