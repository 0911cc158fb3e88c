"""Writes SDP (RFC 8866): the sections of our offers and answers as text, and nothing else. What goes into them is
decided in `negotiation`; `sdp` reads.

We are an ICE-lite server on fixed ports: candidates stand in every description and nothing is trickled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from media.relay.plane.api import Codec, Extension
from media.relay.sdp import Fingerprint

SCTP_PORT = 5000
MAX_MESSAGE_SIZE = 256 * 1024  # bytes of one data channel message; Chromium's own limit


@dataclass(frozen=True)
class LocalTransport:
    """Our end of a bundled transport."""

    ufrag: str
    password: str
    fingerprint: Fingerprint
    candidates: tuple[str, ...]  # with their "candidate:"

    def lines(self, setup: str) -> list[str]:
        return [
            f"a=ice-ufrag:{self.ufrag}",
            f"a=ice-pwd:{self.password}",
            f"a=fingerprint:{self.fingerprint.algorithm} {self.fingerprint.value}",
            f"a=setup:{setup}",
            *(f"a={candidate}" for candidate in self.candidates),
            "a=end-of-candidates",
        ]


@dataclass(frozen=True)
class CodecLine:
    """A codec with what SDP says about it besides."""

    codec: Codec
    encoding: str  # opus/48000/2
    parameters: str
    feedback: tuple[str, ...]

    def payload_types(self) -> list[int]:
        rtx = self.codec.rtx_payload_type
        return [self.codec.payload_type] + ([rtx] if rtx >= 0 else [])

    def lines(self) -> list[str]:
        number, rtx = self.codec.payload_type, self.codec.rtx_payload_type
        lines = [f"a=rtpmap:{number} {self.encoding}"]
        if self.parameters:
            lines.append(f"a=fmtp:{number} {self.parameters}")
        lines += [f"a=rtcp-fb:{number} {feedback}" for feedback in self.feedback]
        if rtx >= 0:
            lines += [f"a=rtpmap:{rtx} rtx/{self.codec.clock_rate}", f"a=fmtp:{rtx} apt={number}"]
        return lines


@dataclass(frozen=True)
class Sending:
    """A track that we send in a section: who it is (RFC 8830) and on which SSRCs (RFC 5576)."""

    stream: str
    track: str
    cname: str
    ssrc: int
    rtx_ssrc: int  # 0: no retransmission stream

    def lines(self) -> list[str]:
        ssrcs = [self.ssrc] + ([self.rtx_ssrc] if self.rtx_ssrc else [])
        lines = [f"a=msid:{self.stream} {self.track}"]
        if self.rtx_ssrc:
            lines.append(f"a=ssrc-group:FID {self.ssrc} {self.rtx_ssrc}")
        for ssrc in ssrcs:
            lines += [f"a=ssrc:{ssrc} cname:{self.cname}", f"a=ssrc:{ssrc} msid:{self.stream} {self.track}"]
        return lines


def session_lines(bundle: Iterable[str], version: int) -> list[str]:
    """`version` grows with every description of a peer connection, RFC 8829 section 5.2.1."""
    return [
        "v=0",
        f"o=- 1 {version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS *",
        "a=group:BUNDLE " + " ".join(bundle),
    ]


def media_lines(
    kind: str,
    mid: str,
    protocol: str,
    direction: str,
    codecs: Sequence[CodecLine],
    extensions: Iterable[Extension],
) -> list[str]:
    """An audio or video section, without its transport."""
    numbers = [str(number) for line in codecs for number in line.payload_types()]
    return [
        f"m={kind} 9 {protocol} {' '.join(numbers)}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{mid}",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        f"a={direction}",
        *(line for codec in codecs for line in codec.lines()),
        *(f"a=extmap:{extension.id} {extension.uri}" for extension in extensions),
    ]


def simulcast_lines(rids: Sequence[str]) -> list[str]:
    """That we take these layers, in the order they were offered (RFC 8853)."""
    if not rids:
        return []
    return [f"a=rid:{rid} recv" for rid in rids] + ["a=simulcast:recv " + ";".join(rids)]


def application_lines(mid: str, protocol: str) -> list[str]:
    """The data channels, RFC 8841."""
    return [
        f"m=application 9 {protocol} webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{mid}",
        f"a=sctp-port:{SCTP_PORT}",
        f"a=max-message-size:{MAX_MESSAGE_SIZE}",
    ]


def rejected_lines(kind: str, mid: str, protocol: str, payload: str) -> list[str]:
    """A section that we don't take; it stands outside the bundle."""
    return [f"m={kind} 0 {protocol} {payload}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}", "a=inactive"]


def text(lines: Iterable[str]) -> str:
    return "\r\n".join(lines) + "\r\n"
