"""Consent by encrypted events of real Matrix clients: what counts is kept as proof, and no forgery does."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.support.cross_signing import Identity
from tests.support.deployment import Deployment, Room
from tests.support.speakers import Speaker

CONSENT = "org.palabre.consent"


class Recorded:
    """A call of Alice, Bob and Mallory that Alice records; the others are on the call's relay and have not answered."""

    def __init__(self, deployment: Deployment, room: Room) -> None:
        self.deployment = deployment
        self.room = room
        self.speakers: dict[str, Speaker] = {}
        self.call = self.thread = ""

    async def begin(self) -> None:
        epoch = time.monotonic()
        for number, name in enumerate(("alice", "bob", "mallory")):
            door = await self.room.door(name)
            self.speakers[name] = Speaker(number, epoch)
            await self.speakers[name].join(*await door.join("tab"), camera=False)
        root = await self.room.hears("alice", lambda message: "org.palabre.call" in message.content)
        self.thread, self.call = root.event_id, root.content["org.palabre.call"]["call"]
        await self.room.command("alice", "record")
        await self.shows("bob", "asked")

    async def end(self) -> None:
        await asyncio.gather(*(speaker.leave() for speaker in self.speakers.values()))

    def content(self, answer: str, call: str = "") -> dict[str, Any]:
        relation = {"rel_type": "m.thread", "event_id": self.thread}
        return {"call": call or self.call, "answers": {"recording": answer}, "m.relates_to": relation}

    async def answers(self, who: str, answer: str, call: str = "") -> str:
        return str(await self.room.people[who].send_event(self.room.room_id, CONSENT, self.content(answer, call)))

    async def shows(self, who: str, answer: str) -> None:
        """Until everybody in the call sees that answer of theirs."""
        async with asyncio.timeout(20):
            while self.speakers[who].room.local_participant.attributes.get("palabre.consent.recording") != answer:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def told(self, who: str, sentence: str) -> None:
        """The bot says it in the call's thread, and mentions them."""
        user = self.room.people[who].user_id
        message = await self.room.hears("alice", lambda m: sentence in m.body and user in m.body)
        assert message.thread == self.thread
        assert message.content["m.mentions"]["user_ids"] == [user]

    async def settled(self) -> None:
        """What was sent before is done with: an answer came to what was sent after it."""
        asked = await self.room.command("alice", "status")
        await self.room.hears("alice", lambda message: message.thread == asked)

    def stored(self, who: str) -> list[dict[str, Any]]:
        """Their answers in the database."""
        with sqlite3.connect(f"file:{self.deployment.data}/palabre.db?mode=ro", uri=True) as database:
            database.row_factory = sqlite3.Row
            user = self.room.people[who].user_id
            rows = database.execute("SELECT * FROM bridge_consent WHERE person = ? ORDER BY seq", (user,))
            return [dict(row) for row in rows]

    async def put(self, who: str, event_type: str, content: dict[str, Any]) -> str:
        """An event as a homeserver could write it in somebody's name."""
        path = f"/_matrix/client/v3/rooms/{quote(self.room.room_id)}/send/{event_type}/{uuid4()}"
        return str((await self.room.people[who].call("PUT", path, content))["event_id"])


@pytest.fixture
async def recorded(deployment: Deployment, make_room: Callable[..., Any]) -> Any:
    await deployment.start()
    made = Recorded(deployment, await make_room("alice", "bob", "mallory"))
    await made.begin()
    yield made
    await made.end()


async def test_an_encrypted_yes_counts_and_is_proven_by_the_key_of_the_device(recorded: Recorded) -> None:
    asking = await recorded.room.hears("bob", lambda message: "would like to record this call" in message.body)
    people = recorded.room.people
    assert asking.content["m.mentions"]["user_ids"] == [people["bob"].user_id, people["mallory"].user_id]
    event = await recorded.answers("bob", "yes")
    await recorded.shows("bob", "yes")
    given = recorded.stored("bob")[-1]
    client = people["bob"].client
    assert (given["answer"], given["how"], given["event_id"]) == ("yes", "event", event)
    assert (given["device_id"], given["fingerprint"]) == (client.device_id, client.olm.account.identity_keys["ed25519"])
    assert given["device_trust"] == "no_identity"  # matrix-nio cannot cross-sign
    await recorded.answers("bob", "no")
    await recorded.shows("bob", "no")


async def test_no_forged_misplaced_or_exposed_answer_counts(recorded: Recorded) -> None:
    bob, mallory = recorded.room.people["bob"], recorded.room.people["mallory"]

    await recorded.put("bob", CONSENT, recorded.content("yes"))  # by the homeserver, which has no keys
    await recorded.told("bob", "that answer was not")

    await recorded.answers("bob", "yes", call="another-call")
    await recorded.told("bob", "for a call that is over")

    await recorded.answers("bob", "perhaps")
    await recorded.told("bob", "cannot be understood")

    # Mallory's device encrypts it, and the homeserver says that Bob sent it.
    await mallory.send(recorded.room.room_id, "so that there is a key")
    kind, sealed = mallory.client.encrypt(recorded.room.room_id, CONSENT, recorded.content("yes"))
    await recorded.put("bob", kind, sealed)
    # Bob's own yes in another room, carried over here.
    other = await bob.create_room("Elsewhere", invite=[recorded.deployment.bot, mallory.user_id])
    await bob.expect(other, lambda message: message.sender == recorded.deployment.bot)
    await bob.send(other, "so that there is a key")
    kind, sealed = bob.client.encrypt(other, CONSENT, recorded.content("yes"))
    await recorded.put("bob", kind, sealed)
    await recorded.settled()
    assert [row["answer"] for row in recorded.stored("bob")] == ["asked"]

    # Bob's own yes, sent once more after he took it back.
    kind, sealed = bob.client.encrypt(recorded.room.room_id, CONSENT, recorded.content("yes"))
    await recorded.put("bob", kind, sealed)
    await recorded.shows("bob", "yes")
    await recorded.answers("bob", "no")
    await recorded.shows("bob", "no")
    await recorded.put("bob", kind, sealed)
    await recorded.settled()
    assert [row["answer"] for row in recorded.stored("bob")] == ["asked", "yes", "no"]


async def test_whoever_signs_their_devices_answers_only_from_a_signed_one(recorded: Recorded) -> None:
    identity = Identity(recorded.room.people["bob"])
    await identity.publish()
    await recorded.answers("bob", "yes")
    await recorded.told("bob", "a device that you have not verified")
    assert [row["answer"] for row in recorded.stored("bob")] == ["asked"]
    await identity.sign_device()
    await recorded.answers("bob", "yes")
    await recorded.shows("bob", "yes")
    assert recorded.stored("bob")[-1]["device_trust"] == "signed"
