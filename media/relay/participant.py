"""Somebody in a room, as data: who they are, what they may do, what they publish. Connections are elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from livekit.protocol import models

from media.relay import permissions
from media.relay.datachannels import Sender
from media.relay.datatracks import DataSubscriptions, PublishedDataTracks
from media.relay.join import JoinRequest
from media.relay.seams import Grants, ParticipantFacts
from media.relay.settings import Limits
from media.relay.sids import PARTICIPANT, new_sid
from media.relay.tracks import PublishedTrack
from palabre.base.errors import CallerError

_KINDS = {
    "standard": models.ParticipantInfo.STANDARD,
    "ingress": models.ParticipantInfo.INGRESS,
    "egress": models.ParticipantInfo.EGRESS,
    "sip": models.ParticipantInfo.SIP,
    "agent": models.ParticipantInfo.AGENT,
}


class TrackRights:
    """Which subscribers a publisher lets have its tracks (LiveKit's `setTrackSubscriptionPermissions`)."""

    def __init__(self) -> None:
        self._everybody = True
        self._by_identity: dict[str, frozenset[str] | None] = {}  # None: all tracks

    def replace(self, everybody: bool, by_identity: Mapping[str, frozenset[str] | None]) -> None:
        self._everybody = everybody
        self._by_identity = dict(by_identity)

    def allow(self, identity: str, track_sid: str) -> bool:
        if self._everybody:
            return True
        if identity not in self._by_identity:
            return False
        tracks = self._by_identity[identity]
        return tracks is None or track_sid in tracks


class Participant:
    """One participant, from join to leave; a resume keeps it, a new join makes a new one.

    `version` grows with every change: clients drop what is older than what they have.
    """

    def __init__(self, grants: Grants, request: JoinRequest, limits: Limits, joined_at: float) -> None:
        self.sid = new_sid(PARTICIPANT)
        self.identity = grants.identity
        self.grants = grants
        self.client = request.client
        self.single = request.single
        self.may_pause = request.may_pause
        self.auto_subscribe = request.auto_subscribe
        self.auto_subscribe_data = request.auto_subscribe_data
        self.name = grants.name
        self.metadata = grants.metadata
        self.attributes = dict(grants.attributes)
        self.joined_at = joined_at  # seconds since the epoch
        self.state: models.ParticipantInfo.State = models.ParticipantInfo.JOINED
        self.disconnect_reason: models.DisconnectReason = models.UNKNOWN_REASON
        self.version = 1
        self.pending: dict[str, PublishedTrack] = {}  # by cid: announced, no media section yet
        self.tracks: dict[str, PublishedTrack] = {}  # by sid
        self.data_tracks = PublishedDataTracks(limits.data_tracks)
        self.data_subscriptions = DataSubscriptions()
        self.sender = Sender(self.identity, self.sid, limits.data_packet)
        self.track_rights = TrackRights()
        self.hearing: frozenset[str] = frozenset()  # who agreed to be heard by it, where that is asked for
        self.chosen: dict[str, bool] = {}  # track sid → (un)subscribed by the client, which stands above automatism
        self._limits = limits
        self._shown: models.ParticipantInfo | None = None  # `info` as of this version
        if grants.can_update_own_metadata:
            own = {name: value for name, value in request.attributes.items() if not permissions.reserved([name])}
            self.update(metadata=request.metadata, attributes=own)

    @property
    def active(self) -> bool:
        """Media are connected: others know of them."""
        return self.state == models.ParticipantInfo.ACTIVE

    @property
    def visible(self) -> bool:
        return self.active and not self.grants.hidden

    @property
    def dependent(self) -> bool:
        """It is there for others: no room stays open for it."""
        return self.grants.kind in ("agent", "egress")

    def may_have_media_of(self, publisher: str) -> bool:
        return not self.grants.by_consent or publisher in self.hearing

    @property
    def publishes(self) -> bool:
        """Something that others can get."""
        return any(track.announced for track in self.tracks.values()) or any(self.data_tracks)

    def facts(self) -> ParticipantFacts:
        return ParticipantFacts(
            self.identity, self.sid, self.name, self.grants.kind, dict(self.attributes), self.joined_at
        )

    def wants(self, track: PublishedTrack) -> bool:
        """The client asked for it, or for everything and not for this one to be left out."""
        return self.chosen.get(track.sid, self.auto_subscribe)

    def touch(self) -> None:
        self.version += 1
        self._shown = None

    def info(self) -> models.ParticipantInfo:
        """As clients are shown it; made once for each version, since everybody who comes gets everybody's."""
        if self._shown is None:
            self._shown = self._info()
        return self._shown

    def _info(self) -> models.ParticipantInfo:
        announced = [track.info for track in self.tracks.values() if track.announced]
        return models.ParticipantInfo(
            sid=self.sid,
            identity=self.identity,
            state=self.state,
            tracks=announced,
            metadata=self.metadata,
            joined_at=int(self.joined_at),
            joined_at_ms=int(self.joined_at * 1000),
            name=self.name,
            version=self.version,
            permission=permissions.as_message(self.grants),
            is_publisher=bool(announced),
            kind=_KINDS.get(self.grants.kind, models.ParticipantInfo.STANDARD),
            attributes=self.attributes,
            disconnect_reason=self.disconnect_reason,
            data_tracks=list(self.data_tracks),
            client_protocol=self.client.client_protocol,
            capabilities=self.client.capabilities,
        )

    def update(self, *, metadata: str = "", name: str = "", attributes: Mapping[str, str] | None = None) -> None:
        """Change what is given; an empty attribute value removes the key. Raises `CallerError` over the limits."""
        merged = dict(self.attributes)
        for key, value in (attributes or {}).items():
            if value:
                merged[key] = value
            else:
                merged.pop(key, None)
        limits = self._limits
        if len(name) > limits.name:
            raise CallerError("name_too_long", f"a name may have {limits.name} characters")
        if len(metadata.encode()) > limits.metadata:
            raise CallerError("metadata_too_long", f"metadata may have {limits.metadata} bytes")
        if sum(len(key.encode()) + len(value.encode()) for key, value in merged.items()) > limits.attributes:
            raise CallerError("attributes_too_long", f"attributes may have {limits.attributes} bytes")
        self.metadata = metadata or self.metadata
        self.name = name or self.name
        self.attributes = merged
        self.touch()

    def current_grants(self) -> Grants:
        """For a refreshed token: what holds now, not what the first token said."""
        return replace(self.grants, name=self.name, metadata=self.metadata, attributes=dict(self.attributes))
