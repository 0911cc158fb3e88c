"""The recorder's device: its Olm account and sessions, and what it makes of messages to it. Pure but for randomness.

A second device of the bot's user, with vodozemac. It reads messages that devices send to it and never writes any; its
account is unpickled in the recorder's process alone, so that whatever is sent to it is readable there and nowhere else.
https://spec.matrix.org/v1.16/client-server-api/#molmv1curve25519-aes-sha2
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from vodozemac import Account, AnyOlmMessage, Curve25519PublicKey, PreKeyMessage, Session

from appservice.device_keys import canonical, decode_key, unpadded
from appservice.events import as_id, as_int, as_object, as_text, decode_json

OLM = "m.olm.v1.curve25519-aes-sha2"
MEGOLM = "m.megolm.v1.aes-sha2"  # announced because clients skip devices that don't; room keys are not kept here
# One-time keys on the homeserver: half of what an account can hold, as everybody has it, so that those claimed and not
# used yet keep their private halves.
ONE_TIME_KEYS = 50
SESSIONS_PER_SENDER = 4  # the newest: a device makes a new one when it was restored, or when two collide
SENDERS = 1000  # the latest to write, whoever they are: strangers can't fill the memory
MAX_BODY = 64 * 1024  # bytes: a key's message has less than two thousand


class OlmError(ValueError):
    """A message that cannot be read or is not for us. `reason` is a word for a metric's label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class OlmMessage:
    """What was inside, from whoever holds these keys; whose they are is for `appservice.device_keys` to prove."""

    sender: str
    curve25519: str
    ed25519: str
    type: str
    content: dict[str, Any]


