"""The bot's cross-signing identity: made once, kept as a secret before it is published, signed onto each new device.

Without it clients show the bot as insecure, and strict ones (MSC4153) give it no room keys. What is decided stands in
`decide`, pure; `Identity` does it. https://spec.matrix.org/v1.16/client-server-api/#cross-signing
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

import structlog
from mautrix.api import Method, Path
from mautrix.crypto.cross_signing_key import CrossSigningSeeds
from mautrix.crypto.signature import sign_olm
from mautrix.crypto.ssss.key import Key
from mautrix.crypto.ssss.util import calculate_hash, decode_base58_recovery_key
from mautrix.types import EncryptionKeyAlgorithm, KeyID, QueryKeysResponse, UserID

from appservice.device import Machine
from appservice.device_keys import verifies
from appservice.errors import StartError
from appservice.events import as_object
from appservice.settings import AppserviceSettings
from appservice.vault import Vault
from palabre.base.database import Database
from palabre.base.errors import CallerError

SEEDS = "cross_signing_seeds"
RECOVERY_KEY = "recovery_key"

log = structlog.get_logger("matrix")


class IdentityLostError(StartError):
    """The homeserver knows an identity of the bot whose keys are not here."""


class Step(Enum):
    """What is to be done at start."""

    CREATE = auto()  # nobody knows an identity: make one
    PUBLISH = auto()  # ours was made but never reached the homeserver
    RECOVER = auto()  # the homeserver has one, and the operator its recovery key
    SIGN = auto()  # all is there but our device's signature
    NOTHING = auto()
    LOST = auto()


def decide(ours: str | None, theirs: str | None, *, signed: bool, recovery_key: bool, renew: bool) -> Step:
    """`ours` and `theirs`: the master key in our vault and on the homeserver. `signed`: our device is, by that one."""
    if ours is not None and ours == theirs:
        return Step.NOTHING if signed else Step.SIGN
    if theirs is None:
        return Step.CREATE if ours is None else Step.PUBLISH
    if recovery_key:
        return Step.RECOVER
    return Step.CREATE if renew else Step.LOST


class Identity:
    """Brings the bot's identity and its device's signature in order."""

    def __init__(self, settings: AppserviceSettings, machine: Machine, vault: Vault) -> None:
        self._settings = settings
        self._machine = machine
        self._vault = vault

    async def ensure(self) -> None:
        """Raises `IdentityLostError` when only the operator can help."""
        user = self._machine.client.mxid
        published = await self._machine.client.query_keys([user])
        master = published.master_keys.get(user)
        seeds = await self._seeds()
        step = decide(
            seeds.to_keys().public_keys.master_key if seeds else None,
            master.first_ed25519_key if master else None,
            signed=self._is_signed(published, user),
            recovery_key=self._settings.recovery_key is not None,
            renew=self._settings.new_identity,
        )
        if step is Step.LOST:
            raise IdentityLostError(
                "The homeserver knows the bot's identity, but its keys are not in this database. Set "
                "appservice.recovery_key, or appservice.new_identity to make another one: people are then told that "
                "the bot's identity has changed."
            )
        if step is Step.RECOVER:
            await self._recover()
        elif step in (Step.CREATE, Step.PUBLISH):
            await self._publish(seeds if step is Step.PUBLISH and seeds else await self._create())
        elif step is Step.SIGN and seeds:
            await self._machine.adopt_identity(seeds)
        if step is not Step.NOTHING:
            log.info("the bot's device is cross-signed", step=step.name.lower())

    async def sign(self, device_keys: Mapping[str, Any]) -> None:
        """Sign another device of the bot's user, unless it is signed. Its keys come from that device itself: the
        homeserver's word for them would let it add devices of its own.
        """
        user, seeds = self._machine.client.mxid, await self._seeds()
        assert seeds is not None, "the bot's identity is ensured before anything else"
        api = self._machine.client.api
        answer = await api.request(Method.POST, Path.v3.keys.query, {"device_keys": {user: []}})
        keys = {key: value for key, value in device_keys.items() if key != "signatures"}
        shown = as_object(as_object(as_object(answer).get("device_keys")).get(user)).get(keys["device_id"])
        private = seeds.to_keys().self_signing_key
        if verifies(as_object(shown), user, private.public_key):
            return
        signed = keys | {"signatures": {user: {f"ed25519:{private.public_key}": sign_olm(dict(keys), private)}}}
        refused = await api.request(Method.POST, Path.v3.keys.signatures.upload, {user: {keys["device_id"]: signed}})
        if as_object(as_object(refused).get("failures")):
            raise CallerError("device_not_signed", "The homeserver refused to show the recorder's device.", status=502)
        log.info("the recorder's device is cross-signed")

    async def recovery_key(self) -> str | None:
        """For the operator to keep elsewhere."""
        return await self._vault.get(RECOVERY_KEY)

    async def _seeds(self) -> CrossSigningSeeds | None:
        text = await self._vault.get(SEEDS)
        return None if text is None else CrossSigningSeeds(*(base64.b64decode(seed) for seed in json.loads(text)))

    async def _keep(self, seeds: CrossSigningSeeds, recovery_key: str) -> None:
        await self._vault.put(RECOVERY_KEY, recovery_key)
        await self._vault.put(SEEDS, json.dumps([base64.b64encode(seed).decode() for seed in seeds]))

    async def _create(self) -> CrossSigningSeeds:
        seeds = CrossSigningSeeds.generate()
        await self._keep(seeds, Key.generate().recovery_key)
        return seeds

    async def _publish(self, seeds: CrossSigningSeeds) -> None:
        recovery_key = await self._vault.get(RECOVERY_KEY)
        assert recovery_key is not None
        await self._machine.publish_identity(seeds, storage_key(recovery_key))

    async def _recover(self) -> None:
        assert self._settings.recovery_key is not None
        recovery_key = self._settings.recovery_key.get_secret_value()
        try:
            key_id, metadata = await self._machine.ssss.get_default_key_data()
            key = metadata.verify_recovery_key(key_id, recovery_key)
        except ValueError as problem:
            raise IdentityLostError(f"appservice.recovery_key is not the bot's recovery key: {problem}") from None
        seeds = await self._machine.fetch_identity(key)
        await self._keep(seeds, recovery_key)
        await self._machine.adopt_identity(seeds)

    def _is_signed(self, published: QueryKeysResponse, user: UserID) -> bool:
        """Whether the homeserver shows our device with a signature of the identity's self-signing key."""
        device = published.device_keys.get(user, {}).get(self._machine.client.device_id)
        signing = published.self_signing_keys.get(user)
        if device is None or signing is None or signing.first_ed25519_key is None:
            return False
        return KeyID(EncryptionKeyAlgorithm.ED25519, signing.first_ed25519_key) in device.signatures.get(user, {})


async def stored_recovery_key(settings: AppserviceSettings, database: Database) -> str | None:
    """The recovery key beside a running service; None before its first start."""
    return await Vault(database, settings.secret.get_secret_value()).get(RECOVERY_KEY)


def storage_key(recovery_key: str) -> Key:
    """The secret-storage key of a recovery key: https://spec.matrix.org/v1.16/client-server-api/#secret-storage"""
    fresh = Key.generate()
    raw = decode_base58_recovery_key(recovery_key)
    assert raw is not None
    assert fresh.metadata.iv is not None
    fresh.metadata.mac = calculate_hash(raw, fresh.metadata.iv)
    return Key(key=raw, id=fresh.id, metadata=fresh.metadata)
