"""Rooms against a strict packet path: what everybody is told, in which order, and that nothing gone is named again."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from typing import Any

import pytest
from livekit.protocol import models, rtc

from media.relay.measures import Measures
from media.relay.plane.api import Codec
from media.relay.sdp import SdpError
from media.relay.seams import TrackSource
from media.relay.settings import Limits
from palabre.base.errors import CallerError
from tests.support.relay_fakes import FakeClient, World

both_modes = pytest.mark.parametrize("single", [False, True], ids=["dual", "single"])


@both_modes
def test_a_track_is_announced_negotiated_and_routed(single: bool) -> None:
    world = World()
    alice, bob = world.join("alice", single=single), world.join("bob", single=single)
    sid = alice.publish()
    assert [track.sid for track in bob.sees()["alice"].tracks] == [sid]
    assert list(world.plane.layers.values()) == [0]
    assert [message.track_sid for message in alice.got("track_subscribed")] == [sid]
    assert world.events == [
        ("room_started", "room"),
        ("participant_joined", "alice"),
        ("participant_joined", "bob"),
        ("track_published", "alice", "camera"),
    ]


@both_modes
def test_who_comes_later_gets_what_is_there(single: bool) -> None:
    world = World()
    alice = world.join("alice", single=single)
    alice.publish()
    alice.publish("audio")
    bob = world.join("bob", single=single)
    assert len(bob.got("join")[0].other_participants[0].tracks) == 2
    assert len(world.plane.downs) == 2


def test_several_changes_make_one_negotiation() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    bob.answering = False
    for _ in range(3):
        alice.publish()
    before = len(bob.got("media_sections_requirement"))
    bob.messages.clear()
    bob._seen = 0
    for track in list(alice.connection.participant.tracks.values()):
        world.rooms.get("room").distribution.choose(bob.connection, [track.sid], False)
        world.rooms.get("room").distribution.choose(bob.connection, [track.sid], True)
    world.settle()
    assert before >= 1
    assert [(m.num_audios, m.num_videos) for m in bob.got("media_sections_requirement")] == [(0, 3)]


def test_an_offer_of_ours_waits_for_the_answer_before_it() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", single=False)
    bob.answering = False
    offers = len(bob.got("offer"))
    alice.publish()
    alice.publish()
    alice.publish("audio")
    assert len(bob.got("offer")) == offers + 1
    bob.answering = True
    bob._seen = 0
    world.settle()
    assert bob.got("offer")[-1].sdp.count("a=sendonly") == 3
    assert len(world.plane.downs) == 3


@both_modes
def test_a_track_s_end_frees_everything(single: bool) -> None:
    world = World()
    alice, bob = world.join("alice", single=single), world.join("bob", single=single)
    alice.unpublish(alice.publish())
    assert (world.plane.ups, world.plane.downs) == ({}, {})
    assert list(bob.sees()["alice"].tracks) == []
    assert world.events[-1] == ("track_unpublished", "alice", "camera")


@both_modes
def test_lost_media_end_the_tracks_at_once_and_the_participant_soon(single: bool) -> None:
    world = World()
    alice, bob = world.join("alice", single=single), world.join("bob", single=single)
    alice.publish()
    bob.publish()
    alice.lose_media()
    assert alice.connection.participant.tracks == {}
    world.settle()
    assert alice.got("leave")[0].action == rtc.LeaveRequest.RECONNECT
    assert "alice" not in bob.sees()
    assert world.events[-1] == ("participant_left", "alice", "CONNECTION_TIMEOUT")
    bob.leave()
    assert not world.plane.sessions


def test_a_closing_tab_is_the_client_s_own_leaving() -> None:
    world = World()
    alice = world.join("alice")
    alice.connection.publisher.transport.lose("dtls_closed")  # type: ignore[attr-defined]
    alice.cut()
    assert world.events[-1] == ("participant_left", "alice", "CLIENT_INITIATED")


def test_the_one_who_never_had_media_is_no_member_for_others() -> None:
    world = World()
    bob = world.join("bob")
    ghost = world.join("ghost", active=False)
    assert bob.sees() == {}
    ghost.cut()
    assert world.events == [("room_started", "room"), ("participant_joined", "bob")]


@both_modes
def test_a_resume_keeps_what_flows_and_says_everything_again(single: bool) -> None:
    world = World()
    alice, bob = world.join("alice", single=single), world.join("bob", single=single)
    alice.publish()
    bob.cut()
    world.rooms.get("room").set_metadata("new")
    alice.publish("audio")
    downs = set(world.plane.downs)
    bob.resume()
    assert downs < set(world.plane.downs)
    assert bob.got("reconnect")
    assert len(bob.sees()["alice"].tracks) == 2
    assert bob.got("room_update")[-1].room.metadata == "new"
    if not single:
        assert bob.connection.subscriber.transport.restarts == 1  # type: ignore[attr-defined]


def test_a_client_s_ice_restart_is_answered_with_new_credentials_once() -> None:
    world = World()
    alice = world.join("alice")
    alice.publish()
    assert alice.connection.publisher.transport.restarts == 0  # type: ignore[attr-defined]
    alice._ice += 1000
    alice.offer()
    alice.offer()
    assert alice.connection.publisher.transport.restarts == 1  # type: ignore[attr-defined]


def test_grace_ends() -> None:
    world = World()
    world.join("alice").cut()
    room = world.rooms.get("room")
    room.look(Measures(), world.clock.monotonic() + 14)
    assert "alice" in room.members
    room.look(Measures(), world.clock.monotonic() + 16)
    assert world.events[-1] == ("participant_left", "alice", "SIGNAL_CLOSE")


def test_taking_publication_away_ends_tracks_and_tells_their_owner() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    sid = alice.publish()
    room = world.rooms.get("room")
    room.set_grants(alice.connection, replace(alice.grants, can_publish=False))
    world.settle()
    assert (world.plane.ups, world.plane.downs) == ({}, {})
    assert [message.track_sid for message in alice.got("track_unpublished")] == [sid]
    assert not bob.sees()["alice"].permission.can_publish
    alice.offer()  # its section still sends: that is not publishing
    assert world.plane.ups == {}
    alice.publish()
    assert alice.got("request_response")[-1].reason == rtc.RequestResponse.NOT_ALLOWED
    assert alice.got("refresh_token")


def test_a_resume_does_not_give_back_what_was_taken() -> None:
    world = World()
    alice = world.join("alice")
    world.rooms.get("room").set_grants(alice.connection, replace(alice.grants, can_publish=False))
    alice.cut()
    alice.resume()
    assert not alice.connection.participant.grants.can_publish


def test_a_muted_track_is_paused_for_everybody() -> None:
    world = World()
    alice, _bob = world.join("alice"), world.join("bob")
    sid = alice.publish()
    alice.request(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    assert list(world.plane.layers.values()) == [-1]
    alice.request(mute=rtc.MuteTrackRequest(sid=sid, muted=False))
    assert list(world.plane.layers.values()) == [0]
    assert world.events[-2:] == [
        ("track_changed", "alice", "camera", True),
        ("track_changed", "alice", "camera", False),
    ]


def test_who_is_muted_by_another_is_told_and_not_forwarded_whatever_their_client_does() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    sid = alice.publish()
    track = alice.connection.participant.tracks[sid]
    for _ in range(2):  # once is enough
        world.rooms.get("room").publications.mute(alice.connection, track)
    assert [(message.sid, message.muted) for message in alice.got("mute")] == [(sid, True)]
    assert bob.sees()["alice"].tracks[0].muted
    alice.offer()  # its section goes on sending
    assert list(world.plane.layers.values()) == [-1]
    world.join("carol")
    assert list(world.plane.layers.values()) == [-1, -1]
    alice.request(mute=rtc.MuteTrackRequest(sid=sid, muted=False))
    assert list(world.plane.layers.values()) == [0, 0]


def test_a_source_taken_away_ends_and_the_others_go_on() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.publish()
    microphone = alice.publish("audio")
    room = world.rooms.get("room")
    room.set_grants(alice.connection, replace(alice.grants, can_publish_sources=(TrackSource.MICROPHONE,)))
    world.settle()
    assert [track.sid for track in bob.sees()["alice"].tracks] == [microphone]
    assert list(bob.sees()["alice"].permission.can_publish_sources) == [models.MICROPHONE]
    assert alice.publish() == ""
    room.set_grants(alice.connection, alice.grants)
    assert alice.publish()


def test_a_codec_that_a_subscriber_lacks_is_told_and_not_sent() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    world.plane.ups.clear()
    sid = alice.publish(simulcast_codecs=[rtc.SimulcastCodec(codec="av1")])
    assert sid == ""  # the fake client offers VP8 only: neither can it publish AV1
    assert bob.sees()["alice"].tracks == []


def test_a_layer_nobody_watches_is_switched_off_after_a_pause() -> None:
    world = World(timeouts={"dynacast_pause": 5.0})
    alice, bob = world.join("alice"), world.join("bob")
    sid = alice.publish()
    room = world.rooms.get("room")
    bob.request(track_setting=rtc.UpdateTrackSettings(track_sids=[sid], quality=models.LOW))
    assert alice.got("subscribed_quality_update") == []
    world.clock.advance(6)
    room.look(Measures(), world.clock.monotonic())
    update = alice.got("subscribed_quality_update")[-1]
    assert [quality.enabled for quality in update.subscribed_qualities] == [True, False, False]
    bob.request(track_setting=rtc.UpdateTrackSettings(track_sids=[sid], quality=models.HIGH))
    assert all(q.enabled for q in alice.got("subscribed_quality_update")[-1].subscribed_qualities)


def test_speakers_are_told_to_all_by_participant() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.publish("audio")
    number = next(iter(alice.connection.participant.tracks.values())).number
    world.rooms.get("room").look_speakers({number: 20})
    (speaker,) = bob.got("speakers_changed")[-1].speakers
    assert (speaker.sid, speaker.active) == (alice.connection.participant.sid, True)


def test_quality_names_who_can_not_be_reached() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.cut()
    world.rooms.get("room").look_quality(Measures())
    rated = {u.participant_sid: u.quality for u in bob.got("connection_quality")[-1].updates}
    assert rated == {
        alice.connection.participant.sid: models.LOST,
        bob.connection.participant.sid: models.EXCELLENT,
    }


def test_every_request_of_the_protocol_has_a_handler() -> None:
    alice = World().join("alice")
    names = {field.name for field in rtc.SignalRequest.DESCRIPTOR.oneofs_by_name["message"].fields}
    assert set(alice._requests._handlers) == names


def test_an_empty_request_changes_nothing() -> None:
    alice = World().join("alice")
    alice.request()
    assert not alice.connection.closed


def test_a_client_that_asks_for_a_broken_connection_may_come_back() -> None:
    world = World()
    alice = world.join("alice")
    alice.request(simulate=rtc.SimulateScenario(node_failure=True))
    alice.cut()
    assert alice.connection.lost_at is not None
    alice.resume()
    assert alice.connection.lost_at is None


def test_limits_on_tracks_hold() -> None:
    alice = World(limits={"tracks": 2}).join("alice")
    assert alice.publish()
    assert alice.publish()
    assert alice.publish() == ""
    assert alice.got("request_response")[-1].reason == rtc.RequestResponse.LIMIT_EXCEEDED


# Often what builds up and what breaks, now and then everything else.
_DEEDS = ["join", "publish", "publish", "lose", "unpublish", "cut", "resume", "settle", "leave"] * 2 + [
    "mute", "choose", "wish", "rights", "revoke", "pause", "look", "tap",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_no_order_of_deeds_names_what_is_gone(seed: int) -> None:
    """Seeded, not shrunk: long orders find more here than short ones."""
    chance = random.Random(seed)
    deeds = [(chance.choice(_DEEDS), chance.randrange(3), chance.random() < 0.5) for _ in range(150)]
    deeds = [("join", who, chance.random() < 0.5) for who in range(3)] + deeds
    world = World()
    people: dict[int, FakeClient] = {}
    for deed, who, flag in deeds:
        client = people.get(who)
        if deed == "settle":
            world.settle()
        elif deed == "look":
            world.clock.advance(3)
            for room in world.rooms:
                room.look(Measures(), world.clock.monotonic())
            world.rooms.expire(world.clock.monotonic())
        elif deed == "join":
            people[who] = world.join(f"person{who}", single=flag, active=True)
        elif client is not None and not client.connection.closed:
            _do(client, deed, flag)
    for client in people.values():
        if not client.connection.closed:
            client.lose_media()
    world.settle()
    for client in people.values():
        client.sees()
    assert not world.plane.sessions
    assert not world.plane.ups
    assert not world.plane.downs


def _do(client: FakeClient, deed: str, flag: bool) -> None:  # noqa: C901 - one line per deed
    room, tracks = client.room, list(client.connection.participant.tracks.values())
    sids = [track.sid for member in room.members.values() for track in member.participant.tracks.values()]
    if deed == "publish" and client.connection.signalling:
        client.publish("video" if flag else "audio")
    elif deed == "unpublish" and tracks and tracks[0].cid in client.cids and client.connection.signalling:
        client.unpublish(tracks[0].sid)
    elif deed == "mute" and tracks:
        client.request(mute=rtc.MuteTrackRequest(sid=tracks[0].sid, muted=flag))
    elif deed == "choose":
        client.request(subscription=rtc.UpdateSubscription(track_sids=[*sids, "TR_unknown"], subscribe=flag))
    elif deed == "wish":
        client.request(track_setting=rtc.UpdateTrackSettings(track_sids=sids, disabled=flag))
    elif deed == "cut":
        client.cut()
    elif deed == "resume" and not client.connection.signalling and client.connection.media_alive:
        client.resume()
    elif deed == "lose":
        leg = client.connection.publisher if flag else client.connection.subscriber
        leg.transport.lose("dtls_closed")  # type: ignore[attr-defined]
    elif deed == "leave":
        client.leave()
    elif deed == "rights":
        client.request(subscription_permission=rtc.SubscriptionPermission(all_participants=flag))
    elif deed == "revoke":
        room.set_grants(client.connection, replace(client.grants, can_publish=flag, can_subscribe=not flag))
    elif deed == "pause":
        client.answering = flag
    elif deed == "tap" and tracks and tracks[0].announced:
        tap = room.publications.open_tap(tracks[0], _Sink(), 1)
        if flag:
            room.publications.close_tap(tracks[0], tap)


class _Sink:
    """A `TapSink` that takes whatever comes."""

    def layer(self, *_: object) -> None: ...

    def rtp(self, *_: object) -> None: ...

    def sender_report(self, *_: object) -> None: ...

    def muted(self, *_: object) -> None: ...

    def closed(self, *_: object) -> None: ...


def test_the_fake_negotiates_the_codec_that_it_offers() -> None:
    world = World()
    world.join("alice").publish()
    ((_, spec),) = world.plane.ups.values()
    assert spec.codecs == (Codec(96, "VP8", 90000, -1, False),)


def _random_message(message: Any, chance: random.Random, depth: int = 0) -> None:
    """Fill some fields with anything that their types allow."""
    for field in message.DESCRIPTOR.fields:
        if chance.random() < 0.4 or (field.message_type and depth > 2):
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            continue
        values = [_random_value(field, message, chance, depth) for _ in range(chance.randrange(3))]
        if field.message_type is None and field.is_repeated:
            getattr(message, field.name).extend(values)
        elif field.message_type is None and values:
            setattr(message, field.name, values[0])


def _random_value(field: Any, message: Any, chance: random.Random, depth: int) -> Any:
    if field.message_type is not None:
        target = getattr(message, field.name)
        _random_message(target.add() if field.is_repeated else target, chance, depth + 1)
        return None
    if field.enum_type is not None:
        return chance.choice(field.enum_type.values).number
    if field.cpp_type == field.CPPTYPE_STRING:
        text = chance.choice(["", "bob", "TR_x", "v=0\r\nm=audio 9 X 0\r\n", "é" * 9, "x" * 5000])
        return text.encode() if field.type == field.TYPE_BYTES else text
    if field.cpp_type == field.CPPTYPE_BOOL:
        return chance.random() < 0.5
    if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return chance.choice([0.0, -1.0, float("nan")])
    return chance.choice([0, 1, 2, 65535, 2**31 - 1])


@pytest.mark.parametrize("seed", range(20))
def test_no_request_raises_anything_but_that_a_description_is_unusable(seed: int) -> None:
    chance = random.Random(seed)
    world = World()
    world.join("bob").publish()
    alice = world.join("alice", single=seed % 2 == 0, can_update_own_metadata=True)
    fields: list[Any] = list(rtc.SignalRequest.DESCRIPTOR.oneofs_by_name["message"].fields)
    for field in fields * 5:
        request = rtc.SignalRequest()
        if field.message_type is None:
            request.ping = 1
        else:
            getattr(request, field.name).SetInParent()
            _random_message(getattr(request, field.name), chance)
        if alice.connection.closed:
            alice = world.join("alice", single=seed % 2 == 0, can_update_own_metadata=True)
        with contextlib.suppress(SdpError):
            alice._requests.handle(alice.connection, request)
    world.settle()
    alice.sees()


def test_attributes_that_the_service_alone_writes_are_not_a_client_s_to_change() -> None:
    world = World()
    alice = world.join("alice")
    participant = alice.connection.participant
    participant.grants = replace(participant.grants, can_update_own_metadata=True)
    for attributes in ({"palabre.consent.recording": "yes"}, {"hand": "up", "palabre.user": ""}):
        alice.request(update_metadata=rtc.UpdateParticipantMetadata(attributes=attributes))
        assert alice.got("request_response")[-1].reason == rtc.RequestResponse.NOT_ALLOWED
    assert participant.attributes == {}


def test_the_number_of_rooms_is_bounded() -> None:
    world = World(limits=Limits(rooms=2))
    for name in ("one", "two"):
        world.rooms.create(name, world.rooms.default_options())
    with pytest.raises(CallerError) as refused:
        world.rooms.create("three", world.rooms.default_options())
    assert refused.value.code == "too_many_rooms"
    assert world.rooms.create("one", world.rooms.default_options()).name == "one"
