"""What an operator may set about the Matrix side. Durations are in seconds."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, SecretStr, model_validator

from appservice.seams import DeviceTrust

LOCALPART = r"^[a-z0-9._=/+-]+$"  # https://spec.matrix.org/v1.16/appendices/#user-identifiers
AN_HOUR = 3600.0
_TOKEN = re.compile(r"[\x21-\x7e]+")


class AppserviceSettings(BaseModel):
    """The tokens and `secret` must be random; the composition root refuses known or short ones outside `--dev`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    homeserver_url: AnyHttpUrl = Field(description="Client API of the homeserver, as this service reaches it")
    server_name: str = Field(min_length=1, description="The homeserver's name in user ids")
    listen_url: AnyHttpUrl = Field(description="Where the homeserver reaches this service; for the registration")
    id: str = Field(default="palabre", pattern=r"^[A-Za-z0-9._-]+$", description="The registration's id")
    as_token: SecretStr = Field(description="Shown to the homeserver by this service")
    hs_token: SecretStr = Field(description="Shown to this service by the homeserver")
    secret: SecretStr = Field(description="Encrypts the bot's keys in the database; with a new one they cannot be read")
    bot_localpart: str = Field(default="palabre", pattern=LOCALPART)
    bot_name: str = Field(default="Palabre", min_length=1, max_length=100, description="The bot's display name")
    prefix: str = Field(
        default="palabre-", pattern=LOCALPART, description="Further users and room addresses begin with it"
    )
    command_prefix: str = Field(default="!palabre", pattern=r"^\S+$", description="What a command begins with")
    language: Literal["fr", "en", "de"] = Field(
        default="fr", description="Of rooms that nobody has chosen a language for"
    )
    invited_by: tuple[str, ...] = Field(
        default=(), description="Server names whose people may invite the bot, beside its own; `*`: everybody"
    )
    membership: Literal["none", "msc4502", "admin"] = Field(
        default="none",
        description="How the homeserver is asked who is in a room that the bot is not in: `msc4502` (Synapse's "
        "experimental_features.msc4502_enabled), `admin` (Synapse's admin API), or not at all",
    )
    focus_proxy: bool = Field(
        default=False,
        description="Clients ask for calls through the homeserver (MSC4512): set by `bridge.focus.homeserver_proxy`",
    )
    admin_token: SecretStr | None = Field(
        default=None,
        description="Access token of a server administrator for `membership: admin`; without it Palabre uses a user of "
        "its own, which an administrator has to promote once",
    )
    manage_power_levels: bool = Field(
        default=False,
        description="Let everybody who may write in a room take part in its calls, as soon as the bot has the power",
    )
    admin_rooms: tuple[str, ...] = Field(
        default=(), description="Ids of encrypted rooms whose moderators may manage homeservers by command"
    )
    wait_for_keys: float = Field(
        default=24 * AN_HOUR, ge=1, description="How long a message that cannot be decrypted waits for its key"
    )
    recovery_key: SecretStr | None = Field(
        default=None,
        description="Of the bot's cross-signing identity: needed once when the database was lost",
    )
    require_signed_devices: Literal["never", "if_set_up", "always"] = Field(
        default="if_set_up",
        description="Whether a yes to being recorded needs a device that its owner has verified (cross-signed). By "
        "default of whoever has set cross-signing up: their homeserver cannot answer for them with a device of its own",
    )
    new_identity: bool = Field(
        default=False,
        description="Without the recovery key, make a new identity: people are told that the bot's has changed",
    )

    @model_validator(mode="after")
    def _tokens_fit(self) -> Self:
        if self.as_token.get_secret_value() == self.hs_token.get_secret_value():
            raise ValueError("as_token and hs_token must differ: each proves one side to the other")
        for token in (self.as_token, self.hs_token):
            if not _TOKEN.fullmatch(token.get_secret_value()):
                raise ValueError("as_token and hs_token must be printable ASCII without spaces: they travel in headers")
        return self

    @property
    def base_url(self) -> str:
        """`homeserver_url` without a slash at its end."""
        return str(self.homeserver_url).rstrip("/")

    @property
    def bot_user_id(self) -> str:
        return f"@{self.bot_localpart}:{self.server_name}"

    @property
    def admin_localpart(self) -> str:
        """Of the user that asks Synapse's admin API, beside the bot: the bot itself needs no such power."""
        return f"{self.prefix}admin"

    @property
    def admin_user_id(self) -> str:
        return f"@{self.admin_localpart}:{self.server_name}"

    @property
    def localparts(self) -> tuple[str, ...]:
        """Users of this service that must exist."""
        own_admin = self.membership == "admin" and self.admin_token is None
        return (self.bot_localpart, self.admin_localpart) if own_admin else (self.bot_localpart,)

    def owns_user(self, user_id: str) -> bool:
        """Whether the user is one of this service's own: what they write is never a command."""
        return user_id == self.bot_user_id or (
            user_id.startswith(f"@{self.prefix}") and user_id.endswith(f":{self.server_name}")
        )

    def is_enough(self, trust: DeviceTrust) -> bool:
        """Whether a device of that trust may bind its owner."""
        if self.require_signed_devices == "always":
            return trust is DeviceTrust.SIGNED
        return self.require_signed_devices == "never" or trust is not DeviceTrust.UNSIGNED

    def may_invite(self, user_id: str) -> bool:
        server = user_id.partition(":")[2]
        return server == self.server_name or server in self.invited_by or "*" in self.invited_by