class RecorderDevice:
    """One device. `changed` after anything that must be stored before the homeserver hears of it."""

    def __init__(self, user_id: str, device_id: str, account: Account) -> None:
        self.user_id = user_id
        self.device_id = device_id
        self.changed = False
        self._account = account
        self._sessions: dict[str, list[Session]] = {}  # by Curve25519 key of the sender, latest sender last
        self.since = ""  # where the next sync begins

    @classmethod
    def create(cls, user_id: str, device_id: str) -> RecorderDevice:
        device = cls(user_id, device_id, Account())
        device.changed = True
        return device

    @classmethod
    def restore(cls, stored: bytes, pickle_key: bytes) -> RecorderDevice:
        """From what `store` returned. Raises `ValueError` for anything else."""
        try:
            facts = json.loads(stored)
            account = Account.from_pickle(facts["account"], pickle_key)
            device = cls(str(facts["user_id"]), str(facts["device_id"]), account)
            device.since = str(facts["since"])
            for key, pickles in facts["sessions"].items():
                device._sessions[key] = [Session.from_pickle(pickle, pickle_key) for pickle in pickles]
        except (KeyError, TypeError, AttributeError) as problem:
            raise ValueError("not a stored device") from problem
        return device

    def store(self, pickle_key: bytes) -> bytes:
        facts = {
            "user_id": self.user_id,
            "device_id": self.device_id,
            "since": self.since,
            "account": self._account.pickle(pickle_key),
            "sessions": {key: [one.pickle(pickle_key) for one in many] for key, many in self._sessions.items()},
        }
        self.changed = False
        return json.dumps(facts).encode()

    # What the homeserver is given.

    @property
    def ed25519(self) -> str:
        return str(self._account.ed25519_key.to_base64())

    @property
    def curve25519(self) -> str:
        return str(self._account.curve25519_key.to_base64())

    def device_keys(self) -> dict[str, Any]:
        """https://spec.matrix.org/v1.16/client-server-api/#device-keys"""
        keys = {f"curve25519:{self.device_id}": self.curve25519, f"ed25519:{self.device_id}": self.ed25519}
        return self._signed(
            {"algorithms": [OLM, MEGOLM], "device_id": self.device_id, "user_id": self.user_id, "keys": keys}
        )

    def one_time_keys(self, on_server: int) -> dict[str, Any]:
        """What to upload when the homeserver has that many left; `published` afterwards."""
        missing = ONE_TIME_KEYS - on_server - len(self._account.one_time_keys)
        if missing > 0:
            self._account.generate_one_time_keys(missing)
            self.changed = True
        return {
            f"signed_curve25519:{name}": self._signed({"key": key.to_base64()})
            for name, key in self._account.one_time_keys.items()
        }

    def fallback_key(self) -> dict[str, Any]:
        """For senders who find no one-time key left; `published` afterwards."""
        account: Any = self._account  # the library's type stubs forget fallback keys
        if not account.fallback_key:
            account.generate_fallback_key()
            self.changed = True
        return {
            f"signed_curve25519:{name}": self._signed({"key": key.to_base64(), "fallback": True})
            for name, key in account.fallback_key.items()
        }

    def published(self) -> None:
        """The homeserver has the keys."""
        self._account.mark_keys_as_published()
        self.changed = True

    def _signed(self, document: dict[str, Any]) -> dict[str, Any]:
        signature = self._account.sign(canonical(document)).to_base64()
        return {**document, "signatures": {self.user_id: {f"ed25519:{self.device_id}": signature}}}

    # What others send.

    def decrypt(self, event: object) -> OlmMessage:
        """An `m.room.encrypted` to-device event. Raises `OlmError` and nothing else."""
        source = as_object(event)
        content = as_object(source.get("content"))
        sender = as_id(source.get("sender"), "@")
        sender_key = unpadded(as_text(content.get("sender_key"), 64))
        sealed = as_object(as_object(content.get("ciphertext")).get(self.curve25519))
        body = as_text(sealed.get("body"), MAX_BODY)
        if content.get("algorithm") != OLM or not (sender and sender_key and body):
            raise OlmError("malformed")
        try:
            message = _parse(as_int(sealed.get("type"), -1), body)
            clear = self._open(sender_key, message)
        except OlmError:
            raise
        except ValueError:
            raise OlmError("ciphertext") from None
        self.changed = True
        return self._read(sender, sender_key, clear)

    def _open(self, sender_key: str, message: AnyOlmMessage) -> bytes:
        """Decrypt, making a session where the message begins one. Raises `ValueError`."""
        known = self._sessions.get(sender_key, [])
        first = message.to_pre_key()
        for session in reversed(known):
            if first is not None and not session.session_matches(first):
                continue
            try:
                clear = bytes(session.decrypt(message))
            except ValueError:
                if first is not None:
                    raise
                continue
            self._remember(sender_key, [one for one in known if one is not session] + [session])
            return clear
        if first is None:
            raise OlmError("no_session")
        return self._begin(sender_key, first, known)

    def _begin(self, sender_key: str, first: PreKeyMessage, known: list[Session]) -> bytes:
        identity = Curve25519PublicKey.from_base64(sender_key)
        session, clear = self._account.create_inbound_session(identity, first)
        self._remember(sender_key, [*known, session])
        return bytes(clear)

    def _remember(self, sender_key: str, sessions: list[Session]) -> None:
        self._sessions.pop(sender_key, None)
        self._sessions[sender_key] = sessions[-SESSIONS_PER_SENDER:]
        while len(self._sessions) > SENDERS:
            del self._sessions[next(iter(self._sessions))]

    def _read(self, sender: str, sender_key: str, clear: bytes) -> OlmMessage:
        """The envelope inside says again from whom to whom: whoever passes a message on cannot change that."""
        try:
            inside = as_object(decode_json(clear.decode()))
        except ValueError:
            raise OlmError("payload") from None
        meant = as_object(inside.get("recipient_keys")).get("ed25519") == self.ed25519
        if inside.get("recipient") != self.user_id or not meant:
            raise OlmError("recipient")
        if inside.get("sender") != sender:
            raise OlmError("sender")
        ed25519 = unpadded(as_text(as_object(inside.get("keys")).get("ed25519"), 64))
        event_type = as_text(inside.get("type"), 255)
        if not ed25519 or not event_type:
            raise OlmError("payload")
        return OlmMessage(sender, sender_key, ed25519, event_type, as_object(inside.get("content")))


def _parse(kind: int, body: str) -> AnyOlmMessage:
    """Raises `ValueError`."""
    return AnyOlmMessage.from_parts(kind, decode_key(body))
