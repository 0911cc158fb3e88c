"""How a webhook is written and signed: protojson, and a token that holds the body's hash. Pure.

https://docs.livekit.io/home/server/webhooks/ — LiveKit's server SDKs verify it with their `WebhookReceiver`.
"""

from __future__ import annotations

import base64
import hashlib

import jwt
from google.protobuf import json_format
from livekit.protocol.webhook import WebhookEvent

from media.relay.tokens import ALGORITHM

CONTENT_TYPE = "application/webhook+json"  # a type of its own, so that no receiver parses what it has not verified
TOKEN_LIFETIME = 300  # seconds, as LiveKit's; every try is signed anew


def body(event: WebhookEvent) -> bytes:
    return json_format.MessageToJson(event, indent=None).encode()


def headers(content: bytes, key: str, secret: str, now: float) -> dict[str, str]:
    """`now` in seconds since the epoch. The token stands alone in the header, without a scheme."""
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    claims = {"iss": key, "nbf": int(now), "exp": int(now) + TOKEN_LIFETIME, "sha256": digest}
    return {"Authorization": jwt.encode(claims, secret, algorithm=ALGORITHM), "Content-Type": CONTENT_TYPE}
