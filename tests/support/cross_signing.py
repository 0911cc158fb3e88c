"""Cross-signing for users on matrix-nio, which has none: an identity, and its signature under the user's device.

https://spec.matrix.org/v1.16/client-server-api/#cross-signing
"""

from __future__ import annotations

import json
from typing import Any

from olm.pk import PkSigning

from palabre.demo.matrix_user import MatrixUser


def canonical(document: dict[str, Any]) -> str:
    """https://spec.matrix.org/v1.16/appendices/#canonical-json, of what gets signed."""
    signed = {key: value for key, value in document.items() if key not in ("signatures", "unsigned")}
    return json.dumps(signed, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


class Identity:
    """The cross-signing identity of one user."""

    def __init__(self, user: MatrixUser) -> None:
        self._user = user
        self._master = PkSigning(PkSigning.generate_seed())
        self._self_signing = PkSigning(PkSigning.generate_seed())

    async def publish(self) -> None:
        """The user has set cross-signing up; none of their devices is signed yet."""
        master = self._key("master", self._master)
        self_signing = self._key("self_signing", self._self_signing)
        self._sign(self_signing, self._master)
        await self._user.call(
            "POST",
            "/_matrix/client/v3/keys/device_signing/upload",
            {"master_key": master, "self_signing_key": self_signing},
        )

    async def sign_device(self) -> None:
        """The user verifies the device that they are on."""
        user_id, device_id = self._user.user_id, self._user.account.device_id
        found = await self._user.call("POST", "/_matrix/client/v3/keys/query", {"device_keys": {user_id: [device_id]}})
        device = found["device_keys"][user_id][device_id]
        device.pop("unsigned", None)
        device["signatures"] = {}
        self._sign(device, self._self_signing)
        await self._user.call("POST", "/_matrix/client/v3/keys/signatures/upload", {user_id: {device_id: device}})

    def _key(self, usage: str, key: PkSigning) -> dict[str, Any]:
        name = f"ed25519:{key.public_key}"
        return {"user_id": self._user.user_id, "usage": [usage], "keys": {name: key.public_key}}

    def _sign(self, document: dict[str, Any], key: PkSigning) -> None:
        signature = key.sign(canonical(document))
        document.setdefault("signatures", {})[self._user.user_id] = {f"ed25519:{key.public_key}": signature}
