"""Whose key opens whose track."""

from __future__ import annotations

import pytest

from appservice.call_keys import MediaKey
from bridge import recorder_keys
from bridge.recorder_keys import CallKeys, Member

ROOM, ALICE, BOB = "!room:b", "@alice:b", "@bob:b"
PHONE = Member("@alice:b:PHONE", ALICE, "PHONE")
STICKY = Member("a-hash", BOB, "LAPTOP")


def key(user: str = ALICE, device: str = "PHONE", index: int = 0, sent_at: float = 1.0) -> MediaKey:
    return MediaKey(ROOM, user, device, index, bytes(16), sent_at)


def test_a_key_that_comes_before_its_member_event_waits_for_it() -> None:
    keys = CallKeys()
    assert keys.put(key())
    assert keys.ring(PHONE.identity, ALICE) is None
    keys.set_members([PHONE])
    assert len(keys.ring(PHONE.identity, ALICE) or ()) == 1


def test_an_identity_that_is_a_hash_is_found_by_its_member() -> None:
    keys = CallKeys()
    keys.set_members([STICKY])
    keys.put(key(BOB, "LAPTOP"))
    assert keys.ring("a-hash", BOB) is not None
    assert keys.identities(BOB, "LAPTOP") == {"a-hash"}


def test_the_relay_the_member_event_and_the_sender_of_the_key_must_agree() -> None:
    keys = CallKeys()
    keys.set_members([PHONE])
    keys.put(key(BOB, "PHONE"))
    assert keys.ring(PHONE.identity, ALICE) is None, "the key is not of the member's user"
    keys.put(key())
    assert keys.ring(PHONE.identity, BOB) is None, "the relay's token was given to somebody else"
    assert keys.ring("@alice:b:TABLET", ALICE) is None


def test_who_left_keeps_their_ring_for_their_last_frames() -> None:
    keys = CallKeys()
    keys.set_members([PHONE])
    keys.put(key())
    keys.set_members([])
    assert keys.ring(PHONE.identity, ALICE) is not None


def test_strangers_cannot_fill_the_memory_nor_push_members_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_keys, "MAX_DEVICES", 10)
    keys = CallKeys()
    keys.set_members([PHONE])
    assert keys.put(key())
    for number in range(30):
        assert keys.put(key(f"@mallory{number}:evil"))
    assert len(keys._rings) == 10
    assert keys.ring(PHONE.identity, ALICE) is not None
