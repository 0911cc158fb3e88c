"""The person with an encrypted client whom other tests send to rooms."""

from __future__ import annotations

from tests.support.matrix_client import MakeUser


async def test_two_people_read_each_other_in_an_encrypted_room(matrix_user: MakeUser) -> None:
    alice, bob = await matrix_user("alice"), await matrix_user("bob")
    room = await alice.create_room("Budget", invite=[bob.user_id])
    await bob.join(room)
    await alice.until(lambda: bob.user_id in alice.client.rooms[room].users)
    asked = await alice.send(room, "Are you there?")
    heard = await bob.expect(room, lambda message: message.event_id == asked and message.readable)
    assert heard.encrypted
    assert heard.body == "Are you there?"
    await bob.send(room, "Yes", thread=asked)
    answer = await alice.expect(room, lambda message: message.body == "Yes")
    assert answer.thread == asked
    await bob.react(room, asked, "👍")
    await alice.until(lambda: (bob.user_id, "👍") in alice.reactions(asked))
