"""The document that makes a homeserver know this service, as its operator installs it.

https://spec.matrix.org/v1.16/application-service-api/#registration
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from appservice.settings import AppserviceSettings

# https://github.com/matrix-org/matrix-spec-proposals/pull/4502: may ask who is in any room.
MEMBERSHIP_SCOPE = "urn:matrix:client:io.element.msc4502:rooms:is_joined"


def registration(settings: AppserviceSettings) -> dict[str, Any]:
    """The document for `app_service_config_files`.

    Its own sender is not the bot: Synapse answers 500 when the sender of a registration asks to `/sync`. With MSC4190
    the bot's device needs no login and its cross-signing keys no password
    (https://github.com/matrix-org/matrix-spec-proposals/pull/4190).
    """
    server = re.escape(settings.server_name)
    bot, prefix = re.escape(settings.bot_localpart), re.escape(settings.prefix)
    document = {
        "id": settings.id,
        "url": str(settings.listen_url).rstrip("/"),
        "as_token": settings.as_token.get_secret_value(),
        "hs_token": settings.hs_token.get_secret_value(),
        "sender_localpart": f"_{settings.id.lower()}_service",
        "rate_limited": False,
        "namespaces": {
            "users": [
                {"exclusive": True, "regex": f"^@{bot}:{server}$"},
                {"exclusive": True, "regex": f"^@{prefix}.*:{server}$"},
            ],
            "aliases": [{"exclusive": True, "regex": f"^#{prefix}.*:{server}$"}],
            "rooms": [],
        },
        "io.element.msc4190": True,
    }
    if settings.focus_proxy:
        document |= proxy_registration(str(settings.listen_url))
    if settings.membership == "msc4502":
        document["io.element.msc4502.scopes"] = [MEMBERSHIP_SCOPE]
    return document


def proxy_registration(listen_url: str) -> dict[str, str]:
    """https://github.com/matrix-org/matrix-spec-proposals/pull/4512: what clients ask of the focus comes here."""
    return {
        "io.element.msc4512.proxy_prefix": "rtc/livekit",
        "io.element.msc4512.proxy_url": listen_url.rstrip("/"),
    }


def registration_yaml(settings: AppserviceSettings) -> str:
    """The same as a file, in the order in which people read it."""
    return yaml.safe_dump(registration(settings), sort_keys=False, allow_unicode=True)
