"""Who is put out of a Matrix room, or loses power in it, on real homeservers: what becomes of them in its call.

LiveKit's SDK is what people have; whatever the relay does is seen by somebody else in the call. How long it took is
printed (`pytest -s`), not asserted: machines differ.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from appservice.registration import MEMBERSHIP_SCOPE
from palabre.demo.door import Door, DoorError
from palabre.demo.homeserver import Homeserver
from palabre.demo.matrix_user import MatrixUser
from tests.support.deployment import Deployment
from tests.support.livekit_people import BLUE, RED, Person
from tests.support.matrix_client import new_user
from tests.support.relay import until
from tests.support.synapse import make_slot

Start = tuple[Callable[..., Homeserver], Callable[..., Deployment]]
NAMES = ("alice", "bob", "carol", "dave")  # the first three are ours, dave is of the other homeserver
SHARE = "org.palabre.call.share"
PUBLISH = "org.palabre.call.publish"


@pytest.fixture
def start(new_homeserver: Callable[..., Homeserver], new_deployment: Callable[..., Deployment]) -> Start:
    return new_homeserver, new_deployment


@dataclass
class Council:
    """Two homeservers that federate, a Palabre beside the first, a room, and people of its call."""

    deployment: Deployment
    users: dict[str, MatrixUser]
    call: dict[str, Person] = field(default_factory=dict)  # as they last came in
    room_id: str = ""
    bot: bool = True  # whether it is in that room
    doors: dict[str, Door] = field(default_factory=dict)
    tokens: dict[str, tuple[str, str]] = field(default_factory=dict)
    everybody: list[Person] = field(default_factory=list)

    async def gather_in_room(self, *names: str, bot: bool = True) -> None:
        """Alice's room, with those people and the bot, or without it."""
        self.bot = bot
        alice = self.users["alice"]
        invite = [self.users[name].user_id for name in names if name != "alice"]
        self.room_id = await alice.create_room("Council", invite=[*invite, *([self.deployment.bot] if bot else [])])
        for name in names:
            if name != "alice":
                via = [alice.user_id.partition(":")[2]]
                await self.users[name].join(self.room_id, via=via)
        if bot:  # it introduces itself
            await alice.expect(self.room_id, lambda message: message.sender == self.deployment.bot and message.readable)

    async def join(self, name: str) -> Person:
        return await self._enter(name, await self.seat(name))

    async def guest(self) -> Person:
        door = self.doors["guest"] = Door(self.deployment.url)
        await door.sign_in("camille", "palabre", self.doors["alice"].meeting)
        return await self._enter("guest", await self.seat("guest"))

    async def seat(self, name: str) -> tuple[str, str]:
        """By the call page; in a room without the bot as a MatrixRTC client, which is the only way there."""
        if not self.bot:
            user = self.users[name]
            openid = await user.call("POST", f"/_matrix/client/v3/user/{user.user_id}/openid/request_token", {})
            body = {"room": self.room_id, "openid_token": openid, "device_id": user.account.device_id}
            url = f"{self.deployment.url}/livekit/jwt/sfu/get"
            async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
                given = await answer.json()
            if answer.status != 200:
                raise DoorError(f"{answer.status}: {given}")
            return given["url"], given["jwt"]
        if name not in self.doors:
            self.doors[name] = Door(self.deployment.url)
            await self.doors[name].show_matrix_token(self.users[name], self.room_id)
        return await self.doors[name].join("tab")

    async def _enter(self, name: str, seat: tuple[str, str]) -> Person:
        self.tokens[name] = seat
        person = Person(name)
        self.everybody.append(person)
        self.call[name] = await person.enter(*self.tokens[name])
        return person

    async def power(self, **changes: Any) -> None:
        """Alice changes the room's power levels: `events` and `users` are merged."""
        levels = await self.users["alice"].state(self.room_id, "m.room.power_levels")
        for part, values in changes.items():
            levels[part] = levels.get(part, {}) | values
        await self.users["alice"].set_state(self.room_id, "m.room.power_levels", levels)

    async def put_out(self, how: str, name: str) -> None:
        body = {"user_id": self.users[name].user_id}
        await self.users["alice"].call("POST", f"/_matrix/client/v3/rooms/{quote(self.room_id)}/{how}", body)

    async def is_out(self, name: str, what: str, since: float, refusal: str) -> None:
        """Their client is told, nobody sees them any more, their token is worth nothing, and there is no other."""
        gone, alice = self.call[name], self.call["alice"]
        await until(lambda: gone.saw("disconnected"), f"{name} is told")
        identity = gone.room.local_participant.identity
        await until(lambda: identity not in alice.room.remote_participants, f"{name} is gone for alice")
        print(f"{what}: out of the call after {time.monotonic() - since:.3f} s")
        assert refusal in await self.refused(name)

    async def refused(self, name: str) -> str:
        """What the relay says of their token, and the API of another one: not the same words, the same reason."""
        url, token = self.tokens[name]
        validate = f"{url.replace('ws', 'http', 1)}/rtc/validate?access_token={token}"
        async with aiohttp.ClientSession() as http, http.get(validate) as answer:
            assert answer.status in (403, 409), await answer.text()
        with pytest.raises(DoorError) as caught:
            await self.seat(name)
        return str(caught.value)


