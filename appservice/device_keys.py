"""Whose device wrote: keys that a message was encrypted with, held against what the homeserver publishes of a user.

Pure. A homeserver can invent devices of its own users; where a user has a cross-signing identity, only devices that it
signs are theirs. https://spec.matrix.org/v1.16/client-server-api/#device-keys and #cross-signing
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from vodozemac import Ed25519PublicKey, Ed25519Signature

from appservice.events import as_object, as_text
from appservice.seams import DeviceTrust

MAX_DEVICES = 1000  # of one user: more are read of nobody


@dataclass(frozen=True)
class PublishedDevice:
    """A device that signed its keys, and what its owner says of it."""

    device_id: str
    curve25519: str
    ed25519: str
    trust: DeviceTrust


def published_devices(answer: object, user_id: str) -> tuple[PublishedDevice, ...]:
    """The user's devices in an answer of `/keys/query`; what does not hold together is left out."""
    source = as_object(answer)
    devices = as_object(as_object(source.get("device_keys")).get(user_id))
    signing = _signing_key(source, user_id)
    found = []
    for device_id, claimed in list(devices.items())[:MAX_DEVICES]:
        keys = as_object(as_object(claimed).get("keys"))
        curve25519 = unpadded(as_text(keys.get(f"curve25519:{device_id}"), 64))
        ed25519 = unpadded(as_text(keys.get(f"ed25519:{device_id}"), 64))
        named = claimed.get("user_id") == user_id and claimed.get("device_id") == device_id if keys else False
        if not named or not curve25519 or not verifies(claimed, user_id, ed25519, f"ed25519:{device_id}"):
            continue
        trust = DeviceTrust.NO_IDENTITY
        if signing is not None:
            trust = DeviceTrust.SIGNED if verifies(claimed, user_id, signing) else DeviceTrust.UNSIGNED
        found.append(PublishedDevice(device_id, curve25519, ed25519, trust))
    return tuple(found)


def proven_device(
    devices: Collection[PublishedDevice], curve25519: str, ed25519: str, trusted: Collection[DeviceTrust]
) -> PublishedDevice | None:
    """The device that holds both keys, if there is one that may be believed."""
    found = [one for one in devices if (one.curve25519, one.ed25519) == (curve25519, ed25519)]
    return found[0] if len(found) == 1 and found[0].trust in trusted else None


def verifies(document: Mapping[str, Any], user_id: str, ed25519: str, name: str = "") -> bool:
    """Whether the document carries that key's signature, under its own name where it is not the key itself."""
    signatures = as_object(as_object(document.get("signatures")).get(user_id))
    signature = as_text(signatures.get(name or f"ed25519:{ed25519}"), 128)
    if not ed25519 or not signature:
        return False
    bare = {key: value for key, value in document.items() if key not in ("signatures", "unsigned")}
    try:
        key = Ed25519PublicKey.from_base64(ed25519)
        key.verify_signature(canonical(bare), Ed25519Signature.from_base64(unpadded(signature)))
    except (ValueError, RecursionError):
        return False
    return True


def canonical(document: Mapping[str, Any]) -> bytes:
    """https://spec.matrix.org/v1.16/appendices/#canonical-json"""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def unpadded(key: str) -> str:
    """The one spelling of a key in base64 that is compared; some write padding."""
    return key.rstrip("=")


def decode_key(text: str) -> bytes:
    """Base64 with or without padding. Raises `ValueError`."""
    return base64.b64decode(unpadded(text) + "=" * (-len(unpadded(text)) % 4), validate=True)


def _signing_key(answer: Mapping[str, Any], user_id: str) -> str | None:
    """The key that signs the user's devices; None: the user has no identity; empty: one that can't vouch for any."""
    master = _identity_key(as_object(answer.get("master_keys")).get(user_id), user_id, "master")
    if master is None:
        return None
    claimed = as_object(answer.get("self_signing_keys")).get(user_id)
    signing = _identity_key(claimed, user_id, "self_signing")
    return signing if signing is not None and verifies(as_object(claimed), user_id, master) else ""


def _identity_key(claimed: object, user_id: str, usage: str) -> str | None:
    """The public key of a cross-signing key; None where there is none, or it is not this user's for this use."""
    source = as_object(claimed)
    keys = [unpadded(as_text(key, 64)) for key in as_object(source.get("keys")).values()]
    usages = source.get("usage")
    named = source.get("user_id") == user_id and isinstance(usages, list) and usage in usages
    return keys[0] if named and len(keys) == 1 and keys[0] else None
