"""Tells a publisher which layers anybody looks at, so that it stops encoding the others (LiveKit's dynacast)."""

from __future__ import annotations

from livekit.protocol import models, rtc

from media.relay.tracks import PublishedTrack

_QUALITIES = (models.LOW, models.MEDIUM, models.HIGH)


class Dynacast:
    """For one video track: more is asked for at once, less only after a pause, since people scroll and switch."""

    def __init__(self, pause: float) -> None:
        self._pause = pause  # seconds
        self.announced: int = models.HIGH  # clients begin with everything
        self._lower_since: float | None = None

    @property
    def waiting(self) -> bool:
        """A pause is running."""
        return self._lower_since is not None

    def look(self, wanted: int, now: float) -> bool:
        """`wanted`: the best quality somebody uses, -1 for none; monotonic seconds. True: announce it anew."""
        if wanted >= self.announced:
            self._lower_since = None
            if wanted == self.announced:
                return False
        else:
            if self._lower_since is None:
                self._lower_since = now
            if now - self._lower_since < self._pause:
                return False
            self._lower_since = None
        self.announced = wanted
        return True


def update(track: PublishedTrack, wanted: int) -> rtc.SubscribedQualityUpdate:
    """Old clients read `subscribed_qualities`, newer ones the list by codec: both are filled."""
    qualities = [rtc.SubscribedQuality(quality=quality, enabled=quality <= wanted) for quality in _QUALITIES]
    codec = rtc.SubscribedCodec(codec=track.codec.lower(), qualities=qualities)
    return rtc.SubscribedQualityUpdate(track_sid=track.sid, subscribed_qualities=qualities, subscribed_codecs=[codec])
