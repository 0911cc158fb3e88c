"""Who somebody is, apart from the devices they use: the key that consents, sessions and calls are stored under."""

from __future__ import annotations

import re
from dataclasses import dataclass

from palabre.base.errors import CallerError
from palabre.base.ids import UserId

GUEST_PREFIX = "guest:"
DEVICE = re.compile(r"[A-Za-z0-9_-]{1,32}")  # what a tab calls itself: docs/http-api.md


@dataclass(frozen=True)
class Person:
    """A Matrix user (`key` is the user id) or a guest who came by link (`key` begins with `guest:`)."""

    key: str
    name: str

    @property
    def user_id(self) -> UserId | None:
        return None if self.is_guest else UserId(self.key)

    @property
    def is_guest(self) -> bool:
        return self.key.startswith(GUEST_PREFIX)


def matrix_person(user_id: UserId, name: str = "") -> Person:
    return Person(user_id, name or user_id)


def guest_person(account: str, name: str) -> Person:
    return Person(GUEST_PREFIX + account, name)


def identity_of(person: Person, device: str) -> str:
    """The LiveKit identity `person/device`. Raises `CallerError` for a device name that is none."""
    if not DEVICE.fullmatch(device):
        raise CallerError("bad_device", "A device name has 1 to 32 letters, digits, - or _.")
    return f"{person.key}/{device}"


def person_key(identity: str) -> str:
    """The key in an identity made by `identity_of`. A user id may hold slashes, a device may not."""
    key, slash, device = identity.rpartition("/")
    if not slash or not key or not DEVICE.fullmatch(device):
        raise CallerError("unknown_identity", "This identity was not given out here: join again.", status=403)
    return key