@asynccontextmanager
async def council(
    start: Start, folder: Path, *, names: tuple[str, ...] = NAMES, **policy: Any
) -> AsyncIterator[Council]:
    new_homeserver, new_deployment = start
    ours = new_homeserver(federation=True, extra={"experimental_features": {"msc4502_enabled": True}})
    theirs = new_homeserver(federation=True)
    slot = make_slot(ours, "palabre")
    ours.registrations.append(slot.registration() | {"io.element.msc4502.scopes": [MEMBERSHIP_SCOPE]})
    servers = [ours, theirs] if "dave" in names else [ours]
    await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers))
    deployment = new_deployment(ours, slot)
    trusted = [{"name": server.server_name, "url": server.url} for server in servers]
    deployment.settings["bridge"]["openid"]["servers"] = trusted
    deployment.settings["bridge"]["policy"] = {"external_servers": [theirs.server_name], **policy}
    async with AsyncExitStack() as stack:
        users = {}
        for name in names:
            users[name] = await new_user(theirs if name == "dave" else ours, name, folder)
            stack.push_async_callback(users[name].close)
        made = Council(deployment, users)
        try:
            yield made
        finally:
            await asyncio.gather(*(person.leave() for person in made.everybody), return_exceptions=True)
            for door in made.doors.values():
                await door.close()


async def test_who_is_kicked_or_banned_leaves_the_call_at_once_and_stays_outside(start: Start, tmp_path: Path) -> None:
    async with council(start, tmp_path, names=NAMES[:3]) as here:
        await here.deployment.start()
        await here.gather_in_room("alice", "bob", "carol")
        for name in ("alice", "bob", "carol"):
            await here.join(name)
        await here.call["bob"].show(RED)
        await here.call["alice"].sees(here.call["bob"].room.local_participant.identity, RED)
        for how, name in (("kick", "carol"), ("ban", "bob")):
            since = time.monotonic()
            await here.put_out(how, name)
            await here.is_out(name, how, since, "not_in_room")
        assert here.call["alice"].room.remote_participants == {}


async def test_the_power_that_somebody_has_in_the_room_is_what_they_may_publish(start: Start, tmp_path: Path) -> None:
    async with council(start, tmp_path, names=NAMES[:2]) as here:
        await here.deployment.start()
        await here.gather_in_room("alice", "bob")
        alice, bob = await here.join("alice"), await here.join("bob")
        who = bob.room.local_participant.identity
        await bob.show(RED)
        await bob.hum(440)
        await asyncio.gather(alice.sees(who, RED), alice.hears(who, 440))

        since = time.monotonic()
        await here.power(events={PUBLISH: 50})
        await until(lambda: not alice.room.remote_participants[who].track_publications, "bob's tracks are gone")
        print(f"power drop: tracks gone after {time.monotonic() - since:.3f} s")
        frames = alice.sights[who].frames
        await until(lambda: bob.saw("participant_permissions_changed"), "bob is told")
        refused = asyncio.create_task(bob.show(RED))
        await asyncio.sleep(0.5)
        assert alice.sights[who].frames == frames
        refused.cancel()

        # A new token does not help, and neither does the old one, which said that he may.
        bob = await here.join("bob")
        assert not bob.room.local_participant.permissions.can_publish

        since = time.monotonic()
        await here.power(users={here.users["bob"].user_id: 50})
        await until(lambda: bob.room.local_participant.permissions.can_publish, "bob may again")
        print(f"power gain: may publish after {time.monotonic() - since:.3f} s")
        await bob.show(BLUE)
        await alice.sees(who, BLUE)


