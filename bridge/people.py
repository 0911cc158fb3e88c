"""Who somebody is, apart from the devices they use: the key that consents, sessions and calls are stored under."""

from __future__ import annotations

import re
from dataclasses import dataclass

from appservice.rtc import members
from palabre.base.errors import CallerError
from palabre.base.ids import UserId

GUEST_PREFIX = "guest:"
PROGRAM_PREFIX = "program:"
DEVICE = re.compile(r"[A-Za-z0-9_-]{1,32}")  # what a tab calls itself: docs/http-api.md
MATRIX_DEVICE_LIMIT = 255  # characters; Matrix sets no limit, and no client's are longer than some 50
IDENTITY_LIMIT = 256  # characters, the relay's and LiveKit's
# Devices that would make a user's identity that of somebody else: `@a:host` with `8448:X` is `@a:host:8448` with `X`,
# and with `8448/tab` it is the page's identity of `@a:host:8448`.
AMBIGUOUS_DEVICE = re.compile(r"[^:]*:.*|\d{1,5}/.*", re.DOTALL)


@dataclass(frozen=True)
class Person:
    """A Matrix user (`key` is the user id), a guest who came by link (`key` begins with `guest:`), or a program that
    holds an API key (`program:`), which is nobody who could be recorded."""

    key: str
    name: str

    @property
    def user_id(self) -> UserId | None:
        return None if self.is_guest or self.is_program else UserId(self.key)

    @property
    def is_guest(self) -> bool:
        return self.key.startswith(GUEST_PREFIX)

    @property
    def is_program(self) -> bool:
        return self.key.startswith(PROGRAM_PREFIX)


def matrix_person(user_id: UserId, name: str = "") -> Person:
    return Person(user_id, name or user_id)


def program_person(api_key: str, name: str) -> Person:
    return Person(PROGRAM_PREFIX + api_key, name)


def guest_person(account: str, name: str) -> Person:
    return Person(GUEST_PREFIX + account, name)


def identity_of(person: Person, device: str) -> str:
    """The LiveKit identity `person/device`. Raises `CallerError` for a device name that is none."""
    if not DEVICE.fullmatch(device):
        raise CallerError("bad_device", "A device name has 1 to 32 letters, digits, - or _.")
    return f"{person.key}/{device}"


def rtc_identity(user_id: UserId, device_id: str) -> str:
    """The identity `@user:server:DEVICE` that MatrixRTC clients expect of a member.

    Raises `CallerError` for a device id that is none, or that would make this the identity of somebody else.
    """
    identity = f"{user_id}:{device_id}"
    plain = 0 < len(device_id) <= MATRIX_DEVICE_LIMIT and device_id.isprintable() and " " not in device_id
    if not plain or AMBIGUOUS_DEVICE.fullmatch(device_id) or len(identity) > IDENTITY_LIMIT:
        raise CallerError("bad_device", "That device id cannot be used in a call: sign in anew on this device.")
    return identity


def hashed_identity(user_id: UserId, device_id: str, member_id: str) -> str:
    """The identity that newer MatrixRTC clients work out from a member event (43 characters)."""
    return members.hashed_identity(user_id, device_id, member_id)


def proxied_identity(user_id: UserId, member_id: str) -> str:
    """The identity of clients that ask through their homeserver, which names no device."""
    return members.hashed_identity(user_id, member_id)
