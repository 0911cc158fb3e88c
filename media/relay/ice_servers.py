"""TURN servers that clients are given, with credentials that end (coturn's `use-auth-secret`, TURN REST). Pure.

https://datatracker.ietf.org/doc/html/draft-uberti-behave-turn-rest-00
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from livekit.protocol import models, rtc

from media.relay.settings import Turn


def ice_servers(turn: Turn | None, participant_sid: str, now: float) -> list[rtc.ICEServer]:
    """For one participant; `now` in seconds since the epoch."""
    if turn is None:
        return []
    username = f"{int(now + turn.lifetime)}:{participant_sid}"
    digest = hmac.new(turn.secret.get_secret_value().encode(), username.encode(), hashlib.sha1).digest()
    return [rtc.ICEServer(urls=turn.urls, username=username, credential=base64.b64encode(digest).decode())]


def client_configuration(turn: Turn | None) -> models.ClientConfiguration | None:
    """Tells clients to use nothing but TURN, where that is set."""
    if turn is None or not turn.force:
        return None
    return models.ClientConfiguration(force_relay=models.ENABLED)
