"""Reads the SDP that WebRTC clients send (RFC 8866, 8829) into frozen dataclasses; `sections` writes what we send.

Only what a relay needs is kept. aiortc's parser is not used: it drops `rid` and `simulcast` and answers malformed
text with exceptions of six kinds. Here there is one, `SdpError`, and sizes are looked at before anything is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from palabre.base.errors import PeerError

# A video section of Chromium has 4 kB and a hundred people in a single peer connection make 200 sections:
# both limits leave room for that, and refuse in a millisecond what would take seconds.
MAX_LENGTH = 1_000_000  # characters
MAX_SECTIONS = 400
MAX_LINES_PER_SECTION = 1_000  # Chromium writes 130
MAX_SESSION_LINES = 600  # before the first section; Firefox writes 9
# Every section of a kind names the same codecs, in every client of the same version, and reading them is half of
# reading an offer. So many tables are kept, of the versions around; none longer than twice what browsers write.
CODEC_TABLES = 64
MAX_KEPT_TABLE = 8192  # characters
_FINGERPRINT_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_MID = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]{1,32}\Z")  # token, RFC 8866; browsers write one or two digits
_RID = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")  # RFC 8851
_ICE = re.compile(r"[A-Za-z0-9+/]{4,256}\Z")  # RFC 8839


class SdpError(PeerError):
    """A session description that can't be used; the message says why."""


@dataclass(frozen=True)
class Codec:
    """One payload type of a section."""

    payload_type: int
    name: str  # upper case
    clock_rate: int
    encoding: str  # as in rtpmap: opus/48000/2
    parameters: str  # of fmtp
    feedback: tuple[str, ...]  # of rtcp-fb


@dataclass(frozen=True)
class Fingerprint:
    """Of the certificate that DTLS must show, RFC 8122."""

    algorithm: str  # lower case
    value: str  # upper case, colons


@dataclass(frozen=True)
class Section:
    """One media section."""

    kind: str  # audio, video or application
    mid: str
    protocol: str
    port: int
    rejected: bool  # port 0, unless it only waits for its bundle (RFC 8843 section 6)
    direction: str
    codecs: tuple[Codec, ...]
    extensions: tuple[tuple[int, str], ...]  # (id, URI)
    rids: tuple[str, ...]  # that the peer sends, in its order
    simulcast: bool
    msid: tuple[str, str]  # stream and track id, RFC 8830; empty without
    ssrcs: tuple[int, ...]
    retransmissions: Mapping[int, int]  # media SSRC → RTX SSRC, of ssrc-group:FID
    ufrag: str
    fingerprint: Fingerprint | None
    setup: str
    sctp_port: int
    max_message_size: int

    @property
    def sends(self) -> bool:
        """The peer sends in this section."""
        return self.direction in ("sendonly", "sendrecv")


