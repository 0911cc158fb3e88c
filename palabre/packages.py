"""What each package needs, derived from the settings of the deployment."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ValidationError

import appservice.schema
from appservice.federation.settings import HomeserverSettings
from appservice.identity import stored_recovery_key
from appservice.settings import AppserviceSettings
from bridge.settings import BridgeSettings
from media.relay.settings import RelaySettings
from media.speech.models import ModelsMissingError, locate_model
from media.speech.settings import SpeechSettings
from palabre.base.database import open_database
from palabre.health import Finding
from palabre.settings import Settings, SettingsError, explain
from web.settings import WebSettings

Section = TypeVar("Section", bound=BaseModel)


def _section(model: type[Section], name: str, derived: Mapping[str, Any], own: Mapping[str, Any]) -> Section:
    """The package's settings; what the operator wrote in its section stands above what is derived."""
    try:
        return model(**merged(derived, own))
    except ValidationError as error:
        raise SettingsError("\n".join(f"{name}.{line}" for line in explain(error).splitlines())) from error


def merged(derived: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` above `derived`, section by section."""
    result = dict(derived)
    for key, value in own.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def derived_key(settings: Settings, purpose: str) -> str:
    """A key of its own for each purpose, so that one leaked does not open the others (RFC 5869)."""
    master = settings.secrets.master_key.get_secret_value().encode()
    key = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"palabre {purpose}".encode()).derive(master)
    return base64.b64encode(key).decode()


def listen_url(settings: Settings) -> str:
    """Where the homeserver reaches this service."""
    if settings.appservice_url is not None:
        return str(settings.appservice_url)
    host = settings.listen.host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.listen.port}"


def websocket_url(public_url: str) -> str:
    """The LiveKit URL below a public URL: same place, WebSocket scheme."""
    return ("wss" if public_url.startswith("https") else "ws") + public_url[public_url.index(":") :].rstrip("/")


def appservice_settings(settings: Settings) -> AppserviceSettings:
    return _section(
        AppserviceSettings,
        "appservice",
        {
            "homeserver_url": str(settings.homeserver_url),
            "server_name": settings.server_name,
            "listen_url": listen_url(settings),
            "as_token": settings.secrets.as_token,
            "hs_token": settings.secrets.hs_token,
            "secret": derived_key(settings, "appservice"),
            "language": settings.language,
            "focus_proxy": merged({"focus": {}}, settings.bridge)["focus"].get("homeserver_proxy", False),
        },
        settings.appservice,
    )


def homeserver_settings(settings: Settings) -> HomeserverSettings:
    """`bridge.openid` says the same things in an older place, where they still count."""
    openid = bridge_settings(settings).openid
    return _section(
        HomeserverSettings,
        "homeservers",
        {
            "own": settings.server_name,
            "servers": [{"name": server.name, "url": str(server.url)} for server in openid.servers],
            "allowed": openid.allowed,
            "allow_private": openid.allow_private,
        },
        settings.homeservers,
    )


async def read_recovery_key(settings: Settings) -> str | None:
    """The bot's recovery key, from the database; None before its first start."""
    pool, (tables,) = await open_database(settings.database_url, [appservice.schema.upgrade_table])
    try:
        return await stored_recovery_key(appservice_settings(settings), tables)
    finally:
        await pool.stop()


def relay_settings(settings: Settings) -> RelaySettings:
    media = settings.media
    return _section(
        RelaySettings,
        "relay",
        {
            "host": media.host,
            "udp_port": media.udp_port,
            "tcp_port": media.tcp_port,
            "advertised": media.advertised,
            "stun": media.stun,
            "api_keys": {settings.secrets.livekit_api_key: settings.secrets.livekit_api_secret},
            # The bridge makes the rooms: a token given while a call ran brings none back that has ended.
            "rooms": {"auto_create": False},
        },
        settings.relay,
    )


def bridge_settings(settings: Settings) -> BridgeSettings:
    public_url = str(settings.public_url).rstrip("/")
    matrix = appservice_settings(settings)
    return _section(
        BridgeSettings,
        "bridge",
        {
            "public_url": public_url,
            "livekit": {
                "url": websocket_url(public_url),
                "api_key": settings.secrets.livekit_api_key,
                "api_secret": settings.secrets.livekit_api_secret,
            },
            "data_directory": settings.data_directory,
            "master_key": derived_key(settings, "recordings"),
            "language": settings.language,
            "alias_prefix": matrix.prefix,
            "command_prefix": matrix.command_prefix,
            "focus": {
                "homeserver": {"name": settings.server_name, "url": str(settings.homeserver_url)},
                "hs_token": settings.secrets.hs_token,
            },
            "admin_rooms": matrix.admin_rooms,
            "openid": {"servers": [{"name": settings.server_name, "url": str(settings.homeserver_url)}]},
            "transcript": _speech_section(settings),
        },
        settings.bridge,
    )


def web_settings(settings: Settings) -> WebSettings:
    return _section(WebSettings, "web", {}, settings.web)


def speech_settings(settings: Settings) -> SpeechSettings:
    return _section(SpeechSettings, "speech", {}, _speech_section(settings))


def _speech_section(settings: Settings) -> dict[str, Any]:
    """With the model put together in the data directory: a service may have no home."""
    return merged({"model_cache": settings.data_directory / "models"}, settings.speech)


def speech_finding(settings: Settings) -> Finding:
    """Whether transcripts can be made, as a sentence for doctor, log and `/ready`."""
    try:
        where = locate_model(speech_settings(settings))
    except ModelsMissingError as error:
        return Finding(False, str(error))
    return Finding(True, f"Speech is recognised with the model in {where}.")
