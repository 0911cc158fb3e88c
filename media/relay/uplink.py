"""The publishing half of a connection: which sections of the client's offers carry which announced tracks, and the up
tracks of the packet path that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from media.relay import negotiation
from media.relay.leg import Leg
from media.relay.negotiation import Answer, Downlink
from media.relay.participant import Participant
from media.relay.plane.api import RtpPlane
from media.relay.sdp import Description
from media.relay.tracks import PublishedTrack, match


@dataclass(frozen=True)
class Answered:
    """An answer, and what changed among the published tracks."""

    answer: Answer
    track_ids: Mapping[str, str]  # mid → track sid
    started: tuple[PublishedTrack, ...]
    ended: tuple[PublishedTrack, ...]
    refused: tuple[PublishedTrack, ...]  # the client offers no codec for them that it had announced


class Uplink:
    """Owned by a `Connection`. Tells the packet path; who else must know is the room's business."""

    def __init__(self, participant: Participant, leg: Leg, plane: RtpPlane) -> None:
        self._participant = participant
        self._leg = leg
        self._plane = plane

    def answer(self, offer: Description, downs: Mapping[str, Downlink]) -> Answered:
        """Answer an offer of the client; `downs` go into its receiving sections. Raises `SdpError`."""
        participant = self._participant
        matching = match(offer, participant.tracks.values(), participant.pending)
        self._leg.take_remote(offer, offer=True)
        wishes = {mid: track.receiving() for mid, track in matching.by_mid.items()}
        answer = negotiation.answer(offer, wishes, downs, self._leg.local(), self._leg.next_version())
        started: list[PublishedTrack] = []
        refused: list[PublishedTrack] = []
        ids: dict[str, str] = {}
        for mid, track in matching.by_mid.items():
            participant.pending.pop(track.cid, None)
            if mid not in answer.ups:
                refused.append(track)
                continue
            before = track.spec
            spec = track.carried_by(answer.ups[mid])
            if spec != before:
                self._plane.add_up_track(self._leg.transport.session, spec)
                participant.touch()  # its section is part of what is shown
            if track.sid not in participant.tracks:
                participant.tracks[track.sid] = track
                started.append(track)
            ids[mid] = track.sid
        return Answered(answer, ids, tuple(started), matching.gone, tuple(refused))

    def forget(self, track: PublishedTrack) -> None:
        """The track ends. Its subscriptions are gone already."""
        self._participant.tracks.pop(track.sid, None)
        self._participant.pending.pop(track.cid, None)
        if track.spec is not None and not self._leg.closed:
            self._plane.remove_up_track(track.number)
        track.spec = None
