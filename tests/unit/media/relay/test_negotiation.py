"""Negotiation as input and output: real offers in, the SDP that we send and what it commits us to out."""

from __future__ import annotations

from media.relay.negotiation import Downlink, OfferedSection, Receiving, accepted, answer, offer
from media.relay.plane import extensions as uris
from media.relay.plane.api import Codec, Extension
from media.relay.sdp import Description, Fingerprint, parse
from media.relay.sections import LocalTransport, Sending
from tests.unit.media.relay.test_sdp import capture

LOCAL = LocalTransport(
    "ufrag",
    "password",
    Fingerprint("sha-256", ":".join(["AB"] * 32)),
    ("candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host",),
)
SENDING = Sending("PA_x|TR_y", "TR_y", "PA_x", 1111, 2222)


def read(text: str) -> Description:
    assert text.endswith("\r\n")
    assert "a=ice-lite\r\n" in text
    return parse(text)


def test_a_publisher_is_answered_with_one_codec_its_retransmissions_and_its_layers() -> None:
    made = answer(
        parse(capture("chromium-dual-publisher.offer")),
        {"1": Receiving("OPUS"), "2": Receiving("VP8")},
        {},
        LOCAL,
        2,
    )
    reply = read(made.sdp)
    assert reply.bundle == ("0", "1", "2")
    assert reply.setup == "passive"
    audio, video = reply["1"], reply["2"]
    assert (audio.direction, video.direction) == ("recvonly", "recvonly")
    assert [codec.name for codec in audio.codecs] == ["OPUS"]  # RED is refused
    assert audio.codecs[0].parameters == "minptime=10;stereo=1;useinbandfec=1;usedtx=1"
    assert [(codec.payload_type, codec.name) for codec in video.codecs] == [(96, "VP8"), (97, "RTX")]
    assert "a=rid:q recv\r\na=rid:h recv\r\na=rid:f recv\r\na=simulcast:recv q;h;f\r\n" in made.sdp
    up = made.ups["2"]
    assert up.rids == ("q", "h", "f")
    assert up.codec == Codec(96, "VP8", 90000, 97, True)
    assert Extension(10, uris.RID) in up.extensions
    assert made.ups["1"].ssrcs == ((3435488220, 0),)


def test_lost_audio_is_asked_for_though_libwebrtc_never_offers_it() -> None:
    offered = parse(capture("chromium-dual-publisher.offer"))
    assert "nack" not in offered["1"].codecs[0].feedback
    up = answer(offered, {"1": Receiving("OPUS")}, {}, LOCAL, 2)
    assert up.ups["1"].codec.nack
    assert "nack" in read(up.sdp)["1"].codecs[0].feedback

    single = parse(capture("chromium-single-join.offer"))
    mid = next(section.mid for section in single.sections if section.kind == "audio")
    down = answer(single, {}, {mid: Downlink("OPUS", SENDING)}, LOCAL, 2)
    assert down.downs[mid].codec.nack
    assert "nack" in read(down.sdp)[mid].codecs[0].feedback

    ours = offer([OfferedSection("1", "audio", "OPUS", Downlink("OPUS", SENDING))], LOCAL, 1)
    silent = parse(ours.sdp.replace("sendonly", "recvonly").replace("a=rtcp-fb:111 nack\r\n", ""))
    agreed, refused = accepted(ours.downs, silent)
    assert (agreed["1"].codec.nack, refused) == (True, ())


def test_the_dependency_descriptor_is_taken_for_svc_codecs_only() -> None:
    parsed = parse(capture("chromium-dual-publisher.offer"))
    for codec, taken in (("VP8", False), ("H264", False), ("VP9", True), ("AV1", True)):
        made = answer(parsed, {"2": Receiving(codec)}, {}, LOCAL, 1)
        assert (uris.DEPENDENCY_DESCRIPTOR in {e.uri for e in made.ups["2"].extensions}) is taken, codec


def test_h264_is_taken_in_the_form_that_every_decoder_has() -> None:
    made = answer(parse(capture("chromium-dual-publisher.offer")), {"2": Receiving("H264")}, {}, LOCAL, 1)
    assert made.ups["2"].codec == Codec(108, "H264", 90000, 109, True)


def test_rust_layers_are_put_in_order_of_quality_but_answered_as_offered() -> None:
    made = answer(parse(capture("rust-dual-publisher.offer")), {"1": Receiving("VP8")}, {}, LOCAL, 1)
    assert made.ups["1"].rids == ("q", "h")
    assert made.ups["1"].codec.rtx_payload_type == -1
    assert "a=simulcast:recv h;q\r\n" in made.sdp


def test_without_discontinuous_sound_it_is_not_asked_for() -> None:
    made = answer(parse(capture("firefox-dual-publisher.offer")), {"1": Receiving("OPUS", False)}, {}, LOCAL, 1)
    assert "usedtx" not in made.sdp


def test_sections_that_carry_nothing_we_know_are_inactive() -> None:
    made = answer(parse(capture("chromium-dual-publisher.offer")), {}, {}, LOCAL, 1)
    assert [section.direction for section in read(made.sdp).sections[1:]] == ["inactive", "inactive"]
    assert made.ups == {}


def test_a_codec_that_the_peer_lacks_is_reported() -> None:
    made = answer(parse(capture("rust-dual-publisher.offer")), {"1": Receiving("AV1")}, {}, LOCAL, 1)
    assert made.unsupported == ("1",)
    assert read(made.sdp)["1"].direction == "inactive"


