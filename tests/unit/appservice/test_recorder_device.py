"""The recorder's device against other people's Olm: what it reads, what it refuses, and what it remembers."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vodozemac import Account, Session

from appservice.call_keys import ENCRYPTION_KEYS, KeyMessageError, MediaKey, media_key
from appservice.device_keys import canonical, proven_device, published_devices
from appservice.recorder_device import ONE_TIME_KEYS, SESSIONS_PER_SENDER, OlmError, OlmMessage, RecorderDevice
from appservice.seams import DeviceTrust

BOT, ALICE, ROOM = "@palabre:example.org", "@alice:example.org", "!room:example.org"
PICKLE = bytes(range(32))
ANYBODY = frozenset(DeviceTrust)


class Sender:
    """A device that writes to the recorder's."""

    def __init__(self, user: str = ALICE, device: str = "PHONE") -> None:
        self.user, self.device, self.account = user, device, Account()
        self.session: Session | None = None

    @property
    def curve25519(self) -> str:
        return str(self.account.curve25519_key.to_base64())

    @property
    def ed25519(self) -> str:
        return str(self.account.ed25519_key.to_base64())

    def begin(self, to: RecorderDevice, *, fallback: bool = False) -> None:
        keys = to.fallback_key() if fallback else to.one_time_keys(0)
        theirs: Any = to._account
        self.session = self.account.create_outbound_session(
            theirs.curve25519_key, next(iter((theirs.fallback_key if fallback else theirs.one_time_keys).values()))
        )
        assert keys

    def write(self, to: RecorderDevice, content: Any = None, **changes: Any) -> dict[str, Any]:
        if self.session is None:
            self.begin(to)
        assert self.session is not None
        inside = {
            "type": ENCRYPTION_KEYS,
            "content": content if content is not None else key_content(self.device),
            "sender": self.user,
            "recipient": to.user_id,
            "recipient_keys": {"ed25519": to.ed25519},
            "keys": {"ed25519": self.ed25519},
            **changes,
        }
        kind, body = self.session.encrypt(json.dumps(inside).encode()).to_parts()
        sealed = {"type": kind, "body": base64.b64encode(body).decode().rstrip("=")}
        outside = {"algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": self.curve25519}
        ciphertext = {to.curve25519: sealed}
        return {"type": "m.room.encrypted", "sender": self.user, "content": {**outside, "ciphertext": ciphertext}}

    def published(self, identity: Identity | None = None) -> dict[str, Any]:
        keys = {f"curve25519:{self.device}": self.curve25519, f"ed25519:{self.device}": self.ed25519}
        document: dict[str, Any] = {"user_id": self.user, "device_id": self.device, "keys": keys, "algorithms": []}
        signed = {f"ed25519:{self.device}": self.account.sign(canonical(document)).to_base64()}
        if identity is not None:
            signed[f"ed25519:{identity.public}"] = identity.account.sign(canonical(document)).to_base64()
        return {**document, "signatures": {self.user: signed}}


class Identity:
    """A cross-signing identity whose self-signing key is `account`'s."""

    def __init__(self, user: str = ALICE) -> None:
        self.user, self.master, self.account = user, Account(), Account()

    @property
    def public(self) -> str:
        return str(self.account.ed25519_key.to_base64())

    def published(self, signed_by: Account | None = None) -> dict[str, Any]:
        master = self.master.ed25519_key.to_base64()
        signing = {"user_id": self.user, "usage": ["self_signing"], "keys": {f"ed25519:{self.public}": self.public}}
        signature = (signed_by or self.master).sign(canonical(signing)).to_base64()
        signing["signatures"] = {self.user: {f"ed25519:{master}": signature}}
        return {
            "master_keys": {
                self.user: {"user_id": self.user, "usage": ["master"], "keys": {f"ed25519:{master}": master}}
            },
            "self_signing_keys": {self.user: signing},
        }


def key_content(device: str, **changes: Any) -> dict[str, Any]:
    keys = {"index": 7, "key": base64.b64encode(bytes(range(16))).decode()}
    member = {"claimed_device_id": device, "id": "a-uuid"}
    return {"keys": keys, "room_id": ROOM, "member": member, "sent_ts": 1_795_307_511_103, **changes}


def device() -> RecorderDevice:
    return RecorderDevice.create(BOT, "RECORDER")


def refusal(to: RecorderDevice, event: object) -> str:
    with pytest.raises(OlmError) as caught:
        to.decrypt(event)
    return caught.value.reason


def test_messages_are_read_also_after_it_was_put_away() -> None:
    ours, alice = device(), Sender()
    first = ours.decrypt(alice.write(ours))
    assert (first.sender, first.curve25519, first.ed25519) == (ALICE, alice.curve25519, alice.ed25519)
    ours.since = "s1"
    again = RecorderDevice.restore(ours.store(PICKLE), PICKLE)
    assert not ours.changed
    assert (again.since, again.ed25519, again.device_id) == ("s1", ours.ed25519, "RECORDER")
    assert again.decrypt(alice.write(ours)).type == ENCRYPTION_KEYS


def test_nobody_reads_what_is_stored_without_the_secret() -> None:
    stored = device().store(PICKLE)
    for wrong in (lambda: RecorderDevice.restore(stored, bytes(32)), lambda: RecorderDevice.restore(b"{}", PICKLE)):
        with pytest.raises(ValueError, match=r".+"):
            wrong()


