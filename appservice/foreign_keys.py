"""What other people's homeservers say about their devices, made safe for the encryption library; pure.

mautrix reads the answers of `/keys/query` and `/keys/claim` as a whole: one malformed device of one remote server would
keep the bot from writing to a room. Here every user, device and key that does not hold together is left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from mautrix.types import CrossSigningKeys, DeviceKeys, SerializerError

from appservice.events import as_object, as_text

_KEY = re.compile(r"[A-Za-z0-9+/]{43}=?")  # 32 bytes in unpadded base64
_UNREADABLE = (SerializerError, ValueError, KeyError, TypeError, AttributeError)
_IDENTITIES = ("master_keys", "self_signing_keys", "user_signing_keys")


def clean_query(answer: object, wanted: Collection[str]) -> dict[str, Any]:
    """The answer of `/keys/query` with only what was asked for and can be read."""
    source = as_object(answer)
    devices = as_object(source.get("device_keys"))
    cleaned: dict[str, Any] = {
        "device_keys": {user: _devices(user, devices[user]) for user in wanted if isinstance(devices.get(user), dict)},
        "failures": {str(server): {} for server in as_object(source.get("failures"))},
    }
    for kind in _IDENTITIES:
        keys = as_object(source.get(kind))
        signed = kind != "master_keys"
        cleaned[kind] = {user: keys[user] for user in wanted if _identity_key(user, keys.get(user), signed=signed)}
    return cleaned


def clean_claim(answer: object, wanted: Mapping[str, Collection[str]]) -> dict[str, Any]:
    """The answer of `/keys/claim` with only what was asked for and can be read."""
    source = as_object(answer)
    keys = as_object(source.get("one_time_keys"))
    cleaned = {
        user: {device: key for device in devices if (key := _one_time_key(as_object(keys.get(user)).get(device)))}
        for user, devices in wanted.items()
    }
    return {
        "one_time_keys": {user: devices for user, devices in cleaned.items() if devices},
        "failures": {str(server): {} for server in as_object(source.get("failures"))},
    }


def _devices(user: str, devices: Mapping[str, Any]) -> dict[str, Any]:
    return {name: device for name, device in devices.items() if _is_device(user, name, device)}


def _is_device(user: str, name: str, device: Any) -> bool:
    try:
        keys = DeviceKeys.deserialize(device)
    except _UNREADABLE:
        return False
    whole = keys.user_id == user and keys.device_id == name
    return whole and all(_KEY.fullmatch(as_text(key)) for key in (keys.ed25519, keys.curve25519))


def _identity_key(user: str, key: Any, *, signed: bool) -> bool:
    try:
        parsed = CrossSigningKeys.deserialize(key)
    except _UNREADABLE:
        return False
    public = parsed.first_ed25519_key
    return bool(public and _KEY.fullmatch(public)) and (not signed or user in parsed.signatures)


def _one_time_key(claimed: object) -> dict[str, Any]:
    """`{"signed_curve25519:AAAAHg": {"key": …, "signatures": …}}`, or nothing."""
    for name, value in as_object(claimed).items():
        key = as_object(value)
        signed = isinstance(key.get("signatures"), dict)
        if name.startswith("signed_curve25519:") and signed and _KEY.fullmatch(as_text(key.get("key"))):
            return {name: key}
    return {}
