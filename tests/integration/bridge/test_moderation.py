"""Moderators mute people and remove them from a call, by a command in the room and over HTTP, on real parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from palabre.demo.door import DoorError
from tests.support.deployment import Deployment, Room
from tests.support.livekit_people import Person
from tests.support.relay import until


async def test_a_moderator_mutes_and_removes_and_everybody_concerned_is_told(
    deployment: Deployment, make_room: Callable[..., Any]
) -> None:
    await deployment.start()
    room: Room = await make_room("alice", "bob")
    people = room.people
    doors = {name: await room.door(name) for name in ("alice", "bob")}
    alice, bob = Person("alice"), Person("bob")
    try:
        await alice.enter(*await doors["alice"].join("tab"))
        await bob.enter(*await doors["bob"].join("tab"))
        who = bob.room.local_participant.identity
        await bob.hum(440)
        await alice.hears(who, 440)

        await room.command("alice", f"mute {room.people['bob'].user_id}")
        await until(lambda: bob.microphone is not None and bob.microphone.muted, "bob's client mutes itself")
        await until(lambda: alice.sounds[who].level < 10, "alice hears nothing")
        assert bob.room.local_participant.attributes["palabre.muted_by"] == alice.room.local_participant.name
        bob.microphone.track.unmute()  # type: ignore[union-attr]
        await alice.hears(who, 440)
        await until(lambda: "palabre.muted_by" not in bob.room.local_participant.attributes, "nobody mutes him now")

        address = f"/api/meetings/{doors['alice'].meeting}/participants/"
        with pytest.raises(DoorError, match="moderation_forbidden"):
            await doors["bob"]._ask("POST", f"{address}{quote(alice.room.local_participant.identity, safe='')}/mute")
        assert await doors["alice"]._ask("POST", f"{address}{quote(who, safe='')}/mute") == {"muted": 1}
        await until(lambda: alice.sounds[who].level < 10, "alice hears nothing again")

        await doors["alice"]._ask("POST", f"{address}{quote(who, safe='')}/remove")
        await until(lambda: bob.saw("disconnected"), "bob is out")
        assert alice.room.remote_participants == {}
        said = await room.hears("bob", lambda message: "removed" in message.body)
        assert said.encrypted
        assert said.thread
        with pytest.raises(DoorError, match="removed_from_call"):
            await doors["bob"].join("other")
        event = await room.command("alice", f"readmit {room.people['bob'].user_id}")
        await people["alice"].until(lambda: "✅" in {emoji for _, emoji in people["alice"].reactions(event)})
        await doors["bob"].join("tab")
    finally:
        await alice.leave()
        await bob.leave()