def test_a_one_time_key_is_used_once_and_the_fallback_key_is_left_for_when_there_is_none() -> None:
    ours = device()
    assert len(ours.one_time_keys(0)) == ONE_TIME_KEYS
    ours.published()
    assert ours.one_time_keys(ONE_TIME_KEYS) == {}
    assert len(ours.one_time_keys(ONE_TIME_KEYS - 2)) == 2
    alice = Sender()
    alice.begin(ours, fallback=True)
    ours.published()
    assert ours.decrypt(alice.write(ours)).sender == ALICE
    (key,) = device().fallback_key().values()
    assert key["fallback"] is True


def test_its_keys_are_signed_by_itself_as_others_check_them() -> None:
    ours = device()
    answer = {"device_keys": {BOT: {"RECORDER": ours.device_keys()}}}
    (found,) = published_devices(answer, BOT)
    assert (found.curve25519, found.ed25519) == (ours.curve25519, ours.ed25519)


def test_what_is_said_about_sender_or_recipient_must_be_what_is_inside() -> None:
    ours = device()
    assert refusal(ours, Sender().write(ours, recipient="@other:example.org")) == "recipient"
    assert refusal(ours, Sender().write(ours, recipient_keys={"ed25519": "x"})) == "recipient"
    assert refusal(ours, Sender().write(ours, sender="@bob:example.org")) == "sender"
    passed_on = Sender().write(ours) | {"sender": "@mallory:example.org"}
    assert refusal(ours, passed_on) == "sender"


def test_a_message_is_read_once() -> None:
    ours, alice = device(), Sender()
    event = alice.write(ours)
    ours.decrypt(event)
    assert refusal(ours, event) == "ciphertext"


def test_a_device_that_begins_anew_again_and_again_keeps_its_newest_sessions() -> None:
    ours, alice = device(), Sender()
    for _ in range(SESSIONS_PER_SENDER + 3):
        alice.session = None
        ours.decrypt(alice.write(ours))
    assert [len(many) for many in ours._sessions.values()] == [SESSIONS_PER_SENDER]
    assert ours.decrypt(alice.write(ours)).sender == ALICE


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_event_is_a_message_or_one_declared_error(event: object) -> None:
    assert refusal(_OURS, event)
    assert refusal(_OURS, {"sender": ALICE, "content": event})


_OURS = device()


# Whose device it was.


def test_a_device_is_proven_by_both_of_its_keys() -> None:
    alice, other = Sender(), Sender(device="TABLET")
    answer = {"device_keys": {ALICE: {"PHONE": alice.published(), "TABLET": other.published()}}}
    known = published_devices(answer, ALICE)
    found = proven_device(known, alice.curve25519, alice.ed25519, ANYBODY)
    assert found is not None
    assert (found.device_id, found.trust) == ("PHONE", DeviceTrust.NO_IDENTITY)
    assert proven_device(known, alice.curve25519, other.ed25519, ANYBODY) is None
    assert proven_device(known, alice.curve25519, alice.ed25519, {DeviceTrust.SIGNED}) is None


def test_a_homeserver_cannot_pass_keys_off_as_a_devices() -> None:
    alice = Sender()
    for changed in (
        alice.published() | {"user_id": "@bob:example.org"},
        alice.published() | {"device_id": "TABLET"},
        alice.published() | {"algorithms": ["more"]},
        alice.published() | {"signatures": {}},
        {},
        "PHONE",
    ):
        assert published_devices({"device_keys": {ALICE: {"PHONE": changed}}}, ALICE) == ()


def test_where_people_sign_their_devices_others_are_not_theirs() -> None:
    alice, injected, identity = Sender(), Sender(device="GHOST"), Identity()
    devices = {"PHONE": alice.published(identity), "GHOST": injected.published()}
    answer = {"device_keys": {ALICE: devices}, **identity.published()}
    trust = {one.device_id: one.trust for one in published_devices(answer, ALICE)}
    assert trust == {"PHONE": DeviceTrust.SIGNED, "GHOST": DeviceTrust.UNSIGNED}
    forged = {"device_keys": {ALICE: devices}, **identity.published(signed_by=Account())}
    assert {one.trust for one in published_devices(forged, ALICE)} == {DeviceTrust.UNSIGNED}


# The key inside.


def message(content: dict[str, Any]) -> OlmMessage:
    return OlmMessage(ALICE, "curve", "ed", ENCRYPTION_KEYS, content)


def test_a_key_is_its_senders_and_their_proven_devices() -> None:
    found = media_key(message(key_content("PHONE")), "PHONE")
    assert found == MediaKey(ROOM, ALICE, "PHONE", 7, bytes(range(16)), 1_795_307_511.103)
    assert "key=" not in repr(found)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"member": {"claimed_device_id": "TABLET"}}, "claimed_device"),
        ({"member": None}, "claimed_device"),
        ({"keys": {"index": 256, "key": base64.b64encode(bytes(16)).decode()}}, "malformed"),
        ({"keys": {"index": True, "key": base64.b64encode(bytes(16)).decode()}}, "malformed"),
        ({"keys": {"index": 0, "key": base64.b64encode(bytes(15)).decode()}}, "malformed"),
        ({"keys": {"index": 0, "key": "é"}}, "malformed"),
        ({"keys": []}, "malformed"),
        ({"room_id": 7}, "malformed"),
    ],
)
def test_a_message_that_brings_no_key_says_why(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(KeyMessageError) as caught:
        media_key(message(key_content("PHONE", **changes)), "PHONE")
    assert caught.value.reason == reason


def test_other_messages_are_none_of_ours() -> None:
    with pytest.raises(KeyMessageError):
        media_key(OlmMessage(ALICE, "c", "e", "m.room_key", key_content("PHONE")), "PHONE")
