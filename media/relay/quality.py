"""How good somebody's connection is, for the bars in clients: from loss both ways. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from livekit.protocol import models, rtc

from media.relay.connection import Connection
from media.relay.measures import Measures

INTERVAL = 5.0  # seconds between updates; LiveKit's
# Opus hides 3 % and retransmission repairs it; above 10 % speech suffers (LiveKit lowers its score likewise).
GOOD_LOSS = 0.03
POOR_LOSS = 0.10
_SCORES = {models.EXCELLENT: 4.5, models.GOOD: 3.5, models.POOR: 2.0, models.LOST: 1.0}  # like a MOS, 1 to 5


def rate(loss: float, *, reachable: bool, narrow: bool = False) -> models.ConnectionQuality:
    """`loss`: the worst fraction lost over the last interval, either way. `reachable`: its signalling is connected.
    `narrow`: its line does not carry all that it shows."""
    if not reachable:
        return models.LOST
    if loss >= POOR_LOSS:
        return models.POOR
    return models.GOOD if loss >= GOOD_LOSS or narrow else models.EXCELLENT


def rate_members(members: Iterable[Connection], measures: Measures) -> dict[str, models.ConnectionQuality]:
    """By participant sid, of those whom others see."""
    rated: dict[str, models.ConnectionQuality] = {}
    for member in members:
        if not member.participant.visible:
            continue
        ups = [measures.up_loss.get(track.number, 0.0) for track in member.participant.tracks.values()]
        downs = [measures.down_loss.get(sub.down, 0.0) for sub in member.subscriptions.values()]
        rated[member.participant.sid] = rate(
            max(ups + downs, default=0.0), reachable=member.signalling, narrow=member.line.narrow
        )
    return rated


def update(rated: dict[str, models.ConnectionQuality]) -> rtc.ConnectionQualityUpdate:
    """By participant sid."""
    return rtc.ConnectionQualityUpdate(
        updates=[
            rtc.ConnectionQualityInfo(participant_sid=sid, quality=quality, score=_SCORES[quality])
            for sid, quality in rated.items()
        ]
    )
