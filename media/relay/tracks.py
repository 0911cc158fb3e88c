"""Published tracks: what a client announced, and which media section carries it. Not the packets: `plane` has those."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from livekit.protocol import models, rtc

from media.relay.negotiation import CODECS, AgreedUp, Receiving
from media.relay.permissions import SOURCES
from media.relay.plane.api import UpTrackSpec
from media.relay.sdp import Description, Section
from media.relay.seams import TrackFacts, TrackSource
from media.relay.sids import AUDIO_TRACK, VIDEO_TRACK, new_sid
from media.relay.taps import TrackTap

MAX_NAME = 256  # characters of a track's name
MAX_LAYERS = 8  # LiveKit knows three
_AUDIO_ONLY = frozenset({models.MICROPHONE, models.SCREEN_SHARE_AUDIO})
_VIDEO_ONLY = frozenset({models.CAMERA, models.SCREEN_SHARE})
_MIME = {name: ("audio/" if name == "OPUS" else "video/") + (name if name != "OPUS" else "opus") for name in CODECS}
_QUALITY_OF_RID = {"q": models.LOW, "h": models.MEDIUM, "f": models.HIGH}


class TrackRefusedError(Exception):
    """The announcement can't be accepted; `reason` goes into the `RequestResponse`."""

    def __init__(self, reason: rtc.RequestResponse.Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


@dataclass(eq=False)
class PublishedTrack:
    """One track of one publisher, from its announcement to its end."""

    number: int  # its name in the packet path
    cid: str  # the client's name for it, which is its MediaStreamTrack's id
    publisher: str  # identity
    publisher_sid: str
    codec: str
    info: models.TrackInfo
    spec: UpTrackSpec | None = None  # set once a media section carries it
    announced: bool = False  # others know it
    taps: list[TrackTap] = field(default_factory=list)

    @property
    def sid(self) -> str:
        return self.info.sid

    @property
    def kind(self) -> str:
        return "audio" if self.info.type == models.AUDIO else "video"

    @property
    def source(self) -> TrackSource:
        return SOURCES.get(self.info.source, TrackSource.UNKNOWN)

    @property
    def rids(self) -> tuple[str, ...]:
        return self.spec.rids if self.spec is not None else ()

    def facts(self) -> TrackFacts:
        info = self.info
        return TrackFacts(
            sid=info.sid,
            kind=self.kind,
            source=self.source,
            mime_type=info.mime_type,
            muted=info.muted,
            width=info.width,
            height=info.height,
            encrypted=info.encryption != models.Encryption.NONE,
        )

    def receiving(self) -> Receiving:
        """What to accept in the section that carries it."""
        discontinuous = models.TF_NO_DTX not in self.info.audio_features and not self.info.disable_dtx
        return Receiving(self.codec, discontinuous)

    def carried_by(self, agreed: AgreedUp) -> UpTrackSpec:
        """Take note of the section, and say what the packet path must know of it."""
        self.info.mid = agreed.mid
        for codec in self.info.codecs:
            codec.mid = agreed.mid
        self.spec = UpTrackSpec(
            self.number, agreed.kind, agreed.mid, (agreed.codec,), agreed.extensions, agreed.rids, agreed.ssrcs
        )
        return self.spec

    def touch(self, now: float) -> None:
        """The info changed; `now` in seconds since the epoch. Versions only grow, whatever the clock does."""
        micro = max(int(now * 1e6), self.info.version.unix_micro + 1)
        self.info.version.unix_micro = micro


def announce(
    request: rtc.AddTrackRequest, *, number: int, publisher: str, publisher_sid: str, now: float
) -> PublishedTrack:
    """A track from its announcement. Raises `TrackRefusedError`."""
    bad = rtc.RequestResponse.INVALID_REQUEST
    if not request.cid or request.type not in (models.AUDIO, models.VIDEO):
        raise TrackRefusedError(bad, "a track needs a cid and must be audio or video")
    if request.sid:
        raise TrackRefusedError(rtc.RequestResponse.UNSUPPORTED_TYPE, "a track has one codec here")
    if request.source in (_VIDEO_ONLY if request.type == models.AUDIO else _AUDIO_ONLY):
        raise TrackRefusedError(bad, "the source does not fit the kind of track")
    if len(request.name) > MAX_NAME or len(request.layers) > MAX_LAYERS:
        raise TrackRefusedError(rtc.RequestResponse.LIMIT_EXCEEDED, "the track's name or its layers are too many")
    codec = _codec(request)
    info = models.TrackInfo(
        sid=new_sid(AUDIO_TRACK if request.type == models.AUDIO else VIDEO_TRACK),
        type=request.type,
        name=request.name,
        muted=request.muted,
        width=request.width,
        height=request.height,
        simulcast=len(request.layers) > 1,
        disable_dtx=request.disable_dtx,
        source=request.source,
        layers=request.layers,
        mime_type=_MIME[codec],
        codecs=[models.SimulcastCodecInfo(mime_type=_MIME[codec], cid=request.cid, layers=request.layers)],
        stereo=request.stereo or models.TF_STEREO in request.audio_features,
        disable_red=True,
        encryption=request.encryption,
        stream=request.stream or _stream(request.source),
        audio_features=request.audio_features,
        backup_codec_policy=models.REGRESSION,
        packet_trailer_features=request.packet_trailer_features,
    )
    track = PublishedTrack(number, request.cid, publisher, publisher_sid, codec, info)
    track.touch(now)
    return track


def _codec(request: rtc.AddTrackRequest) -> str:
    if request.type == models.AUDIO:
        return "OPUS"
    wanted = request.simulcast_codecs[0].codec if request.simulcast_codecs else ""
    name = wanted.lower().removeprefix("video/").upper() or "VP8"
    if name not in CODECS or name == "OPUS":
        raise TrackRefusedError(rtc.RequestResponse.UNSUPPORTED_TYPE, "a video codec that is not supported")
    return name


def _stream(source: int) -> str:
    """What is played in step: camera with microphone, screen with its sound (LiveKit's names)."""
    return "screen_share" if source in (models.SCREEN_SHARE, models.SCREEN_SHARE_AUDIO) else "camera"


@dataclass(frozen=True)
class Matching:
    """Which track each sending section carries, and which tracks no section carries any more."""

    by_mid: Mapping[str, PublishedTrack]
    gone: tuple[PublishedTrack, ...]


def match(offer: Description, published: Iterable[PublishedTrack], pending: Mapping[str, PublishedTrack]) -> Matching:
    """Find the announced track of every section in which the client sends.

    By the track id in its msid; a section that carried a track before keeps it unless it names another that waits.
    Some SDKs name something else in SDP, then the first waiting track of that kind is meant.
    """
    carried = {track.spec.mid: track for track in published if track.spec is not None}
    waiting = dict(pending)
    found: dict[str, PublishedTrack] = {}
    unnamed: list[Section] = []
    for section in offer.sections:
        if section.kind == "application" or section.rejected or not section.sends:
            continue
        track = waiting.get(section.msid[1]) or waiting.get(section.msid[0])
        if track is not None and track.kind == section.kind:
            found[section.mid] = waiting.pop(track.cid)
        elif section.mid in carried:
            found[section.mid] = carried[section.mid]
        else:
            unnamed.append(section)
    for section in unnamed:
        track = next((track for track in waiting.values() if track.kind == section.kind), None)
        if track is not None:
            found[section.mid] = waiting.pop(track.cid)
    kept = set(found.values())
    return Matching(found, tuple(track for track in carried.values() if track not in kept))


def layer_of_quality(rids: tuple[str, ...], quality: int) -> int:
    """The position among `rids` of the best layer that is not above `quality` (LiveKit's VideoQuality)."""
    best = 0
    for position, rid in enumerate(rids):
        if _QUALITY_OF_RID.get(rid, position) <= quality:
            best = position
    return best


def quality_of_layer(rids: tuple[str, ...], layer: int) -> int:
    """LiveKit's VideoQuality of a position among `rids`; without simulcast everything is the best there is."""
    if not rids:
        return models.HIGH
    position = min(max(layer, 0), len(rids) - 1)
    return min(_QUALITY_OF_RID.get(rids[position], position), models.HIGH)
