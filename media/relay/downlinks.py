"""Which media section carries which subscription. Pure bookkeeping, in two kinds: sections that we offer (dual peer
connection) and receive-only sections that the client offers (single).

A section that carried a track is used again only after both sides have agreed that it is inactive: browsers report a
new track only when a section becomes active.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from media.relay.negotiation import Downlink, OfferedSection
from media.relay.sdp import Description
from media.relay.sections import Sending
from media.relay.subscriptions import Subscription


def downlink(subscription: Subscription) -> Downlink:
    """What the SDP says of it. The stream id names the track, because a browser that uses a section again keeps the
    first track id it was told there."""
    track = subscription.track
    stream = f"{track.publisher_sid}|{track.sid}"
    sending = Sending(stream, track.sid, track.publisher_sid, subscription.ssrc, subscription.rtx_ssrc)
    return Downlink(track.codec, sending, track.info.stereo)


class State(Enum):
    """Of a section."""

    FREE = "free"
    USED = "used"
    RELEASED = "released"  # not used any more, the client may not know yet


@dataclass(eq=False)
class Slot:
    """One section."""

    mid: str
    kind: str
    codec: str
    state: State = State.FREE
    subscription: Subscription | None = None
    inactive_shown: bool = False  # the description under way says that it is inactive

    def use(self, subscription: Subscription) -> None:
        self.state, self.subscription, self.inactive_shown = State.USED, subscription, False
        self.codec = subscription.track.codec

    def release(self) -> None:
        self.state, self.subscription, self.inactive_shown = State.RELEASED, None, False


@dataclass(eq=False)
class _Slots:
    """What both kinds share."""

    _slots: dict[str, Slot] = field(default_factory=dict)
    waiting: list[Subscription] = field(default_factory=list)

    def add(self, subscription: Subscription) -> None:
        self.waiting.append(subscription)

    def remove(self, subscription: Subscription) -> None:
        if subscription in self.waiting:
            self.waiting.remove(subscription)
        for slot in self._slots.values():
            if slot.subscription is subscription:
                slot.release()

    def used(self) -> Iterator[tuple[str, Subscription]]:
        """(mid, subscription) of the sections in use."""
        return ((slot.mid, slot.subscription) for slot in self._slots.values() if slot.subscription is not None)

    def track_ids(self) -> dict[str, str]:
        """mid → track sid, for clients that look tracks up by section."""
        return {mid: subscription.track.sid for mid, subscription in self.used()}

    def _place(self) -> None:
        """Give free sections to those that wait."""
        for subscription in list(self.waiting):
            kind = subscription.track.kind
            slot = next((s for s in self._slots.values() if s.state is State.FREE and s.kind == kind), None)
            if slot is not None:
                slot.use(subscription)
                self.waiting.remove(subscription)

    def _show(self) -> None:
        """A description is being made that shows the sections as they are now."""
        for slot in self._slots.values():
            slot.inactive_shown = slot.state is not State.USED

    def _agreed(self) -> None:
        """The description shown is agreed: what it shows as inactive is free."""
        for slot in self._slots.values():
            if slot.inactive_shown and slot.state is State.RELEASED:
                slot.state = State.FREE


class OfferedSlots(_Slots):
    """Sections of our offers, numbered from 1; 0 is the data channels'. They are never removed."""

    def offer(self) -> tuple[OfferedSection, ...]:
        """Place everybody, with new sections where none is free, and describe all."""
        self._place()
        for subscription in self.waiting:
            slot = Slot(str(len(self._slots) + 1), subscription.track.kind, subscription.track.codec)
            slot.use(subscription)
            self._slots[slot.mid] = slot
        self.waiting.clear()
        self._show()
        return tuple(
            OfferedSection(
                slot.mid,
                slot.kind,
                slot.codec,
                downlink(slot.subscription) if slot.subscription is not None else None,
            )
            for slot in self._slots.values()
        )

    def answered(self) -> None:
        self._agreed()


class ReceivedSlots(_Slots):
    """Receive-only sections that the client offers. We can only ask it for more."""

    def answer(self, offer: Description) -> Mapping[str, Downlink]:
        """Take note of the sections, place who waits, and say what to send in which."""
        offered = {
            section.mid: section.kind
            for section in offer.sections
            if section.kind != "application" and section.direction == "recvonly" and not section.rejected
        }
        for mid in [mid for mid in self._slots if mid not in offered]:
            lost = self._slots.pop(mid).subscription
            if lost is not None:
                self.waiting.append(lost)
        for mid, kind in offered.items():
            self._slots.setdefault(mid, Slot(mid, kind, ""))
        self._place()
        self._show()
        self._agreed()  # our answer is the agreement
        return {mid: downlink(subscription) for mid, subscription in self.used()}

    def missing(self) -> tuple[int, int]:
        """How many more audio and video sections are needed."""
        return self._missing("audio"), self._missing("video")

    def _missing(self, kind: str) -> int:
        wanted = sum(1 for subscription in self.waiting if subscription.track.kind == kind)
        free = sum(1 for slot in self._slots.values() if slot.state is State.FREE and slot.kind == kind)
        return max(0, wanted - free)


class OfferState(Enum):
    """Of our offers in a dual peer connection."""

    IDLE = "idle"
    SENT = "sent"  # an answer is due
    STALE = "stale"  # an answer is due, and something changed since


class OfferEvent(Enum):
    """What happens to them."""

    CHANGE = "change"
    ANSWER = "answer"
    RESTART = "restart"  # the client resumed: whatever was under way is void


# (state, event) → (next state, whether to make an offer now)
OFFERS: Mapping[tuple[OfferState, OfferEvent], tuple[OfferState, bool]] = {
    (OfferState.IDLE, OfferEvent.CHANGE): (OfferState.SENT, True),
    (OfferState.SENT, OfferEvent.CHANGE): (OfferState.STALE, False),
    (OfferState.STALE, OfferEvent.CHANGE): (OfferState.STALE, False),
    (OfferState.IDLE, OfferEvent.ANSWER): (OfferState.IDLE, False),
    (OfferState.SENT, OfferEvent.ANSWER): (OfferState.IDLE, False),
    (OfferState.STALE, OfferEvent.ANSWER): (OfferState.SENT, True),
    (OfferState.IDLE, OfferEvent.RESTART): (OfferState.SENT, True),
    (OfferState.SENT, OfferEvent.RESTART): (OfferState.SENT, True),
    (OfferState.STALE, OfferEvent.RESTART): (OfferState.SENT, True),
}
