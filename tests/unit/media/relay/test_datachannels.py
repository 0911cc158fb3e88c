"""Data packets and data tracks: stamped, addressed, numbered."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models, rtc

from media.relay.datachannels import LOSSY, RELIABLE, DataError, Sender, from_server
from media.relay.dataoutlet import HIGH_WATER, DataOutlet
from media.relay.datatracks import DataSubscriptions, DataTrackRefusedError, PublishedDataTracks
from palabre.base.errors import PeerError


def user(payload: bytes = b"x", **packet: Any) -> bytes:
    return models.DataPacket(user=models.UserPacket(payload=payload), **packet).SerializeToString()


def test_the_sender_is_who_we_say_not_what_the_packet_says() -> None:
    forged = models.DataPacket(
        participant_identity="mayor",
        participant_sid="PA_mayor",
        user=models.UserPacket(payload=b"x", participant_identity="mayor", participant_sid="PA_mayor"),
    )
    routed = Sender("alice", "PA_a", 1000).stamp(RELIABLE, forged.SerializeToString())
    assert routed is not None
    packet = models.DataPacket.FromString(routed.payload)
    assert (packet.participant_identity, packet.participant_sid) == ("alice", "PA_a")
    assert (packet.user.participant_identity, packet.user.participant_sid) == ("alice", "PA_a")
    assert packet.kind == models.DataPacket.RELIABLE


def test_packets_reach_those_they_are_addressed_to_by_either_name() -> None:
    sender = Sender("alice", "PA_a", 1000)
    everybody = sender.stamp(LOSSY, user())
    assert everybody is not None
    assert everybody.reaches("bob", "PA_b")
    packet = models.DataPacket(
        destination_identities=["bob"],
        user=models.UserPacket(destination_identities=["carol"], destination_sids=["PA_d"]),
    )
    some = sender.stamp(LOSSY, packet.SerializeToString())
    assert some is not None
    assert [some.reaches(*who) for who in (("bob", ""), ("carol", ""), ("x", "PA_d"), ("eve", "PA_e"))] == [
        True, True, True, False,
    ]  # fmt: skip


def test_what_a_resumed_client_repeats_is_passed_once() -> None:
    sender = Sender("alice", "PA_a", 1000)
    assert sender.stamp(RELIABLE, user(sequence=1)) is not None
    assert sender.stamp(RELIABLE, user(sequence=2)) is not None
    assert sender.stamp(RELIABLE, user(sequence=2)) is None
    assert sender.last_sequence == 2
    assert sender.stamp(RELIABLE, user()) is not None  # old SDKs don't number


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xff",
        b"",
        models.DataPacket(speaker=models.ActiveSpeakerUpdate()).SerializeToString(),
        user(b"x" * 1001),
    ],
    ids=["nonsense", "empty", "speakers are ours to tell", "too large"],
)
def test_other_packets_are_dropped(payload: bytes) -> None:
    with pytest.raises(DataError):
        Sender("alice", "PA_a", 1000).stamp(RELIABLE, payload)


def test_the_server_s_packets_have_no_sender() -> None:
    routed = from_server(b"x", "topic", frozenset({"bob"}))
    assert (routed.packet.participant_identity, routed.packet.user.topic) == ("", "topic")
    assert routed.reaches("bob", "")
    assert not routed.reaches("eve", "")


class FakeLeg:
    """A leg whose transport takes data or does not."""

    def __init__(self) -> None:
        self.transport = self
        self.takes = False
        self.full = 0
        self.sent: list[tuple[str, bytes]] = []

    def send(self, label: str, payload: bytes) -> bool:
        if self.takes:
            self.sent.append((label, payload))
        return self.takes

    def buffered(self, label: str) -> int:
        return self.full


def test_reliable_messages_wait_for_their_channel_and_keep_their_order() -> None:
    leg = FakeLeg()
    outlet = DataOutlet(leg, 100)  # type: ignore[arg-type]
    outlet.send(RELIABLE, b"1")
    outlet.send(LOSSY, b"lost")
    leg.takes = True
    outlet.send(RELIABLE, b"2")
    assert leg.sent == []
    outlet.flush()
    outlet.send(RELIABLE, b"3")
    assert leg.sent == [(RELIABLE, b"1"), (RELIABLE, b"2"), (RELIABLE, b"3")]
    assert outlet.dropped == 1


def test_a_receiver_that_is_too_slow_is_given_up() -> None:
    leg = FakeLeg()
    leg.takes, leg.full = True, HIGH_WATER
    outlet = DataOutlet(leg, 100)  # type: ignore[arg-type]
    given_up = []
    for size in (100, 1):
        outlet.send(RELIABLE, b"x" * size)
        given_up.append(outlet.overflowed)
    assert given_up == [False, True]
    assert leg.sent == []


def request(handle: int = 1, name: str = "telemetry") -> rtc.PublishDataTrackRequest:
    return rtc.PublishDataTrackRequest(pub_handle=handle, name=name)


def test_a_data_track_has_one_handle_and_one_name() -> None:
    tracks = PublishedDataTracks(2)
    first = tracks.publish(request())
    assert first.sid.startswith("DTR_")
    assert tracks.publish(request()) is first
    tracks.publish(request(2, "other"))
    for wrong, reason in (
        (request(0), "INVALID_HANDLE"),
        (request(70_000), "INVALID_HANDLE"),
        (request(3, ""), "INVALID_NAME"),
        (request(1, "new"), "DUPLICATE_HANDLE"),
        (request(3, "telemetry"), "DUPLICATE_NAME"),
        (request(3, "third"), "LIMIT_EXCEEDED"),
    ):
        with pytest.raises(DataTrackRefusedError, match=reason):
            tracks.publish(wrong)
    assert tracks.unpublish(1) is first
    assert tracks.unpublish(1) is None


def test_only_the_handle_changes_on_the_way() -> None:
    tracks, subscriber = PublishedDataTracks(2), DataSubscriptions()
    sid = tracks.publish(request(0x0102)).sid
    frame = b"\x08\x00\x01\x02" + b"rest of the header and payload"
    assert tracks.named_in(frame) == sid
    assert subscriber.readdress(sid, frame) is None
    subscriber.add(sid)
    subscriber.add(sid)
    assert list(subscriber) == [(1, sid)]
    assert subscriber.readdress(sid, frame) == b"\x08\x00\x00\x01" + frame[4:]
    for wrong in (b"", frame[:11], b"\x08\x00\x09\x09" + frame[4:]):
        with pytest.raises(PeerError):
            tracks.named_in(wrong)


def test_handles_are_not_used_again() -> None:
    subscriber = DataSubscriptions()
    subscriber.add("DTR_a")
    assert subscriber.remove("DTR_a")
    subscriber.add("DTR_b")
    assert list(subscriber) == [(2, "DTR_b")]
