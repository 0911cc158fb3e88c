"""Participants without a connection: the service itself, seen in a room by everybody while it does something there.

They hold no tracks, get no media, count as nobody and keep no room alive; only `RelayControl` makes and ends them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from livekit.protocol import models, rtc

from media.relay.join import JoinRequest
from media.relay.participant import Participant
from media.relay.seams import Grants
from media.relay.settings import Limits
from palabre.base.errors import CallerError


class Presences:
    """Of one room. `tell` sends something to everybody in it."""

    def __init__(self, tell: Callable[[rtc.SignalResponse], None], limits: Limits) -> None:
        self._tell = tell
        self._limits = limits
        self._shown: dict[str, Participant] = {}  # by identity

    def __iter__(self) -> Iterator[Participant]:
        return iter(self._shown.values())

    def __contains__(self, identity: str) -> bool:
        return identity in self._shown

    def put(self, identity: str, name: str, attributes: Mapping[str, str], now: float) -> None:
        """Show it, or show it anew under this name; `now` in seconds since the epoch. Raises `CallerError`."""
        participant = self._shown.get(identity)
        if participant is None:
            # LiveKit's `recorder` and `egress` would say what it is, but clients hide participants marked so.
            grants = Grants("", identity, can_publish=False, can_subscribe=False, can_publish_data=False)
            request = JoinRequest(single=True, client=models.ClientInfo())
            participant = Participant(grants, request, self._limits, now)
            participant.state = models.ParticipantInfo.ACTIVE
        gone = {key: "" for key in participant.attributes if key not in attributes}
        participant.update(name=name, attributes={**gone, **attributes})
        self._shown[identity] = participant
        self._show(participant)

    def remove(self, identity: str) -> None:
        """Raises `CallerError("not_found")`."""
        participant = self._shown.pop(identity, None)
        if participant is None:
            raise CallerError("not_found", "participant does not exist", status=404)
        participant.state = models.ParticipantInfo.DISCONNECTED
        participant.disconnect_reason = models.CLIENT_INITIATED
        self._show(participant)

    def _show(self, participant: Participant) -> None:
        participant.touch()
        self._tell(rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=[participant.info()])))
