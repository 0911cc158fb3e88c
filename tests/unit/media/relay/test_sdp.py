"""The SDP parser: captures of three browsers' engines, and what it refuses (C-07)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.relay.sdp import MAX_SECTIONS, Fingerprint, SdpError, parse

CAPTURES = Path(__file__).parent / "sdp"


def capture(name: str) -> str:
    return (CAPTURES / name).read_text()


def test_chromium_publisher_with_three_layers() -> None:
    offer = parse(capture("chromium-dual-publisher.offer"))
    assert offer.bundle == ("0", "1", "2")
    data, audio, video = offer.sections
    assert (data.kind, data.sctp_port, data.max_message_size) == ("application", 5000, 262144)
    assert (audio.kind, audio.direction, audio.sends) == ("audio", "sendonly", True)
    assert audio.ssrcs == (3435488220,)
    assert audio.codecs[0].encoding == "opus/48000/2"
    assert audio.codecs[0].parameters == "minptime=10;stereo=1;useinbandfec=1"
    assert audio.codecs[0].feedback == ("transport-cc",)
    assert (video.rids, video.simulcast, video.ssrcs) == (("q", "h", "f"), True, ())
    assert video.msid == ("cc944ea1-725b-4e6b-bed9-3fbf241203bd", "b2a31929-1df7-4df5-be41-d00c4962e970")
    vp8 = video.codecs[0]
    assert (vp8.payload_type, vp8.name, vp8.clock_rate) == (96, "VP8", 90000)
    assert vp8.feedback == ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
    assert (10, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id") in video.extensions
    assert offer.setup == "actpass"
    assert offer.fingerprint.algorithm == "sha-256"


def test_firefox_has_its_fingerprint_in_the_session_part() -> None:
    offer = parse(capture("firefox-dual-publisher.offer"))
    assert offer.fingerprint == Fingerprint(
        "sha-256",
        "59:4A:E4:95:F8:55:60:E8:6C:40:4E:F1:41:EF:2B:37:5F:D4:0F:9C:FA:55:DE:29:A4:EE:07:D4:93:26:66:DC",
    )
    assert offer["1"].msid[1] == "{3b005937-8230-4e89-b5c1-f8754f50bbe8}"
    assert offer["0"].max_message_size == 1073741823
    assert (2, "urn:ietf:params:rtp-hdrext:csrc-audio-level") in offer["1"].extensions


def test_rust_offers_the_highest_layer_first() -> None:
    video = parse(capture("rust-dual-publisher.offer"))["1"]
    assert video.rids == ("h", "q")
    assert len(video.codecs) == 1


@pytest.mark.parametrize("name", sorted(path.name for path in CAPTURES.glob("*.*") if path.suffix != ".md"))
def test_every_capture_is_read(name: str) -> None:
    description = parse(capture(name))
    assert description.application is not None
    assert description.ufrag
    assert set(description.bundle) == {section.mid for section in description.sections}


MINIMAL = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=fingerprint:sha-256 {fingerprint}
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:0
a=rtpmap:111 opus/48000/2
""".replace("{fingerprint}", ":".join(["AB"] * 32))


def test_the_minimal_description_is_read() -> None:
    section = parse(MINIMAL).sections[0]
    assert (section.mid, section.direction, section.rejected) == ("0", "sendrecv", False)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("v=0", "v=1", "does not begin with v=0"),
        ("m=audio", "x=audio", "no media section"),
        ("m=audio 9", "m=text 9", "neither audio, video nor application"),
        ("m=audio 9", "m=audio 99999", "a port is not a number up to 65535"),
        ("m=audio 9", "m=audio ٩", "a port is not a number"),
        ("a=mid:0", "a=mid:", "without a usable mid"),
        ("a=mid:0", "a=mid:" + "x" * 33, "without a usable mid"),
        ("BUNDLE 0", "BUNDLE 0 7", "names a mid that no section has"),
        (":AB\n", "\n", "fingerprint of the wrong length"),
        ("sha-256", "md5", "unknown or weak algorithm"),
        ("a=rtpmap:111", "a=rtpmap:200", "a payload type is not a number up to 127"),
        ("opus/48000/2", "opus", "a clock rate is not a number"),
        ("a=mid:0", "a=mid:0\na=extmap:1", "malformed extmap"),
        ("a=mid:0", "a=mid:0\na=rid:!! send", "malformed rid"),
        ("a=mid:0", "a=mid:0\na=ssrc:x cname:y", "an SSRC is not a number"),
        ("a=mid:0", "a=mid:0\na=setup:perhaps", "unknown DTLS role"),
        ("a=mid:0", "a=mid:0\na=ice-ufrag:a b", "malformed ice-ufrag"),
        ("a=mid:0", "a=mid:0\n" + "a=x\n" * 1001, "too many lines"),
    ],
)
def test_what_can_not_be_used_is_refused_with_a_reason(before: str, after: str, reason: str) -> None:
    assert before in MINIMAL
    with pytest.raises(SdpError, match=reason):
        parse(MINIMAL.replace(before, after, 1))


def test_duplicate_mids_and_different_certificates_are_refused() -> None:
    section = MINIMAL[MINIMAL.index("m=") :]
    with pytest.raises(SdpError, match="same mid"):
        parse(MINIMAL + section)
    other = section.replace("a=mid:0", "a=mid:1\na=fingerprint:sha-256 " + ":".join(["CD"] * 32))
    with pytest.raises(SdpError, match="different certificates"):
        parse(MINIMAL + other)


def test_size_is_looked_at_before_anything_is_parsed() -> None:
    with pytest.raises(SdpError, match="longer than"):
        parse("v=0\n" + "a" * 1_000_000)
    with pytest.raises(SdpError, match=f"more than {MAX_SECTIONS} media sections"):
        parse("v=0" + "\nm=audio 9 X 0" * 5000)


@given(st.data())
def test_mutations_of_a_real_offer_raise_nothing_else(data: st.DataObject) -> None:
    text = capture("firefox-dual-publisher.offer")
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text) - 1))
        text = text[:start] + data.draw(st.text(max_size=6)) + text[start + data.draw(st.integers(0, 12)) :]
    try:
        parse(text)
    except SdpError:
        return
