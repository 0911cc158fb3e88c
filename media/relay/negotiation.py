"""Offers and answers as functions: a description and wishes in, SDP text and what was agreed out. No state, no I/O.

Three cases: answering what a publisher offers, offering to a subscriber (dual peer connection), and answering the one
connection of a client that does both. The last two share nothing but the codec tables: in the first our payload types
count, in the other the client's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from media.relay import sections
from media.relay.plane import extensions as uris
from media.relay.plane.api import Codec, Extension
from media.relay.sdp import Codec as OfferedCodec
from media.relay.sdp import Description, SdpError, Section
from media.relay.sections import CodecLine, LocalTransport, Sending

# SVC needs the dependency descriptor. With it libwebrtc sends VP8 without picture ids, which layer switches need.
_SVC = frozenset({"VP9", "AV1"})
_FEEDBACK = {
    "audio": ("nack",),
    "video": ("transport-cc", "ccm fir", "nack", "nack pli", "goog-remb"),
}
# Sound is not numbered for transport-cc either way: it is sent whatever the line carries. libwebrtc also limits its
# repeats to its estimate, which falls to nothing at a quarter of loss: then it would answer no NACK any more.
# libwebrtc neither offers nor repeats NACK for audio, but does it, both ways, as soon as the other side's description
# has it; LiveKit's servers rely on that too. Clients that don't know it ignore the line.
_UNASKED = {"audio": frozenset({"nack"}), "video": frozenset[str]()}
_UP_EXTENSIONS = {
    "audio": frozenset({uris.MID, uris.AUDIO_LEVEL, uris.ABS_SEND_TIME}),
    "video": frozenset(
        {
            uris.MID,
            uris.RID,
            uris.REPAIRED_RID,
            uris.TRANSPORT_CC,
            uris.ABS_SEND_TIME,
            uris.VIDEO_ORIENTATION,
            uris.DEPENDENCY_DESCRIPTOR,
        }
    ),
}
# Written by us on what subscribers get. Audio is not numbered: it is sent whatever the line carries.
_DOWN_EXTENSIONS = {
    "audio": frozenset({uris.AUDIO_LEVEL}),
    "video": frozenset({uris.TRANSPORT_CC, uris.ABS_SEND_TIME, uris.VIDEO_ORIENTATION, uris.DEPENDENCY_DESCRIPTOR}),
}
_OUR_EXTENSIONS = {
    "audio": (Extension(1, uris.AUDIO_LEVEL),),
    "video": (
        Extension(2, uris.ABS_SEND_TIME),
        Extension(3, uris.VIDEO_ORIENTATION),
        Extension(4, uris.DEPENDENCY_DESCRIPTOR),
        Extension(5, uris.TRANSPORT_CC),
    ),
}
_OUR_FEEDBACK = {"audio": ("nack",), "video": ("transport-cc", "ccm fir", "nack", "nack pli", "goog-remb")}
# Our numbers where we offer, those that Chromium uses so that captures read alike.
_OUR_CODECS: Mapping[str, tuple[Codec, str, str]] = {
    "OPUS": (Codec(111, "OPUS", 48000, -1, True), "opus/48000/2", "minptime=10;useinbandfec=1"),
    "VP8": (Codec(96, "VP8", 90000, 97, True), "VP8/90000", ""),
    "VP9": (Codec(98, "VP9", 90000, 99, True), "VP9/90000", "profile-id=0"),
    "H264": (
        Codec(102, "H264", 90000, 103, True),
        "H264/90000",
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    ),
    "AV1": (Codec(45, "AV1", 90000, 46, True), "AV1/90000", ""),
}
CODECS = tuple(_OUR_CODECS)
_DEFAULT_CODEC = {"audio": "OPUS", "video": "VP8"}
_LAYERS = {"q": 0, "h": 1, "f": 2}
PROTOCOL = "UDP/TLS/RTP/SAVPF"
DATA_PROTOCOL = "UDP/DTLS/SCTP"
DATA_MID = "0"


@dataclass(frozen=True)
class Receiving:
    """What we want to take in a section: one codec of one track."""

    codec: str
    discontinuous: bool = True  # Opus may pause in silence


@dataclass(frozen=True)
class Downlink:
    """What we want to send in a section."""

    codec: str
    sending: Sending
    stereo: bool = False


@dataclass(frozen=True)
class AgreedUp:
    """A section in which the peer sends, as the packet path needs it."""

    mid: str
    kind: str
    codec: Codec
    extensions: tuple[Extension, ...]
    rids: tuple[str, ...]  # in order of rising quality
    ssrcs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class AgreedDown:
    """A section in which we send."""

    mid: str
    codec: Codec
    extensions: tuple[Extension, ...]


@dataclass(frozen=True)
class Answer:
    """Our answer, and what it commits both sides to. `unsupported`: mids whose codec the peer lacks."""

    sdp: str
    ups: Mapping[str, AgreedUp]
    downs: Mapping[str, AgreedDown]
    unsupported: tuple[str, ...]


@dataclass(frozen=True)
class OfferedSection:
    """A section of our offers: they are never removed, only unused and used again for the same kind."""

    mid: str
    kind: str
    codec: str
    downlink: Downlink | None


@dataclass(frozen=True)
class Offer:
    """Our offer and what a full acceptance would commit us to."""

    sdp: str
    downs: Mapping[str, AgreedDown]


def answer(
    offer: Description,
    ups: Mapping[str, Receiving],
    downs: Mapping[str, Downlink],
    local: LocalTransport,
    version: int,
) -> Answer:
    """Answer `offer`: take `ups` and send `downs`, both by mid; everything else is inactive.

    Raises `SdpError` when the offer can't be answered at all.
    """
    taken = [section.mid for section in offer.sections if not section.rejected]
    if not taken:
        raise SdpError("every section is rejected")
    lines = sections.session_lines(taken, version)
    agreed_ups: dict[str, AgreedUp] = {}
    agreed_downs: dict[str, AgreedDown] = {}
    unsupported: list[str] = []
    for section in offer.sections:
        if section.rejected:
            payload = "0" if section.kind != "application" else "webrtc-datachannel"
            lines += sections.rejected_lines(section.kind, section.mid, section.protocol, payload)
            continue
        if section.kind == "application":
            lines += sections.application_lines(section.mid, section.protocol)
        elif section.mid in ups and section.sends:
            up, up_lines = _answer_up(section, ups[section.mid])
            lines += up_lines
            if up is None:
                unsupported.append(section.mid)
            else:
                agreed_ups[section.mid] = up
        else:
            down, down_lines = _answer_down(section, downs.get(section.mid))
            lines += down_lines
            if down is not None:
                agreed_downs[section.mid] = down
            elif section.mid in downs:
                unsupported.append(section.mid)
        lines += local.lines("passive")
    return Answer(sections.text(lines), agreed_ups, agreed_downs, tuple(unsupported))


def _answer_up(section: Section, wish: Receiving) -> tuple[AgreedUp | None, list[str]]:
    offered = _find(section, wish.codec)
    if offered is None:
        return None, _inactive(section)
    line = _line(section, offered, wish.discontinuous and section.kind == "audio")
    extensions = _extensions(section, _UP_EXTENSIONS[section.kind], with_descriptor=offered.name in _SVC)
    simulcast = section.rids if section.simulcast else ()
    lines = sections.media_lines(section.kind, section.mid, section.protocol, "recvonly", [line], extensions)
    up = AgreedUp(
        section.mid, section.kind, line.codec, extensions, _by_quality(simulcast), _announced(section, simulcast)
    )
    return up, lines + sections.simulcast_lines(simulcast)


def _answer_down(section: Section, downlink: Downlink | None) -> tuple[AgreedDown | None, list[str]]:
    offered = _find(section, downlink.codec) if downlink is not None else None
    if downlink is None or offered is None or section.direction not in ("recvonly", "sendrecv"):
        return None, _inactive(section)
    line = _line(section, offered, discontinuous=False)
    # The same set as in the sections that publish: with fewer, Chromium drops the rid extension from its next offer
    # and then refuses to set it. What we don't write is simply absent from our packets.
    answered = _extensions(section, _UP_EXTENSIONS[section.kind], with_descriptor=True)
    lines = sections.media_lines(section.kind, section.mid, section.protocol, "sendonly", [line], answered)
    used = _down_extensions(answered, section.kind, downlink.codec)
    sending = _without_rtx(downlink.sending, line.codec)
    return AgreedDown(section.mid, line.codec, used), lines + sending.lines()


def _inactive(section: Section) -> list[str]:
    offered = _find(section, _DEFAULT_CODEC[section.kind]) or next(iter(section.codecs), None)
    if offered is None:
        raise SdpError("a section without codecs")
    extensions = _extensions(section, _UP_EXTENSIONS[section.kind], with_descriptor=not section.sends)
    line = _line(section, offered, discontinuous=False)
    return sections.media_lines(section.kind, section.mid, section.protocol, "inactive", [line], extensions)


def offer(offered: Sequence[OfferedSection], local: LocalTransport, version: int) -> Offer:
    """What we offer a subscriber: data channels in the first section, then the tracks."""
    lines = sections.session_lines([DATA_MID, *(section.mid for section in offered)], version)
    lines += [*sections.application_lines(DATA_MID, DATA_PROTOCOL), *local.lines("actpass")]
    downs: dict[str, AgreedDown] = {}
    for section in offered:
        codec, encoding, parameters = _OUR_CODECS[section.codec]
        downlink = section.downlink
        if downlink is not None and downlink.stereo:
            parameters += ";sprop-stereo=1"
        line = CodecLine(codec, encoding, parameters, _OUR_FEEDBACK[section.kind])
        extensions = _down_extensions(_OUR_EXTENSIONS[section.kind], section.kind, section.codec)
        direction = "inactive" if downlink is None else "sendonly"
        lines += sections.media_lines(section.kind, section.mid, PROTOCOL, direction, [line], extensions)
        if downlink is not None:
            lines += _without_rtx(downlink.sending, codec).lines()
            downs[section.mid] = AgreedDown(section.mid, codec, extensions)
        lines += local.lines("actpass")
    return Offer(sections.text(lines), downs)


def accepted(offered: Mapping[str, AgreedDown], reply: Description) -> tuple[Mapping[str, AgreedDown], tuple[str, ...]]:
    """What of our offer the answer takes, and the mids whose codec it refuses.

    Feedback and extensions that the answer leaves out are not used.
    """
    agreed: dict[str, AgreedDown] = {}
    refused: list[str] = []
    answered = {section.mid: section for section in reply.sections}
    for mid, down in offered.items():
        section = answered.get(mid)
        codecs = {codec.payload_type: codec for codec in section.codecs} if section is not None else {}
        codec = codecs.get(down.codec.payload_type)
        if section is None or section.rejected or codec is None or section.direction not in ("recvonly", "sendrecv"):
            refused.append(mid)
            continue
        known = {uri for _, uri in section.extensions}
        rtx = down.codec.rtx_payload_type if down.codec.rtx_payload_type in codecs else -1
        agreed[mid] = AgreedDown(
            mid,
            down.codec._replace(rtx_payload_type=rtx, nack="nack" in {*codec.feedback, *_UNASKED[section.kind]}),
            tuple(extension for extension in down.extensions if extension.uri in known),
        )
    return agreed, tuple(refused)


def _find(section: Section, name: str) -> OfferedCodec | None:
    """The payload type to use for `name`. For H.264 what every decoder has: constrained baseline, mode 1."""
    found = [codec for codec in section.codecs if codec.name == name]
    if name == "H264":
        found.sort(key=lambda codec: ("packetization-mode=1" in codec.parameters, "42e01f" in codec.parameters))
        found.reverse()
    return found[0] if found else None


def _line(section: Section, offered: OfferedCodec, discontinuous: bool) -> CodecLine:
    spoken = {*offered.feedback, *_UNASKED[section.kind]}
    feedback = tuple(name for name in _FEEDBACK[section.kind] if name in spoken)
    parameters = offered.parameters
    if discontinuous:
        parameters = f"{parameters};usedtx=1" if parameters else "usedtx=1"
    codec = Codec(
        offered.payload_type,
        offered.name,
        offered.clock_rate,
        _retransmission_type(section.codecs, offered.payload_type),
        "nack" in feedback,
    )
    return CodecLine(codec, offered.encoding, parameters, feedback)


def _retransmission_type(codecs: Iterable[OfferedCodec], payload_type: int) -> int:
    for codec in codecs:
        if codec.name == "RTX" and f"apt={payload_type}" in codec.parameters.replace(" ", "").split(";"):
            return codec.payload_type
    return -1


def _extensions(section: Section, known: frozenset[str], *, with_descriptor: bool) -> tuple[Extension, ...]:
    return tuple(
        Extension(number, uri)
        for number, uri in section.extensions
        if uri in known and (with_descriptor or uri != uris.DEPENDENCY_DESCRIPTOR)
    )


def _down_extensions(answered: Iterable[Extension], kind: str, codec: str) -> tuple[Extension, ...]:
    return tuple(
        extension
        for extension in answered
        if extension.uri in _DOWN_EXTENSIONS[kind] and (codec in _SVC or extension.uri != uris.DEPENDENCY_DESCRIPTOR)
    )


def _by_quality(rids: Sequence[str]) -> tuple[str, ...]:
    """q, h, f by name, since Rust offers the highest first; other names in the offered order, lowest first."""
    if all(rid in _LAYERS for rid in rids):
        return tuple(sorted(rids, key=_LAYERS.__getitem__))
    return tuple(rids)


def _announced(section: Section, simulcast: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """SSRCs that SDP names. With rids Chromium names none, and those of others can't be told apart: learnt by rid."""
    if simulcast:
        return ()
    repairs = set(section.retransmissions.values())
    return tuple((ssrc, section.retransmissions.get(ssrc, 0)) for ssrc in section.ssrcs if ssrc not in repairs)


def _without_rtx(sending: Sending, codec: Codec) -> Sending:
    if codec.rtx_payload_type >= 0:
        return sending
    return Sending(sending.stream, sending.track, sending.cname, sending.ssrc, 0)