@dataclass(frozen=True)
class Description:
    """A parsed offer or answer."""

    sections: tuple[Section, ...]
    bundle: tuple[str, ...]

    def __getitem__(self, mid: str) -> Section:
        for section in self.sections:
            if section.mid == mid:
                return section
        raise KeyError(mid)

    @property
    def application(self) -> Section | None:
        """The section of the data channels."""
        return next((section for section in self.sections if section.kind == "application"), None)

    @property
    def ufrag(self) -> str:
        return next((section.ufrag for section in self.sections if section.ufrag), "")

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the one transport that everything is bundled on. Raises `SdpError` without."""
        for section in self.sections:
            if section.fingerprint is not None:
                return section.fingerprint
        raise SdpError("no certificate fingerprint")

    @property
    def setup(self) -> str:
        return next((section.setup for section in self.sections if section.setup), "actpass")


Attributes = Mapping[str, list[str]]  # values by name, in their order
CodecLines = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]  # fmtp, rtcp-fb, rtpmap


def parse(text: str) -> Description:
    """Read an offer or answer. Raises `SdpError` and nothing else."""
    if len(text) > MAX_LENGTH:
        raise SdpError(f"longer than {MAX_LENGTH} characters")
    if text.count("\nm=") > MAX_SECTIONS:
        raise SdpError(f"more than {MAX_SECTIONS} media sections")
    lines = text.splitlines()
    starts = [index for index, line in enumerate(lines) if line.startswith("m=")]
    if not lines or not lines[0].startswith("v=0"):
        raise SdpError("does not begin with v=0")
    if not starts:
        raise SdpError("no media section")
    if len(starts) > MAX_SECTIONS:
        raise SdpError(f"more than {MAX_SECTIONS} media sections")
    session = _attributes(lines[: starts[0]], MAX_SESSION_LINES)
    sections = tuple(
        _section(lines[start:end], session) for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    )
    mids = [section.mid for section in sections]
    if len(set(mids)) != len(mids):
        raise SdpError("two sections have the same mid")
    bundle = tuple(_first(session, "group").removeprefix("BUNDLE").split())
    if not set(bundle) <= set(mids):
        raise SdpError("the bundle names a mid that no section has")
    if len({section.fingerprint for section in sections if section.fingerprint}) > 1:
        raise SdpError("sections with different certificates can't be bundled")
    return Description(sections, bundle)


def _attributes(lines: list[str], limit: int) -> Attributes:
    if len(lines) > limit:
        raise SdpError("a section has too many lines")
    result: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            result.setdefault(name, []).append(value)
    return result


def _all(attributes: Attributes, name: str) -> list[str]:
    return attributes.get(name, [])


def _first(attributes: Attributes, name: str) -> str:
    return attributes[name][0] if name in attributes else ""


def _number(text: str, what: str, maximum: int) -> int:
    """`text` as an int of 0 to `maximum`. ASCII digits only: int() takes far more than SDP allows."""
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > maximum:
        raise SdpError(f"{what} is not a number up to {maximum}")
    return int(text)


def _section(lines: list[str], session: Attributes) -> Section:
    words = lines[0][2:].split()
    if len(words) < 3 or words[0] not in ("audio", "video", "application"):
        raise SdpError("a media line that is neither audio, video nor application")
    attributes = _attributes(lines[1:], MAX_LINES_PER_SECTION)
    mid = _first(attributes, "mid")
    if not _MID.match(mid):
        raise SdpError("a section without a usable mid")
    ufrag = _first(attributes, "ice-ufrag") or _first(session, "ice-ufrag")
    if ufrag and not _ICE.match(ufrag):
        raise SdpError("a malformed ice-ufrag")
    ssrcs = dict.fromkeys(_number(value.split(" ", 1)[0], "an SSRC", 0xFFFFFFFF) for value in _all(attributes, "ssrc"))
    port = _number(words[1].split("/")[0], "a port", 65535)
    return Section(
        kind=words[0],
        mid=mid,
        protocol=words[2],
        port=port,
        rejected=port == 0 and "bundle-only" not in attributes,
        direction=_direction(attributes) or _direction(session) or "sendrecv",
        codecs=_codecs(attributes) if words[0] != "application" else (),
        extensions=_extensions(attributes),
        rids=_rids(attributes),
        simulcast="simulcast" in attributes,
        msid=_msid(attributes),
        ssrcs=tuple(ssrcs),
        retransmissions=_retransmissions(attributes),
        ufrag=ufrag,
        fingerprint=_fingerprint(_first(attributes, "fingerprint") or _first(session, "fingerprint")),
        setup=_setup(_first(attributes, "setup") or _first(session, "setup")),
        sctp_port=_number(_first(attributes, "sctp-port") or "5000", "an SCTP port", 65535),
        # Firefox announces 1073741823; absent is 64 KiB, RFC 8841 section 6.1.
        max_message_size=_number(_first(attributes, "max-message-size") or "65536", "a message size", 2**32 - 1),
    )


def _direction(attributes: Attributes) -> str:
    return next((name for name in attributes if name in _DIRECTIONS), "")


def _codecs(attributes: Attributes) -> tuple[Codec, ...]:
    fmtp, feedback, rtpmap = (tuple(_all(attributes, name)) for name in ("fmtp", "rtcp-fb", "rtpmap"))
    lines = fmtp, feedback, rtpmap
    if sum(len(value) for values in lines for value in values) > MAX_KEPT_TABLE:
        return _codec_table(lines)
    return _kept_codec_table(lines)


@lru_cache(CODEC_TABLES)
def _kept_codec_table(lines: CodecLines) -> tuple[Codec, ...]:
    return _codec_table(lines)


def _codec_table(lines: CodecLines) -> tuple[Codec, ...]:
    formats, feedbacks, maps = lines
    parameters: dict[int, str] = {}
    for value in formats:
        payload, _, text = value.partition(" ")
        parameters[_number(payload, "a payload type", 127)] = text
    everywhere: list[str] = []
    feedback: dict[int, list[str]] = {}
    for value in feedbacks:
        payload, _, text = value.partition(" ")
        if payload == "*":
            everywhere.append(text)
        else:
            feedback.setdefault(_number(payload, "a payload type", 127), []).append(text)
    codecs: dict[int, Codec] = {}
    for value in maps:
        payload, _, encoding = value.partition(" ")
        number = _number(payload, "a payload type", 127)
        name, _, rest = encoding.partition("/")
        rate = _number(rest.partition("/")[0], "a clock rate", 1_000_000)
        if not name or rate == 0 or number in codecs:
            raise SdpError("a malformed rtpmap")
        codecs[number] = Codec(
            number,
            name.upper(),
            rate,
            encoding,
            parameters.get(number, ""),
            tuple(everywhere + feedback.get(number, [])),
        )
    return tuple(codecs.values())


def _extensions(attributes: Attributes) -> tuple[tuple[int, str], ...]:
    """By id; `extmap:2/recvonly` counts too, since what matters is the number."""
    found: dict[int, str] = {}
    for value in _all(attributes, "extmap"):
        words = value.split()
        if len(words) < 2:
            raise SdpError("a malformed extmap")
        number = _number(words[0].split("/")[0], "an extension id", 4095)
        if 1 <= number <= 255 and number != 15:  # RFC 8285; above 255 are ids to be renumbered, which nobody sends
            found.setdefault(number, words[1])
    return tuple(found.items())


def _rids(attributes: Attributes) -> tuple[str, ...]:
    found = [value.split(" ")[0] for value in _all(attributes, "rid") if value.split(" ")[1:2] == ["send"]]
    if not all(_RID.match(rid) for rid in found) or len(set(found)) != len(found):
        raise SdpError("a malformed rid")
    return tuple(found)


def _msid(attributes: Attributes) -> tuple[str, str]:
    stream, _, track = _first(attributes, "msid").partition(" ")
    return stream, track.strip()


def _retransmissions(attributes: Attributes) -> dict[int, int]:
    pairs: dict[int, int] = {}
    for value in _all(attributes, "ssrc-group"):
        words = value.split()
        if words[:1] == ["FID"] and len(words) == 3:
            pairs[_number(words[1], "an SSRC", 0xFFFFFFFF)] = _number(words[2], "an SSRC", 0xFFFFFFFF)
    return pairs


def _setup(value: str) -> str:
    if value not in ("", "actpass", "active", "passive", "holdconn"):
        raise SdpError("an unknown DTLS role")
    return value


def _fingerprint(value: str) -> Fingerprint | None:
    if not value:
        return None
    algorithm, _, digest = value.partition(" ")
    algorithm, digest = algorithm.lower(), digest.strip().upper()
    size = _FINGERPRINT_BYTES.get(algorithm)
    if size is None:
        raise SdpError("a fingerprint of an unknown or weak algorithm")
    if not re.fullmatch(r"[0-9A-F]{2}(:[0-9A-F]{2})*", digest) or len(digest) != size * 3 - 1:
        raise SdpError("a fingerprint of the wrong length")
    return Fingerprint(algorithm, digest)
