"""The settings of a deployment: one YAML file, environment variables above it, secrets also from files.

What people write here is said once (`server_name`, `public_url`); `packages.py` derives from it what packages need.
The sections `appservice`, `homeservers`, `relay`, `bridge`, `speech` and `web` go to the package of that name, which
refuses keys it does not know, as this module does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

MINIMUM_SECRET = 32  # characters; LiveKit refuses shorter ones too, and HS256 wants 256 bits (RFC 7518 section 3.2)
MINIMUM_VARIETY = 8  # different characters: "aaaa…" is long and known all the same
KNOWN_SECRETS = ("secret", "devkey", "changeme", "password", "example", "as-token", "hs-token")

SECRET_NAMES = ("as_token", "hs_token", "livekit_api_secret", "master_key")


class SettingsError(ValueError):
    """The settings can't be used; the message has one line per thing to change."""


class Secrets(BaseModel):
    """Each may be given as `NAME` or as `NAME_file`, the path of a file that holds it; not both."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    as_token: SecretStr = Field(description="How Palabre proves itself to the homeserver")
    hs_token: SecretStr = Field(description="How the homeserver proves itself to Palabre")
    livekit_api_key: str = Field(default="palabre", description="Name of the key, public")
    livekit_api_secret: SecretStr = Field(description="Signs LiveKit access tokens")
    master_key: SecretStr = Field(description="32 random bytes in base64; seals recordings and the bot's keys")

    @model_validator(mode="before")
    @classmethod
    def _read_files(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        read = dict(given)
        for key in [key for key in read if key.endswith("_file") and key.removesuffix("_file") in SECRET_NAMES]:
            name, path = key.removesuffix("_file"), Path(str(read.pop(key)))
            if name in read:
                raise ValueError(f"{name} and {key} must not be set together")
            try:
                read[name] = path.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ValueError(f"{key}: {path} can't be read ({error.strerror})") from error
        return read


class Listen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535)


class MediaPorts(BaseModel):
    """The two ports to open in the firewall, and the addresses that clients are told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(default="0.0.0.0", description="Address the media ports are bound to")  # noqa: S104 - media come from anywhere
    udp_port: int = Field(default=7882, ge=0, le=65535)
    tcp_port: int = Field(default=7881, ge=0, le=65535)
    advertised: tuple[str, ...] = Field(
        default=(), description="Public IP addresses of this machine; needed when host is not one of them"
    )
    stun: str = Field(
        default="", description="A STUN server (host:port) to ask for the public address, behind a NAT that keeps ports"
    )


class Log(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


class Settings(BaseSettings):
    """A whole deployment. Environment: `PALABRE_PUBLIC_URL`, `PALABRE_SECRETS__AS_TOKEN_FILE`, …"""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="PALABRE_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    server_name: str = Field(min_length=1, description="The homeserver's name in user ids")
    homeserver_url: AnyHttpUrl = Field(description="Where Palabre reaches the homeserver's client API")
    public_url: AnyHttpUrl = Field(description="Where people reach Palabre")
    appservice_url: AnyHttpUrl | None = Field(
        default=None, description="Where the homeserver reaches Palabre; default: listen.host and port"
    )
    language: Literal["fr", "en", "de"] = "fr"
    data_directory: Path
    database: str = Field(default="", description="sqlite:///… or postgres://…; default: SQLite in data_directory")
    listen: Listen = Listen(port=8470)
    monitoring: Listen = Listen(port=8471)
    log: Log = Log()
    media: MediaPorts = MediaPorts()
    secrets: Secrets
    appservice: dict[str, Any] = Field(default_factory=dict)
    homeservers: dict[str, Any] = Field(default_factory=dict)
    relay: dict[str, Any] = Field(default_factory=dict)
    bridge: dict[str, Any] = Field(default_factory=dict)
    speech: dict[str, Any] = Field(default_factory=dict)
    web: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{(self.data_directory / 'palabre.db').absolute()}"


def load(path: Path, *, dev: bool) -> Settings:
    """Read `path` and the environment. Raises `SettingsError` with what to change, one line each.

    Outside `dev`, known, short or repetitive secrets are refused.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise SettingsError(f"{path} can't be read ({error.strerror}). `palabre init` writes one.") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise SettingsError(f"{path} must hold settings as `name: value` lines.")
    stray = sorted(name for name in os.environ if name.startswith("PALABRE_") and not _known_variable(name))
    if stray:
        raise SettingsError("\n".join(f"{name}: no such setting" for name in stray))
    try:
        settings = Settings(**document)
    except ValidationError as error:
        raise SettingsError(explain(error)) from error
    if not dev:
        refuse_weak_secrets(settings.secrets)
    return settings


# Read by the demonstration and the tests, not settings of a deployment.
_OTHER_VARIABLES = frozenset({"PALABRE_CONFIG", "PALABRE_SYNAPSE_PYTHON", "PALABRE_DEV"})


def _known_variable(name: str) -> bool:
    if name in _OTHER_VARIABLES:
        return True
    return name.removeprefix("PALABRE_").lower().split("__")[0] in Settings.model_fields


def explain(error: ValidationError) -> str:
    """pydantic's findings as lines of `where: what`."""
    lines = []
    for finding in error.errors():
        where = ".".join(str(part) for part in finding["loc"]) or "settings"
        message = "no such setting" if finding["type"] == "extra_forbidden" else finding["msg"]
        lines.append(f"{where}: {message}")
    return "\n".join(lines)


def weakness(secret: str) -> str:
    """Why `secret` is not one, as the end of a sentence; empty if it will do."""
    if len(secret) < MINIMUM_SECRET:
        return f"has fewer than {MINIMUM_SECRET} characters"
    if len(set(secret)) < MINIMUM_VARIETY:
        return f"has fewer than {MINIMUM_VARIETY} different characters"
    if any(known * 2 in secret.lower() or secret.lower().startswith(known) for known in KNOWN_SECRETS):
        return "is one that everybody knows"
    return ""


def refuse_weak_secrets(secrets: Secrets) -> None:
    """Raises `SettingsError` naming every secret that is known, short or repetitive."""
    found = []
    for name in SECRET_NAMES:
        value: SecretStr = getattr(secrets, name)
        if why := weakness(value.get_secret_value()):
            found.append(f"secrets.{name} {why}. `palabre init` writes good ones; --dev accepts any.")
    if secrets.as_token == secrets.hs_token:
        found.append("secrets.as_token and secrets.hs_token are the same; each side needs its own.")
    if found:
        raise SettingsError("\n".join(found))