def test_one_connection_receives_and_sends() -> None:
    parsed = parse(capture("chromium-single-publisher.offer"))
    downs = {"0": Downlink("OPUS", Sending("PA_x|TR_a", "TR_a", "PA_x", 33, 0)), "3": Downlink("VP8", SENDING)}
    made = answer(parsed, {"7": Receiving("VP8"), "8": Receiving("OPUS")}, downs, LOCAL, 1)
    reply = read(made.sdp)
    assert [s.direction for s in reply.sections if s.kind != "application"] == [
        "sendonly", "inactive", "inactive", "sendonly", "inactive", "inactive", "recvonly", "recvonly",
    ]  # fmt: skip
    assert reply["3"].msid == ("PA_x|TR_y", "TR_y")
    assert reply["3"].ssrcs == (1111, 2222)
    assert reply["3"].retransmissions == {1111: 2222}
    assert reply["0"].ssrcs == (33,)
    assert made.downs["3"].codec.name == "VP8"
    assert {extension.uri for extension in made.downs["3"].extensions} == {
        uris.TRANSPORT_CC,
        uris.ABS_SEND_TIME,
        uris.VIDEO_ORIENTATION,
    }


def test_every_video_section_has_the_same_extensions_or_chromium_drops_the_rid() -> None:
    parsed = parse(capture("chromium-single-publisher.offer"))
    made = answer(parsed, {"7": Receiving("VP8")}, {"3": Downlink("VP8", SENDING)}, LOCAL, 1)
    videos = [section for section in read(made.sdp).sections if section.kind == "video"]
    sets = [{uri for _, uri in section.extensions if uri != uris.DEPENDENCY_DESCRIPTOR} for section in videos]
    assert all(uris.RID in present for present in sets)
    assert len({frozenset(present) for present in sets}) == 1


def test_receive_sections_keep_the_descriptor_for_svc_tracks() -> None:
    parsed = parse(capture("chromium-single-publisher.offer"))
    made = answer(parsed, {}, {"3": Downlink("AV1", SENDING)}, LOCAL, 1)
    assert uris.DEPENDENCY_DESCRIPTOR in {extension.uri for extension in made.downs["3"].extensions}


def test_a_subscriber_without_the_codec_is_reported() -> None:
    text = capture("rust-single-join.offer")
    video = next(section for section in parse(text).sections if section.kind == "video")
    lacking = text.replace("AV1/90000", "XX1/90000")
    made = answer(parse(lacking), {}, {video.mid: Downlink("AV1", SENDING)}, LOCAL, 1)
    assert made.unsupported == (video.mid,)


def test_rejected_sections_stay_outside_the_bundle() -> None:
    text = capture("firefox-dual-publisher.offer").replace("m=audio 9", "m=audio 0").replace("BUNDLE 0 1", "BUNDLE 0")
    made = answer(parse(text), {}, {}, LOCAL, 1)
    assert read(made.sdp).bundle == ("0",)
    assert "m=audio 0 " in made.sdp


def slots(downlink: Downlink | None) -> list[OfferedSection]:
    audio = Downlink("OPUS", Sending("PA_x|TR_a", "TR_a", "PA_x", 33, 0), stereo=True)
    return [OfferedSection("1", "video", "VP8", downlink), OfferedSection("2", "audio", "OPUS", audio)]


def test_our_offer_begins_with_data_channels_and_names_tracks() -> None:
    made = offer(slots(Downlink("VP8", SENDING)), LOCAL, 3)
    parsed = read(made.sdp)
    assert [section.kind for section in parsed.sections] == ["application", "video", "audio"]
    assert parsed.setup == "actpass"
    assert parsed["1"].direction == "sendonly"
    assert parsed["1"].msid == ("PA_x|TR_y", "TR_y")
    assert "sprop-stereo=1" in parsed["2"].codecs[0].parameters
    assert set(made.downs) == {"1", "2"}


def test_an_unused_section_is_offered_as_inactive() -> None:
    parsed = read(offer(slots(None), LOCAL, 4).sdp)
    assert (parsed["1"].direction, parsed["1"].ssrcs) == ("inactive", ())


def test_what_chromium_and_rust_accept_is_what_is_used() -> None:
    offered = offer(slots(Downlink("VP8", SENDING)), LOCAL, 3).downs
    for name in ("chromium-dual-subscriber.answer", "rust-dual-subscriber.answer"):
        agreed, refused = accepted(offered, parse(capture(name)))
        assert refused == ()
        assert agreed["1"].codec == Codec(96, "VP8", 90000, 97, True)
        assert agreed["2"].codec.name == "OPUS"


def test_what_an_answer_leaves_out_is_not_used() -> None:
    offered = offer(slots(Downlink("VP8", SENDING)), LOCAL, 3).downs
    text = capture("chromium-dual-subscriber.answer")
    poorer = text.replace("a=rtpmap:97 rtx/90000\n", "").replace("a=extmap:3 urn:3gpp:video-orientation\n", "")
    agreed, _ = accepted(offered, parse(poorer))
    assert agreed["1"].codec.rtx_payload_type == -1
    assert [extension.uri for extension in agreed["1"].extensions] == [uris.ABS_SEND_TIME]
    _, refused = accepted(offered, parse(text.replace("m=video 9", "m=video 0")))
    assert refused == ("1",)
