"""Announced tracks and the sections that carry them."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models, rtc

from media.relay.negotiation import AgreedUp
from media.relay.plane.api import Codec
from media.relay.sdp import parse
from media.relay.seams import TrackSource
from media.relay.tracks import (
    PublishedTrack,
    TrackRefusedError,
    announce,
    layer_of_quality,
    match,
    quality_of_layer,
)
from tests.unit.media.relay.test_sdp import capture

CAMERA_CID = "b2a31929-1df7-4df5-be41-d00c4962e970"  # of the Chromium capture
MICROPHONE_CID = "641898d2-6b90-439f-a30d-abc4525867fb"


def announced(cid: str = "cid", *, video: bool = True, **request: Any) -> PublishedTrack:
    values: dict[str, Any] = {
        "cid": cid,
        "type": models.VIDEO if video else models.AUDIO,
        "source": models.CAMERA if video else models.MICROPHONE,
        **request,
    }
    return announce(rtc.AddTrackRequest(**values), number=1, publisher="alice", publisher_sid="PA_a", now=1.0)


def test_an_announcement_becomes_what_others_are_shown() -> None:
    layers = [models.VideoLayer(quality=models.LOW, width=320, height=180), models.VideoLayer(quality=models.HIGH)]
    track = announced(name="cam", width=1280, height=720, layers=layers, encryption=models.Encryption.GCM, muted=True)
    info = track.info
    assert info.sid.startswith("TR_V")
    assert (info.mime_type, info.simulcast, info.stream, info.encryption) == (
        "video/VP8", True, "camera", models.Encryption.GCM,
    )  # fmt: skip
    assert info.codecs[0].cid == "cid"
    facts = track.facts()
    assert (facts.kind, facts.source, facts.encrypted, facts.muted) == ("video", TrackSource.CAMERA, True, True)
    assert announced(video=False).info.mime_type == "audio/opus"


@pytest.mark.parametrize(("codec", "name"), [("", "VP8"), ("vp9", "VP9"), ("h264", "H264"), ("AV1", "AV1")])
def test_the_first_announced_codec_counts(codec: str, name: str) -> None:
    codecs = [rtc.SimulcastCodec(codec=codec), rtc.SimulcastCodec(codec="vp8")]
    assert announced(simulcast_codecs=codecs).codec == name


@pytest.mark.parametrize(
    "request_",
    [
        {"cid": ""},
        {"type": models.DATA},
        {"sid": "TR_x"},
        {"source": models.MICROPHONE},
        {"name": "x" * 257},
        {"layers": [models.VideoLayer()] * 9},
        {"simulcast_codecs": [rtc.SimulcastCodec(codec="h265")]},
        {"simulcast_codecs": [rtc.SimulcastCodec(codec="opus")]},
    ],
    ids=lambda request: next(iter(request)),
)
def test_what_makes_no_sense_is_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(TrackRefusedError):
        announced(**request_)


def test_sections_are_matched_by_the_track_id_in_their_msid() -> None:
    offer = parse(capture("chromium-dual-publisher.offer"))
    camera, microphone = announced(CAMERA_CID), announced(MICROPHONE_CID, video=False)
    found = match(offer, [], {camera.cid: camera, microphone.cid: microphone})
    assert found.by_mid == {"1": microphone, "2": camera}
    assert found.gone == ()


def test_a_name_that_sdp_does_not_know_means_the_first_waiting_track_of_that_kind() -> None:
    offer = parse(capture("chromium-dual-publisher.offer"))
    camera, screen, microphone = announced("x"), announced("y"), announced("z", video=False)
    found = match(offer, [], {track.cid: track for track in (camera, screen, microphone)})
    assert found.by_mid == {"1": microphone, "2": camera}


def carried(track: PublishedTrack, mid: str) -> PublishedTrack:
    track.carried_by(AgreedUp(mid, track.kind, Codec(96, "VP8", 90000, 97, True), (), ("q", "h", "f"), ()))
    return track


def test_a_carried_track_stays_and_ends_with_its_section() -> None:
    offer = parse(capture("chromium-dual-publisher.offer"))
    camera = carried(announced(CAMERA_CID), "2")
    assert match(offer, [camera], {}).by_mid == {"2": camera}
    stopped = parse(capture("chromium-dual-publisher.offer").replace("a=sendonly", "a=inactive"))
    assert match(stopped, [camera], {}).gone == (camera,)


def test_a_section_that_names_another_waiting_track_ends_the_one_before() -> None:
    offer = parse(capture("chromium-dual-publisher.offer"))
    old, new = carried(announced("old"), "2"), announced(CAMERA_CID)
    found = match(offer, [old], {new.cid: new})
    assert found.by_mid == {"2": new}
    assert found.gone == (old,)


def test_versions_only_grow() -> None:
    track = announced()
    track.touch(100.0)
    before = track.info.version.unix_micro
    track.touch(50.0)  # the clock was set back
    assert track.info.version.unix_micro > before


@pytest.mark.parametrize(
    ("rids", "quality", "layer"),
    [
        (("q", "h", "f"), models.LOW, 0),
        (("q", "h", "f"), models.MEDIUM, 1),
        (("q", "h", "f"), models.HIGH, 2),
        (("q", "h"), models.HIGH, 1),
        (("h", "f"), models.LOW, 0),
        ((), models.HIGH, 0),
        (("a", "b", "c"), models.MEDIUM, 1),
    ],
)
def test_a_quality_is_a_layer(rids: tuple[str, ...], quality: int, layer: int) -> None:
    assert layer_of_quality(rids, quality) == layer


def test_a_layer_is_a_quality() -> None:
    assert [quality_of_layer(("q", "h", "f"), layer) for layer in (0, 1, 2, 5)] == [0, 1, 2, 2]
    assert quality_of_layer((), 0) == models.HIGH
