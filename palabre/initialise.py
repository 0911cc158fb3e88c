"""Writes a first settings file: the few facts that only its operator knows, and secrets that nobody knows."""

from __future__ import annotations

import base64
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bridge.settings import FOCUS_PATH
from palabre.settings import Settings, SettingsError, explain

SECRET_BYTES = 32  # 256 bits


@dataclass(frozen=True)
class InitialFacts:
    """What `palabre init` asks for."""

    server_name: str
    homeserver_url: str
    public_url: str
    data_directory: Path
    advertised: tuple[str, ...] = ()
    language: str = "fr"


def initial_document(facts: InitialFacts) -> dict[str, Any]:
    """The settings as they are written; raises `SettingsError` where a fact can't be used."""
    document: dict[str, Any] = {
        "server_name": facts.server_name,
        "homeserver_url": facts.homeserver_url,
        "public_url": facts.public_url,
        "language": facts.language,
        "data_directory": str(facts.data_directory.absolute()),
        "listen": {"host": "127.0.0.1", "port": 8470},
        "monitoring": {"host": "127.0.0.1", "port": 8471},
        "media": {"host": "0.0.0.0", "udp_port": 7882, "tcp_port": 7881, "advertised": list(facts.advertised)},  # noqa: S104
        "secrets": {
            "as_token": secrets.token_hex(SECRET_BYTES),
            "hs_token": secrets.token_hex(SECRET_BYTES),
            "livekit_api_key": "palabre",
            "livekit_api_secret": secrets.token_hex(SECRET_BYTES),
            "master_key": base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode(),
        },
    }
    try:
        Settings(**document)
    except ValidationError as error:
        raise SettingsError(explain(error)) from error
    return document


def write_settings(path: Path, facts: InitialFacts) -> None:
    """Raises `FileExistsError` rather than overwrite secrets."""
    text = yaml.safe_dump(initial_document(facts), sort_keys=False, allow_unicode=True)
    write_private(path, "# Settings of Palabre. This file holds secrets.\n" + text, replace=False)


def homeserver_lines(public_url: str) -> str:
    """For `homeserver.yaml` of Synapse: what makes the call buttons of Matrix clients find this focus."""
    transport = {"type": "livekit", "livekit_service_url": f"{public_url.rstrip('/')}{FOCUS_PATH}"}
    lines = {
        "matrix_rtc": {"transports": [dict(transport)]},
        "experimental_features": {"msc4143_enabled": True, "msc4222_enabled": True},
        "max_event_delay_duration": "24h",
        "extra_well_known_client_content": {"org.matrix.msc4143.rtc_foci": [dict(transport)]},
    }
    return yaml.safe_dump(lines, sort_keys=False)


def write_private(path: Path, text: str, *, replace: bool) -> None:
    """A file that only its owner reads, complete or not there at all."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replace else os.O_EXCL)
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