async def test_a_room_that_excludes_a_server_or_people_from_outside_does_so_in_its_call(
    start: Start, tmp_path: Path
) -> None:
    async with council(start, tmp_path, names=("alice", "bob", "dave")) as here:
        await here.deployment.start()
        theirs = here.users["dave"].user_id.partition(":")[2]
        for event_type, content, refusal in (
            ("m.room.server_acl", {"allow": ["*"], "deny": [theirs]}, "server_excluded"),
            ("im.vector.room.access_rules", {"rule": "restricted"}, "external_excluded"),
        ):
            here.doors.clear()
            await here.gather_in_room("alice", "bob", "dave")
            for name in ("alice", "bob", "dave"):
                await here.join(name)
            guest = await here.guest()
            await until(lambda: len(here.call["alice"].room.remote_participants) == 3, "everybody is there")
            since = time.monotonic()
            await here.users["alice"].set_state(here.room_id, event_type, content)
            await here.is_out("dave", event_type, since, refusal)
            if refusal == "external_excluded":
                await here.is_out("guest", "guest, by the same rule", since, "guests_not_allowed")
            else:
                assert not guest.saw("disconnected")
            assert not here.call["bob"].saw("disconnected")
            await asyncio.gather(*(person.leave() for person in here.call.values()))


@pytest.mark.parametrize("how", ["msc4502", "admin"])
async def test_a_room_without_the_bot_is_asked_about_and_found_to_have_put_somebody_out(
    start: Start, tmp_path: Path, how: str
) -> None:
    async with council(start, tmp_path, recheck_seconds=1.0) as here:
        here.deployment.settings["appservice"]["membership"] = how
        if how == "admin":
            root = await asyncio.to_thread(here.deployment.homeserver.register, "root", admin=True)
            here.deployment.settings["appservice"]["admin_token"] = root.access_token
        await here.deployment.start()
        await here.gather_in_room("alice", "bob", "dave", bot=False)
        for name in ("alice", "bob", "dave"):
            await here.join(name)
        with pytest.raises(DoorError, match="M_FORBIDDEN"):
            await here.join("carol")
        for what, name in (("ban", "bob"), ("kick", "dave")):
            since = time.monotonic()
            await here.put_out(what, name)
            await here.is_out(name, f"{what}, {how}, asked every second", since, "M_FORBIDDEN")
        assert not here.call["alice"].saw("disconnected")


@pytest.mark.long
async def test_while_the_homeserver_is_away_calls_go_on_and_afterwards_everything_is_checked(
    start: Start, tmp_path: Path
) -> None:
    async with council(start, tmp_path, names=NAMES[:3], recheck_seconds=0.5) as here:
        here.deployment.settings["appservice"]["membership"] = "msc4502"
        await here.deployment.start()
        await here.gather_in_room("alice", "bob", "carol", bot=False)
        alice, bob = await here.join("alice"), await here.join("bob")
        await here.join("carol")
        who = bob.room.local_participant.identity
        await asyncio.to_thread(here.deployment.homeserver.stop)
        await asyncio.sleep(12)  # several looks, of which each waits for an answer
        await bob.show(RED)
        await alice.sees(who, RED)
        assert await validated(*here.tokens["carol"]) == 200  # whose network may break meanwhile
        assert here.deployment.log_tail().count("does not say who is in rooms") == 1
        await asyncio.to_thread(here.deployment.homeserver.start)
        await here.put_out("ban", "carol")
        since = time.monotonic()
        await here.is_out("carol", "ban, when the homeserver is back", since, "M_FORBIDDEN")
        await alice.sees(who, RED)


@pytest.mark.long
async def test_a_homeserver_away_for_longer_than_the_limit_ends_a_call_that_nobody_can_check(
    start: Start, tmp_path: Path
) -> None:
    async with council(start, tmp_path, names=NAMES[:2], recheck_seconds=0.5, unchecked_seconds=10.0) as here:
        here.deployment.settings["appservice"]["membership"] = "msc4502"
        await here.deployment.start()
        await here.gather_in_room("alice", "bob", bot=False)
        alice = await here.join("alice")
        await asyncio.to_thread(here.deployment.homeserver.stop)
        await until(lambda: alice.saw("disconnected"), "alice is out", seconds=60)
        assert await validated(*here.tokens["alice"]) == 503


async def validated(url: str, token: str) -> int:
    asking = f"{url.replace('ws', 'http', 1)}/rtc/validate?access_token={token}"
    async with aiohttp.ClientSession() as http, http.get(asking) as answer:
        return answer.status
