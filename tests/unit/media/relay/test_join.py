"""What clients ask for when they connect: `/rtc`'s query and `/rtc/v1`'s join request (C-12)."""

from __future__ import annotations

import base64
import gzip
import json

import pytest
from livekit.protocol import models, rtc

from media.relay.join import MAX_JOIN_REQUEST, JoinError, from_query, from_wrapped


def wrapped(request: rtc.JoinRequest, *, compress: bool = False) -> str:
    content = request.SerializeToString()
    outer = rtc.WrappedJoinRequest(
        join_request=gzip.compress(content) if compress else content,
        compression=rtc.WrappedJoinRequest.GZIP if compress else rtc.WrappedJoinRequest.NONE,
    )
    return base64.urlsafe_b64encode(outer.SerializeToString()).decode()


def test_the_query_of_livekit_client() -> None:
    request = from_query(
        {
            "auto_subscribe": "0",
            "sdk": "js",
            "version": "2.23.0",
            "protocol": "17",
            "client_protocol": "2",
            "browser": "Firefox",
            "reconnect": "1",
            "sid": "PA_x",
            "attributes": base64.urlsafe_b64encode(json.dumps({"a": "é"}).encode()).decode(),
            "capabilities": "CAP_UNUSED,nonsense",
        }
    )
    assert (request.single, request.auto_subscribe, request.reconnect) == (False, False, True)
    assert request.participant_sid == "PA_x"
    assert request.attributes == {"a": "é"}
    client = request.client
    assert (client.sdk, client.version, client.protocol, client.browser) == (
        models.ClientInfo.JS, "2.23.0", 17, "Firefox",
    )  # fmt: skip
    assert list(client.capabilities) == [models.ClientInfo.CAP_UNUSED]


def test_an_empty_query_is_an_old_client_that_subscribes_to_everything() -> None:
    request = from_query({"protocol": "-3", "client_protocol": "x"})
    assert (request.auto_subscribe, request.reconnect, request.client.protocol) == (True, False, 0)


@pytest.mark.parametrize("compress", [False, True])
def test_the_join_request_of_single_clients(compress: bool) -> None:
    sent = rtc.JoinRequest(
        client_info=models.ClientInfo(sdk=models.ClientInfo.RUST, protocol=18),
        connection_settings=rtc.ConnectionSettings(auto_subscribe=True),
        metadata="m",
        participant_attributes={"a": "1"},
        add_track_requests=[rtc.AddTrackRequest(cid="c")],
        publisher_offer=rtc.SessionDescription(sdp="v=0"),
        participant_sid="PA_x",
    )
    request = from_wrapped(wrapped(sent, compress=compress))
    assert (request.single, request.auto_subscribe, request.metadata) == (True, True, "m")
    assert request.attributes == {"a": "1"}
    assert [track.cid for track in request.add_tracks] == ["c"]
    assert request.publisher_offer is not None
    assert request.publisher_offer.sdp == "v=0"
    assert from_wrapped(wrapped(rtc.JoinRequest(metadata="m"))).publisher_offer is None


def test_padding_may_be_left_out() -> None:
    assert from_wrapped(wrapped(rtc.JoinRequest(metadata="m")).rstrip("=")).metadata == "m"


def test_a_gzip_bomb_is_not_unpacked() -> None:
    bomb = rtc.WrappedJoinRequest(
        join_request=gzip.compress(bytes(100 * MAX_JOIN_REQUEST)), compression=rtc.WrappedJoinRequest.GZIP
    )
    with pytest.raises(JoinError, match="larger than"):
        from_wrapped(base64.urlsafe_b64encode(bomb.SerializeToString()).decode())


NOT_GZIP = rtc.WrappedJoinRequest(join_request=b"plain", compression=rtc.WrappedJoinRequest.GZIP)


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        ("", "missing"),
        ("%%%", "not base64"),
        (base64.urlsafe_b64encode(b"\xff\xff").decode(), "can't be read"),
        (
            base64.urlsafe_b64encode(
                rtc.WrappedJoinRequest(
                    join_request=b"plain", compression=rtc.WrappedJoinRequest.GZIP
                ).SerializeToString()
            ).decode(),
            "not gzip",
        ),
    ],
)
def test_other_nonsense_is_refused(encoded: str, reason: str) -> None:
    with pytest.raises(JoinError, match=reason):
        from_wrapped(encoded)


@pytest.mark.parametrize("attributes", ["%", "bm90IGpzb24=", "W10=", "eyJhIjoxfQ=="])
def test_attributes_that_are_no_texts_are_refused(attributes: str) -> None:
    with pytest.raises(JoinError):
        from_query({"attributes": attributes})
