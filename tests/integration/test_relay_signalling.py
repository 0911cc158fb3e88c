"""The signalling WebSocket against clients that are wrong, hostile or old. No media."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import jwt
import pytest
from livekit.protocol import models, rtc

from tests.support.relay import API_KEY, API_SECRET, RunningRelay, running_relay, until
from tests.support.signal_client import signalling

ROOM = "council"
JOIN_OFFER = (Path(__file__).parents[1] / "unit/media/relay/sdp/chromium-single-join.offer").read_text()


@pytest.fixture
async def relay() -> AsyncIterator[RunningRelay]:
    async with running_relay() as running:
        yield running


def forged(claims: dict[str, object], *, key: str = API_SECRET, algorithm: str = "HS256", **header: str) -> str:
    now = int(time.time())
    base = {"iss": API_KEY, "sub": "eve", "exp": now + 600, "video": {"roomJoin": True, "room": ROOM}}
    return jwt.encode({**base, **claims}, key, algorithm=algorithm, headers=header or None)


# Made when they are used: the run may be old by then.
BAD_TOKENS: dict[str, tuple[Callable[[], str], str]] = {
    "none": (lambda: "", "missing"),
    "not a token": (lambda: "x.y", "not a JSON web token"),
    "of another key": (lambda: forged({}, key="another-secret-another-secret-another"), "signature"),
    "unsigned": (lambda: forged({}, key="", algorithm="none"), "HS256"),
    "expired": (lambda: forged({"exp": int(time.time()) - 60}), "expired; check the clocks"),
    "not yet valid": (lambda: forged({"nbf": int(time.time()) + 300}), "check the clocks"),
    "without joining": (lambda: forged({"video": {"room": ROOM}}), "roomJoin"),
    "critical header": (lambda: forged({}, crit="b64"), "critical"),
}


@pytest.mark.parametrize("path", ["/rtc", "/rtc/v1"])
@pytest.mark.parametrize(("make_token", "reason"), BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
async def test_a_bad_token_is_refused_before_the_upgrade_and_the_page_can_ask_why(
    relay: RunningRelay, path: str, make_token: Callable[[], str], reason: str
) -> None:
    token = make_token()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(relay.http + path, params={"access_token": token})
        assert refused.value.status == 401
        async with session.get(relay.http + path + "/validate", params={"access_token": token}) as why:
            assert why.status == 401
            assert reason in await why.text()
            assert why.headers["Access-Control-Allow-Origin"] == "*"
    assert relay.events == []


async def test_a_good_token_validates(relay: RunningRelay) -> None:
    params = {"access_token": relay.token("alice", ROOM)}
    async with aiohttp.ClientSession() as session:
        async with session.get(relay.http + "/rtc/validate", params=params) as answer:
            assert (answer.status, await answer.text()) == (200, "success")
        async with session.get(relay.http + "/rtc/v1/validate", params={**params, "join_request": "%%"}) as answer:
            assert answer.status == 400
    assert relay.events == []


async def test_admission_is_asked_at_joins_and_resumes_and_its_word_counts(relay: RunningRelay) -> None:
    relay.door.refused.add("mallory")
    async with aiohttp.ClientSession() as session:
        params = {"access_token": relay.token("mallory", ROOM)}
        async with session.get(relay.http + "/rtc/validate", params=params) as answer:
            assert (answer.status, await answer.text()) == (403, "you are not in this room")
    relay.door.narrowing["alice"] = {"can_publish": False}
    async with signalling(relay, relay.token("alice", ROOM)) as alice:
        join = await alice.next("join")
        assert not join.participant.permission.can_publish
        await alice.send(add_track=rtc.AddTrackRequest(cid="c", type=models.VIDEO, source=models.CAMERA))
        refusal = await alice.next("request_response")
        assert (refusal.reason, refusal.add_track.cid) == (rtc.RequestResponse.NOT_ALLOWED, "c")
    assert relay.door.asked == ["mallory", "alice"]


async def test_a_room_that_must_be_created_first_is_missed_in_livekits_words() -> None:
    async with running_relay(rooms={"auto_create": False}) as relay, aiohttp.ClientSession() as session:
        params = {"access_token": relay.token("alice", ROOM)}
        async with session.get(relay.http + "/rtc/validate", params=params) as answer:
            assert (answer.status, await answer.text()) == (404, "requested room does not exist")
        await relay.control.create_room(ROOM)
        async with session.get(relay.http + "/rtc/validate", params=params) as answer:
            assert answer.status == 200


async def test_the_join_response_says_what_clients_need(relay: RunningRelay) -> None:
    token = relay.token("alice", ROOM, metadata="m", attributes={"a": "1"})
    async with signalling(relay, token, protocol="16") as alice:
        join = await alice.next("join")
        assert alice.seen[0].HasField("join")
        assert join.subscriber_primary
        assert (join.ping_interval, join.ping_timeout) == (5, 15)
        assert join.server_info.version
        assert join.participant.sid.startswith("PA_")
        assert (join.participant.metadata, dict(join.participant.attributes)) == ("m", {"a": "1"})
        offer = await alice.next("offer")
        assert "m=application" in offer.sdp
        assert "a=ice-lite" in offer.sdp
        await alice.send(ping_req=rtc.Ping(timestamp=5))
        assert (await alice.next("pong_resp")).last_ping_timestamp == 5
    async with signalling(relay, token, single=True) as alice:
        assert not (await alice.next("join")).subscriber_primary


async def test_a_client_that_talks_json_is_answered_in_json(relay: RunningRelay) -> None:
    async with signalling(relay, relay.token("alice", ROOM)) as alice:
        await alice.next("offer")
        await alice.socket.send_str('{"pingReq": {"timestamp": "7"}, "unknown": 1}')
        answer = await alice.socket.receive(timeout=5)
        assert answer.type is aiohttp.WSMsgType.TEXT
        assert json.loads(answer.data)["pongResp"]["lastPingTimestamp"] == "7"


async def test_frames_that_are_too_large_or_nonsense_end_the_connection(relay: RunningRelay) -> None:
    async with signalling(relay, relay.token("alice", ROOM)) as alice:
        await alice.next("join")
        await alice.socket.send_bytes(bytes(2 * 1024 * 1024 + 1))
        assert await alice.end() == 1009
    async with signalling(relay, relay.token("alice", ROOM)) as alice:
        await alice.next("join")
        await alice.socket.send_bytes(b"\xff\xff\xff\xff")
        assert await alice.end() == 1007
    await until(lambda: not relay.control.registry.get(ROOM).members, "nobody stays")


async def test_an_offer_that_can_not_be_used_ends_in_a_new_join(relay: RunningRelay) -> None:
    async with signalling(relay, relay.token("alice", ROOM)) as alice:
        await alice.next("join")
        await alice.send(offer=rtc.SessionDescription(type="offer", sdp="v=0\r\n" + "m=audio 9 X 0\r\n" * 5000))
        leave = await alice.next("leave")
        assert leave.action == rtc.LeaveRequest.RECONNECT
        assert await alice.end() not in (None, 1000)


async def test_who_never_had_media_is_shown_to_nobody_and_gone_at_once(relay: RunningRelay) -> None:
    async with signalling(relay, relay.token("bob", ROOM)) as bob:
        await bob.next("join")
        async with signalling(relay, relay.token("alice", ROOM)) as alice:
            assert (await alice.next("join")).other_participants == []
        await until(lambda: "alice" not in relay.control.registry.get(ROOM).members, "alice is gone")
        await bob.send(ping_req=rtc.Ping(timestamp=1))
        await bob.next("pong_resp")
        assert not [message for message in bob.seen if message.HasField("update")]
    assert relay.events[0] == ("room_started", ROOM)
    assert not [event for event in relay.events if event[0].startswith("participant")]


async def test_media_that_do_not_come_in_time_end_the_join() -> None:
    async with (
        running_relay(timeouts={"join": 0.1}) as relay,
        signalling(relay, relay.token("alice", ROOM)) as alice,
    ):
        assert (await alice.next("leave")).reason == models.JOIN_FAILURE


@pytest.mark.parametrize("single", [False, True], ids=["dual", "single"])
async def test_a_resume_without_anything_to_resume_becomes_a_new_join(relay: RunningRelay, single: bool) -> None:
    join = rtc.JoinRequest(reconnect=True, participant_sid="PA_unknown")
    async with signalling(
        relay, relay.token("alice", ROOM), single=single, join=join, reconnect="1", sid="PA_unknown"
    ) as alice:
        leave = await alice.next("leave")
        assert (leave.reason, leave.action) == (models.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)
        assert await alice.end() == 1012


async def test_the_identity_of_another_is_no_help_in_resuming(relay: RunningRelay) -> None:
    async with signalling(relay, relay.token("alice", ROOM)) as alice:
        sid = (await alice.next("join")).participant.sid
        for thief in (relay.token("eve", ROOM), relay.token("alice", "another room")):
            async with signalling(relay, thief, reconnect="1", sid=sid) as eve:
                assert (await eve.next("leave")).reason == models.STATE_MISMATCH
        assert list(relay.control.registry.get(ROOM).members) == ["alice"]


async def test_a_reader_that_does_not_read_is_cut(relay: RunningRelay) -> None:
    async with running_relay(limits={"signal_queue": 16}) as relay, aiohttp.ClientSession() as session:
        headers = {"Authorization": "Bearer " + relay.token("alice", ROOM)}
        socket = await session.ws_connect(relay.http + "/rtc", headers=headers)
        await until(lambda: relay.control.rooms(), "alice has joined")
        for number in range(5000):
            relay.control.set_room_metadata(ROOM, f"{number}" * 8000)
            if not relay.control.registry.get(ROOM).members:
                break
            if number % 50 == 0:
                await asyncio.sleep(0)
        await until(lambda: not relay.control.registry.get(ROOM).members, "alice is cut")
        await socket.close()


async def test_a_full_room_takes_nobody_but_who_replaces_itself(relay: RunningRelay) -> None:
    await relay.control.create_room(ROOM, max_participants=1)
    async with signalling(relay, relay.token("alice", ROOM)) as alice:
        await alice.next("join")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with signalling(relay, relay.token("bob", ROOM)):
                pass
        assert refused.value.status == 403
        async with signalling(relay, relay.token("alice", ROOM)) as again:
            await again.next("join")
            assert (await alice.next("leave")).reason == models.DUPLICATE_IDENTITY


async def test_rooms_end_when_nobody_comes_and_when_the_last_has_left() -> None:
    async with running_relay() as relay:
        await relay.control.create_room("empty", empty_timeout=0.1)
        await relay.control.create_room("left", empty_timeout=100, departure_timeout=0.1)
        async with signalling(relay, relay.token("alice", "left")) as alice:
            await alice.next("join")
            await until(lambda: ("room_finished", "empty") in relay.events, "the empty room ends")
            assert ("room_finished", "left") not in relay.events
        await until(lambda: ("room_finished", "left") in relay.events, "the left room ends")


async def test_closing_a_room_tells_everybody_why(relay: RunningRelay) -> None:
    async with signalling(relay, relay.token("alice", ROOM)) as alice:
        await alice.next("join")
        await relay.control.close_room(ROOM)
        leave = await alice.next("leave")
        assert (leave.reason, leave.action) == (models.ROOM_DELETED, rtc.LeaveRequest.DISCONNECT)
        assert await alice.end() not in (None, 1000)
    assert relay.control.rooms() == ()


async def test_a_stopping_relay_asks_everybody_to_come_back_and_lets_nobody_in(relay: RunningRelay) -> None:
    async with signalling(relay, relay.token("alice", ROOM)) as alice, aiohttp.ClientSession() as session:
        await alice.next("join")
        await relay.control.stop()
        leave = await alice.next("leave")
        assert (leave.reason, leave.action) == (models.SERVER_SHUTDOWN, rtc.LeaveRequest.RECONNECT)
        params = {"access_token": relay.token("alice", ROOM)}
        async with session.get(relay.http + "/rtc/validate", params=params) as answer:
            assert answer.status == 503


async def test_a_join_request_that_is_not_compressed_fits(relay: RunningRelay) -> None:
    join = rtc.JoinRequest(publisher_offer=rtc.SessionDescription(type="offer", sdp=JOIN_OFFER, id=1))
    async with signalling(relay, relay.token("alice", ROOM), single=True, join=join) as alice:
        await alice.next("join")
        assert (await alice.next("answer")).id == 1


async def test_tokens_are_refreshed_before_they_expire() -> None:
    async with running_relay(timeouts={"token_refresh": 0.1}) as relay:
        async with signalling(relay, relay.token("alice", ROOM, can_publish=False)) as alice:
            fresh = await alice.next("refresh_token")
        claims = jwt.decode(fresh, API_SECRET, algorithms=["HS256"])
        assert (claims["sub"], claims["video"]["room"], claims["video"]["canPublish"]) == ("alice", ROOM, False)
        assert claims["exp"] - time.time() > 300
